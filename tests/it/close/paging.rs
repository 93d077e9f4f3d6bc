//! A listing is complete or it is an error: who believes a short one takes rented numbers for absent.

use numberdesk::close;
use serde_json::{Value, json};

use super::vendor::{Act, Vendor, answer, say};
use super::{close, number};

fn page(ids: &[&str], has_more: impl Into<Value>) -> Act {
    let data: Vec<Value> = ids.iter().map(|id| number(id)).collect();
    say(
        200,
        json!({"data": data, "has_more": has_more.into()}).to_string(),
    )
}

#[tokio::test]
async fn every_page_is_read_and_the_next_begins_after_what_came() {
    let vendor = Vendor::start(vec![
        page(&["phon_A", "phon_B"], true),
        page(&["phon_C"], true),
        page(&["phon_D"], false),
    ])
    .await;
    let numbers = close(&vendor).numbers().await.unwrap();
    let ids: Vec<&str> = numbers.iter().map(|facts| facts.id.as_str()).collect();
    assert_eq!(ids, ["phon_A", "phon_B", "phon_C", "phon_D"]);
    let seen = vendor.seen();
    let lines: Vec<&str> = seen.iter().map(super::vendor::Seen::line).collect();
    assert_eq!(
        lines,
        [
            "GET /api/v1/phone_number/?_limit=100&_skip=0",
            "GET /api/v1/phone_number/?_limit=100&_skip=2",
            "GET /api/v1/phone_number/?_limit=100&_skip=3",
        ]
    );
}

#[tokio::test]
async fn an_empty_listing_is_a_listing() {
    let vendor = Vendor::start(vec![page(&[], false)]).await;
    assert_eq!(close(&vendor).numbers().await.unwrap(), []);
    // The last page may be empty, when the rows fill the one before exactly.
    let vendor = Vendor::start(vec![page(&["phon_A"], true), page(&[], false)]).await;
    assert_eq!(close(&vendor).numbers().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_number_that_moved_to_the_next_page_meanwhile_is_listed_once() {
    let vendor = Vendor::start(vec![
        page(&["phon_A", "phon_B"], true),
        page(&["phon_B", "phon_C"], false),
    ])
    .await;
    assert_eq!(close(&vendor).numbers().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_page_that_brings_nothing_new_but_promises_more_is_an_error() {
    for acts in [
        vec![page(&[], true)],
        vec![page(&["phon_A"], true), page(&[], true)],
        // The vendor ignores `_skip`: the first page for ever.
        vec![page(&["phon_A"], true)],
    ] {
        let vendor = Vendor::start(acts).await;
        assert!(matches!(
            close(&vendor).numbers().await,
            Err(close::Error::Unavailable { .. })
        ));
        assert!(vendor.seen().len() <= 2);
    }
}

#[tokio::test]
async fn a_failed_or_odd_page_anywhere_spoils_the_listing() {
    let bad = [
        say(500, ""),
        say(200, ""),
        say(200, "[]"),
        say(200, r#"{"data":[]}"#),
        page(&["phon_B"], Value::Null),
        page(&["phon_B"], "true"),
        say(
            200,
            json!({"data": [{"id": "phon_B"}], "has_more": false}).to_string(),
        ),
        say(203, json!({"data": [], "has_more": false}).to_string()),
        Act::Say(answer(
            206,
            "",
            json!({"data": [], "has_more": false}).to_string(),
        )),
        say(404, r#"{"error":"no such list"}"#),
        Act::Close(answer(200, "", vec![b' '; 9 << 20])),
        Act::Reset(answer(200, "", r#"{"data":[],"has_more":false}"#)[..80].to_vec()),
    ];
    for act in bad {
        let vendor = Vendor::start(vec![page(&["phon_A"], true), act]).await;
        let listed = close(&vendor).numbers().await;
        assert!(
            matches!(listed, Err(close::Error::Unavailable { .. })),
            "{listed:?}"
        );
    }
    let vendor = Vendor::start(vec![page(&["phon_A"], true), say(401, "")]).await;
    assert_eq!(close(&vendor).numbers().await, Err(close::Error::Unauthorized));
}

#[tokio::test]
async fn a_page_that_fails_once_is_asked_for_again() {
    let vendor = Vendor::start(vec![
        page(&["phon_A"], true),
        say(503, ""),
        page(&["phon_B"], false),
    ])
    .await;
    assert_eq!(close(&vendor).numbers().await.unwrap().len(), 2);
    assert!(vendor.seen()[1].line().ends_with("_skip=1"));
    assert!(vendor.seen()[2].line().ends_with("_skip=1"));
}

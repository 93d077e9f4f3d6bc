//! Listings of numbers: complete or an error, because rented numbers would seem absent in an incomplete one.

use numberdesk::close;
use serde_json::{Value, json};

use super::vendor::{Act, Vendor, answer, respond};
use super::{close, number};

fn page(ids: &[&str], has_more: impl Into<Value>) -> Act {
    let data: Vec<Value> = ids.iter().map(|id| number(id)).collect();
    respond(
        200,
        json!({"data": data, "has_more": has_more.into()}).to_string(),
    )
}

#[tokio::test]
async fn every_page_is_read_and_each_skips_the_rows_before_it() {
    let vendor = Vendor::start(vec![
        page(&["phon_A", "phon_B"], true),
        page(&["phon_C"], true),
        page(&["phon_D"], false),
    ])
    .await;
    let numbers = close(&vendor).numbers().await.unwrap();
    let ids: Vec<&str> = numbers.items.iter().map(|facts| facts.id.as_str()).collect();
    assert_eq!(ids, ["phon_A", "phon_B", "phon_C", "phon_D"]);
    let requests = vendor.received();
    let lines: Vec<&str> = requests
        .iter()
        .map(super::vendor::ReceivedRequest::line)
        .collect();
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
async fn an_empty_listing_is_valid() {
    let vendor = Vendor::start(vec![page(&[], false)]).await;
    assert_eq!(close(&vendor).numbers().await.unwrap().items, []);
    // The last page may be empty if the rows fill the page before it exactly.
    let vendor = Vendor::start(vec![page(&["phon_A"], true), page(&[], false)]).await;
    assert_eq!(close(&vendor).numbers().await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_number_that_moved_to_the_next_page_meanwhile_is_listed_once() {
    let vendor = Vendor::start(vec![
        page(&["phon_A", "phon_B"], true),
        page(&["phon_B", "phon_C"], false),
    ])
    .await;
    let listed = close(&vendor).numbers().await.unwrap();
    assert_eq!((listed.items.len(), listed.odd.len()), (3, 0));
}

#[tokio::test]
async fn a_page_without_new_rows_that_announces_more_is_an_error() {
    for acts in [
        vec![page(&[], true)],
        vec![page(&["phon_A"], true), page(&[], true)],
        // The vendor ignores `_skip` and always sends the first page.
        vec![page(&["phon_A"], true)],
    ] {
        let vendor = Vendor::start(acts).await;
        assert!(matches!(
            close(&vendor).numbers().await,
            Err(close::Error::Unavailable { .. })
        ));
        assert!(vendor.received().len() <= 2);
    }
}

#[tokio::test]
async fn a_failed_or_malformed_page_fails_the_whole_listing() {
    let bad_pages = [
        respond(500, ""),
        respond(200, ""),
        respond(200, "[]"),
        respond(200, r#"{"data":[]}"#),
        page(&["phon_B"], Value::Null),
        page(&["phon_B"], "true"),
        respond(203, json!({"data": [], "has_more": false}).to_string()),
        Act::Respond(answer(
            206,
            "",
            json!({"data": [], "has_more": false}).to_string(),
        )),
        respond(404, r#"{"error":"no such list"}"#),
        Act::Close(answer(200, "", vec![b' '; 9 << 20])),
        Act::Reset(answer(200, "", r#"{"data":[],"has_more":false}"#)[..80].to_vec()),
    ];
    for act in bad_pages {
        let vendor = Vendor::start(vec![page(&["phon_A"], true), act]).await;
        let listed = close(&vendor).numbers().await;
        assert!(
            matches!(listed, Err(close::Error::Unavailable { .. })),
            "{listed:?}"
        );
    }
    let vendor = Vendor::start(vec![page(&["phon_A"], true), respond(401, "")]).await;
    assert_eq!(close(&vendor).numbers().await, Err(close::Error::Unauthorized));
}

#[tokio::test]
async fn a_page_that_fails_once_is_requested_again() {
    let vendor = Vendor::start(vec![
        page(&["phon_A"], true),
        respond(503, ""),
        page(&["phon_B"], false),
    ])
    .await;
    assert_eq!(close(&vendor).numbers().await.unwrap().items.len(), 2);
    assert!(vendor.received()[1].line().ends_with("_skip=1"));
    assert!(vendor.received()[2].line().ends_with("_skip=1"));
}

#[tokio::test]
async fn an_odd_row_does_not_hide_the_rows_and_pages_around_it() {
    let rows = |rows: Value, more: bool| respond(200, json!({"data": rows, "has_more": more}).to_string());
    let vendor = Vendor::start(vec![
        rows(
            json!([number("phon_A"), {"id": "phon_B", "number": null}, number("phon_C")]),
            true,
        ),
        rows(json!([{"id": "x"}, 7]), true),
        rows(json!([number("phon_D")]), false),
    ])
    .await;
    let listed = close(&vendor).numbers().await.unwrap();
    let ids: Vec<&str> = listed.items.iter().map(|facts| facts.id.as_str()).collect();
    assert_eq!(ids, ["phon_A", "phon_C", "phon_D"]);
    let faults: Vec<&str> = listed.odd.iter().map(|odd| odd.fault.as_str()).collect();
    assert_eq!(
        faults,
        [
            "`number` is null",
            "`id` has an unexpected form",
            "it is not a JSON object"
        ]
    );
    assert!(vendor.received()[2].line().ends_with("_skip=5"));
}

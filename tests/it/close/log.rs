//! The event log and the webhook subscriptions over the wire: page by page, whole or an error, and made once.

use numberdesk::close::{self, Change};
use numberdesk::domain::time::Timestamp;
use serde_json::{Value, json};

use super::vendor::{Act, Seen, Vendor, say};
use super::{close, id};

fn since() -> Timestamp {
    "2026-11-23T10:00:00Z".parse().unwrap()
}

/// A page of updates at these minutes after ten.
fn updates(minutes: &[u32], next: Option<&str>) -> Act {
    let data: Vec<Value> = minutes
        .iter()
        .map(|minute| {
            json!({"id": format!("ev_{minute}"), "object_type": "phone_number", "object_id": "phon_A",
                "action": "updated", "date_updated": format!("2026-11-23T10:{minute:02}:00.000000"),
                "data": {"country": "DE"}})
        })
        .collect();
    say(200, json!({"data": data, "cursor_next": next}).to_string())
}

#[tokio::test]
async fn changes_are_read_back_to_a_moment_and_a_cursor_goes_without_that_moment() {
    let old = json!({"id": "ev_old", "object_type": "phone_number", "object_id": "phon_A",
        "action": "updated", "date_updated": "2026-11-23T09:59:59.999000"});
    let last = json!({"data": [old], "cursor_next": "further"}).to_string();
    let vendor = Vendor::start(vec![
        updates(&[5, 4], Some("c1")),
        updates(&[3, 0], Some("c2")),
        say(200, last),
    ])
    .await;
    let found = close(&vendor).changes(Change::Updated, since()).await.unwrap();
    let ids: Vec<_> = found
        .iter()
        .map(|notice| notice.event_id.as_deref().unwrap())
        .collect();
    assert_eq!(ids, ["ev_5", "ev_4", "ev_3", "ev_0"]);
    assert_eq!(found[0].country, Some("DE".parse().unwrap()));
    let asked = "GET /api/v1/event/?object_type=phone_number&action=updated";
    let seen = vendor.seen();
    let lines: Vec<&str> = seen.iter().map(Seen::line).collect();
    assert_eq!(
        lines,
        [
            format!("{asked}&date_updated__gte=2026-11-23T10%3A00%3A00Z&_limit=50"),
            format!("{asked}&_limit=50&_cursor=c1"),
            format!("{asked}&_limit=50&_cursor=c2"),
        ]
    );
}

#[tokio::test]
async fn a_page_of_changes_that_is_not_whole_spoils_them_all() {
    for act in [
        say(500, ""),
        say(200, "{}"),
        say(404, r#"{"error":"no such log"}"#),
        say(200, r#"{"data":[{"object_type":"phone_number"}]}"#),
    ] {
        let vendor = Vendor::start(vec![updates(&[5], Some("c1")), act]).await;
        let found = close(&vendor).changes(Change::Updated, since()).await;
        assert!(
            matches!(found, Err(close::Error::Unavailable { .. })),
            "{found:?}"
        );
    }
    // A log that goes round in circles has an end; one that never ends is an error.
    let vendor = Vendor::start(vec![updates(&[5], Some("c1"))]).await;
    assert_eq!(
        close(&vendor)
            .changes(Change::Updated, since())
            .await
            .unwrap()
            .len(),
        2
    );
    let endless = (0..300).map(|page| updates(&[5], Some(&format!("c{page}"))));
    let vendor = Vendor::start(endless.collect()).await;
    assert!(close(&vendor).changes(Change::Updated, since()).await.is_err());
    assert_eq!(vendor.seen().len(), 100);
}

#[tokio::test]
async fn how_one_number_came_is_asked_for_by_its_id() {
    let event = |of: &str| {
        json!({"id": "ev_1", "object_type": "phone_number", "object_id": of, "action": "created",
            "date_created": "2026-11-23T10:05:00.123000", "user_id": "user_1"})
    };
    let vendor = Vendor::start(vec![say(200, json!({"data": [event("phon_A")]}).to_string())]).await;
    let creation = close(&vendor).creation_of(&id("phon_A")).await.unwrap().unwrap();
    assert_eq!(creation.user, Some("user_1".parse().unwrap()));
    assert_eq!(
        vendor.seen()[0].line(),
        "GET /api/v1/event/?object_id=phon_A&action=created&_limit=50"
    );
    let vendor = Vendor::start(vec![say(200, r#"{"data":[]}"#)]).await;
    assert_eq!(close(&vendor).creation_of(&id("phon_A")).await, Ok(None));
    // Another number's is not what was asked for.
    let vendor = Vendor::start(vec![say(200, json!({"data": [event("phon_B")]}).to_string())]).await;
    let found = close(&vendor).creation_of(&id("phon_A")).await;
    assert!(
        matches!(found, Err(close::Error::Unavailable { .. })),
        "{found:?}"
    );
}

#[tokio::test]
async fn every_page_of_the_subscriptions_is_read() {
    let page = |ids: &[&str], more: Option<bool>| {
        let data: Vec<Value> = ids
            .iter()
            .map(|id| json!({"id": id, "url": "https://x/"}))
            .collect();
        let body = match more {
            Some(more) => json!({"data": data, "has_more": more}),
            None => json!({"data": data}),
        };
        say(200, body.to_string())
    };
    let vendor = Vendor::start(vec![
        page(&["whsub_A", "whsub_B"], Some(true)),
        page(&["whsub_B", "whsub_C"], Some(false)),
    ])
    .await;
    assert_eq!(close(&vendor).subscriptions().await.unwrap().len(), 3);
    let seen = vendor.seen();
    assert_eq!(
        seen.iter().map(Seen::line).collect::<Vec<_>>(),
        ["GET /api/v1/webhook/", "GET /api/v1/webhook/?_skip=2"]
    );
    let vendor = Vendor::start(vec![page(&["whsub_A"], None)]).await;
    assert_eq!(close(&vendor).subscriptions().await.unwrap().len(), 1);
    for acts in [
        vec![page(&["whsub_A"], Some(true))],
        vec![page(&["whsub_A"], Some(true)), say(502, "")],
        vec![say(404, r#"{"error":"no"}"#)],
    ] {
        let vendor = Vendor::start(acts).await;
        assert!(close(&vendor).subscriptions().await.is_err());
    }
}

#[tokio::test]
async fn a_subscription_is_asked_for_once_whatever_comes_back() {
    for act in [
        say(500, ""),
        say(201, "{}"),
        say(201, ""),
        say(
            400,
            r#"{"errors":["You can only have 40 webhook subscriptions."]}"#,
        ),
        Act::Reset(Vec::new()),
        Act::Hang(Vec::new()),
    ] {
        let vendor = Vendor::start(vec![act]).await;
        assert!(close(&vendor).subscribe("https://desk.example/").await.is_err());
        assert_eq!(vendor.count("POST"), 1);
    }
    let made = json!({"id": "whsub_A", "url": "https://desk.example/", "status": "active"});
    let vendor = Vendor::start(vec![say(201, made.to_string())]).await;
    let subscription = close(&vendor).subscribe("https://desk.example/").await.unwrap();
    assert_eq!(subscription.id.as_str(), "whsub_A");
    let seen = &vendor.seen()[0];
    assert_eq!(seen.line(), "POST /api/v1/webhook/");
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(body["url"], "https://desk.example/");
    assert_eq!(body["events"].as_array().unwrap().len(), 6);
}

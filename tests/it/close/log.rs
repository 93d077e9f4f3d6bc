//! The event log and the webhook subscriptions: every page or an error, and a subscription is requested only once.

use numberdesk::close::{self, Change};
use numberdesk::domain::time::Timestamp;
use serde_json::{Value, json};

use super::vendor::{Act, ReceivedRequest, Vendor, respond};
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
    respond(200, json!({"data": data, "cursor_next": next}).to_string())
}

#[tokio::test]
async fn the_event_log_is_read_back_to_a_time_which_the_cursor_replaces_from_the_second_page_on() {
    let too_old = json!({"id": "ev_old", "object_type": "phone_number", "object_id": "phon_A",
        "action": "updated", "date_updated": "2026-11-23T09:59:59.999000"});
    let last = json!({"data": [too_old], "cursor_next": "c3"}).to_string();
    let vendor = Vendor::start(vec![
        updates(&[5, 4], Some("c1")),
        updates(&[3, 0], Some("c2")),
        respond(200, last),
    ])
    .await;
    let found = close(&vendor).changes(Change::Updated, since()).await.unwrap();
    let ids: Vec<_> = found
        .items
        .iter()
        .map(|change| change.event_id.as_deref().unwrap())
        .collect();
    assert_eq!(ids, ["ev_5", "ev_4", "ev_3", "ev_0"]);
    assert_eq!(found.items[0].country, Some("DE".parse().unwrap()));
    let query = "GET /api/v1/event/?object_type=phone_number&action=updated";
    let requests = vendor.received();
    let lines: Vec<&str> = requests.iter().map(ReceivedRequest::line).collect();
    assert_eq!(
        lines,
        [
            format!("{query}&date_updated__gte=2026-11-23T10%3A00%3A00Z&_limit=50"),
            format!("{query}&_limit=50&_cursor=c1"),
            format!("{query}&_limit=50&_cursor=c2"),
        ]
    );
}

#[tokio::test]
async fn a_broken_page_of_the_event_log_fails_the_whole_read() {
    for act in [
        respond(500, ""),
        respond(200, "{}"),
        respond(404, r#"{"error":"no such log"}"#),
        respond(200, r#"{"data":[],"cursor_next":7}"#),
    ] {
        let vendor = Vendor::start(vec![updates(&[5], Some("c1")), act]).await;
        let found = close(&vendor).changes(Change::Updated, since()).await;
        assert!(
            matches!(found, Err(close::Error::Unavailable { .. })),
            "{found:?}"
        );
    }
    // A page that repeats its cursor ends the read. A log of more than 100 pages is an error.
    let vendor = Vendor::start(vec![updates(&[5], Some("c1"))]).await;
    assert_eq!(
        close(&vendor)
            .changes(Change::Updated, since())
            .await
            .unwrap()
            .items
            .len(),
        2
    );
    let endless = (0..300).map(|page| updates(&[5], Some(&format!("c{page}"))));
    let vendor = Vendor::start(endless.collect()).await;
    assert!(close(&vendor).changes(Change::Updated, since()).await.is_err());
    assert_eq!(vendor.received().len(), 100);
}

#[tokio::test]
async fn the_creation_of_a_number_is_read_by_its_id() {
    let event = |number: &str| {
        json!({"id": "ev_1", "object_type": "phone_number", "object_id": number, "action": "created",
            "date_created": "2026-11-23T10:05:00.123000", "user_id": "user_1"})
    };
    let vendor = Vendor::start(vec![respond(200, json!({"data": [event("phon_A")]}).to_string())]).await;
    let creation = close(&vendor).creation_of(&id("phon_A")).await.unwrap().unwrap();
    assert_eq!(creation.user, Some("user_1".parse().unwrap()));
    assert_eq!(
        vendor.received()[0].line(),
        "GET /api/v1/event/?object_id=phon_A&action=created&_limit=50"
    );
    let vendor = Vendor::start(vec![respond(200, r#"{"data":[]}"#)]).await;
    assert_eq!(close(&vendor).creation_of(&id("phon_A")).await, Ok(None));
    // An event of another number says nothing about this one.
    let vendor = Vendor::start(vec![respond(200, json!({"data": [event("phon_B")]}).to_string())]).await;
    assert_eq!(close(&vendor).creation_of(&id("phon_A")).await, Ok(None));
}

#[tokio::test]
async fn an_odd_event_does_not_hide_the_events_and_pages_around_it() {
    let odd = |page: Value, next: Option<&str>| {
        respond(200, json!({"data": page, "cursor_next": next}).to_string())
    };
    let vendor = Vendor::start(vec![
        updates(&[5], Some("c1")),
        odd(json!([{"object_type": "phone_number"}, 7]), Some("c2")),
        updates(&[4], None),
    ])
    .await;
    let found = close(&vendor).changes(Change::Updated, since()).await.unwrap();
    assert_eq!((found.items.len(), found.odd.len()), (2, 2));
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
        respond(200, body.to_string())
    };
    let vendor = Vendor::start(vec![
        page(&["whsub_A", "whsub_B"], Some(true)),
        page(&["whsub_B", "whsub_C"], Some(false)),
    ])
    .await;
    assert_eq!(close(&vendor).subscriptions().await.unwrap().known.len(), 3);
    let requests = vendor.received();
    assert_eq!(
        requests.iter().map(ReceivedRequest::line).collect::<Vec<_>>(),
        ["GET /api/v1/webhook/", "GET /api/v1/webhook/?_skip=2"]
    );
    let vendor = Vendor::start(vec![page(&["whsub_A"], None)]).await;
    assert_eq!(close(&vendor).subscriptions().await.unwrap().known.len(), 1);
    for acts in [
        vec![page(&["whsub_A"], Some(true))],
        vec![page(&["whsub_A"], Some(true)), respond(502, "")],
        vec![respond(404, r#"{"error":"no"}"#)],
    ] {
        let vendor = Vendor::start(acts).await;
        assert!(close(&vendor).subscriptions().await.is_err());
    }
}

#[tokio::test]
async fn a_request_for_a_subscription_is_never_repeated() {
    for act in [
        respond(500, ""),
        respond(201, "{}"),
        respond(201, ""),
        respond(
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
    let created = json!({"id": "whsub_A", "url": "https://desk.example/", "status": "active"});
    let vendor = Vendor::start(vec![respond(201, created.to_string())]).await;
    let subscription = close(&vendor).subscribe("https://desk.example/").await.unwrap();
    assert_eq!(subscription.id.as_str(), "whsub_A");
    let sent = &vendor.received()[0];
    assert_eq!(sent.line(), "POST /api/v1/webhook/");
    let body: Value = serde_json::from_str(&sent.body).unwrap();
    assert_eq!(body["url"], "https://desk.example/");
    assert_eq!(body["events"].as_array().unwrap().len(), 6);
}

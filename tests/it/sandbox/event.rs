//! The event log.

use std::time::Duration;

use close_sandbox::Settings;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Close, RENT};

#[tokio::test]
async fn the_event_log_accepts_only_known_combinations_of_filters() {
    let close = Close::start().await;
    let id = close.rented(json!({"country": "US"})).await;
    for (query, status) in [
        ("", 200),
        ("object_type=phone_number&action=created", 200),
        ("object_type=phone_number&object_id=x", 200),
        ("object_id=x&action=updated", 200),
        ("user_id=x&object_type=phone_number&action=created", 200),
        ("request_id=req_x", 200),
        ("date_updated__gte=2026-01-01T00:00:00", 200),
        ("date_created__gte=whatever", 200),
        ("_limit=50", 200),
        ("object_type=phone_number", 400),
        ("action=created", 400),
        ("object_id=x", 400),
        ("request_id=req_x&user_id=x", 400),
        ("_limit=51", 400),
        ("date_updated__gt=yesterday", 400),
        ("_cursor=nonsense", 400),
    ] {
        assert_eq!(close.get(&format!("/event/?{query}")).await.0, status, "{query}");
    }
    let (_, events) = close.get("/event/?object_type=phone_number&action=created").await;
    let event = &events["data"][0];
    assert_eq!(
        (&event["object_id"], &event["data"]["id"]),
        (&json!(id), &json!(id))
    );
    assert_eq!(event["api_key_id"], close.organization().await["api_key_id"]);
    assert_eq!(
        event["meta"],
        json!({"request_method": "POST", "request_path": format!("/api/v1{RENT}")})
    );
    let (status, single) = close
        .get(&format!("/event/{}/", event["id"].as_str().unwrap()))
        .await;
    assert_eq!((status, &single), (200, event));
    let recorded = &close.requests("method=POST").await[0]["request_id"];
    assert_eq!(&event["request_id"], recorded);
}

#[tokio::test]
async fn cursors_page_through_the_event_log_in_both_directions() {
    let close = Close::start().await;
    for _ in 0..7 {
        close.rented(json!({"country": "US"})).await;
    }
    let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    let last = loop {
        let (_, page) = close.get(&format!("/event/?_limit=3&_cursor={cursor}")).await;
        pages += 1;
        seen.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|event| event["object_id"].clone()),
        );
        match page["cursor_next"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break page,
        }
    };
    let mut expected: Vec<Value> = close
        .numbers()
        .await
        .iter()
        .map(|number| number["id"].clone())
        .collect();
    expected.reverse();
    assert_eq!((pages, seen), (3, expected.clone()));
    let back = last["cursor_previous"].as_str().unwrap();
    let (_, page) = close.get(&format!("/event/?_limit=3&_cursor={back}")).await;
    let ids: Vec<Value> = page["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["object_id"].clone())
        .collect();
    assert_eq!(ids, expected[3..6]);
}

#[tokio::test]
async fn updates_within_the_window_become_one_event_with_the_state_before_the_first() {
    let settings = Settings {
        consolidation_window: Duration::from_mins(10),
        ..Settings::default()
    };
    let close = Close::with(settings).await;
    let id = close.rented(json!({"country": "US"})).await;
    let path = format!("/phone_number/{id}/");
    for label in ["one", "two", "three"] {
        close.put(&path, json!({"label": label})).await;
    }
    close.put(&path, json!({"label": "three"})).await;
    let (_, events) = close.get("/event/?object_type=phone_number&action=updated").await;
    let events = events["data"].as_array().unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["data"]["label"], "three");
    assert_eq!(events[0]["previous_data"]["label"], Value::Null);
    assert!(
        events[0]["changed_fields"]
            .as_array()
            .unwrap()
            .contains(&json!("label"))
    );

    close.call(Method::DELETE, &path, None).await;
    let (_, events) = close.get("/event/?object_type=phone_number&action=deleted").await;
    let event = &events["data"][0];
    assert_eq!(
        (&event["data"], &event["previous_data"]["label"]),
        (&Value::Null, &json!("three"))
    );
}

#[tokio::test]
async fn an_odd_event_has_its_place_in_the_log_and_the_members_that_a_test_chooses() {
    let close = Close::start().await;
    close.rented(json!({"country": "US"})).await;
    let shown = json!({"object_id": 7, "date_created": null});
    let (status, _) = close.control(Method::POST, "events", Some(shown)).await;
    assert_eq!(status, 204);
    let last = close.rented(json!({"country": "US"})).await;
    let (_, log) = close.get("/event/?object_type=phone_number&action=created").await;
    let events = log["data"].as_array().unwrap();
    assert_eq!(events.len(), 3);
    assert_eq!(events[0]["object_id"], last);
    assert_eq!(
        (
            &events[1]["object_id"],
            &events[1]["date_created"],
            &events[1]["action"]
        ),
        (&json!(7), &Value::Null, &json!("created"))
    );
}

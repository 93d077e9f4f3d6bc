//! The committed snapshot of Close's API, compared with what the simulation answers.

use std::collections::BTreeSet;

use close_sandbox::{API_SNAPSHOT, Epoch};

use super::*;
use crate::support::epoch::EPOCHS;
use serde_json::json;

fn snapshot() -> Value {
    serde_json::from_str(API_SNAPSHOT).unwrap()
}

fn fields(object: &str) -> BTreeSet<String> {
    let fields = &snapshot()["objects"][object]["fields"];
    fields.as_object().unwrap().keys().cloned().collect()
}

fn names(object: &Value) -> BTreeSet<String> {
    object.as_object().unwrap().keys().cloned().collect()
}

fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Asserts that every field of the answer is known, with its type and word, and that no expected one is missing.
fn assert_known(object: &str, answer: &Value, context: &str) {
    let known = &snapshot()["objects"][object]["fields"];
    for (name, value) in answer.as_object().unwrap() {
        let field = &known[name];
        assert!(
            field.is_object(),
            "{context}: {object}.{name} is not in the snapshot"
        );
        let types = field["type"].as_array().unwrap();
        assert!(
            types.contains(&json!(json_type(value))),
            "{context}: {object}.{name} is {value}"
        );
        if let (Some(words), Value::String(_)) = (field["words"].as_array(), value) {
            assert!(words.contains(value), "{context}: {object}.{name} is {value}");
        }
    }
    for (name, field) in known.as_object().unwrap() {
        let missing = field["expected"] == true && answer.get(name).is_none();
        assert!(!missing, "{context}: {object}.{name} is missing");
    }
}

#[tokio::test]
async fn the_snapshot_has_exactly_the_fields_of_today_s_answers() {
    let close = Close::start().await;
    let id = close.rented(json!({"country": "US"})).await;
    let number = close.get(&format!("/phone_number/{id}/")).await.1;
    assert_eq!(names(&number), fields("phone_number"));
    let body = json!({"url": "https://desk.example/", "events": [{"object_type": "phone_number", "action": "created"}]});
    let (_, webhook) = close.call(Method::POST, "/webhook/", Some(body)).await;
    assert_eq!(names(&webhook), fields("webhook"));
    let log = close
        .get("/event/?object_type=phone_number&action=created")
        .await
        .1;
    assert_eq!(names(&log), fields("event_page"));
    assert_eq!(names(&log["data"][0]), fields("event"));
    let page = close.get("/phone_number/").await.1;
    assert_eq!(names(&page), fields("phone_number_page"));
    let groups = close.get("/group/").await.1;
    let group = close
        .get(&format!("/group/{}/", groups["data"][0]["id"].as_str().unwrap()))
        .await
        .1;
    assert_eq!(names(&group), fields("group"));
}

#[tokio::test]
async fn every_answer_of_the_past_and_present_api_is_known() {
    for epoch in EPOCHS {
        let close = Close::with(Settings {
            epoch,
            ..Settings::default()
        })
        .await;
        let mut rent = json!({"country": "US", "with_sms": true});
        if epoch < Epoch::Future {
            rent["sharing"] = json!("group");
        }
        let (status, mut rented) = close.rent(rent).await;
        assert_eq!(status, 201, "{epoch:?}: {rented}");
        let path = format!("/phone_number/{}/", rented["id"].as_str().unwrap());
        let (_, mut changed) = close.put(&path, json!({"label": "Front"})).await;
        let (_, mut read) = close.get(&path).await;
        if epoch == Epoch::Future {
            // What Close has announced to remove is the only difference.
            for answer in [&mut rented, &mut changed, &mut read] {
                for (name, value) in [("user_id", json!(null)), ("is_group_number", json!(true))] {
                    assert_eq!(
                        answer.as_object_mut().unwrap().insert(name.to_owned(), value),
                        None
                    );
                }
            }
        }
        for (answer, context) in [(&rented, "rent"), (&changed, "update"), (&read, "read")] {
            assert_known("phone_number", answer, &format!("{epoch:?} {context}"));
        }
    }
}

//! Calls that cost nothing: retried after transient failures, and never beyond the deadline.

use std::time::{Duration, Instant};

use numberdesk::close::{self, Shown};
use serde_json::{Map, Value, json};

use super::vendor::{Act, Vendor, answer, respond};
use super::{BASIC, close, close_at, close_with, id, number};

const ME: &str = r#"{"id":"user_A"}"#;

#[tokio::test]
async fn a_read_is_retried_after_a_transient_failure() {
    for failure in [
        respond(500, ""),
        respond(502, "<html>"),
        respond(503, ""),
        respond(504, ""),
        respond(408, ""),
        respond(200, "<html>"),
        respond(200, r#"{"id":5}"#),
        Act::Reset(Vec::new()),
        Act::Close(Vec::new()),
        Act::Reset(answer(200, "", ME)[..70].to_vec()),
        Act::Hang(Vec::new()),
        Act::Respond(answer(429, "ratelimit: limit=1, remaining=0, reset=0.1\r\n", "")),
        Act::Respond(answer(200, "content-encoding: gzip\r\n", "\u{1f}")),
    ] {
        let vendor = Vendor::start(vec![failure, respond(200, ME)]).await;
        let user = close(&vendor).me().await.unwrap().user_id.unwrap();
        assert_eq!(user.as_str(), "user_A");
        assert_eq!(vendor.received().len(), 2);
    }
}

#[tokio::test]
async fn a_read_fails_after_four_attempts_or_at_the_deadline() {
    let vendor = Vendor::start(vec![respond(503, "")]).await;
    let result = close(&vendor).me().await;
    assert_eq!(
        result,
        Err(close::Error::Unavailable {
            reason: "close failed (503)".into()
        })
    );
    assert_eq!(vendor.received().len(), 4);

    let vendor = Vendor::start(vec![Act::Hang(Vec::new())]).await;
    let started = Instant::now();
    assert!(matches!(
        close_with(&vendor, Duration::from_secs(2)).me().await,
        Err(close::Error::Unavailable { .. })
    ));
    // The vendor never answers, so the deadline of 2 s ended the call. The rest is for a busy machine.
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(vendor.received().len() >= 2);
}

#[tokio::test]
async fn a_refusal_is_not_retried_and_keeps_close_s_error_text() {
    let vendor = Vendor::start(vec![respond(403, r#"{"error":"not yours"}"#)]).await;
    let Err(close::Error::Refused {
        status,
        close_status,
        reason,
        ..
    }) = close(&vendor).number(&id("phon_A")).await
    else {
        panic!("not refused")
    };
    assert_eq!((status, close_status.as_str()), (403, "error"));
    assert_eq!(reason.as_deref(), Some("not yours"));
    assert_eq!(vendor.received().len(), 1);
}

#[tokio::test]
async fn a_404_means_absence_only_with_close_s_error_format() {
    let vendor = Vendor::start(vec![respond(404, r#"{"error":"does not exist"}"#)]).await;
    assert_eq!(close(&vendor).number(&id("phon_A")).await, Ok(Shown::Missing));
    assert_eq!(
        close(&vendor).group_members(&"group_A".parse().unwrap()).await,
        Ok(None)
    );
    assert_eq!(
        close(&vendor).update(&id("phon_A"), &Map::new()).await,
        Err(close::Error::NotFound)
    );
    for body in ["", "<html>", "{}", "null"] {
        let vendor = Vendor::start(vec![respond(404, body)]).await;
        let result = close(&vendor).number(&id("phon_A")).await;
        assert!(
            matches!(result, Err(close::Error::Unavailable { .. })),
            "{result:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_about_another_number_is_an_error() {
    let vendor = Vendor::start(vec![respond(200, number("phon_B").to_string())]).await;
    let close = close(&vendor);
    assert!(matches!(
        close.number(&id("phon_A")).await,
        Err(close::Error::Unavailable { .. })
    ));
    assert!(matches!(close.number(&id("phon_B")).await, Ok(Shown::Number(_))));
}

#[tokio::test]
async fn an_update_is_retried_and_sends_only_the_changed_fields() {
    let vendor = Vendor::start(vec![
        Act::Reset(Vec::new()),
        respond(503, ""),
        respond(200, number("phon_A").to_string()),
    ])
    .await;
    let changes = Map::from_iter([("label".to_owned(), json!("Berlin"))]);
    let facts = close(&vendor).update(&id("phon_A"), &changes).await.unwrap();
    assert_eq!(facts.id.as_str(), "phon_A");
    for request in vendor.received() {
        assert_eq!(request.line(), "PUT /api/v1/phone_number/phon_A/");
        assert_eq!(
            serde_json::from_str::<Value>(&request.body).unwrap(),
            json!({"label":"Berlin"})
        );
    }
    assert_eq!(vendor.count("PUT"), 3);
}

#[tokio::test]
async fn a_rate_limit_is_awaited_before_the_deadline_and_an_error_beyond_it() {
    let used_up = |reset: &str| {
        Act::Respond(answer(
            200,
            &format!("ratelimit: limit=9, remaining=0, reset={reset}\r\n"),
            ME,
        ))
    };
    let vendor = Vendor::start(vec![used_up("0.4"), respond(200, ME)]).await;
    let close = close_with(&vendor, Duration::from_secs(20));
    let started = Instant::now();
    close.me().await.unwrap();
    close.me().await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(350));

    let vendor = Vendor::start(vec![used_up("60"), respond(200, ME)]).await;
    let close = close_with(&vendor, Duration::from_secs(30));
    close.me().await.unwrap();
    let started = Instant::now();
    assert!(matches!(close.me().await, Err(close::Error::RateLimited { .. })));
    // It waits neither for the reset nor for its deadline.
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_eq!(vendor.received().len(), 1);
}

#[tokio::test]
async fn a_429_without_a_header_or_json_waits_two_seconds() {
    let vendor = Vendor::start(vec![respond(429, "<html>"), respond(200, ME)]).await;
    let started = Instant::now();
    close_with(&vendor, Duration::from_secs(20)).me().await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(1_900));
}

#[tokio::test]
async fn a_new_key_is_used_from_the_next_call_on() {
    let vendor = Vendor::start(vec![respond(200, ME)]).await;
    let close = close_at(&format!("http://{}/", vendor.address), Duration::from_secs(5));
    let other_handle = close.clone();
    close.me().await.unwrap();
    close.replace_key("api_other.key".into());
    other_handle.me().await.unwrap();
    let (first, second) = (vendor.received()[0].clone(), vendor.received()[1].clone());
    assert!(first.head.contains(&format!("authorization: Basic {BASIC}")));
    assert!(!second.head.contains(BASIC));
    assert_eq!(second.line(), "GET /me/");
}

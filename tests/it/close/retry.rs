//! Calls that spend nothing: tried again while that can help, and never beyond the deadline.

use std::time::{Duration, Instant};

use numberdesk::close;
use serde_json::{Map, Value, json};

use super::vendor::{Act, Vendor, answer, say};
use super::{BASIC, close, close_at, close_with, id, number};

const ME: &str = r#"{"id":"user_A"}"#;

#[tokio::test]
async fn a_read_is_tried_again_after_what_passes() {
    for trouble in [
        say(500, ""),
        say(502, "<html>"),
        say(503, ""),
        say(504, ""),
        say(408, ""),
        say(200, "<html>"),
        say(200, r#"{"id":5}"#),
        Act::Reset(Vec::new()),
        Act::Close(Vec::new()),
        Act::Reset(answer(200, "", ME)[..70].to_vec()),
        Act::Hang(Vec::new()),
        Act::Say(answer(429, "ratelimit: limit=1, remaining=0, reset=0.1\r\n", "")),
        Act::Say(answer(200, "content-encoding: gzip\r\n", "\u{1f}")),
    ] {
        let vendor = Vendor::start(vec![trouble, say(200, ME)]).await;
        assert_eq!(close(&vendor).me().await.unwrap().user_id.as_str(), "user_A");
        assert_eq!(vendor.seen().len(), 2);
    }
}

#[tokio::test]
async fn a_read_is_given_up_after_four_tries_or_at_the_deadline() {
    let vendor = Vendor::start(vec![say(503, "")]).await;
    let said = close(&vendor).me().await;
    assert_eq!(
        said,
        Err(close::Error::Unavailable {
            reason: "close failed (503)".into()
        })
    );
    assert_eq!(vendor.seen().len(), 4);

    let vendor = Vendor::start(vec![Act::Hang(Vec::new())]).await;
    let started = Instant::now();
    assert!(matches!(
        close(&vendor).me().await,
        Err(close::Error::Unavailable { .. })
    ));
    assert!(started.elapsed() < Duration::from_millis(1_500));
    assert!(vendor.seen().len() >= 2);
}

#[tokio::test]
async fn a_refusal_is_final_and_keeps_close_s_words() {
    let vendor = Vendor::start(vec![say(403, r#"{"error":"not yours"}"#)]).await;
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
    assert_eq!(vendor.seen().len(), 1);
}

#[tokio::test]
async fn absence_needs_close_s_own_words() {
    let vendor = Vendor::start(vec![say(404, r#"{"error":"does not exist"}"#)]).await;
    assert_eq!(close(&vendor).number(&id("phon_A")).await, Ok(None));
    assert_eq!(
        close(&vendor).group_members(&"group_A".parse().unwrap()).await,
        Ok(None)
    );
    assert_eq!(
        close(&vendor).update(&id("phon_A"), &Map::new()).await,
        Err(close::Error::NotFound)
    );
    for body in ["", "<html>", "{}", "null"] {
        let vendor = Vendor::start(vec![say(404, body)]).await;
        let said = close(&vendor).number(&id("phon_A")).await;
        assert!(matches!(said, Err(close::Error::Unavailable { .. })), "{said:?}");
    }
}

#[tokio::test]
async fn another_number_than_the_one_asked_for_is_no_answer() {
    let vendor = Vendor::start(vec![say(200, number("phon_B").to_string())]).await;
    let close = close(&vendor);
    assert!(matches!(
        close.number(&id("phon_A")).await,
        Err(close::Error::Unavailable { .. })
    ));
    assert!(close.number(&id("phon_B")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_change_may_be_repeated_and_sends_only_what_changes() {
    let vendor = Vendor::start(vec![
        Act::Reset(Vec::new()),
        say(503, ""),
        say(200, number("phon_A").to_string()),
    ])
    .await;
    let changes = Map::from_iter([("label".to_owned(), json!("Berlin"))]);
    let facts = close(&vendor).update(&id("phon_A"), &changes).await.unwrap();
    assert_eq!(facts.id.as_str(), "phon_A");
    for seen in vendor.seen() {
        assert_eq!(seen.line(), "PUT /api/v1/phone_number/phon_A/");
        assert_eq!(
            serde_json::from_str::<Value>(&seen.body).unwrap(),
            json!({"label":"Berlin"})
        );
    }
    assert_eq!(vendor.count("PUT"), 3);
}

#[tokio::test]
async fn a_limit_is_waited_for_when_it_fits_and_named_when_it_does_not() {
    let used_up = |reset: &str| {
        Act::Say(answer(
            200,
            &format!("ratelimit: limit=9, remaining=0, reset={reset}\r\n"),
            ME,
        ))
    };
    let vendor = Vendor::start(vec![used_up("0.4"), say(200, ME)]).await;
    let close = close_with(&vendor, Duration::from_secs(3));
    close.me().await.unwrap();
    let started = Instant::now();
    close.me().await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(350));

    let vendor = Vendor::start(vec![used_up("60"), say(200, ME)]).await;
    let close = super::close(&vendor);
    close.me().await.unwrap();
    let started = Instant::now();
    assert!(matches!(close.me().await, Err(close::Error::RateLimited { .. })));
    assert!(started.elapsed() < Duration::from_millis(300));
    assert_eq!(vendor.seen().len(), 1);
}

#[tokio::test]
async fn a_429_without_a_header_or_json_waits_two_seconds() {
    let vendor = Vendor::start(vec![say(429, "<html>"), say(200, ME)]).await;
    let started = Instant::now();
    close_with(&vendor, Duration::from_secs(5)).me().await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(1_900));
}

#[tokio::test]
async fn a_new_key_is_used_from_the_next_call_on() {
    let vendor = Vendor::start(vec![say(200, ME)]).await;
    let close = close_at(&format!("http://{}/", vendor.address), Duration::from_secs(1));
    let before = close.clone();
    close.me().await.unwrap();
    close.replace_key("api_other.key".into());
    before.me().await.unwrap();
    let (first, second) = (vendor.seen()[0].clone(), vendor.seen()[1].clone());
    assert!(first.head.contains(&format!("authorization: Basic {BASIC}")));
    assert!(!second.head.contains(BASIC));
    assert_eq!(second.line(), "GET /me/");
}

//! The API key is in one request header and nowhere else: not in a result, not in an error, not in the log.

use std::fmt::{Debug, Write as _};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use numberdesk::close::{Change, CloseClient, Settings};
use numberdesk::domain::time::Timestamp;
use serde_json::{Map, json};

use super::vendor::{Act, Vendor, answer, respond};
use super::{BASIC, KEY, close_at, close_with, id, number, rent};

/// The deadline of each call. It is short because results do not matter here, and one vendor never answers.
const DEADLINE: Duration = Duration::from_millis(600);

/// The signature key of a webhook subscription.
const SIGNATURE_KEY: &str = "5ca1ab1e00112233445566778899aabbccddeeff00112233445566778899aabb";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes every call about subscriptions, and returns the results.
async fn subscriptions(close: &CloseClient) -> impl Debug {
    let id = "whsub_A".parse().unwrap();
    (
        close.subscriptions().await,
        close.subscription(&id).await,
        close.subscribe("https://desk.example/").await,
        close.resume(&id).await,
        close.complete(&id).await,
        close.unsubscribe(&id).await,
    )
}

#[tokio::test]
async fn no_answer_error_or_log_line_shows_the_key_or_a_url() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    // With only one subscriber, `tracing` caches for all threads whether a log line is enabled, perhaps from the thread
    // of another test. With two subscribers, it asks each of them.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    tracing::callsite::rebuild_interest_cache();

    // These vendors send the keys back in every part of a response.
    let echo = json!({"status": format!("s {KEY}"), "error": format!("bad key {KEY} / Basic {BASIC}"),
        "errors": [KEY], "field-errors": {KEY: BASIC}})
    .to_string();
    let signing = json!({"id": "whsub_A", "url": "https://desk.example/", "status": SIGNATURE_KEY,
        "signature_key": SIGNATURE_KEY, "latest_error": SIGNATURE_KEY, "data": [{"id": "whsub_A",
        "signature_key": SIGNATURE_KEY, "pause_reason": format!("was {SIGNATURE_KEY}")}],
        "error": format!("no: {SIGNATURE_KEY}"), "field-errors": {"x": SIGNATURE_KEY}})
    .to_string();
    let mut echoing = number("phon_A");
    echoing["label"] = json!(KEY);
    echoing["headers"] = json!({"Authorization": format!("Basic {BASIC}")});
    let acts = [
        respond(201, number("phon_A").to_string()),
        respond(400, &echo),
        respond(404, &echo),
        respond(401, &echo),
        respond(429, &echo),
        respond(500, &echo),
        respond(200, echoing.to_string()),
        respond(201, echoing.to_string()),
        respond(200, &echo),
        Act::Reset(Vec::new()),
        Act::Hang(answer(200, "", KEY)[..60].to_vec()),
        Act::Respond(answer(302, &format!("location: http://{KEY}@h/\r\n"), "")),
    ];
    let mut results = String::new();
    let mut record = |result: &dyn Debug| writeln!(results, "{result:?} {result:#?}").unwrap();
    for act in acts {
        let vendor = Vendor::start(vec![act]).await;
        let close = close_with(&vendor, DEADLINE);
        record(&close);
        record(&rent(&close).await);
        record(&close.release(&id("phon_A")).await);
        record(&close.number(&id("phon_A")).await);
        record(&close.numbers().await);
        record(&close.update(&id("phon_A"), &Map::new()).await);
        if let Err(error) = close.me().await {
            record(&error.to_string());
        }
        record(&close.group_members(&"group_A".parse().unwrap()).await);
        record(&subscriptions(&close).await);
        record(&close.changes(Change::Deleted, Timestamp::from_seconds(0)).await);
        assert!(
            vendor
                .received()
                .iter()
                .all(|request| request.head.matches(BASIC).count() == 1
                    && !request.line().contains(KEY)
                    && !request.body.contains(KEY))
        );
    }
    for status in [200, 201, 400, 404, 500] {
        let vendor = Vendor::start(vec![respond(status, &signing)]).await;
        record(&subscriptions(&close_with(&vendor, DEADLINE)).await);
    }
    let unknown_host = close_at(
        "http://secret-host.invalid/secret-path",
        Duration::from_millis(500),
    );
    record(&rent(&unknown_host).await);
    record(&unknown_host.me().await);
    let settings = Settings::new("https://api.close.com/".parse().unwrap(), Duration::from_secs(1));
    record(&settings);

    // The libraries may log a host at trace level, but never the API key.
    for (canary, libraries_may_log) in [
        (KEY, false),
        (BASIC, false),
        (&SIGNATURE_KEY[..24], true),
        ("secret-host", true),
        ("http://", true),
        ("127.0.0.1", true),
    ] {
        assert!(!results.contains(canary), "{canary} is in a result");
        let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
        assert!(log.contains("Close called"), "the log was not captured");
        let our_lines: String = log.lines().filter(|line| line.contains("numberdesk::")).collect();
        assert!(!our_lines.contains(canary), "{canary} is in our log");
        assert!(
            libraries_may_log || !log.contains(canary),
            "{canary} is in the log"
        );
    }
}

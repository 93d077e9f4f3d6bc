//! The key is in one header and nowhere else: not in an answer, not in an error, not in the log.

use std::fmt::{Debug, Write as _};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use numberdesk::close::{Change, CloseClient, Settings};
use numberdesk::domain::time::Timestamp;
use serde_json::{Map, json};

use super::vendor::{Act, Vendor, answer, say};
use super::{BASIC, KEY, close, close_at, id, number, rent};

/// Of a webhook subscription.
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

/// Everything that is asked about subscriptions, and what came of it.
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
    // With one subscriber alone, the thread that first meets a log line decides for all whether anyone listens, and
    // that may be another test's; with two, all are asked.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    tracing::callsite::rebuild_interest_cache();

    // An echo server and a hostile one: both say the key back in every place there is.
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
        say(201, number("phon_A").to_string()),
        say(400, &echo),
        say(404, &echo),
        say(401, &echo),
        say(429, &echo),
        say(500, &echo),
        say(200, echoing.to_string()),
        say(201, echoing.to_string()),
        say(200, &echo),
        Act::Reset(Vec::new()),
        Act::Hang(answer(200, "", KEY)[..60].to_vec()),
        Act::Say(answer(302, &format!("location: http://{KEY}@h/\r\n"), "")),
    ];
    let mut said = String::new();
    let mut note = |thing: &dyn Debug| writeln!(said, "{thing:?} {thing:#?}").unwrap();
    for act in acts {
        let vendor = Vendor::start(vec![act]).await;
        let close = close(&vendor);
        note(&close);
        note(&rent(&close).await);
        note(&close.release(&id("phon_A")).await);
        note(&close.number(&id("phon_A")).await);
        note(&close.numbers().await);
        note(&close.update(&id("phon_A"), &Map::new()).await);
        if let Err(trouble) = close.me().await {
            note(&trouble.to_string());
        }
        note(&close.group_members(&"group_A".parse().unwrap()).await);
        note(&subscriptions(&close).await);
        note(&close.changes(Change::Deleted, Timestamp::from_seconds(0)).await);
        assert!(
            vendor
                .seen()
                .iter()
                .all(|seen| seen.head.matches(BASIC).count() == 1
                    && !seen.line().contains(KEY)
                    && !seen.body.contains(KEY))
        );
    }
    for status in [200, 201, 400, 404, 500] {
        let vendor = Vendor::start(vec![say(status, &signing)]).await;
        note(&subscriptions(&close(&vendor)).await);
    }
    let nowhere = close_at(
        "http://secret-host.invalid/secret-path",
        Duration::from_millis(500),
    );
    note(&rent(&nowhere).await);
    note(&nowhere.me().await);
    let settings = Settings {
        base_url: "https://api.close.com/".parse().unwrap(),
        timeout: Duration::from_secs(1),
    };
    note(&settings);

    for (canary, places) in [
        (KEY, 2),
        (BASIC, 2),
        (&SIGNATURE_KEY[..24], 1),
        ("secret-host", 1),
        ("http://", 1),
        ("127.0.0.1", 1),
    ] {
        assert!(!said.contains(canary), "{canary} is in an answer");
        let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
        assert!(log.contains("Close called"), "the log was not captured");
        let ours: String = log.lines().filter(|line| line.contains("numberdesk::")).collect();
        assert!(!ours.contains(canary), "{canary} is in our log");
        // The libraries below may name a host at trace level, but never the key.
        assert!(places == 1 || !log.contains(canary), "{canary} is in the log");
    }
}

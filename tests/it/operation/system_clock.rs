//! A process whose system clock is wrong, and is corrected while it runs.
//!
//! The other tests of clocks move the clock of the use cases. Here the real binary reads the time of the system, which
//! `libfaketime` changes for it alone.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::support::close::RENT;
use crate::support::database::{Database, on_both_stores};
use crate::support::personas::ALICE;
use crate::support::server::{TestConfig, TestServer, send, text};

on_both_stores! {
    orders_sent_while_the_clock_was_two_hours_wrong_are_settled_at_once_after_its_correction,
}

const TWO_HOURS: i64 = 7_200;

/// Returns the library that changes the time for a process. `scripts/setup.sh` installs it.
fn libfaketime() -> PathBuf {
    let folders = [
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib",
    ];
    folders
        .iter()
        .map(|folder| Path::new(folder).join("faketime/libfaketimeMT.so.1"))
        .find(|file| file.exists())
        .expect("libfaketime is installed: run scripts/setup.sh")
}

/// Returns a token that is valid three hours before and after now.
fn token(server: &TestServer) -> String {
    let mut claims = ALICE.claims(&server.close.users());
    for (name, hours) in [("iat", -3), ("exp", 3)] {
        let now = numberdesk::domain::time::Clock::system().now().as_seconds();
        claims[name] = json!(now + hours * 3_600);
    }
    server.issuer.sign(&claims).expect("the local issuer signs")
}

async fn orders_sent_while_the_clock_was_two_hours_wrong_are_settled_at_once_after_its_correction(
    database: Database,
) {
    let mut server = Box::pin(TestServer::prepare(database, TestConfig::default())).await;
    let file = server.folder.path().join("clock");
    let set_clock = |seconds: i64| std::fs::write(&file, format!("{seconds:+}")).expect("a file is written");
    set_clock(0);
    let (library, clock) = (libfaketime(), file.clone());
    let environment = [
        ("LD_PRELOAD", library.to_str().expect("a path")),
        ("FAKETIME_TIMESTAMP_FILE", clock.to_str().expect("a path")),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    let mut process = server.start_process_with(&environment).await;
    server.wait_until_synced().await;
    let berlin = json!({ "country": "DE", "carrier_type": "local", "prefix": "30" });
    for (round, seconds) in [TWO_HOURS, -TWO_HOURS].into_iter().enumerate() {
        set_clock(seconds);
        let lost = json!({ "path": RENT, "times": 1, "effect": true, "answer": "drop_before_headers" });
        server.close.fault(lost).await;
        // No look finds the number while the clock is wrong.
        server
            .close
            .set(json!({ "listing_lag": "1h", "event_lag": "1h" }))
            .await;
        let request = server
            .request("POST", "/v1/orders")
            .bearer_auth(token(&server))
            .header("Idempotency-Key", format!("wrong-{round}"))
            .json(&berlin);
        let order = send(request).await.expect(202);
        assert_eq!(order["state"], "unverified", "{order}");
        let created_at = text(&order["created_at"]);
        let created_at: numberdesk::domain::time::Timestamp = created_at.parse().expect("a time");
        let now = numberdesk::domain::time::Clock::system().now();
        let error = created_at.as_seconds() - now.as_seconds();
        assert!(
            (error - seconds).abs() < 600,
            "the clock of the process is wrong by {error} s"
        );
        set_clock(0);
        server
            .close
            .set(json!({ "listing_lag": "0s", "event_lag": "0s" }))
            .await;
        let settled = server
            .wait_for_state(&ALICE, &text(&order["id"]), "fulfilled")
            .await;
        assert_eq!(settled["evidence"], "found-by-reconciliation");
        // Another order for the same area does not wait for times that the wrong clock has written.
        server
            .order(&ALICE, &format!("right-{round}"), &berlin)
            .await
            .expect(201);
    }
    assert_eq!(server.close.rents().await.len(), 4);
    assert_eq!(process.terminate().await, 0);
}

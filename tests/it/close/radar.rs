//! Changes of Close's API: counted, reported to administrators once, and shown by `doctor`.

use std::collections::BTreeSet;
use std::time::Duration;

use numberdesk::domain::close_drift::{Drift, DriftKind};
use numberdesk::domain::time::Clock;
use serde_json::{Value, json};

use crate::support::binary::run;
use crate::support::close::RENT;
use crate::support::database::{Database, on_both_stores, on_sqlite};
use crate::support::eventually;
use crate::support::personas::{ALICE, LENA, OLGA};
use crate::support::server::{TestConfig, TestServer};
use crate::support::webhook::{deliver, delivery, event};

on_both_stores! {
    replicas_report_a_difference_once_and_at_most_once_a_day,
}

on_sqlite! {
    the_documented_api_has_no_difference,
    each_difference_is_counted_reported_once_and_shown_by_doctor,
    words_that_close_adds_later_refuse_nothing,
}

const EVENTS: &str = "/v1/events?type=close.api_changed";

/// Returns the lines of the metric.
async fn counted(server: &TestServer) -> Vec<String> {
    let metrics = server.at_ops("/metrics").await.text;
    let lines = metrics
        .lines()
        .filter(|line| line.starts_with("numberdesk_close_drift_total{"));
    lines.map(str::to_owned).collect()
}

async fn the_documented_api_has_no_difference(database: Database) {
    let config = TestConfig {
        subscribe: true,
        full_sync: "1s",
        ..TestConfig::default()
    };
    let (server, _desk) = TestServer::as_process(database, config).await;
    let shared =
        json!({ "country": "US", "sharing": "group", "assign_to": [server.user(0), server.user(1)] });
    let order = server.order(&LENA, "one", &shared).await.expect(201);
    let number = order["phone_number"]["id"].as_str().expect("an id").to_owned();
    let groups = json!({ "participant_groups": [server.close.groups()[0]], "label": "Front" });
    server.patch(&LENA, &number, &groups).await.expect(200);
    for (refusal, status) in [("has-voice-only", 422), ("billing-error", 422)] {
        server.close.fault(json!({ "refuse": refusal, "times": 1 })).await;
        server
            .order(
                &ALICE,
                refusal,
                &json!({ "country": "DE", "carrier_type": "local" }),
            )
            .await
            .problem(status, "close-refused");
    }
    server.close.person_rents(json!({ "country": "FR" })).await;
    server.release(&LENA, &number).await.empty(204);
    eventually(
        "the service has received webhooks and read the event log",
        || async {
            let metrics = server.at_ops("/metrics").await.text;
            let received = !metrics.contains("numberdesk_webhooks_received_total{outcome=\"new\"} 0\n");
            let read = !metrics.contains("endpoint=\"events\",outcome=\"done\"} 0\n");
            (received && read).then_some(())
        },
    )
    .await;
    assert_eq!(counted(&server).await, Vec::<String>::new());
    let report = run(server.folder.path(), &["doctor", "--config", "numberdesk.toml"]).await;
    assert!(
        report
            .stdout
            .contains("ok     close api      as known on 2026-09-29"),
        "{report:?}"
    );
    assert!(server.list(&OLGA, EVENTS).await.is_empty());
}

async fn each_difference_is_counted_reported_once_and_shown_by_doctor(database: Database) {
    let config = TestConfig {
        full_sync: "1s",
        ..TestConfig::default()
    };
    let (server, desk) = TestServer::as_process(database, config).await;
    let number = server.rent(&ALICE, "one", "DE").await;
    let secret = "secret-+14155550123-alice@example.com";
    let changed = json!({ "ring_order": secret, "type": "hosted", "carrier_type": secret, secret: 1 });
    server.close.person_changes(&number, changed).await;
    server
        .close
        .fault(json!({ "refuse": "has-fax-only", "times": 1 }))
        .await;
    let berlin = json!({ "country": "DE", "carrier_type": "local" });
    let refused = server
        .order(&ALICE, "fax", &berlin)
        .await
        .problem(422, "close-refused");
    assert_eq!(refused["close_status"], "has-fax-only");
    let (_, me) = server.close.call("GET", "/me/", None).await;
    let headers = json!({ "deprecation": "@1688169599", "sunset": "Sat, 31 Oct 2026 23:59:59 GMT", "warning": "299 - x" });
    let announcing = json!({ "status": 200, "headers": headers, "body": me });
    server
        .close
        .fault(json!({ "method": "GET", "path": "/me/", "times": 1, "answer": announcing }))
        .await;
    // A webhook of a number with another field.
    let mut announced = event("1", "updated", &number);
    announced["data"] = json!({ "id": number, "ring_order": secret });
    announced["severity"] = json!(secret);
    deliver(&server, &delivery(&announced)).await.empty(204);

    let series = |kind: &str, operation: &str| {
        format!("numberdesk_close_drift_total{{kind=\"{kind}\",operation=\"{operation}\"}}")
    };
    for (kind, operation) in [
        ("unknown_field", "list"),
        ("unknown_word", "list"),
        ("unknown_status", "rent"),
        ("unknown_field", "webhook"),
        ("deprecation_header", "me"),
        ("sunset_header", "me"),
        ("warning_header", "me"),
    ] {
        let expected = series(kind, operation);
        eventually(&expected, || async {
            let counted = counted(&server).await;
            counted
                .iter()
                .any(|line| line.starts_with(&expected))
                .then_some(())
        })
        .await;
    }
    let reported = eventually("administrators are told", || async {
        let events = server.list(&OLGA, EVENTS).await;
        (!events.is_empty()).then_some(events)
    })
    .await;
    assert_eq!(reported.len(), 1, "{reported:?}");
    let told = reported[0]["data"]["differences"].to_string();
    assert!(!told.contains("secret") && !told.contains("hosted"), "{told}");
    assert_eq!(reported[0]["team"], Value::Null);
    assert!(
        server.list(&ALICE, EVENTS).await.is_empty(),
        "a team does not see it"
    );

    let report = eventually("all differences are stored", || async {
        let report = run(server.folder.path(), &["doctor", "--config", "numberdesk.toml"]).await;
        let all = [
            "deprecation_header header.deprecation",
            "sunset_header header.sunset",
            "unknown_field event.severity",
            "unknown_field phone_number.*",
            "unknown_field phone_number.ring_order",
            ", and 4 more",
        ];
        all.iter()
            .all(|one| report.stdout.contains(one))
            .then_some(report)
    })
    .await;
    assert_eq!(report.code, 0, "{report:?}");
    assert!(
        report
            .stdout
            .contains("note   close api      differs from 2026-09-29: "),
        "{report:?}"
    );
    let log = desk.log();
    assert!(
        log.contains("answer of Close differs from the known API"),
        "{log}"
    );
    for text in [log, report.stdout, counted(&server).await.join("\n")] {
        assert!(!text.contains("secret-+1"), "{text}");
    }
    assert_eq!(server.list(&OLGA, EVENTS).await.len(), 1, "one event a day");
}

async fn words_that_close_adds_later_refuse_nothing(database: Database) {
    let config = TestConfig {
        settle_after: "1s",
        full_sync: "1s",
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    // Close rents the number, the answer is lost, and Close shows the number with words that nobody knows.
    let lost = json!({ "path": RENT, "times": 1, "effect": true, "answer": "drop_before_headers" });
    server.close.fault(lost).await;
    let unseen =
        json!({ "method": "GET", "path": "/phone_number/", "answer": { "status": 503, "body": "down" } });
    server.close.fault(unseen).await;
    let berlin = json!({ "country": "DE", "carrier_type": "local" });
    let order = server.order_at_once(&ALICE, "lost", &berlin).await.expect(202);
    let rented = eventually("Close has rented the number", || async {
        server.close.held().await.pop()
    })
    .await;
    let id = rented["id"].as_str().expect("an id");
    let words =
        json!({ "type": "hosted", "carrier_type": "geographic", "carrier": "telnyx", "country": "XZ" });
    server.close.person_changes(id, words).await;
    server.close.clear_faults().await;
    let order = order["id"].as_str().expect("an id");
    let settled = server.wait_for_state(&ALICE, order, "fulfilled").await;
    assert_eq!(settled["phone_number"]["type"], "hosted");
    assert_eq!(settled["phone_number"]["carrier_type"], "geographic");
    assert_ne!(
        settled["phone_number"]["desk"]["monthly_price"], "0.00",
        "it counts in the budget"
    );
}

async fn replicas_report_a_difference_once_and_at_most_once_a_day(database: Database) {
    let drift = |path: &str| Drift {
        kind: DriftKind::UnknownField,
        operation: "list".to_owned(),
        path: path.to_owned(),
    };
    let (one, two) = (database.store().await, database.open().await);
    let now = Clock::system().now();
    let seen = BTreeSet::from([drift("phone_number.a"), drift("phone_number.b")]);
    let (first, second) = tokio::join!(
        one.record_close_drifts(&seen, now),
        two.record_close_drifts(&seen, now)
    );
    first.and(second).unwrap();
    let more = BTreeSet::from([drift("phone_number.c")]);
    two.record_close_drifts(&more, now).await.unwrap();
    let events = || database.query_integer("SELECT COUNT(*) FROM events WHERE kind = 'close.api_changed'");
    assert_eq!(events().await, 1);
    one.record_close_drifts(&more, now.plus(Duration::from_hours(24)))
        .await
        .unwrap();
    assert_eq!(events().await, 2);
    two.record_close_drifts(&seen, now.plus(Duration::from_hours(48)))
        .await
        .unwrap();
    assert_eq!(events().await, 2, "nothing is new");
    // An older version reads the record of a newer one.
    database
        .execute("UPDATE settings SET value = replace(value, 'unknown_field', 'unknown_magic') WHERE name = 'close_drift'")
        .await;
    assert!(one.close_drifts().await.unwrap().sightings.is_empty());
    one.record_close_drifts(&seen, now.plus(Duration::from_hours(72)))
        .await
        .unwrap();
    assert_eq!(events().await, 3);
}

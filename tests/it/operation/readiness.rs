//! `/readyz?verbose`: the state of everything that the service depends on, without secrets.

use serde_json::{Value, json};

use crate::support::database::{Database, on_both_stores, on_postgres_only};
use crate::support::eventually;
use crate::support::outage::Outage;
use crate::support::personas::ALICE;
use crate::support::server::{MASTER, TestConfig, TestServer, WEBHOOK_KEY};
use crate::support::tls::Authority;

on_both_stores! {
    a_verbose_probe_adds_files_and_issuers_and_a_plain_probe_has_only_the_usual_members,
    a_verbose_probe_explains_faults_without_secrets,
    a_failed_call_to_close_shows_at_once_and_until_the_next_good_one,
    a_close_that_nobody_calls_is_known_to_be_down_within_seconds,
}
on_postgres_only! {
    a_started_replica_answers_probes_and_reads_while_the_database_is_away,
    with_ready_needs_database_a_replica_without_its_database_is_not_ready,
}

fn members(report: &Value) -> Vec<String> {
    report.as_object().expect("an object").keys().cloned().collect()
}

async fn a_verbose_probe_adds_files_and_issuers_and_a_plain_probe_has_only_the_usual_members(
    database: Database,
) {
    let pair = Authority::new().issue();
    let config = TestConfig {
        tls: Some(pair.clone()),
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    let plain = server.at_ops("/readyz").await.json();
    let usual = [
        "ready",
        "stopping",
        "database",
        "inventory",
        "close",
        "webhooks",
        "orders",
        "inventory_as_of",
        "policy",
        "policy_source",
    ];
    assert_eq!(members(&plain), usual);
    for query in ["", "?verbose=0", "?verbose=false", "?%zz=&&"] {
        let answer = server.at_ops(&format!("/readyz{query}")).await;
        assert_eq!((answer.status, members(&answer.json())), (200, members(&plain)));
    }
    let all = [
        "api_key",
        "policy",
        "tls_certificate",
        "webhook_secret",
        "webhook_signature_key",
    ];
    let verbose = eventually("all files are reported", || async {
        let verbose = server.at_ops("/readyz?verbose").await.json();
        let files = members(&verbose["files"]);
        (files == all).then_some(verbose)
    })
    .await;
    for name in all {
        let file = &verbose["files"][name];
        assert_eq!(
            (&file["good"], &file["wrong"]),
            (&json!(true), &Value::Null),
            "{name}"
        );
        assert!(file["since"].is_string(), "{name}");
    }
    assert_eq!(
        verbose["files"]["tls_certificate"]["expires_at"],
        "2090-01-01T00:00:00.000000Z"
    );
    let issuer = &verbose["issuers"][0];
    assert_eq!(
        (
            &issuer["issuer"],
            &issuer["keys"],
            &issuer["usable"],
            &issuer["wrong"]
        ),
        (
            &json!("https://idp.example.com/"),
            &json!(1),
            &json!(true),
            &Value::Null
        )
    );
    assert!(issuer["age_seconds"].is_u64());
    assert_eq!(verbose["close_left_alone"], false);
    assert_eq!(verbose["close_last_failure"], Value::Null);
    let key = pair.key.lines().nth(1).unwrap();
    for secret in [server.close.api_key(), WEBHOOK_KEY, MASTER, key] {
        assert!(!verbose.to_string().contains(secret), "{verbose}");
    }
}

async fn a_verbose_probe_explains_faults_without_secrets(database: Database) {
    let config = TestConfig {
        timeout: "2s",
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    let number = server.rent(&ALICE, "before", "DE").await;
    // Three faults: an unverified order, an incomplete key file, and a Close that is down.
    let down = |method| json!({ "method": method, "answer": { "status": 503, "body": "down" } });
    server
        .close
        .fault(json!([down("GET"), down("PUT"), down("POST")]))
        .await;
    let body = json!({ "country": "DE", "carrier_type": "local" });
    let ordered = server.order_at_once(&ALICE, "one", &body).await;
    assert_eq!(ordered.status, 202, "{ordered}");
    std::fs::write(server.folder.path().join("close-api-key"), "half a key: ").unwrap();
    std::fs::write(server.folder.path().join("jwks.json"), "{").unwrap();
    let verbose = eventually("all faults are reported", || async {
        let verbose = server.at_ops("/readyz?verbose=1").await.json();
        let open: i64 = verbose["open_orders"]
            .as_object()
            .expect("an object")
            .values()
            .filter_map(Value::as_i64)
            .sum();
        let all_reported = open == 1
            && verbose["files"]["api_key"]["good"] == false
            && verbose["issuers"][0]["wrong"].is_string();
        all_reported.then_some(verbose)
    })
    .await;
    assert_eq!(
        verbose["ready"], true,
        "none of the faults makes the service unready: {verbose}"
    );
    assert_eq!(verbose["issuers"][0]["usable"], true);
    let wrong = verbose["files"]["api_key"]["wrong"].as_str().unwrap();
    assert!(wrong.contains("must be an API key of Close"), "{wrong}");
    eventually("the circuit breaker for Close is open", || async {
        server.patch(&ALICE, &number, &json!({ "label": "x" })).await;
        let verbose = server.at_ops("/readyz?verbose").await.json();
        (verbose["close_left_alone"] == true).then_some(())
    })
    .await;
    let report = server.at_ops("/readyz?verbose").await.text;
    for secret in ["half a key", server.close.api_key()] {
        assert!(!report.contains(secret), "{report}");
    }
}

async fn a_failed_call_to_close_shows_at_once_and_until_the_next_good_one(database: Database) {
    let config = TestConfig {
        timeout: "2s",
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    let number = server.rent(&ALICE, "one", "DE").await;
    let label = json!({ "label": "L" });
    let down = json!({ "answer": { "status": 503, "body": "down" } });
    server.close.fault(down).await;
    server
        .patch(&ALICE, &number, &label)
        .await
        .problem(502, "close-unavailable");
    let report = server.at_ops("/readyz?verbose").await.json();
    assert_eq!(report["close"], "the last call failed: close failed (503)");
    assert_eq!(report["ready"], true);
    let failure = &report["close_last_failure"];
    assert_eq!(failure["outcome"], "unclear");
    assert!(
        failure["at"].is_string() && failure["call"].is_string(),
        "{failure}"
    );
    assert_eq!(failure["recovered_at"], Value::Null);

    server.close.clear_faults().await;
    let report = eventually("a call succeeds", || async {
        server.patch(&ALICE, &number, &label).await;
        let report = server.at_ops("/readyz?verbose").await.json();
        (report["close"] == "ok").then_some(report)
    })
    .await;
    assert!(
        report["close_last_failure"]["recovered_at"].is_string(),
        "{report}"
    );
}

async fn a_close_that_nobody_calls_is_known_to_be_down_within_seconds(database: Database) {
    let mut server = TestServer::new(database).await;
    let address = server.stop_close().await;
    let report = eventually("the report says that Close is down", || async {
        let report = server.at_ops("/readyz?verbose").await.json();
        (report["close"] != "ok").then_some(report)
    })
    .await;
    assert_eq!(report["close_last_failure"]["outcome"], "not_sent", "{report}");
    assert_eq!(report["ready"], true);
    server.start_close_at(address).await;
    eventually("the report says that Close works", || async {
        (server.at_ops("/readyz").await.json()["close"] == "ok").then_some(())
    })
    .await;
}

async fn a_started_replica_answers_probes_and_reads_while_the_database_is_away(database: Database) {
    let mut server = TestServer::prepare(database.clone(), TestConfig::default()).await;
    let outage = Outage::begin(&database).await;
    // A database that was never reached: the process does not get as far as a probe.
    let ended = crate::support::binary::run(server.folder.path(), &["serve"]).await;
    assert_eq!(ended.code, 1, "{ended:?}");
    outage.end().await;

    let mut desk = server
        .start_process_with(&[("NUMBERDESK_SERVER__DRAIN", "8s")])
        .await;
    server.wait_until_synced().await;
    let number = server.rent(&ALICE, "one", "DE").await;
    let outage = Outage::begin(&database).await;
    eventually("the metric and the report show the outage", || async {
        let report = server.at_ops("/readyz").await;
        let metrics = server.at_ops("/metrics").await.text;
        assert_eq!(report.status, 200, "{report}");
        let shown = report.json()["database"] != "ok" && metrics.contains("\nnumberdesk_store_up 0");
        shown.then_some(())
    })
    .await;
    let path = format!("/v1/phone-numbers/{number}");
    server.get(&ALICE, &path).await.expect(200);
    server
        .order(&ALICE, "two", &json!({ "country": "DE" }))
        .await
        .problem(503, "store-unavailable");
    let started = server.at_ops("/startupz").await;
    assert_eq!((started.status, &started.json()["started"]), (200, &json!(true)));
    assert!(
        desk.log()
            .contains("database unavailable; numbers are read from memory")
    );

    // The stop still takes the replica out of the Service. What was started stays started.
    crate::support::binary::send_sigterm(&desk.child).await;
    eventually("the replica is leaving", || async {
        (server.at_ops("/readyz").await.status == 503).then_some(())
    })
    .await;
    assert_eq!(server.at_ops("/startupz").await.status, 200);
    outage.end().await;
    assert_eq!(crate::support::binary::end(&mut desk.child).await, 0);
}

async fn with_ready_needs_database_a_replica_without_its_database_is_not_ready(database: Database) {
    let config = TestConfig {
        server: "ready_needs_database = true",
        ..TestConfig::default()
    };
    let server = TestServer::with(database.clone(), config).await;
    server.wait_until_ready().await;
    let outage = Outage::begin(&database).await;
    eventually("the replica is not ready", || async {
        (server.at_ops("/readyz").await.status == 503).then_some(())
    })
    .await;
    assert_eq!(server.at_ops("/startupz").await.status, 200);
    outage.end().await;
    server.wait_until_ready().await;
}

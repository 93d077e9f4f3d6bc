//! `/readyz?verbose`: the state of everything that the service depends on, without secrets.

use serde_json::{Value, json};

use crate::support::database::{Database, on_both_stores};
use crate::support::eventually;
use crate::support::personas::ALICE;
use crate::support::server::{MASTER, TestConfig, TestServer, WEBHOOK_KEY};
use crate::support::tls::Authority;

on_both_stores! {
    a_verbose_probe_adds_files_and_issuers_and_a_plain_probe_has_only_the_usual_members,
    a_verbose_probe_explains_faults_without_secrets,
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
        let verbose = server.at_ops("/startupz?verbose=1").await.json();
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

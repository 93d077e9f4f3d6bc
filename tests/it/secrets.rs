//! The API key and tokens go where they must and nowhere else (T28, T29): the real process at its most talkative,
//! every route, every kind of failure, and then a search through everything that was said or written.

use base64::Engine as _;
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::support::answer::Answer;
use crate::support::binary::Serving;
use crate::support::database::{Database, on_both_stores};
use crate::support::eventually;
use crate::support::people::{ALICE, LENA, NEMO, OLGA, Person};
use crate::support::stage::{MASTER, Setup, Stage, WEBHOOK_KEY, send};

on_both_stores! {no_key_and_no_token_is_in_any_answer_log_metric_or_database}

const EVERYONE: [&Person; 4] = [&ALICE, &LENA, &OLGA, &NEMO];

async fn no_key_and_no_token_is_in_any_answer_log_metric_or_database(database: Database) {
    let mut setup = Setup {
        timeout: "2s",
        full_sync: "1s",
        ..Setup::default()
    };
    setup.close.numbers = 1;
    let mut stage = Stage::with(database, setup).await;
    stage.stop().await;
    let mut desk = Serving::start(stage.folder.path()).await;
    (stage.api, stage.ops) = (desk.api.clone(), desk.ops.clone());
    stage.has_looked().await;

    let said = everything(&stage).await;
    assert_eq!(desk.terminate().await, 0);

    let key = stage.close.api_key();
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{key}:"));
    let mut secrets = vec![
        ("the API key", key.to_owned()),
        (
            "the API key as it is sent",
            encoded.trim_end_matches('=').to_owned(),
        ),
    ];
    secrets.push((
        "a part of the API key",
        key.split('.').nth(1).expect("a key has two parts").to_owned(),
    ));
    secrets.push(("the master secret of webhooks", MASTER.to_owned()));
    secrets.push(("the signature key", WEBHOOK_KEY.to_owned()));
    for person in EVERYONE {
        // What is signed differs from second to second; the claims begin with what does not.
        let token = stage.token(person);
        let claims = token
            .split('.')
            .nth(1)
            .expect("a token has three parts")
            .to_owned();
        secrets.push(("a token", claims[..40].to_owned()));
    }
    let stored = written(&stage).await;
    let log = desk.log();
    assert!(
        log.len() > 2000 && log.contains("order settled"),
        "the log was captured"
    );
    assert!(stored.len() > 2000, "the database was read");
    for (what, secret) in &secrets {
        for (place, text) in [
            ("an answer or a metric", &said),
            ("the log", &log),
            ("the database", &stored),
        ] {
            let found = text.find(secret.as_str()).map(|at| {
                text[at.saturating_sub(200)..]
                    .chars()
                    .take(400)
                    .collect::<String>()
            });
            assert!(
                found.is_none(),
                "{what} is in {place}: {}",
                found.unwrap_or_default()
            );
        }
    }
    // Nobody's number stands in the log, though many were spoken of.
    for number in stage.close.held().await {
        let number = number["number"].as_str().expect("a number").to_owned();
        assert!(!log.contains(&number), "a phone number is in the log");
    }
}

/// Every route by everyone, every kind of failure, and what was answered.
async fn everything(stage: &Stage) -> String {
    let mut said = String::new();
    let mut note = |answer: Answer| said.extend([format!("{:?}\n", answer.headers), answer.text]);
    let body = json!({ "country": "DE", "carrier_type": "local", "label": "x" });
    for person in EVERYONE {
        let name = person.name;
        note(stage.order(person, name, &body).await);
        note(
            stage
                .order(
                    person,
                    name,
                    &json!({ "country": "DE", "secret": stage.token(person) }),
                )
                .await,
        );
        for path in [
            "/v1/me",
            "/v1/orders",
            "/v1/phone-numbers",
            "/v1/audit",
            "/v1/audit/export",
            "/v1/spend?month=2026-11",
            "/v1/webhook-endpoints",
            "/v1/nothing",
            "/v1/orders?limit=0",
            "/openapi.json",
            "/docs",
        ] {
            note(stage.get(person, path).await);
        }
        for method in ["PATCH", "DELETE", "PUT"] {
            note(send(stage.by(person, method, "/v1/phone-numbers/phon_x").body("{")).await);
        }
        // A token in the wrong places.
        let token = stage.token(person);
        note(send(stage.request("GET", &format!("/v1/me?access_token={token}"))).await);
        note(send(stage.request("GET", "/v1/me").bearer_auth(format!("{token}x"))).await);
        note(send(stage.request("GET", "/v1/me").header("Authorization", &token)).await);
    }
    for (key, fault) in [
        (
            "e1",
            json!({ "answer": { "status": 500, "body": "<html>oops</html>" } }),
        ),
        ("e2", json!({ "answer": "drop_before_headers" })),
        ("e3", json!({ "answer": "redirect" })),
        ("e4", json!({ "answer": "hang" })),
        ("e5", json!({ "answer": "garbage" })),
        ("e6", json!({ "answer": { "status": 401 } })),
    ] {
        stage.close.fault(fault).await;
        note(
            stage
                .order_at_once(&ALICE, key, &json!({ "country": "FR" }))
                .await,
        );
        let me = stage.close.requests("GET", "/me/").await.len();
        stage.close.arrived("GET", "/me/", me + 1).await;
        stage.close.heal().await;
    }
    for path in ["/livez", "/readyz", "/startupz", "/metrics"] {
        note(stage.at_ops(path).await);
    }
    said
}

/// Everything that the database has written down.
pub(crate) async fn written(stage: &Stage) -> String {
    let url = stage.database.url().expose_secret().to_owned();
    if let Some(file) = url.strip_prefix("sqlite://") {
        let mut bytes = Vec::new();
        for ending in ["", "-wal"] {
            bytes.extend(std::fs::read(format!("{file}{ending}")).unwrap_or_default());
        }
        return String::from_utf8_lossy(&bytes).into_owned();
    }
    eventually("the database is dumped", || async {
        let dump = tokio::process::Command::new("psql");
        let mut dump = dump;
        let script = "SELECT query_to_xml('SELECT * FROM ' || quote_ident(tablename), true, false, '') FROM pg_tables WHERE schemaname = 'public'";
        let output = dump.args(["-At", "-c", script, &url]).output().await.expect("psql can be run");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    })
    .await
}

//! The log about refused tokens: an operator sees the issuer, the audience and the key that a token names.

use numberdesk::auth::DevIssuer;
use serde_json::{Value, json};

use crate::support::database::{Database, on_sqlite};
use crate::support::personas::{ALICE, ISSUER};
use crate::support::server::{TestConfig, TestServer, send};

on_sqlite! {
    a_refused_issuer_audience_or_key_is_logged_once_with_the_values_and_never_the_token,
}

const REFUSED: &str = "token refused; its issuer, audience or key is not accepted";

async fn a_refused_issuer_audience_or_key_is_logged_once_with_the_values_and_never_the_token(
    database: Database,
) {
    let (server, desk) = TestServer::as_process(database, TestConfig::default()).await;
    let claims = |name: &str, value: Value| {
        let mut claims = ALICE.as_user(None).claims(&[]);
        claims[name] = value;
        claims
    };
    let sign = |claims: &Value| server.issuer.sign(claims).expect("the issuer signs");
    let stranger = DevIssuer::generate(ISSUER).expect("a key can be made");
    let long = format!("https://idp.test/{}", "x".repeat(5_000));
    let tokens = [
        sign(&claims("iss", "https://login.example.com/common/v2.0".into())),
        sign(&claims("iss", json!(["not", {"a": "text"}]))),
        sign(&claims("iss", format!("{long}\n\u{1b}[31mforged").into())),
        sign(&claims("aud", json!(["crm", "billing\r\n"]))),
        stranger
            .sign(&claims("teams", json!(["sales"])))
            .expect("the issuer signs"),
    ];
    for _ in 0..20 {
        for token in &tokens {
            send(server.request("GET", "/v1/me").bearer_auth(token))
                .await
                .problem(401, "unauthorized");
        }
    }
    let output = desk.log();
    let lines: Vec<Value> = output
        .lines()
        .filter(|line| line.contains(REFUSED))
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    assert_eq!(lines.len(), tokens.len(), "{lines:#?}");
    let keys = server.issuer.jwks();
    let kid = keys["keys"][0]["kid"].as_str().expect("a kid");
    let keys = stranger.jwks();
    let strange_kid = keys["keys"][0]["kid"].as_str().expect("a kid");
    let audience = "numberdesk";
    for (line, expected) in lines.iter().zip([
        json!({"issuer": "https://login.example.com/common/v2.0", "audience": audience, "kid": kid}),
        json!({"issuer": r#"["not",{"a":"text"}]"#, "audience": audience, "kid": kid}),
        json!({"issuer": format!("{}…", &long[..200]), "audience": audience, "kid": kid}),
        json!({"issuer": ISSUER, "audience": "crm, billing\u{fffd}\u{fffd}", "kid": kid}),
        json!({"issuer": ISSUER, "audience": audience, "kid": strange_kid}),
    ]) {
        assert_eq!(line["level"], "WARN", "{line}");
        for (name, value) in expected.as_object().expect("an object") {
            assert_eq!(line[name], *value, "{line}");
        }
        assert!(line["reason"].is_string(), "{line}");
    }
    for token in &tokens {
        for part in token.split('.') {
            assert!(!output.contains(part), "a part of a token is in the log");
        }
    }
}

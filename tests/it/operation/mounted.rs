//! Mounted files that are replaced while the server runs.
//!
//! Kubernetes does this when a `ConfigMap` or `Secret` changes.

use numberdesk::auth::DevIssuer;
use serde_json::{Value, json};

use crate::support::database::{Database, on_both_stores};
use crate::support::eventually;
use crate::support::personas::{ALICE, ISSUER};
use crate::support::server::{POLICY, TestServer, WEBHOOK_KEY};
use crate::support::volume::mount;
use crate::support::webhook::{deliver_with, delivery, event, now, signature};

on_both_stores! { a_replaced_volume_takes_effect_and_its_previous_content_is_no_longer_accepted }

const OTHER_KEY: &str = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";

async fn a_replaced_volume_takes_effect_and_its_previous_content_is_no_longer_accepted(database: Database) {
    let mut server = TestServer::new(database).await;
    server.stop().await;
    let mount_files = |server: &TestServer, policy: &str, jwks: &Value, api_key: &str, webhook_key: &str| {
        let files = [
            ("policy.toml", policy),
            ("jwks.json", &jwks.to_string()),
            ("close-api-key", api_key),
            ("close-webhook-key", webhook_key),
        ];
        mount(server.folder.path(), &files);
    };
    mount_files(
        &server,
        POLICY,
        &server.issuer.jwks(),
        server.close.api_key(),
        WEBHOOK_KEY,
    );
    server.start().await;
    server.wait_until_synced().await;
    assert_eq!(order(&server, "before", "DE").await, 201);
    assert_eq!(deliver_signed_with(&server, WEBHOOK_KEY, "1").await, 204);
    assert_eq!(deliver_signed_with(&server, OTHER_KEY, "2").await, 401);

    let policy = POLICY.replacen("\"DE\", ", "", 1);
    assert_ne!(policy, POLICY);
    let next_issuer = DevIssuer::generate(ISSUER).unwrap();
    server.close.set(json!({ "other_key": "api_another.key" })).await;
    let key_checks = server.close.requests("GET", "/me/").await.len();
    mount_files(
        &server,
        &policy,
        &next_issuer.jwks(),
        "api_another.key",
        OTHER_KEY,
    );
    let previous_issuer = std::mem::replace(&mut server.issuer, next_issuer);

    eventually("tokens of the new keys are accepted", || async {
        (server.get(&ALICE, "/v1/me").await.status == 200).then_some(())
    })
    .await;
    eventually("deliveries with the new key are accepted", || async {
        (deliver_signed_with(&server, OTHER_KEY, "3").await == 204).then_some(())
    })
    .await;
    // Each attempt has a new idempotency key: an order that the old policy allowed would be returned again.
    let mut nth = 0;
    let is_refused = || {
        nth += 1;
        let (server, key) = (&server, format!("after-{nth}"));
        async move { (order(server, &key, "DE").await == 403).then_some(()) }
    };
    eventually("the new policy is in force", is_refused).await;
    server
        .close
        .wait_for_requests("GET", "/me/", key_checks + 1)
        .await;
    // From now on Close accepts only the new API key.
    server.close.set(json!({ "key_valid": false })).await;
    server.rent(&ALICE, "by-the-new-key", "FR").await;

    assert_eq!(deliver_signed_with(&server, WEBHOOK_KEY, "4").await, 401);
    server.issuer = previous_issuer;
    assert_eq!(server.get(&ALICE, "/v1/me").await.status, 401);
}

async fn order(server: &TestServer, key: &str, country: &str) -> u16 {
    server
        .order(&ALICE, key, &json!({ "country": country }))
        .await
        .status
}

/// Delivers an event that is signed with the key, and returns the status of the response.
async fn deliver_signed_with(server: &TestServer, key: &str, id: &str) -> u16 {
    let (body, time) = (delivery(&event(id, "updated", "phon_nobody")), now().to_string());
    let hash = signature(&hex::decode(key).unwrap(), &time, &body);
    let headers = [
        ("close-sig-hash", hash.as_str()),
        ("close-sig-timestamp", time.as_str()),
    ];
    deliver_with(server, &headers, &body).await.status
}

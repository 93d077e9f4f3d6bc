//! A volume that is turned under a running desk, as Kubernetes does when what it is made of changes: what is new works, and what
//! was in it before does not any more.

use numberdesk::auth::DevIssuer;
use serde_json::{Value, json};

use crate::support::database::{Database, on_both_stores};
use crate::support::eventually;
use crate::support::personas::{ALICE, ISSUER};
use crate::support::server::{POLICY, TestServer, WEBHOOK_KEY};
use crate::support::volume::mount;
use crate::support::webhook::{deliver_with, delivery, event, now, signature};

on_both_stores! { a_turned_volume_takes_effect_and_what_was_in_it_before_does_not }

const OTHER_KEY: &str = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";

async fn a_turned_volume_takes_effect_and_what_was_in_it_before_does_not(database: Database) {
    let mut server = TestServer::new(database).await;
    server.stop().await;
    let turn = |server: &TestServer, policy: &str, jwks: &Value, api_key: &str, webhook_key: &str| {
        let files = [
            ("policy.toml", policy),
            ("jwks.json", &jwks.to_string()),
            ("close-api-key", api_key),
            ("close-webhook-key", webhook_key),
        ];
        mount(server.folder.path(), &files);
    };
    turn(
        &server,
        POLICY,
        &server.issuer.jwks(),
        server.close.api_key(),
        WEBHOOK_KEY,
    );
    server.start().await;
    server.wait_until_synced().await;
    assert_eq!(order(&server, "before", "DE").await, 201);
    assert_eq!(delivered(&server, WEBHOOK_KEY, "1").await, 204);
    assert_eq!(delivered(&server, OTHER_KEY, "2").await, 401);

    let policy = POLICY.replacen("\"DE\", ", "", 1);
    assert_ne!(policy, POLICY);
    let next = DevIssuer::generate(ISSUER).unwrap();
    server.close.set(json!({ "other_key": "api_another.key" })).await;
    let tried = server.close.requests("GET", "/me/").await.len();
    turn(&server, &policy, &next.jwks(), "api_another.key", OTHER_KEY);
    let before = std::mem::replace(&mut server.issuer, next);

    eventually("tokens by the new keys hold", || async {
        (server.get(&ALICE, "/v1/me").await.status == 200).then_some(())
    })
    .await;
    eventually("deliveries by the new key are Close's", || async {
        (delivered(&server, OTHER_KEY, "3").await == 204).then_some(())
    })
    .await;
    // Under another key each time: one that the policy before let through is answered as it was.
    let mut nth = 0;
    let now_refused = || {
        nth += 1;
        let (server, key) = (&server, format!("after-{nth}"));
        async move { (order(server, &key, "DE").await == 403).then_some(()) }
    };
    eventually("the new policy is in force", now_refused).await;
    server.close.wait_for_requests("GET", "/me/", tried + 1).await;
    // Close takes nothing but the new API key from now on.
    server.close.set(json!({ "key_valid": false })).await;
    server.rent(&ALICE, "by-the-new-key", "FR").await;

    assert_eq!(delivered(&server, WEBHOOK_KEY, "4").await, 401);
    server.issuer = before;
    assert_eq!(server.get(&ALICE, "/v1/me").await.status, 401);
}

async fn order(server: &TestServer, key: &str, country: &str) -> u16 {
    server
        .order(&ALICE, key, &json!({ "country": country }))
        .await
        .status
}

/// The answer to a delivery that is signed with the key.
async fn delivered(server: &TestServer, key: &str, id: &str) -> u16 {
    let (body, time) = (delivery(&event(id, "updated", "phon_nobody")), now().to_string());
    let hash = signature(&hex::decode(key).unwrap(), &time, &body);
    let headers = [
        ("close-sig-hash", hash.as_str()),
        ("close-sig-timestamp", time.as_str()),
    ];
    deliver_with(server, &headers, &body).await.status
}

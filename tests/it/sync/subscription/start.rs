//! The subscription of a service that starts, with and without a permission to subscribe.

use super::*;

on_both_stores! {
    the_service_subscribes_with_its_own_url_and_never_shows_its_key,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_is_ready_without_a_subscription() {
    with_sqlite(|database| async move {
        let mut config = TestConfig {
            subscribe: true,
            ..TestConfig::default()
        };
        let fault = r#"{"path": "/webhook/", "answer": {"status": 403, "body": "{\"error\":\"no\"}"}}"#;
        config.close.faults = sandbox::faults_from_json(fault).unwrap();
        let server = TestServer::with(database, config).await;
        eventually("the service is ready", || async {
            let answer = server.at_ops("/readyz").await;
            (answer.status == 200 && answer.json()["webhooks"] == "unknown").then_some(())
        })
        .await;
        server.rent(&ALICE, "k", "DE").await;
    })
    .await;
}

async fn the_service_subscribes_with_its_own_url_and_never_shows_its_key(database: Database) {
    let config = TestConfig {
        subscribe: true,
        ..TestConfig::default()
    };
    let mut server = TestServer::unsynced(database, config).await;
    eventually("the first process subscribes", || async {
        (server.close.subscriptions().await.len() == 1).then_some(())
    })
    .await;
    server.stop().await;
    let mut desk = ServerProcess::start(server.folder.path()).await;
    (server.api, server.ops) = (desk.api.clone(), desk.ops.clone());
    let own = eventually("the second process subscribes with its own URL", || async {
        let url = format!("{}/webhooks/close", server.api);
        let mut all = server.close.subscriptions().await.into_iter();
        all.find(|subscription| subscription["url"] == url.as_str())
    })
    .await;
    let readiness = eventually("the service is ready with its subscription", || async {
        let readiness = server.at_ops("/readyz").await.json();
        (readiness["webhooks"] == "ok" && readiness["ready"] == true).then_some(readiness)
    })
    .await;
    let metrics = server.at_ops("/metrics").await.text;
    assert!(
        metrics.contains("numberdesk_webhook_subscription_active 1"),
        "{metrics}"
    );
    assert!(metrics.contains("numberdesk_close_subscriptions 2"), "{metrics}");

    let order = json!({"country": "DE", "carrier_type": "local"});
    server.order(&ALICE, "k", &order).await.expect(201);
    assert_eq!(desk.terminate().await, 0);
    let (key, log) = (own["signature_key"].as_str().unwrap(), desk.log());
    let stored = crate::support::database::contents(&server.database).await;
    let answers = format!("{metrics} {}", serde_json::to_string(&readiness).unwrap());
    assert!(
        log.contains("webhook subscription created"),
        "the log was captured"
    );
    assert!(stored.len() > 2000, "the database was read");
    for part in [key, &key[..24], &key[40..]] {
        for (place, text) in [
            ("the log", &log),
            ("the database", &stored),
            ("an answer", &answers),
        ] {
            assert!(!text.contains(part), "a signature key is in {place}");
        }
    }
}

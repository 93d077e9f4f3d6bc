//! Signature keys of the webhook subscription.

use super::*;

#[tokio::test]
async fn a_key_that_close_hides_is_known_until_a_restart() {
    with_sqlite(|database| async move {
        let mut test_desk = start_desk(database).await;
        ensure_subscribed(&test_desk).await;
        let keys = test_desk.replica().desk.subscription.keys();
        let mut bare = only_subscription(&test_desk.close).await;
        bare["signature_key"] = json!(null);
        bare["health_status"] = json!("unhealthy");
        let body = json!({"data": [bare], "has_more": false}).to_string();
        let answer = json!({"status": 200, "body": body});
        test_desk
            .close
            .fault(json!({"method": "GET", "path": "/webhook/", "answer": answer}))
            .await;
        ensure_subscribed(&test_desk).await;
        assert_eq!(test_desk.replica().desk.subscription.keys(), keys);
        assert_eq!(health(test_desk.replica()), "failing");

        test_desk.crash();
        test_desk.start().await;
        let hidden = try_subscribe(test_desk.replica()).await.unwrap_err();
        assert!(matches!(hidden, Unsubscribed::KeyHidden { .. }), "{hidden:?}");
        assert!(
            hidden.to_string().contains("numberdesk webhooks rotate"),
            "{hidden}"
        );
        assert_eq!(health(test_desk.replica()), "key unknown");
        assert_eq!(create_count(&test_desk.close).await, 1);
    })
    .await;
}

#[tokio::test]
async fn known_keys_stay_valid_while_close_is_unavailable() {
    with_sqlite(|database| async move {
        let test_desk = start_desk(database).await;
        ensure_subscribed(&test_desk).await;
        let keys = test_desk.replica().desk.subscription.keys();
        for answer in [json!({"status": 401}), json!({"status": 500}), json!("garbage")] {
            test_desk
                .close
                .fault(json!({"method": "GET", "path": "/webhook/", "answer": answer}))
                .await;
            assert!(try_subscribe(test_desk.replica()).await.is_err());
            assert_eq!(health(test_desk.replica()), "unknown");
            assert_eq!(test_desk.replica().desk.subscription.keys(), keys);
            test_desk.close.clear_faults().await;
        }
        ensure_subscribed(&test_desk).await;
        assert_eq!(health(test_desk.replica()), "ok");
        assert_eq!(create_count(&test_desk.close).await, 1);
    })
    .await;
}

#[tokio::test]
async fn the_keys_are_rechecked_at_most_once_a_minute() {
    with_sqlite(|database| async move {
        let test_desk = start_desk(database).await;
        let desk = test_desk.replica().desk.clone();
        let recheck_requested = || desk.signals().subscription.notified().now_or_never().is_some();
        assert!(!recheck_requested());
        for _ in 0..100 {
            desk.subscription.recheck_keys();
        }
        assert!(recheck_requested());
        test_desk.advance_clock(Duration::from_secs(59));
        desk.subscription.recheck_keys();
        assert!(!recheck_requested());
        test_desk.advance_clock(Duration::from_secs(1));
        desk.subscription.recheck_keys();
        assert!(recheck_requested());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configured_key_is_rotated_by_a_second_line_and_an_invalid_file_changes_nothing() {
    with_sqlite(|database| async move {
        let server = TestServer::new(database).await;
        let (old, new) = (WEBHOOK_KEY, "5ca1ab1e".repeat(8));
        let write =
            |text: &str| std::fs::write(server.folder.path().join("close-webhook-key"), text).unwrap();
        assert_eq!(
            (
                delivery_status(&server, old).await,
                delivery_status(&server, &new).await
            ),
            (204, 401)
        );
        write(&format!("{old}\n{new}\n"));
        eventually("the second key is valid", || async {
            (delivery_status(&server, &new).await == 204).then_some(())
        })
        .await;
        assert_eq!(delivery_status(&server, old).await, 204);
        write(&new);
        eventually("the first key is not valid any more", || async {
            (delivery_status(&server, old).await == 401).then_some(())
        })
        .await;
        for invalid in ["", &new[..40], "not a key"] {
            let metric = r#"numberdesk_worker_failures_total{worker="webhook-key"}"#;
            let failure_count = || async {
                let metrics = server.at_ops("/metrics").await.text;
                let line = metrics.lines().find(|line| line.starts_with(metric))?.to_owned();
                Some(line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            };
            let before = failure_count().await.unwrap_or(0);
            write(invalid);
            eventually("the metric counts the invalid file", || async {
                failure_count().await.filter(|now| *now > before)
            })
            .await;
            assert_eq!(delivery_status(&server, &new).await, 204);
        }
        assert!(server.close.requests("GET", "/webhook/").await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_was_rotated_by_hand_is_learned_from_the_first_delivery_it_signs() {
    with_sqlite(|database| async move {
        let config = TestConfig {
            subscribe: true,
            ..TestConfig::default()
        };
        let server = TestServer::with(database, config).await;
        let settings =
            json!({"consolidation_window": "50ms", "delivery": {"backoff": "200ms", "backoff_cap": "200ms"}});
        server.close.set(settings).await;
        let old = eventually("the service subscribes", || async {
            server.close.subscriptions().await.into_iter().next()
        })
        .await;
        let mut rotate = command(server.folder.path(), &["webhooks", "rotate", "--overlap", "0s"]);
        rotate.env("NUMBERDESK_SERVER__PUBLIC_URL", &server.api);
        let rotated = output_of(rotate).await;
        assert_eq!(rotated.code, 0, "{rotated:?}");
        let new = only_subscription(&server.close).await;
        assert_ne!(new["id"], old["id"]);

        let number = server.rent(&ALICE, "k", "DE").await;
        server
            .close
            .person_changes(&number, json!({"label": "changed in Close"}))
            .await;
        eventually("the change is shown", || async {
            let shown = server.get(&ALICE, &format!("/v1/phone-numbers/{number}")).await;
            (shown.json()["label"] == "changed in Close").then_some(())
        })
        .await;
        let key_text = |subscription: &Value| subscription["signature_key"].as_str().unwrap().to_owned();
        assert_eq!(
            (
                delivery_status(&server, &key_text(&new)).await,
                delivery_status(&server, &key_text(&old)).await
            ),
            (204, 401)
        );
    })
    .await;
}

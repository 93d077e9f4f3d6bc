//! Signature keys of the webhook subscription.

use super::*;

#[tokio::test]
async fn a_key_that_close_does_not_show_is_known_to_who_made_it_and_missed_by_who_comes_later() {
    with_sqlite(|database| async move {
        let mut test_desk = start_desk(database).await;
        kept(&test_desk).await;
        let keys = test_desk.replica().desk.subscription.keys();
        let mut bare = only(&test_desk.close).await;
        bare["signature_key"] = json!(null);
        bare["health_status"] = json!("unhealthy");
        let body = json!({"data": [bare], "has_more": false}).to_string();
        let answer = json!({"status": 200, "body": body});
        test_desk
            .close
            .fault(json!({"method": "GET", "path": "/webhook/", "answer": answer}))
            .await;
        kept(&test_desk).await;
        assert_eq!(test_desk.replica().desk.subscription.keys(), keys);
        assert_eq!(health(test_desk.replica()).await, "failing");

        test_desk.crash();
        test_desk.start().await;
        let hidden = keep(test_desk.replica()).await.unwrap_err();
        assert!(matches!(hidden, Unsubscribed::KeyHidden { .. }), "{hidden:?}");
        assert!(
            hidden.to_string().contains("numberdesk webhooks rotate"),
            "{hidden}"
        );
        assert_eq!(health(test_desk.replica()).await, "key unknown");
        assert_eq!(made(&test_desk.close).await, 1);
    })
    .await;
}

#[tokio::test]
async fn while_close_can_t_be_asked_the_known_keys_serve() {
    with_sqlite(|database| async move {
        let test_desk = start_desk(database).await;
        kept(&test_desk).await;
        let keys = test_desk.replica().desk.subscription.keys();
        for answer in [json!({"status": 401}), json!({"status": 500}), json!("garbage")] {
            test_desk
                .close
                .fault(json!({"method": "GET", "path": "/webhook/", "answer": answer}))
                .await;
            assert!(keep(test_desk.replica()).await.is_err());
            assert_eq!(health(test_desk.replica()).await, "unknown");
            assert_eq!(test_desk.replica().desk.subscription.keys(), keys);
            test_desk.close.clear_faults().await;
        }
        kept(&test_desk).await;
        assert_eq!(health(test_desk.replica()).await, "ok");
        assert_eq!(made(&test_desk.close).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_doubted_key_is_asked_for_at_most_once_a_minute() {
    with_sqlite(|database| async move {
        let test_desk = start_desk(database).await;
        let desk = test_desk.replica().desk.clone();
        let woken = || desk.signals().subscription.notified().now_or_never().is_some();
        assert!(!woken());
        for _ in 0..100 {
            desk.subscription.recheck_keys();
        }
        assert!(woken());
        test_desk.advance_clock(Duration::from_secs(59));
        desk.subscription.recheck_keys();
        assert!(!woken());
        test_desk.advance_clock(Duration::from_secs(1));
        desk.subscription.recheck_keys();
        assert!(woken());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_the_configuration_is_rotated_by_a_second_line_and_a_broken_file_changes_nothing() {
    with_sqlite(|database| async move {
        let server = TestServer::new(database).await;
        let (old, new) = (WEBHOOK_KEY, "5ca1ab1e".repeat(8));
        let write =
            |text: &str| std::fs::write(server.folder.path().join("close-webhook-key"), text).unwrap();
        assert_eq!(
            (delivered(&server, old).await, delivered(&server, &new).await),
            (204, 401)
        );
        write(&format!("{old}\n{new}\n"));
        eventually("the second key holds", || async {
            (delivered(&server, &new).await == 204).then_some(())
        })
        .await;
        assert_eq!(delivered(&server, old).await, 204);
        write(&new);
        eventually("the first key holds no more", || async {
            (delivered(&server, old).await == 401).then_some(())
        })
        .await;
        for broken in ["", &new[..40], "not a key"] {
            let failures = r#"numberdesk_worker_failures_total{worker="webhook-key"}"#;
            let told = || async {
                let metrics = server.at_ops("/metrics").await.text;
                let line = metrics
                    .lines()
                    .find(|line| line.starts_with(failures))?
                    .to_owned();
                Some(line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            };
            let before = told().await.unwrap_or(0);
            write(broken);
            eventually("the broken file is told of", || async {
                told().await.filter(|now| *now > before)
            })
            .await;
            assert_eq!(delivered(&server, &new).await, 204);
        }
        assert!(server.close.requests("GET", "/webhook/").await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_was_rotated_by_hand_is_learned_at_the_first_delivery_it_signs() {
    with_sqlite(|database| async move {
        let config = TestConfig {
            subscribe: true,
            ..TestConfig::default()
        };
        let server = TestServer::with(database, config).await;
        let settings =
            json!({"consolidation_window": "50ms", "delivery": {"backoff": "200ms", "backoff_cap": "200ms"}});
        server.close.set(settings).await;
        let old = eventually("the desk subscribes", || async {
            server.close.subscriptions().await.into_iter().next()
        })
        .await;
        let mut rotate = command(server.folder.path(), &["webhooks", "rotate", "--overlap", "0s"]);
        rotate.env("NUMBERDESK_SERVER__PUBLIC_URL", &server.api);
        let rotated = output_of(rotate).await;
        assert_eq!(rotated.code, 0, "{rotated:?}");
        let new = only(&server.close).await;
        assert_ne!(new["id"], old["id"]);

        let number = server.rent(&ALICE, "k", "DE").await;
        server
            .close
            .person_changes(&number, json!({"label": "theirs"}))
            .await;
        eventually("the desk has heard of the change", || async {
            let shown = server.get(&ALICE, &format!("/v1/phone-numbers/{number}")).await;
            (shown.json()["label"] == "theirs").then_some(())
        })
        .await;
        let by = |it: &Value| it["signature_key"].as_str().unwrap().to_owned();
        assert_eq!(
            (
                delivered(&server, &by(&new)).await,
                delivered(&server, &by(&old)).await
            ),
            (204, 401)
        );
    })
    .await;
}

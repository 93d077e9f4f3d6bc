//! The desk's own webhook subscription: there is one, it is active, and its key is known, whatever people, other replicas
//! or Close do to it.

mod keys;

use std::time::Duration;

use close_sandbox as sandbox;
use futures::FutureExt as _;
use numberdesk::close::SignatureKey;
use numberdesk::desk::SignatureKeySource;
use numberdesk::desk::subscription::client::{OVERLAP, Unsubscribed};
use serde_json::{Value, json};

use crate::support::binary::{ServerProcess, command, output_of};
use crate::support::close::FakeClose;
use crate::support::database::{Database, on_both_stores, with_postgres, with_sqlite};
use crate::support::desk::{Replica, TestDesk};
use crate::support::eventually;
use crate::support::personas::ALICE;
use crate::support::server::{POLICY, TestConfig, TestServer, WEBHOOK_KEY};
use crate::support::webhook;

/// Where nobody listens.
const URL: &str = "http://127.0.0.1:9/webhooks/close";

/// A desk that wants Close to deliver there, which has not yet asked for it.
async fn start_desk(database: Database) -> TestDesk {
    let mut test_desk = TestDesk::new(database, POLICY, 1).await;
    test_desk.crash();
    test_desk.webhooks = SignatureKeySource::Subscription(URL.parse().unwrap());
    test_desk.start().await;
    test_desk
}

async fn keep(replica: &Replica) -> Result<(), Unsubscribed> {
    replica.desk.subscription.ensure().await
}

async fn kept(test_desk: &TestDesk) {
    keep(test_desk.replica()).await.unwrap();
}

/// The only subscription there is.
async fn only(close: &FakeClose) -> Value {
    let all = close.subscriptions().await;
    assert_eq!(all.len(), 1, "{all:?}");
    all.into_iter().next().unwrap()
}

fn path(subscription: &Value) -> String {
    format!("/webhook/{}/", subscription["id"].as_str().unwrap())
}

fn key(subscription: &Value) -> SignatureKey {
    subscription["signature_key"].as_str().unwrap().parse().unwrap()
}

/// Whether something may have been missed since this was asked last.
fn missed(test_desk: &TestDesk) -> bool {
    test_desk
        .replica()
        .desk
        .signals()
        .catch_up
        .notified()
        .now_or_never()
        .is_some()
}

async fn health(replica: &Replica) -> &'static str {
    replica.desk.health.readiness().await.webhooks
}

async fn made(close: &FakeClose) -> usize {
    close.requests("POST", "/webhook/").await.len()
}

#[tokio::test]
async fn it_is_made_once_and_adopted_by_whatever_starts_later() {
    with_sqlite(|database| async move {
        let mut test_desk = start_desk(database).await;
        assert_eq!(health(test_desk.replica()).await, "not checked yet");
        assert_eq!(test_desk.replica().desk.subscription.keys().len(), 0);
        kept(&test_desk).await;
        let subscription = only(&test_desk.close).await;
        assert_eq!(subscription["url"], URL);
        let selectors = subscription["events"].as_array().unwrap();
        let mut wanted: Vec<String> = selectors
            .iter()
            .map(|it| format!("{}.{}", it["object_type"].as_str().unwrap(), it["action"].as_str().unwrap()))
            .collect();
        wanted.sort();
        assert_eq!(
            wanted.join(" "),
            "group.created group.deleted group.updated phone_number.created phone_number.deleted phone_number.updated"
        );
        assert_eq!(*test_desk.replica().desk.subscription.keys(), [key(&subscription)]);
        assert_eq!(health(test_desk.replica()).await, "ok");
        assert!(missed(&test_desk), "what came before the subscription is looked for");

        kept(&test_desk).await;
        test_desk.crash();
        test_desk.start().await;
        kept(&test_desk).await;
        assert_eq!(only(&test_desk.close).await["id"], subscription["id"]);
        assert_eq!(*test_desk.replica().desk.subscription.keys(), [key(&subscription)]);
        assert_eq!(made(&test_desk.close).await, 1);
        assert!(!missed(&test_desk));
        assert!(test_desk.close.requests("PUT", "/webhook/{id}/").await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_paused_one_is_resumed_and_what_was_missed_is_looked_for() {
    with_sqlite(|database| async move {
        let test_desk = start_desk(database).await;
        kept(&test_desk).await;
        assert!(missed(&test_desk));
        let subscription = only(&test_desk.close).await;
        let pause = json!({"status": "paused"});
        assert_eq!(
            test_desk
                .close
                .ask("PUT", &path(&subscription), Some(pause.clone()))
                .await
                .0,
            200
        );
        kept(&test_desk).await;
        let resumed = only(&test_desk.close).await;
        assert_eq!(
            (&resumed["id"], &resumed["status"]),
            (&subscription["id"], &json!("active"))
        );
        assert!(missed(&test_desk));
        assert_eq!(health(test_desk.replica()).await, "ok");

        // As long as Close does not let it be resumed, that is told.
        test_desk
            .close
            .ask("PUT", &path(&subscription), Some(pause))
            .await;
        let no = json!({"status": 403, "body": r#"{"error":"not yours"}"#});
        test_desk
            .close
            .fault(json!({"method": "PUT", "path": "/webhook/{id}/", "answer": no}))
            .await;
        let refused = keep(test_desk.replica()).await.unwrap_err().to_string();
        assert!(
            refused.contains("403") && refused.contains("not yours"),
            "{refused}"
        );
        assert_eq!(health(test_desk.replica()).await, "paused");
        assert!(!missed(&test_desk));
        test_desk.close.clear_faults().await;
        kept(&test_desk).await;
        assert_eq!(health(test_desk.replica()).await, "ok");
        assert!(missed(&test_desk));
    })
    .await;
}

#[tokio::test]
async fn one_that_somebody_deleted_is_made_anew_and_one_that_hears_too_little_is_completed() {
    with_sqlite(|database| async move {
        let test_desk = start_desk(database).await;
        kept(&test_desk).await;
        let first = only(&test_desk.close).await;
        test_desk.close.ask("DELETE", &path(&first), None).await;
        assert!(missed(&test_desk));
        kept(&test_desk).await;
        let second = only(&test_desk.close).await;
        assert_ne!(first["id"], second["id"]);
        assert_eq!(*test_desk.replica().desk.subscription.keys(), [key(&second)]);
        assert!(missed(&test_desk));

        for less in [
            json!([{"object_type": "phone_number", "action": "created"}]),
            json!([{"object_type": "phone_number", "action": "created", "extra_filter":
                {"type": "field_accessor", "field": "data", "filter": {"type": "is_null"}}}]),
        ] {
            test_desk
                .close
                .ask("PUT", &path(&second), Some(json!({"events": less})))
                .await;
            kept(&test_desk).await;
            let completed = only(&test_desk.close).await;
            assert_eq!(completed["events"].as_array().unwrap().len(), 6);
            assert!(
                completed["events"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|it| it["extra_filter"].is_null())
            );
            assert!(missed(&test_desk));
        }
    })
    .await;
}

#[tokio::test]
async fn with_forty_used_up_by_others_that_is_said_and_the_desk_goes_on() {
    with_sqlite(|database| async move {
        let test_desk = start_desk(database).await;
        let body = json!({"url": "https://other.example/?token=hunter2",
            "events": [{"object_type": "lead", "action": "created"}]});
        let mut others = Vec::new();
        for _ in 0..40 {
            let (status, made) = test_desk.close.ask("POST", "/webhook/", Some(body.clone())).await;
            assert_eq!(status, 201);
            others.push(made);
        }
        let full = keep(test_desk.replica()).await.unwrap_err();
        assert!(matches!(full, Unsubscribed::Full { used: 40, .. }), "{full:?}");
        let said = full.to_string();
        assert!(said.contains("40") && said.contains(URL), "{said}");
        assert!(said.contains("close.webhook_signature_key_file"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
        assert_eq!(health(test_desk.replica()).await, "none");
        let desk = test_desk.replica().desk.clone();
        desk.sync.compare().await.unwrap();

        test_desk.close.ask("DELETE", &path(&others[7]), None).await;
        kept(&test_desk).await;
        assert_eq!(health(test_desk.replica()).await, "ok");
        assert_eq!(test_desk.close.subscriptions().await.len(), 40);
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_is_lost_and_a_list_that_lags_make_no_second_one() {
    with_sqlite(|database| async move {
        let test_desk = start_desk(database).await;
        let lost =
            json!({"method": "POST", "path": "/webhook/", "answer": "drop_before_headers", "effect": true});
        test_desk.close.fault(lost).await;
        assert!(keep(test_desk.replica()).await.is_err());
        test_desk.close.clear_faults().await;
        kept(&test_desk).await;
        let first = only(&test_desk.close).await;
        assert_eq!(
            (health(test_desk.replica()).await, made(&test_desk.close).await),
            ("ok", 1)
        );

        test_desk.close.ask("DELETE", &path(&first), None).await;
        kept(&test_desk).await;
        let second = only(&test_desk.close).await;
        let empty = json!({"status": 200, "body": r#"{"data":[],"has_more":false}"#});
        test_desk
            .close
            .fault(json!({"method": "GET", "path": "/webhook/", "answer": empty}))
            .await;
        kept(&test_desk).await;
        assert_eq!(health(test_desk.replica()).await, "ok");
        assert_eq!(*test_desk.replica().desk.subscription.keys(), [key(&second)]);
        test_desk.close.clear_faults().await;
        assert_eq!(only(&test_desk.close).await["id"], second["id"]);
    })
    .await;
}

#[tokio::test]
async fn of_two_the_newer_stays_and_the_older_s_key_holds_until_every_replica_knows_the_other() {
    with_sqlite(|database| async move {
        let test_desk = start_desk(database).await;
        kept(&test_desk).await;
        let old = only(&test_desk.close).await;
        test_desk.advance_clock(Duration::from_hours(1));
        // Somebody rotates the key: another subscription for the same place.
        let body = json!({"url": old["url"], "events": old["events"]});
        let (_, new) = test_desk.close.ask("POST", "/webhook/", Some(body)).await;
        kept(&test_desk).await;
        assert_eq!(
            *test_desk.replica().desk.subscription.keys(),
            [key(&new), key(&old)]
        );
        test_desk.advance_clock(OVERLAP.checked_sub(Duration::from_mins(1)).unwrap());
        kept(&test_desk).await;
        assert_eq!(test_desk.close.subscriptions().await.len(), 2);
        test_desk.advance_clock(Duration::from_mins(2));
        kept(&test_desk).await;
        assert_eq!(only(&test_desk.close).await["id"], new["id"]);
        assert_eq!(*test_desk.replica().desk.subscription.keys(), [key(&new)]);
    })
    .await;
}

mod two_replicas_that_make_one_at_the_same_moment_end_with_one {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn on_postgres() {
        super::with_postgres(super::two_replicas).await;
    }
}

async fn two_replicas(database: Database) {
    let test_desk = start_desk(database).await;
    let (other, _process) = test_desk.another_replica().await;
    // Both have looked before either has made one.
    let none = json!({"status": 200, "body": r#"{"data":[],"has_more":false}"#});
    let fault = json!({"method": "GET", "path": "/webhook/", "times": 2, "answer": none});
    test_desk.close.fault(fault).await;
    let (one, two) = tokio::join!(keep(test_desk.replica()), keep(&other));
    one.unwrap();
    two.unwrap();
    test_desk.close.clear_faults().await;
    assert_eq!(test_desk.close.subscriptions().await.len(), 2);

    for replica in [test_desk.replica(), &other] {
        keep(replica).await.unwrap();
        assert_eq!(replica.desk.subscription.keys().len(), 2);
    }
    test_desk.advance_clock(OVERLAP + Duration::from_secs(15));
    let (one, two) = tokio::join!(keep(test_desk.replica()), keep(&other));
    one.unwrap();
    two.unwrap();
    let left = only(&test_desk.close).await;
    for replica in [test_desk.replica(), &other] {
        keep(replica).await.unwrap();
        assert_eq!(*replica.desk.subscription.keys(), [key(&left)]);
        assert_eq!(health(replica).await, "ok");
    }
    assert_eq!(made(&test_desk.close).await, 2);
}

#[tokio::test]
async fn a_desk_with_a_key_of_the_configuration_or_without_a_place_asks_close_for_nothing() {
    with_sqlite(|database| async move {
        let mut test_desk = TestDesk::new(database, POLICY, 1).await;
        for (webhooks, word) in [
            (SignatureKeySource::Missing, "not configured"),
            (SignatureKeySource::Configured, "key configured"),
        ] {
            test_desk.crash();
            test_desk.webhooks = webhooks;
            test_desk.start().await;
            kept(&test_desk).await;
            assert_eq!(health(test_desk.replica()).await, word);
        }
        let keys = vec!["5ca1ab1e".repeat(8).parse::<SignatureKey>().unwrap()];
        test_desk.replica().desk.subscription.set_keys(keys.clone());
        assert_eq!(*test_desk.replica().desk.subscription.keys(), keys);
        let asked = test_desk.close.all_requests().await;
        let asked = asked
            .iter()
            .filter(|it| it["path"].as_str().unwrap().contains("webhook"));
        assert_eq!(asked.count(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_desk_without_a_subscription_is_ready_all_the_same() {
    with_sqlite(|database| async move {
        let mut config = TestConfig {
            subscribe: true,
            ..TestConfig::default()
        };
        let fault = r#"{"path": "/webhook/", "answer": {"status": 403, "body": "{\"error\":\"no\"}"}}"#;
        config.close.faults = sandbox::faults_from_json(fault).unwrap();
        let server = TestServer::with(database, config).await;
        eventually("the desk is ready", || async {
            let answer = server.at_ops("/readyz").await;
            (answer.status == 200 && answer.json()["webhooks"] == "unknown").then_some(())
        })
        .await;
        server.rent(&ALICE, "k", "DE").await;
    })
    .await;
}

/// What the desk answers to a delivery that this key has signed.
async fn delivered(server: &TestServer, key: &str) -> u16 {
    let body = webhook::delivery(&webhook::event("1", "updated", "phon_1"));
    let time = webhook::now().to_string();
    let signature = webhook::signature(&hex::decode(key).unwrap(), &time, &body);
    let headers = [
        ("close-sig-hash", signature.as_str()),
        ("close-sig-timestamp", &time),
    ];
    webhook::deliver_with(server, &headers, &body).await.status
}

on_both_stores! {a_desk_that_starts_subscribes_where_it_can_be_reached_and_shows_its_key_nowhere}

async fn a_desk_that_starts_subscribes_where_it_can_be_reached_and_shows_its_key_nowhere(database: Database) {
    let config = TestConfig {
        subscribe: true,
        ..TestConfig::default()
    };
    let mut server = TestServer::unsynced(database, config).await;
    eventually("a desk subscribes", || async {
        (server.close.subscriptions().await.len() == 1).then_some(())
    })
    .await;
    server.stop().await;
    let mut desk = ServerProcess::start(server.folder.path()).await;
    (server.api, server.ops) = (desk.api.clone(), desk.ops.clone());
    let own = eventually("the desk subscribes", || async {
        let url = format!("{}/webhooks/close", server.api);
        let mut all = server.close.subscriptions().await.into_iter();
        all.find(|it| it["url"] == url.as_str())
    })
    .await;
    let readiness = eventually("the subscription is told of", || async {
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
    let said = format!("{metrics} {}", serde_json::to_string(&readiness).unwrap());
    assert!(
        log.contains("webhook subscription created"),
        "the log was captured"
    );
    assert!(stored.len() > 2000, "the database was read");
    for part in [key, &key[..24], &key[40..]] {
        for (place, text) in [("the log", &log), ("the database", &stored), ("an answer", &said)] {
            assert!(!text.contains(part), "a signature key is in {place}");
        }
    }
}

//! The service's webhook subscription at Close: there is one, it is active, and its key is known, whatever people,
//! other replicas or Close do.

mod keys;
mod start;

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

/// An address that refuses connections.
const URL: &str = "http://127.0.0.1:9/webhooks/close";

/// A replica that uses a subscription for `URL` and has not created it yet.
async fn start_desk(database: Database) -> TestDesk {
    let mut test_desk = TestDesk::new(database, POLICY, 1).await;
    test_desk.crash();
    test_desk.webhooks = SignatureKeySource::Subscription(URL.parse().unwrap());
    test_desk.start().await;
    test_desk
}

/// Runs the step that creates, finds or repairs the subscription.
async fn try_subscribe(replica: &Replica) -> Result<(), Unsubscribed> {
    replica.desk.subscription.ensure().await
}

async fn ensure_subscribed(test_desk: &TestDesk) {
    try_subscribe(test_desk.replica()).await.unwrap();
}

/// The only subscription at Close.
async fn only_subscription(close: &FakeClose) -> Value {
    let all = close.subscriptions().await;
    assert_eq!(all.len(), 1, "{all:?}");
    all.into_iter().next().unwrap()
}

fn path(subscription: &Value) -> String {
    format!("/webhook/{}/", subscription["id"].as_str().unwrap())
}

fn signature_key(subscription: &Value) -> SignatureKey {
    subscription["signature_key"].as_str().unwrap().parse().unwrap()
}

/// Whether a catch-up with the event log was requested since the last call.
fn take_catch_up_signal(test_desk: &TestDesk) -> bool {
    test_desk
        .replica()
        .desk
        .signals()
        .catch_up
        .notified()
        .now_or_never()
        .is_some()
}

/// The state of the webhooks in the readiness report.
fn health(replica: &Replica) -> &'static str {
    replica.desk.health.readiness().webhooks
}

/// Counts the requests to create a subscription.
async fn create_count(close: &FakeClose) -> usize {
    close.requests("POST", "/webhook/").await.len()
}

#[tokio::test]
async fn the_subscription_is_created_once_and_reused_after_a_restart() {
    with_sqlite(|database| async move {
        let mut test_desk = start_desk(database).await;
        assert_eq!(health(test_desk.replica()), "not checked yet");
        assert_eq!(test_desk.replica().desk.subscription.keys().len(), 0);
        ensure_subscribed(&test_desk).await;
        let subscription = only_subscription(&test_desk.close).await;
        assert_eq!(subscription["url"], URL);
        let selectors = subscription["events"].as_array().unwrap();
        let mut wanted: Vec<String> = selectors
            .iter()
            .map(|selector| {
                let field = |name: &str| selector[name].as_str().unwrap();
                format!("{}.{}", field("object_type"), field("action"))
            })
            .collect();
        wanted.sort();
        assert_eq!(
            wanted.join(" "),
            "group.created group.deleted group.updated phone_number.created phone_number.deleted phone_number.updated"
        );
        assert_eq!(
            *test_desk.replica().desk.subscription.keys(),
            [signature_key(&subscription)]
        );
        assert_eq!(health(test_desk.replica()), "ok");
        assert!(
            take_catch_up_signal(&test_desk),
            "events before the subscription are fetched from the event log"
        );

        ensure_subscribed(&test_desk).await;
        test_desk.crash();
        test_desk.start().await;
        ensure_subscribed(&test_desk).await;
        assert_eq!(only_subscription(&test_desk.close).await["id"], subscription["id"]);
        assert_eq!(
            *test_desk.replica().desk.subscription.keys(),
            [signature_key(&subscription)]
        );
        assert_eq!(create_count(&test_desk.close).await, 1);
        assert!(!take_catch_up_signal(&test_desk));
        assert!(test_desk.close.requests("PUT", "/webhook/{id}/").await.is_empty());
    })
    .await;
}

/// A status of Close's next release may mean anything, so the service neither resumes it nor calls it paused.
#[tokio::test]
async fn a_subscription_with_an_unknown_status_stays_as_it_is_and_the_status_is_shown() {
    with_sqlite(|database| async move {
        let test_desk = start_desk(database).await;
        ensure_subscribed(&test_desk).await;
        assert!(take_catch_up_signal(&test_desk));
        let mut subscription = only_subscription(&test_desk.close).await;
        subscription["status"] = "throttled".into();
        let page = json!({"data": [subscription], "has_more": false}).to_string();
        let answer = json!({"status": 200, "body": page});
        test_desk
            .close
            .fault(json!({"method": "GET", "path": "/webhook/", "answer": answer}))
            .await;
        ensure_subscribed(&test_desk).await;
        assert_eq!(health(test_desk.replica()), "status unknown");
        assert!(test_desk.close.requests("PUT", "/webhook/{id}/").await.is_empty());
        assert!(!take_catch_up_signal(&test_desk));
        test_desk.close.clear_faults().await;
        ensure_subscribed(&test_desk).await;
        assert_eq!(health(test_desk.replica()), "ok");
    })
    .await;
}

#[tokio::test]
async fn a_paused_subscription_is_resumed_and_missed_events_are_fetched() {
    with_sqlite(|database| async move {
        let test_desk = start_desk(database).await;
        ensure_subscribed(&test_desk).await;
        assert!(take_catch_up_signal(&test_desk));
        let subscription = only_subscription(&test_desk.close).await;
        let pause = json!({"status": "paused"});
        assert_eq!(
            test_desk
                .close
                .call("PUT", &path(&subscription), Some(pause.clone()))
                .await
                .0,
            200
        );
        ensure_subscribed(&test_desk).await;
        let resumed = only_subscription(&test_desk.close).await;
        assert_eq!(
            (&resumed["id"], &resumed["status"]),
            (&subscription["id"], &json!("active"))
        );
        assert!(take_catch_up_signal(&test_desk));
        assert_eq!(health(test_desk.replica()), "ok");

        // While Close refuses to resume the subscription, the error and the readiness report say so.
        test_desk
            .close
            .call("PUT", &path(&subscription), Some(pause))
            .await;
        let refusal = json!({"status": 403, "body": r#"{"error":"not yours"}"#});
        test_desk
            .close
            .fault(json!({"method": "PUT", "path": "/webhook/{id}/", "answer": refusal}))
            .await;
        let refused = try_subscribe(test_desk.replica()).await.unwrap_err().to_string();
        assert!(
            refused.contains("403") && refused.contains("not yours"),
            "{refused}"
        );
        assert_eq!(health(test_desk.replica()), "paused");
        assert!(!take_catch_up_signal(&test_desk));
        test_desk.close.clear_faults().await;
        ensure_subscribed(&test_desk).await;
        assert_eq!(health(test_desk.replica()), "ok");
        assert!(take_catch_up_signal(&test_desk));
    })
    .await;
}

#[tokio::test]
async fn a_deleted_subscription_is_created_again_and_an_incomplete_one_is_completed() {
    with_sqlite(|database| async move {
        let test_desk = start_desk(database).await;
        ensure_subscribed(&test_desk).await;
        let first = only_subscription(&test_desk.close).await;
        test_desk.close.call("DELETE", &path(&first), None).await;
        assert!(take_catch_up_signal(&test_desk));
        ensure_subscribed(&test_desk).await;
        let second = only_subscription(&test_desk.close).await;
        assert_ne!(first["id"], second["id"]);
        assert_eq!(
            *test_desk.replica().desk.subscription.keys(),
            [signature_key(&second)]
        );
        assert!(take_catch_up_signal(&test_desk));

        for incomplete in [
            json!([{"object_type": "phone_number", "action": "created"}]),
            json!([{"object_type": "phone_number", "action": "created", "extra_filter":
                {"type": "field_accessor", "field": "data", "filter": {"type": "is_null"}}}]),
        ] {
            test_desk
                .close
                .call("PUT", &path(&second), Some(json!({"events": incomplete})))
                .await;
            ensure_subscribed(&test_desk).await;
            let completed = only_subscription(&test_desk.close).await;
            assert_eq!(completed["events"].as_array().unwrap().len(), 6);
            assert!(
                completed["events"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|selector| selector["extra_filter"].is_null())
            );
            assert!(take_catch_up_signal(&test_desk));
        }
    })
    .await;
}

#[tokio::test]
async fn if_others_use_all_forty_subscriptions_the_error_says_so_and_the_service_works() {
    with_sqlite(|database| async move {
        let test_desk = start_desk(database).await;
        let body = json!({"url": "https://other.example/?token=hunter2",
            "events": [{"object_type": "lead", "action": "created"}]});
        let mut others = Vec::new();
        for _ in 0..40 {
            let (status, created) = test_desk
                .close
                .call("POST", "/webhook/", Some(body.clone()))
                .await;
            assert_eq!(status, 201);
            others.push(created);
        }
        let full = try_subscribe(test_desk.replica()).await.unwrap_err();
        assert!(matches!(full, Unsubscribed::Full { used: 40, .. }), "{full:?}");
        let message = full.to_string();
        assert!(message.contains("40") && message.contains(URL), "{message}");
        assert!(message.contains("close.webhook_signature_key_file"), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
        assert_eq!(health(test_desk.replica()), "none");
        let desk = test_desk.replica().desk.clone();
        desk.sync.compare().await.unwrap();

        test_desk.close.call("DELETE", &path(&others[7]), None).await;
        ensure_subscribed(&test_desk).await;
        assert_eq!(health(test_desk.replica()), "ok");
        assert_eq!(test_desk.close.subscriptions().await.len(), 40);
    })
    .await;
}

#[tokio::test]
async fn a_lost_answer_or_a_list_that_lags_causes_no_second_subscription() {
    with_sqlite(|database| async move {
        let test_desk = start_desk(database).await;
        let lost_answer =
            json!({"method": "POST", "path": "/webhook/", "answer": "drop_before_headers", "effect": true});
        test_desk.close.fault(lost_answer).await;
        assert!(try_subscribe(test_desk.replica()).await.is_err());
        test_desk.close.clear_faults().await;
        ensure_subscribed(&test_desk).await;
        let first = only_subscription(&test_desk.close).await;
        assert_eq!(
            (health(test_desk.replica()), create_count(&test_desk.close).await),
            ("ok", 1)
        );

        test_desk.close.call("DELETE", &path(&first), None).await;
        ensure_subscribed(&test_desk).await;
        let second = only_subscription(&test_desk.close).await;
        let empty = json!({"status": 200, "body": r#"{"data":[],"has_more":false}"#});
        test_desk
            .close
            .fault(json!({"method": "GET", "path": "/webhook/", "answer": empty}))
            .await;
        ensure_subscribed(&test_desk).await;
        assert_eq!(health(test_desk.replica()), "ok");
        assert_eq!(
            *test_desk.replica().desk.subscription.keys(),
            [signature_key(&second)]
        );
        test_desk.close.clear_faults().await;
        assert_eq!(only_subscription(&test_desk.close).await["id"], second["id"]);
    })
    .await;
}

#[tokio::test]
async fn of_two_subscriptions_the_newer_stays_and_the_older_key_is_valid_for_the_overlap() {
    with_sqlite(|database| async move {
        let test_desk = start_desk(database).await;
        ensure_subscribed(&test_desk).await;
        let old = only_subscription(&test_desk.close).await;
        test_desk.advance_clock(Duration::from_hours(1));
        // A person rotates the key by a second subscription with the same URL.
        let body = json!({"url": old["url"], "events": old["events"]});
        let (_, new) = test_desk.close.call("POST", "/webhook/", Some(body)).await;
        ensure_subscribed(&test_desk).await;
        assert_eq!(
            *test_desk.replica().desk.subscription.keys(),
            [signature_key(&new), signature_key(&old)]
        );
        test_desk.advance_clock(OVERLAP.checked_sub(Duration::from_mins(1)).unwrap());
        ensure_subscribed(&test_desk).await;
        assert_eq!(test_desk.close.subscriptions().await.len(), 2);
        test_desk.advance_clock(Duration::from_mins(2));
        ensure_subscribed(&test_desk).await;
        assert_eq!(only_subscription(&test_desk.close).await["id"], new["id"]);
        assert_eq!(
            *test_desk.replica().desk.subscription.keys(),
            [signature_key(&new)]
        );
    })
    .await;
}

mod two_replicas_that_subscribe_at_the_same_time_end_with_one_subscription {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn on_postgres() {
        super::with_postgres(super::two_replicas_subscribe_at_once).await;
    }
}

async fn two_replicas_subscribe_at_once(database: Database) {
    let test_desk = start_desk(database).await;
    let (other, _process) = test_desk.another_replica().await;
    // Both replicas list the subscriptions before either of them creates one.
    let empty_list = json!({"status": 200, "body": r#"{"data":[],"has_more":false}"#});
    let fault = json!({"method": "GET", "path": "/webhook/", "times": 2, "answer": empty_list});
    test_desk.close.fault(fault).await;
    let (one, two) = tokio::join!(try_subscribe(test_desk.replica()), try_subscribe(&other));
    one.unwrap();
    two.unwrap();
    test_desk.close.clear_faults().await;
    assert_eq!(test_desk.close.subscriptions().await.len(), 2);

    for replica in [test_desk.replica(), &other] {
        try_subscribe(replica).await.unwrap();
        assert_eq!(replica.desk.subscription.keys().len(), 2);
    }
    test_desk.advance_clock(OVERLAP + Duration::from_secs(15));
    let (one, two) = tokio::join!(try_subscribe(test_desk.replica()), try_subscribe(&other));
    one.unwrap();
    two.unwrap();
    let remaining = only_subscription(&test_desk.close).await;
    for replica in [test_desk.replica(), &other] {
        try_subscribe(replica).await.unwrap();
        assert_eq!(*replica.desk.subscription.keys(), [signature_key(&remaining)]);
        assert_eq!(health(replica), "ok");
    }
    assert_eq!(create_count(&test_desk.close).await, 2);
}

#[tokio::test]
async fn with_a_configured_key_or_without_a_public_url_the_service_does_not_subscribe() {
    with_sqlite(|database| async move {
        let mut test_desk = TestDesk::new(database, POLICY, 1).await;
        for (webhooks, expected) in [
            (SignatureKeySource::Missing, "not configured"),
            (SignatureKeySource::Configured, "key configured"),
        ] {
            test_desk.crash();
            test_desk.webhooks = webhooks;
            test_desk.start().await;
            ensure_subscribed(&test_desk).await;
            assert_eq!(health(test_desk.replica()), expected);
        }
        let keys = vec!["5ca1ab1e".repeat(8).parse::<SignatureKey>().unwrap()];
        test_desk.replica().desk.subscription.set_keys(keys.clone());
        assert_eq!(*test_desk.replica().desk.subscription.keys(), keys);
        let requests = test_desk.close.all_requests().await;
        let requests = requests
            .iter()
            .filter(|request| request["path"].as_str().unwrap().contains("webhook"));
        assert_eq!(requests.count(), 0);
    })
    .await;
}

/// The status of the response to a delivery that this key has signed.
async fn delivery_status(server: &TestServer, key: &str) -> u16 {
    let body = webhook::delivery(&webhook::event("1", "updated", "phon_1"));
    let time = webhook::now().to_string();
    let signature = webhook::signature(&hex::decode(key).unwrap(), &time, &body);
    let headers = [
        ("close-sig-hash", signature.as_str()),
        ("close-sig-timestamp", &time),
    ];
    webhook::deliver_with(server, &headers, &body).await.status
}

//! Webhook subscriptions and their deliveries.

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use close_sandbox::{DeliverySettings, Settings};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Close, TIMEOUT};

#[tokio::test]
async fn each_change_is_delivered_signed_with_the_decoded_key() {
    let close = Close::with(quick()).await;
    let mut subscriber = Subscriber::start(&[]).await;
    let subscription = subscriber.subscribe(&close).await;
    let key = hex::decode(subscription["signature_key"].as_str().unwrap()).unwrap();
    assert_eq!(key.len(), 32);

    let id = close.rented(json!({"country": "US"})).await;
    let path = format!("/phone_number/{id}/");
    let (headers, body) = subscriber.next().await;
    assert!(is_signed(&key, &headers, &body));
    let delivery: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(delivery["subscription_id"], subscription["id"]);
    assert_eq!(
        (&delivery["event"]["action"], &delivery["event"]["object_id"]),
        (&json!("created"), &json!(id))
    );
    close.put(&path, json!({"label": "x"})).await;
    assert_eq!(subscriber.next_event().await["action"], "updated");
    close.call(Method::DELETE, &path, None).await;
    assert_eq!(subscriber.next_event().await["action"], "deleted");

    close.set(json!({"delivery": {"signature_valid": false}})).await;
    close.rented(json!({"country": "US"})).await;
    let (headers, body) = subscriber.next().await;
    assert!(!is_signed(&key, &headers, &body));
}

#[tokio::test]
async fn a_created_event_is_delivered_at_once_and_updates_as_one_event_after_the_window() {
    let settings = Settings {
        consolidation_window: Duration::from_hours(1),
        ..quick()
    };
    let close = Close::with(settings).await;
    let mut subscriber = Subscriber::start(&[]).await;
    subscriber.subscribe(&close).await;
    let id = close.rented(json!({"country": "US"})).await;
    assert_eq!(subscriber.next_event().await["action"], "created");
    close.set(json!({"consolidation_window": "3s"})).await;
    let started = Instant::now();
    for label in ["one", "two"] {
        close
            .put(&format!("/phone_number/{id}/"), json!({"label": label}))
            .await;
    }
    let event = subscriber.next_event().await;
    assert!(started.elapsed() >= Duration::from_secs(3));
    assert_eq!(
        (&event["action"], &event["data"]["label"]),
        (&json!("updated"), &json!("two"))
    );
}

#[tokio::test]
async fn a_failed_delivery_is_retried_until_it_succeeds() {
    let close = Close::with(quick()).await;
    let mut subscriber = Subscriber::start(&[500, 404]).await;
    let subscription = subscriber.subscribe(&close).await;
    close.rented(json!({"country": "US"})).await;
    let first = subscriber.next_event().await["id"].clone();
    assert_eq!(subscriber.next_event().await["id"], first);
    assert_eq!(subscriber.next_event().await["id"], first);
    let (_, attempts) = close
        .control(Method::GET, "deliveries?at_least=3&timeout=30s", None)
        .await;
    let statuses: Vec<&Value> = attempts
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| &attempt["status"])
        .collect();
    assert_eq!(statuses, [500, 404, 200]);
    let (_, view) = close
        .get(&format!("/webhook/{}/", subscription["id"].as_str().unwrap()))
        .await;
    assert_eq!(
        (&view["health_status"], &view["counters"]["delivered"]),
        (&json!("healthy"), &json!(1))
    );
}

#[tokio::test]
async fn a_retry_has_a_new_signature_or_repeats_the_first_as_configured() {
    for sign_again in [true, false] {
        let mut settings = quick();
        settings.delivery.sign_again = sign_again;
        // Long enough that the clock is moved before the retry.
        settings.delivery.backoff = Duration::from_secs(3);
        let close = Close::with(settings).await;
        let mut subscriber = Subscriber::start(&[500]).await;
        let subscription = subscriber.subscribe(&close).await;
        let key = hex::decode(subscription["signature_key"].as_str().unwrap()).unwrap();
        close.rented(json!({"country": "US"})).await;
        let (first, _) = subscriber.next().await;
        close.set(json!({"clock_shift": "1h"})).await;
        let (second, body) = subscriber.next().await;
        assert_eq!(
            first["close-sig-timestamp"] != second["close-sig-timestamp"],
            sign_again
        );
        assert!(is_signed(&key, &second, &body));
    }
}

#[tokio::test]
async fn a_failing_subscription_is_paused_with_an_empty_queue_until_it_is_reactivated() {
    let mut settings = quick();
    settings.delivery.pause_after = Duration::from_millis(50);
    let close = Close::with(settings).await;
    let mut subscriber = Subscriber::start(&[500; 200]).await;
    let subscription = subscriber.subscribe(&close).await;
    let path = format!("/webhook/{}/", subscription["id"].as_str().unwrap());
    close.rented(json!({"country": "US"})).await;
    let deadline = Instant::now() + TIMEOUT;
    let paused = loop {
        let (_, view) = close.get(&path).await;
        if view["status"] == "paused" {
            break view;
        }
        assert!(Instant::now() < deadline, "was not paused in time: {view}");
        tokio::task::yield_now().await;
    };
    while subscriber.received.try_recv().is_ok() {}
    assert_eq!(
        (&paused["pause_reason"], &paused["health_status"]),
        (&json!("failing"), &json!("unhealthy"))
    );
    assert_eq!(paused["latest_error"], "The subscriber answered 500.");
    close.rented(json!({"country": "US"})).await;
    let (_, resumed) = close.put(&path, json!({"status": "active"})).await;
    assert_eq!(
        (&resumed["status"], &resumed["pause_reason"]),
        (&json!("active"), &Value::Null)
    );
    assert_eq!(resumed["signature_key"], subscription["signature_key"]);
    let id = close.rented(json!({"country": "US"})).await;
    assert_eq!(
        subscriber.next_event().await["object_id"],
        json!(id),
        "events from the pause are not delivered later"
    );
}

#[tokio::test]
async fn deliveries_are_duplicated_and_reordered_as_configured() {
    let mut settings = quick();
    settings.delivery.duplicates = 1;
    let close = Close::with(settings).await;
    let mut subscriber = Subscriber::start(&[]).await;
    subscriber.subscribe(&close).await;
    close.rented(json!({"country": "US"})).await;
    let first = subscriber.next_event().await;
    assert_eq!(subscriber.next_event().await, first);

    close
        .set(json!({"delivery": {"duplicates": 0, "reorder": "3s"}}))
        .await;
    let mut rented = Vec::new();
    for _ in 0..4 {
        rented.push(close.rented(json!({"country": "US"})).await);
    }
    let mut delivered = Vec::new();
    for _ in 0..4 {
        delivered.push(
            subscriber.next_event().await["object_id"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    assert_ne!(delivered, rented);
    delivered.sort();
    rented.sort();
    assert_eq!(delivered, rented);
}

#[tokio::test]
async fn subscriptions_are_validated_limited_to_forty_and_filter_events() {
    let close = Close::with(quick()).await;
    let mut subscriber = Subscriber::start(&[]).await;
    let event = json!({"object_type": "phone_number", "action": "updated"});
    for (body, field) in [
        (json!({"events": [event]}), "url"),
        (json!({"url": "ftp://x", "events": [event]}), "url"),
        (json!({"url": subscriber.url}), "events"),
        (
            json!({"url": subscriber.url, "events": [{"object_type": "phone_number"}]}),
            "events",
        ),
        (
            json!({"url": subscriber.url, "events": [event], "event_filter": {}}),
            "event_filter",
        ),
    ] {
        let (status, answer) = close.call(Method::POST, "/webhook/", Some(body.clone())).await;
        assert_eq!(status, 400, "{body}");
        assert!(answer["field-errors"][field].is_string(), "{body}: {answer}");
    }
    let routing = json!({"type": "field_accessor", "field": "changed_fields",
        "filter": {"type": "contains", "value": "forward_to"}});
    let selector = json!({"object_type": "phone_number", "action": "updated", "extra_filter": routing});
    let body = json!({"url": subscriber.url, "events": [selector]});
    for expected in std::iter::repeat_n(201, 40).chain([400]) {
        assert_eq!(
            close.call(Method::POST, "/webhook/", Some(body.clone())).await.0,
            expected
        );
    }
    let (_, list) = close.get("/webhook/").await;
    let ids: Vec<&str> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|subscription| subscription["id"].as_str().unwrap())
        .collect();
    assert_eq!((ids.len(), &list["has_more"]), (40, &json!(false)));
    for id in &ids[1..] {
        assert_eq!(
            close
                .call(Method::DELETE, &format!("/webhook/{id}/"), None)
                .await
                .0,
            200
        );
    }
    let id = close.rented(json!({"country": "US"})).await;
    let path = format!("/phone_number/{id}/");
    close.put(&path, json!({"label": "filtered out"})).await;
    close.put(&path, json!({"forward_to": "+14155550123"})).await;
    let event = subscriber.next_event().await;
    assert_eq!(event["data"]["forward_to"], "+14155550123");
    close
        .put(&format!("/webhook/{}/", ids[0]), json!({"status": "paused"}))
        .await;
    assert_eq!(
        close.get(&format!("/webhook/{}/", ids[0])).await.1["pause_reason"],
        "api"
    );
}

/// A subscriber that records deliveries. It responds with the given statuses, and then with 200.
struct Subscriber {
    url: String,
    received: mpsc::UnboundedReceiver<(HeaderMap, Bytes)>,
}

type Inbox = (
    mpsc::UnboundedSender<(HeaderMap, Bytes)>,
    std::sync::Arc<std::sync::Mutex<Vec<u16>>>,
);

impl Subscriber {
    async fn start(statuses: &[u16]) -> Self {
        async fn receive(
            State((inbox, statuses)): State<Inbox>,
            headers: HeaderMap,
            body: Bytes,
        ) -> StatusCode {
            let _ = inbox.send((headers, body));
            let mut statuses = statuses.lock().unwrap();
            let status = if statuses.is_empty() {
                200
            } else {
                statuses.remove(0)
            };
            StatusCode::from_u16(status).unwrap()
        }
        let (inbox, received) = mpsc::unbounded_channel();
        let state: Inbox = (
            inbox,
            std::sync::Arc::new(std::sync::Mutex::new(statuses.to_vec())),
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = Router::new().route("/hook", post(receive)).with_state(state);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, received }
    }

    async fn next(&mut self) -> (HeaderMap, Bytes) {
        tokio::time::timeout(TIMEOUT, self.received.recv())
            .await
            .expect("a delivery arrives in time")
            .unwrap()
    }

    async fn next_event(&mut self) -> Value {
        let (_, body) = self.next().await;
        serde_json::from_slice::<Value>(&body).unwrap()["event"].clone()
    }

    async fn subscribe(&self, close: &Close) -> Value {
        let events: Vec<Value> = ["created", "updated", "deleted"]
            .iter()
            .map(|action| json!({"object_type": "phone_number", "action": action}))
            .collect();
        let body = json!({"url": self.url, "events": events});
        let (status, subscription) = close.call(Method::POST, "/webhook/", Some(body)).await;
        assert_eq!(status, 201, "{subscription}");
        subscription
    }
}

/// Settings without consolidation of events and with fast retries.
fn quick() -> Settings {
    let delivery = DeliverySettings {
        backoff: Duration::from_millis(10),
        ..DeliverySettings::default()
    };
    Settings {
        consolidation_window: Duration::ZERO,
        delivery,
        ..Settings::default()
    }
}

fn is_signed(key: &[u8], headers: &HeaderMap, body: &[u8]) -> bool {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
    mac.update(headers["close-sig-timestamp"].as_bytes());
    mac.update(body);
    mac.verify_slice(&hex::decode(headers["close-sig-hash"].as_bytes()).unwrap())
        .is_ok()
}

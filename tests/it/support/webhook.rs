//! Webhook deliveries of Close to the service, signed as Close signs them.

use hmac::{Hmac, KeyInit as _, Mac as _};
use numberdesk::domain::time::Clock;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use sha2::Sha256;

use super::response::ApiResponse;
use crate::support::server::{TestServer, WEBHOOK_KEY, send};

/// Returns the signature of a timestamp and a body. `key` is the decoded key.
pub(crate) fn signature(key: &[u8], timestamp: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes any key");
    mac.update(timestamp.as_bytes());
    mac.update(body.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// Returns the bytes of [`WEBHOOK_KEY`].
pub(crate) fn key() -> Vec<u8> {
    hex::decode(WEBHOOK_KEY).expect("the key is hexadecimal")
}

/// Returns the current time in seconds since 1970.
pub(crate) fn now() -> i64 {
    Clock::system().now().as_seconds()
}

/// Returns the body of a delivery of an event.
pub(crate) fn delivery(event: &Value) -> String {
    json!({ "subscription_id": "whsub_0000000000000000000000", "event": event }).to_string()
}

/// Returns an event about a number.
pub(crate) fn event(id: &str, action: &str, number: &str) -> Value {
    json!({
        "id": format!("ev_{id}"), "organization_id": "orga_0", "object_type": "phone_number", "object_id": number, "action": action,
        "date_created": "2026-11-23T10:05:00.123000", "date_updated": "2026-11-23T10:05:02.456000",
        "data": null, "changed_fields": [], "previous_data": {}, "meta": {},
    })
}

/// Delivers a body, signed now.
pub(crate) async fn deliver(server: &TestServer, body: &str) -> ApiResponse {
    deliver_at(server, now(), body).await
}

/// Delivers a body, signed at this time.
pub(crate) async fn deliver_at(server: &TestServer, seconds: i64, body: &str) -> ApiResponse {
    send(signed(server, seconds, body)).await
}

/// Builds a signed delivery without sending it.
pub(crate) fn signed(server: &TestServer, seconds: i64, body: &str) -> RequestBuilder {
    let timestamp = seconds.to_string();
    let hash = signature(&key(), &timestamp, body);
    server
        .request("POST", "/webhooks/close")
        .header("close-sig-hash", hash)
        .header("close-sig-timestamp", timestamp)
        .body(body.to_owned())
}

/// Delivers a body with the headers of the test instead of a signature.
pub(crate) async fn deliver_with(server: &TestServer, headers: &[(&str, &str)], body: &str) -> ApiResponse {
    let mut request = server.request("POST", "/webhooks/close").body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(request).await
}

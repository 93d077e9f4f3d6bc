//! An app's webhook endpoint on loopback: records each request and replies as the test wants.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use standardwebhooks::Webhook;
use tokio::sync::Notify;

use super::eventually_or;

/// A recorded request.
#[derive(Debug, Clone)]
pub(crate) struct ReceivedWebhook {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl ReceivedWebhook {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("a header is ASCII"))
    }
    pub(crate) fn id(&self) -> &str {
        self.header("webhook-id")
    }
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a webhook is JSON")
    }
    /// Returns whether the library `standardwebhooks` verifies the signature with this secret.
    pub(crate) fn holds(&self, secret: &str) -> bool {
        let webhook = Webhook::new(secret).expect("a secret in the format of the specification");
        webhook.verify(&self.body, &self.headers).is_ok()
    }
}

/// How the receiver responds.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Status(u16),
    With(u16, &'static str, String),
    /// This status, after a pause that paces the receiver.
    After(Duration, u16),
    /// No response until [`Receiver::goes_on`].
    Hang,
}

/// A running webhook endpoint.
#[derive(Clone)]
pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    received: Mutex<Vec<ReceivedWebhook>>,
    reply: Mutex<Reply>,
    go_on: Notify,
    open: AtomicUsize,
    max_open: AtomicUsize,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let shared = Arc::new(Shared {
            received: Mutex::default(),
            reply: Mutex::new(Reply::Status(204)),
            go_on: Notify::new(),
            open: AtomicUsize::new(0),
            max_open: AtomicUsize::new(0),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let router = Router::new().fallback(receive).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, shared }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }
    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }
    /// Sets the reply to later requests.
    pub(crate) fn answers(&self, reply: Reply) {
        *self.shared.reply.lock().expect("the lock is not poisoned") = reply;
    }
    /// Responds to all requests that hang.
    pub(crate) fn respond_to_hanging(&self) {
        self.shared.go_on.notify_waiters();
    }
    /// Returns the requests so far.
    pub(crate) fn got(&self) -> Vec<ReceivedWebhook> {
        self.shared
            .received
            .lock()
            .expect("the lock is not poisoned")
            .clone()
    }
    /// Returns the number of requests so far.
    pub(crate) fn count(&self) -> usize {
        self.shared
            .received
            .lock()
            .expect("the lock is not poisoned")
            .len()
    }
    /// Returns the largest number of requests that were open at the same time.
    pub(crate) fn most_at_once(&self) -> usize {
        self.shared.max_open.load(Ordering::SeqCst)
    }
    /// Returns the requests once there are at least `count`.
    pub(crate) async fn gets(&self, count: usize) -> Vec<ReceivedWebhook> {
        let enough = || async {
            let received = self.got();
            (received.len() >= count).then_some(received)
        };
        eventually_or(
            || format!("{count} webhooks arrive, not {}", self.count()),
            enough,
        )
        .await
    }
}

/// Counts an open request until it is dropped, which also happens when the sender hangs up.
struct OpenRequest(Arc<Shared>);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn receive(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let open = shared.open.fetch_add(1, Ordering::SeqCst) + 1;
    let _open = OpenRequest(shared.clone());
    shared.max_open.fetch_max(open, Ordering::SeqCst);
    // Registered before the request is recorded: a test may call `goes_on` as soon as it sees the request.
    let go_on = shared.go_on.notified();
    tokio::pin!(go_on);
    go_on.as_mut().enable();
    let path = uri.path().to_owned();
    shared
        .received
        .lock()
        .expect("the lock is not poisoned")
        .push(ReceivedWebhook {
            method,
            path,
            headers,
            body,
        });
    let reply = shared.reply.lock().expect("the lock is not poisoned").clone();
    let status = |status| StatusCode::from_u16(status).expect("a status");
    match reply {
        Reply::Status(code) => (status(code), "never to be shown to anybody").into_response(),
        Reply::With(code, name, value) => (status(code), [(name, value)]).into_response(),
        Reply::After(pause, code) => {
            tokio::time::sleep(pause).await;
            status(code).into_response()
        }
        Reply::Hang => {
            go_on.await;
            StatusCode::NO_CONTENT.into_response()
        }
    }
}

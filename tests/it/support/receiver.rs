//! An app's webhook endpoint on loopback: it records each request and replies as the test configures it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use standardwebhooks::Webhook;
use tokio::sync::Notify;

use super::eventually_or;

/// One request that it got.
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
    /// Whether the published library takes it under this secret.
    pub(crate) fn holds(&self, secret: &str) -> bool {
        let webhook = Webhook::new(secret).expect("a secret as the specification has it");
        webhook.verify(&self.body, &self.headers).is_ok()
    }
}

/// What it answers.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Status(u16),
    With(u16, &'static str, String),
    /// Nothing, until it is told to go on.
    Hang,
}

#[derive(Clone)]
pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    got: Mutex<Vec<ReceivedWebhook>>,
    reply: Mutex<Reply>,
    go_on: Notify,
    busy: AtomicUsize,
    most: AtomicUsize,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let shared = Arc::new(Shared {
            got: Mutex::default(),
            reply: Mutex::new(Reply::Status(204)),
            go_on: Notify::new(),
            busy: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let router = Router::new().fallback(take).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, shared }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }
    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }
    pub(crate) fn answers(&self, reply: Reply) {
        *self.shared.reply.lock().expect("the lock is not poisoned") = reply;
    }
    /// Whoever hangs is answered.
    pub(crate) fn goes_on(&self) {
        self.shared.go_on.notify_waiters();
    }
    pub(crate) fn got(&self) -> Vec<ReceivedWebhook> {
        self.shared.got.lock().expect("the lock is not poisoned").clone()
    }
    pub(crate) fn count(&self) -> usize {
        self.shared.got.lock().expect("the lock is not poisoned").len()
    }
    /// The most requests that were open at once.
    pub(crate) fn most_at_once(&self) -> usize {
        self.shared.most.load(Ordering::SeqCst)
    }
    /// What it got, once there is so much.
    pub(crate) async fn gets(&self, count: usize) -> Vec<ReceivedWebhook> {
        let look = || async {
            let got = self.got();
            (got.len() >= count).then_some(got)
        };
        eventually_or(|| format!("{count} webhooks arrive, not {}", self.count()), look).await
    }
}

/// One request less, also when its sender hangs up.
struct Busy(Arc<Shared>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn take(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let busy = shared.busy.fetch_add(1, Ordering::SeqCst) + 1;
    let _busy = Busy(shared.clone());
    shared.most.fetch_max(busy, Ordering::SeqCst);
    // Before it counts as got, so that whoever waits for it finds this one waiting.
    let go_on = shared.go_on.notified();
    tokio::pin!(go_on);
    go_on.as_mut().enable();
    let path = uri.path().to_owned();
    shared
        .got
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
        Reply::Hang => {
            go_on.await;
            StatusCode::NO_CONTENT.into_response()
        }
    }
}

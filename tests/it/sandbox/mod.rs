//! The simulated Close over HTTP, as any client uses it. These tests do not use the service.

#![expect(
    clippy::unwrap_used,
    reason = "a failed unwrap fails the test, also in shared helpers"
)]

use std::time::{Duration, Instant};

use close_sandbox::{Options, Sandbox, Settings};
use reqwest::{Client, Method, Response};
use serde_json::Value;

pub(crate) mod closeio;
mod event;
mod fault;
mod listing;
mod number;
mod organization;
mod snapshot;
mod webhook;

const RENT: &str = "/phone_number/request/internal/";
/// The longest wait for a condition. It is generous because the machine may be busy.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A running sandbox and a client for it.
struct Close {
    sandbox: Sandbox,
    http: Client,
}

impl Close {
    async fn start() -> Self {
        Self::with(Settings::default()).await
    }

    async fn with(settings: Settings) -> Self {
        let sandbox = Sandbox::start(Options {
            settings,
            ..Options::default()
        })
        .await
        .unwrap();
        let http = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self { sandbox, http }
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> reqwest::Result<Response> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.sandbox.base_url()))
            .basic_auth(self.sandbox.api_key(), Some(""));
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let response = self.send(method, path, body).await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.bytes().await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call(Method::GET, path, None).await
    }

    async fn put(&self, path: &str, body: Value) -> (u16, Value) {
        self.call(Method::PUT, path, Some(body)).await
    }

    async fn rent(&self, body: Value) -> (u16, Value) {
        self.call(Method::POST, RENT, Some(body)).await
    }

    /// Rents a number and returns its id.
    async fn rented(&self, body: Value) -> String {
        let (status, number) = self.rent(body).await;
        assert_eq!(status, 201, "{number}");
        number["id"].as_str().unwrap().to_owned()
    }

    async fn control(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = self.http.request(
            method,
            format!("http://{}/_control/{path}", self.sandbox.address()),
        );
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (
            status,
            serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or(Value::Null),
        )
    }

    async fn set(&self, settings: Value) {
        let (status, answer) = self.control(Method::POST, "settings", Some(settings)).await;
        assert_eq!(status, 200, "{answer}");
    }

    async fn fault(&self, fault: Value) {
        let (status, answer) = self.control(Method::POST, "faults", Some(fault)).await;
        assert_eq!(status, 201, "{answer}");
    }

    async fn clear_faults(&self) {
        self.control(Method::DELETE, "faults", None).await;
    }

    async fn numbers(&self) -> Vec<Value> {
        let (_, numbers) = self.control(Method::GET, "numbers", None).await;
        numbers.as_array().unwrap().clone()
    }

    async fn requests(&self, query: &str) -> Vec<Value> {
        let (_, requests) = self
            .control(Method::GET, &format!("requests?{query}"), None)
            .await;
        requests.as_array().unwrap().clone()
    }

    /// Returns once this many numbers were rented, counting those that were released.
    async fn until_rented(&self, count: usize) {
        let deadline = Instant::now() + TIMEOUT;
        while self.numbers().await.len() < count {
            assert!(
                Instant::now() < deadline,
                "{count} numbers were not rented in time"
            );
            tokio::task::yield_now().await;
        }
    }

    /// Returns the users, groups and credentials of the simulated organization.
    async fn organization(&self) -> Value {
        self.control(Method::GET, "world", None).await.1
    }

    async fn user(&self, index: usize) -> String {
        self.organization().await["users"][index]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    async fn group(&self, index: usize) -> String {
        self.organization().await["groups"][index]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

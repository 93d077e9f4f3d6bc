//! The simulated Close, driven through its control routes.

use std::net::SocketAddr;

use close_sandbox::{Options, Sandbox};
use serde_json::{Value, json};

use crate::support::epoch::with_epoch;

/// The path of the request that rents a number, the only one that costs money.
pub(crate) const RENT: &str = "/phone_number/request/internal/";

/// A running simulation of Close.
pub(crate) struct FakeClose {
    sandbox: Sandbox,
    client: reqwest::Client,
    organization: Value,
}

impl FakeClose {
    pub(crate) async fn start(options: Options) -> Self {
        let sandbox = Sandbox::start(with_epoch(options))
            .await
            .expect("the simulated Close starts");
        let client = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client is built");
        let mut close = Self {
            sandbox,
            client,
            organization: Value::Null,
        };
        close.organization = close.control("GET", "world", None).await;
        close
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.sandbox.address()
    }

    pub(crate) fn base_url(&self) -> String {
        self.sandbox.base_url()
    }

    pub(crate) fn api_key(&self) -> &str {
        self.sandbox.api_key()
    }

    /// Returns the ids of the users, the owner of the API key first. The first four may make calls.
    pub(crate) fn users(&self) -> Vec<String> {
        ids(&self.organization["users"])
    }

    /// Returns the ids of three groups. Their members: users 1 and 2; users 2 to 4; none.
    pub(crate) fn groups(&self) -> Vec<String> {
        ids(&self.organization["groups"])
    }

    /// Arms one fault, or a list of faults.
    pub(crate) async fn fault(&self, fault: Value) {
        self.control("POST", "faults", Some(fault)).await;
    }

    pub(crate) async fn clear_faults(&self) {
        self.control("DELETE", "faults", None).await;
    }

    pub(crate) async fn set(&self, settings: Value) {
        self.control("POST", "settings", Some(settings)).await;
    }

    /// Returns the recorded requests with this method and path. In the path `{id}` matches any segment.
    pub(crate) async fn requests(&self, method: &str, path: &str) -> Vec<Value> {
        list(
            self.control("GET", &format!("requests?method={method}&path={path}"), None)
                .await,
        )
    }

    /// Returns all recorded requests.
    pub(crate) async fn all_requests(&self) -> Vec<Value> {
        list(self.control("GET", "requests", None).await)
    }

    /// Returns the recorded requests once there are `at_least` of them.
    pub(crate) async fn wait_for_requests(&self, method: &str, path: &str, at_least: usize) -> Vec<Value> {
        let route = format!("requests?method={method}&path={path}&at_least={at_least}&timeout=30s");
        let found = list(self.control("GET", &route, None).await);
        assert!(
            found.len() >= at_least,
            "{method} {path} was requested {} times, not {at_least}",
            found.len()
        );
        found
    }

    /// Returns the recorded requests that rent a number.
    pub(crate) async fn rents(&self) -> Vec<Value> {
        self.requests("POST", RENT).await
    }

    /// Returns all numbers, also those that were released.
    pub(crate) async fn numbers(&self) -> Vec<Value> {
        list(self.control("GET", "numbers", None).await)
    }

    /// Returns the numbers that are rented now.
    pub(crate) async fn held(&self) -> Vec<Value> {
        self.numbers()
            .await
            .into_iter()
            .filter(|number| number["_control"]["state"] == "rented")
            .collect()
    }

    /// Returns the event log of phone numbers, read through the API, in no particular order.
    pub(crate) async fn log(&self) -> Vec<Value> {
        let mut found = Vec::new();
        for action in ["created", "updated", "deleted"] {
            let mut cursor = String::new();
            loop {
                let url = format!(
                    "{}/event/?object_type=phone_number&action={action}&_limit=50{cursor}",
                    self.base_url()
                );
                let request = self.client.get(url).basic_auth(self.api_key(), Some(""));
                let answer = request.send().await.expect("the simulated Close answers");
                let page: Value = answer.json().await.expect("a page");
                found.extend(page["data"].as_array().expect("a page has data").iter().cloned());
                match page["cursor_next"].as_str() {
                    Some(next) => cursor = format!("&_cursor={next}"),
                    None => break,
                }
            }
        }
        found
    }

    /// Rents a number as a person does who uses Close directly.
    pub(crate) async fn person_rents(&self, fields: Value) -> Value {
        self.control("POST", "numbers", Some(fields)).await
    }

    /// Changes fields of a number as a person does who uses Close directly. All values are accepted.
    pub(crate) async fn person_changes(&self, id: &str, fields: Value) {
        self.control("PATCH", &format!("numbers/{id}"), Some(fields))
            .await;
    }

    /// Writes an event about the creation of a number that does not exist. Clients see these members of it.
    pub(crate) async fn odd_event(&self, shown: Value) {
        self.control("POST", "events", Some(shown)).await;
    }

    /// Releases a number as a person does who uses Close directly.
    pub(crate) async fn person_releases(&self, id: &str) {
        self.control("DELETE", &format!("numbers/{id}"), None).await;
    }

    /// Releases a number without an event.
    pub(crate) async fn person_releases_silently(&self, id: &str) {
        self.control("DELETE", &format!("numbers/{id}?silent=true"), None)
            .await;
    }

    pub(crate) async fn stop(self) {
        self.sandbox.stop().await;
    }

    /// Sends a request with the API key, and returns the status and the JSON body.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let method = method.parse().expect("a method");
        let mut request = self.client.request(method, format!("{}{path}", self.base_url()));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.basic_auth(self.api_key(), Some("")).send().await;
        let answer = answer.expect("the simulated Close answers");
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    /// Returns the webhook subscriptions, read through the API.
    pub(crate) async fn subscriptions(&self) -> Vec<Value> {
        list(self.call("GET", "/webhook/", None).await.1["data"].take())
    }

    async fn control(&self, method: &str, route: &str, body: Option<Value>) -> Value {
        let url = format!("http://{}/_control/{route}", self.sandbox.address());
        let method = method.parse().expect("a method");
        let mut request = self.client.request(method, url);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("the simulated Close answers");
        let (status, text) = (
            answer.status(),
            answer.text().await.expect("an answer has a body"),
        );
        assert!(status.is_success(), "{route}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(json!(null))
    }
}

fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        other => panic!("not a list: {other}"),
    }
}

fn ids(items: &Value) -> Vec<String> {
    items
        .as_array()
        .into_iter()
        .flatten()
        .map(|item| item["id"].as_str().expect("every item has an id").to_owned())
        .collect()
}

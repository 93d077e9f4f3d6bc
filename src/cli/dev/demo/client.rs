//! The requests of the demo to the service and to the simulated Close.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

use super::print::request;
use crate::cli::dev::environment::Environment;

/// How long the demo waits for a change that the service makes by itself.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The pause between two requests while it waits.
const PAUSE: Duration = Duration::from_millis(200);

/// The status and the JSON of a response.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Value,
}

/// Sends requests with the tokens of the personas.
pub(super) struct Client<'a> {
    environment: &'a Environment,
    http: reqwest::Client,
}

impl<'a> Client<'a> {
    pub(super) fn new(environment: &'a Environment) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { environment, http })
    }

    /// Orders a number and prints the request.
    pub(super) async fn order(&self, who: &str, key: &str, body: &Value) -> anyhow::Result<Answer> {
        request(&format!("POST /v1/orders  {body}"))?;
        let order = self.http.post(format!("{}/v1/orders", self.environment.api));
        let order = order.header("Idempotency-Key", key).json(body);
        send(order.bearer_auth(self.environment.token(who))).await
    }

    /// Asks, without printing, what the policy says about an order.
    pub(super) async fn validate(&self, who: &str, body: &Value) -> anyhow::Result<Value> {
        let order = self
            .http
            .post(format!("{}/v1/orders/validate", self.environment.api));
        expect_success(order.json(body).bearer_auth(self.environment.token(who))).await
    }

    /// Sends a POST without a body and prints the request.
    pub(super) async fn post(&self, who: &str, path: &str) -> anyhow::Result<Answer> {
        request(&format!("POST {path}"))?;
        let post = self.http.post(format!("{}{path}", self.environment.api));
        send(post.bearer_auth(self.environment.token(who))).await
    }

    /// Reads a path and prints the request.
    pub(super) async fn get(&self, who: &str, path: &str) -> anyhow::Result<Value> {
        request(&format!("GET {path}"))?;
        self.read(who, path).await
    }

    /// Reads a path without printing.
    pub(super) async fn read(&self, who: &str, path: &str) -> anyhow::Result<Value> {
        let get = self.http.get(format!("{}{path}", self.environment.api));
        expect_success(get.bearer_auth(self.environment.token(who))).await
    }

    /// Controls the simulated Close and prints the request. `what` is the method and the path.
    pub(super) async fn control(&self, what: (reqwest::Method, &str), body: &Value) -> anyhow::Result<()> {
        let (method, path) = what;
        let url = format!("{}/_control{path}", self.environment.close);
        request(&format!("{method} {url}  {body}"))?;
        expect_success(self.http.request(method, url).json(body))
            .await
            .map(drop)
    }

    /// Whether the team of the personas has ever ordered anything.
    pub(super) async fn has_orders(&self) -> anyhow::Result<bool> {
        let page = self.read("alice", "/v1/orders?limit=1").await?;
        Ok(page["data"].as_array().is_some_and(|orders| !orders.is_empty()))
    }

    /// Returns the id of the newest event of the team; `None` if there is none.
    pub(super) async fn last_event(&self) -> anyhow::Result<Option<String>> {
        let mut last: Option<String> = None;
        loop {
            let after = last
                .as_ref()
                .map_or_else(String::new, |last| format!("&after={last}"));
            let page = self
                .read("alice", &format!("/v1/events?limit=200{after}"))
                .await?;
            let Some(event) = page["data"].as_array().and_then(|events| events.last()) else {
                return Ok(last);
            };
            last = event["id"].as_str().map(str::to_owned);
        }
    }

    /// Reads the path until `found` returns a value.
    pub(super) async fn until<T>(
        &self,
        problem: &str,
        path: &str,
        found: impl Fn(Value) -> Option<T>,
    ) -> anyhow::Result<T> {
        self.poll(problem, &format!("{}{path}", self.environment.api), found)
            .await
    }

    /// Waits until Close sends the service its webhooks.
    pub(super) async fn until_subscribed(&self) -> anyhow::Result<()> {
        let url = format!("{}/readyz", self.environment.ops);
        let subscribed = |ready: Value| (ready["webhooks"] == "ok").then_some(());
        self.poll("Close sends the service no webhooks", &url, subscribed)
            .await
    }

    /// Waits until the order is finished, prints the request, and returns the order.
    pub(super) async fn finished_order(&self, order: &Value) -> anyhow::Result<Value> {
        let path = format!("/v1/orders/{}", order["id"].as_str().unwrap_or_default());
        let finished = |order: Value| order["finished_at"].is_string().then_some(order);
        let order = self.until("the order was not finished", &path, finished).await?;
        request(&format!("GET {path}"))?;
        Ok(order)
    }

    async fn poll<T>(
        &self,
        problem: &str,
        url: &str,
        found: impl Fn(Value) -> Option<T>,
    ) -> anyhow::Result<T> {
        let end = tokio::time::Instant::now() + TIMEOUT;
        while tokio::time::Instant::now() < end {
            let get = self.http.get(url).bearer_auth(self.environment.token("alice"));
            if let Some(found) = found(send(get).await?.body) {
                return Ok(found);
            }
            tokio::time::sleep(PAUSE).await;
        }
        bail!("{problem} within {} s", TIMEOUT.as_secs())
    }
}

async fn send(request: RequestBuilder) -> anyhow::Result<Answer> {
    let answer = request.send().await.context("the service does not respond")?;
    let status = answer.status();
    let body = answer.json().await.context("the response is not JSON")?;
    Ok(Answer { status, body })
}

async fn expect_success(request: RequestBuilder) -> anyhow::Result<Value> {
    let Answer { status, body } = send(request).await?;
    ensure!(status.is_success(), "unexpected response {status}: {body}");
    Ok(body)
}

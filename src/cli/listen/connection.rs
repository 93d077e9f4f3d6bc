//! One connection to the event stream.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::StatusCode;
use reqwest::header::ACCEPT;
use serde_json::Value;

use super::access::Target;
use super::message::{Message, Parser};
use crate::domain::loopback::is_loopback;

/// How long the service may take to accept the connection and to send its headers.
const OPEN_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the stream may be silent. The service sends a comment every 15 seconds.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);
/// The longest line of the stream. An event is much shorter.
const MAX_LINE: usize = 1_000_000;

/// Why there is no connection.
pub(super) enum Refused {
    /// There is no token.
    NoToken(anyhow::Error),
    /// The service cannot be reached, or cannot serve the stream now.
    Unavailable(String),
    /// The token is not valid (any more).
    Unauthorized(String),
    /// The event to resume after no longer exists, or another part of the request is not valid.
    Gone(String),
    /// The token lacks a permission, or the address is not that of the service.
    Forbidden(String),
}

/// A connection to the event stream.
pub(super) struct Connection {
    response: reqwest::Response,
    parser: Parser,
}

impl Connection {
    /// Connects; `last` is the id of the event to resume after.
    pub(super) async fn open(
        target: &Target,
        query: &[(&'static str, String)],
        last: Option<&str>,
    ) -> Result<Self, Refused> {
        let unavailable = |error: reqwest::Error| {
            Refused::Unavailable(format!(
                "{} does not respond: {:#}",
                target.api,
                anyhow::Error::new(error.without_url())
            ))
        };
        let mut client = reqwest::Client::builder()
            .connect_timeout(OPEN_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none());
        // A proxy from the environment cannot reach a service on this machine.
        if is_loopback(&target.api) {
            client = client.no_proxy();
        }
        let client = client.build().map_err(unavailable)?;
        let url = format!("{}/v1/events/stream", target.api.as_str().trim_end_matches('/'));
        let mut request = client
            .get(url)
            .query(query)
            .bearer_auth(&target.token)
            .header(ACCEPT, "text/event-stream");
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let response = tokio::time::timeout(OPEN_TIMEOUT, request.send())
            .await
            .map_err(|_| Refused::Unavailable(format!("{} does not respond in time", target.api)))?
            .map_err(unavailable)?;
        let status = response.status();
        if status.is_success() {
            return Ok(Self {
                response,
                parser: Parser::default(),
            });
        }
        let reason = reason(response).await;
        Err(match status {
            StatusCode::UNAUTHORIZED => Refused::Unauthorized(reason),
            StatusCode::BAD_REQUEST => Refused::Gone(reason),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Refused::Unavailable(reason),
            StatusCode::NOT_FOUND => Refused::Forbidden(format!(
                "{reason}; --team must name a team of the token, and --api the service"
            )),
            status if status.is_server_error() => Refused::Unavailable(reason),
            _ => Refused::Forbidden(reason),
        })
    }

    /// Returns the URL of the stream.
    pub(super) fn url(&self) -> &str {
        self.response.url().as_str()
    }

    /// Waits for the next message; `None` when the service has ended the stream.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Message>> {
        loop {
            if let Some(message) = self.parser.next() {
                return Ok(Some(message));
            }
            ensure!(
                self.parser.pending() <= MAX_LINE,
                "a line is too long for an event"
            );
            let chunk = tokio::time::timeout(IDLE_TIMEOUT, self.response.chunk())
                .await
                .with_context(|| format!("nothing arrived for {} s", IDLE_TIMEOUT.as_secs()))?;
            match chunk.map_err(reqwest::Error::without_url)? {
                Some(bytes) => self.parser.push(&bytes),
                None => return Ok(None),
            }
        }
    }
}

/// Returns the status and the explanation of the problem document.
async fn reason(response: reqwest::Response) -> String {
    let status = response.status();
    let body = tokio::time::timeout(OPEN_TIMEOUT, response.json::<Value>()).await;
    let problem = body.ok().and_then(Result::ok).unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let first = &problem["errors"][0];
    let fault = text(&first["pointer"]).zip(text(&first["message"]));
    let reason = fault
        .map(|(pointer, message)| format!("{pointer} {message}"))
        .or_else(|| text(&problem["detail"]))
        .or_else(|| text(&problem["title"]));
    reason.map_or_else(|| status.to_string(), |reason| format!("{status}: {reason}"))
}

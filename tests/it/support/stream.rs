//! A reader of server-sent events that can resume after an event id, like a browser's `EventSource`.

use reqwest::RequestBuilder;
use serde_json::Value;

use crate::support::server::text;

/// The longest wait for one event.
const EVENT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// One connection to the event stream.
pub(crate) struct Stream {
    response: reqwest::Response,
    unread: String,
}

/// A received event.
#[derive(Debug, Clone)]
pub(crate) struct ReceivedEvent {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) event: Value,
}

impl Stream {
    /// Opens a stream of the events after the id `last`, or of those from now on.
    pub(crate) async fn open(request: RequestBuilder, last: Option<&str>) -> Self {
        Self::try_open(request, last).await.expect("the server responds")
    }

    /// Opens a stream; `None` if the server does not respond. `last` is as in [`Self::open`].
    pub(crate) async fn try_open(request: RequestBuilder, last: Option<&str>) -> Option<Self> {
        let request = match last {
            Some(last) => request.header("Last-Event-ID", last),
            None => request,
        };
        let response = request.send().await.ok()?;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Some(Self {
            response,
            unread: String::new(),
        })
    }

    /// Returns the id with which the stream begins, before any event.
    pub(crate) async fn begins_after(&mut self) -> String {
        let retry = self.message().await;
        assert_eq!(retry, "retry: 3000\n\n");
        let first = self.message().await;
        let id = first.strip_prefix("id: ").and_then(|id| id.strip_suffix("\n\n"));
        id.unwrap_or_else(|| panic!("`{first}` is not only an id"))
            .to_owned()
    }

    /// Returns the next message as text.
    async fn message(&mut self) -> String {
        loop {
            if let Some(end) = self.unread.find("\n\n") {
                return self.unread.drain(..end + 2).collect();
            }
            let chunk = tokio::time::timeout(EVENT_TIMEOUT, self.response.chunk())
                .await
                .expect("the stream goes on in time");
            let chunk = chunk.expect("the stream goes on").expect("the stream goes on");
            self.unread += std::str::from_utf8(&chunk).expect("events are UTF-8");
        }
    }

    /// Returns the next event; `None` if the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<ReceivedEvent> {
        tokio::time::timeout(EVENT_TIMEOUT, self.read())
            .await
            .expect("an event arrives in time")
    }

    async fn read(&mut self) -> Option<ReceivedEvent> {
        loop {
            while let Some(end) = self.unread.find("\n\n") {
                let message: String = self.unread.drain(..end + 2).collect();
                let event = parse(&message);
                if event.is_some() {
                    return event;
                }
            }
            // A connection that breaks also ends the stream.
            let chunk = self.response.chunk().await.ok()??;
            self.unread += std::str::from_utf8(&chunk).expect("events are UTF-8");
        }
    }
}

/// Parses a message with its three fields; `None` for a comment.
fn parse(message: &str) -> Option<ReceivedEvent> {
    let field = |name: &str| {
        let mut lines = message.lines().filter_map(|line| line.strip_prefix(name));
        lines.next().map(|value| value.trim_start().to_owned())
    };
    let event: Value = serde_json::from_str(&field("data:")?).expect("an event is JSON");
    let received = ReceivedEvent {
        id: field("id:").expect("an event has an id"),
        kind: field("event:").expect("an event has a type"),
        event,
    };
    assert_eq!(received.id, text(&received.event["id"]));
    assert_eq!(received.kind, text(&received.event["type"]));
    Some(received)
}

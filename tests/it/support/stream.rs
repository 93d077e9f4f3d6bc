//! A reader of server-sent events that resumes like a browser's `EventSource`: it keeps the last event id.

use reqwest::RequestBuilder;
use serde_json::Value;

use crate::support::server::text;

/// Longest that one message is waited for.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// One connection.
pub(crate) struct Stream {
    response: reqwest::Response,
    unread: String,
}

/// One event as it came.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) event: Value,
}

impl Stream {
    /// Opens it; what comes from now on, or after `last`, is read.
    pub(crate) async fn open(request: RequestBuilder, last: Option<&str>) -> Self {
        Self::try_open(request, last).await.expect("the desk answers")
    }

    /// The same, unless nobody is there.
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

    /// The next event; `None` when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        tokio::time::timeout(PATIENCE, self.read())
            .await
            .expect("something comes in time")
    }

    async fn read(&mut self) -> Option<Told> {
        loop {
            while let Some(end) = self.unread.find("\n\n") {
                let message: String = self.unread.drain(..end + 2).collect();
                let told = parse(&message);
                if told.is_some() {
                    return told;
                }
            }
            // A connection that breaks off has ended, too.
            let chunk = self.response.chunk().await.ok()??;
            self.unread += std::str::from_utf8(&chunk).expect("events are UTF-8");
        }
    }
}

/// A message with its three lines; a comment is none.
fn parse(message: &str) -> Option<Told> {
    let field = |name: &str| {
        let mut lines = message.lines().filter_map(|line| line.strip_prefix(name));
        lines.next().map(|value| value.trim_start().to_owned())
    };
    let event: Value = serde_json::from_str(&field("data:")?).expect("an event is JSON");
    let told = Told {
        id: field("id:").expect("an event has an id"),
        kind: field("event:").expect("an event has a type"),
        event,
    };
    assert_eq!(told.id, text(&told.event["id"]));
    assert_eq!(told.kind, text(&told.event["type"]));
    Some(told)
}

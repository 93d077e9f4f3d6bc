//! The requests that the simulation received, without credentials.

use serde_json::{Map, Value, json};

use crate::faults::fault::path_matches;
use crate::request::Request;
use crate::time::with_offset;

/// How many requests are kept; the oldest are dropped first.
const CAPACITY: usize = 50_000;

/// The received requests, oldest first.
#[derive(Default)]
pub(crate) struct RequestLog(Vec<LoggedRequest>);

/// One request and its outcome.
struct LoggedRequest {
    seq: u64,
    method: String,
    path: String,
    view: Value,
}

impl RequestLog {
    pub(crate) fn add(&mut self, request: &Request, authorized: bool) {
        if self.0.len() >= CAPACITY {
            self.0.remove(0);
        }
        self.0.push(LoggedRequest::new(request, authorized));
    }

    /// Records the status that the client received, if any, and how the response ended.
    pub(crate) fn set_ending(&mut self, request: &Request, status: Option<u16>, ending: &str) {
        if let Some(logged) = self.find(request) {
            logged.view["status"] = status.into();
            logged.view["ending"] = ending.into();
        }
    }

    /// Records that the request changed something.
    pub(crate) fn set_effect(&mut self, request: &Request) {
        if let Some(logged) = self.find(request) {
            logged.view["effect"] = true.into();
        }
    }

    /// The requests with this method and a path that matches this pattern; `None` selects all.
    pub(crate) fn list(&self, method: Option<&str>, path: Option<&str>) -> Vec<Value> {
        self.0
            .iter()
            .filter(|logged| {
                method.is_none_or(|method| method.eq_ignore_ascii_case(&logged.method))
                    && path.is_none_or(|path| path_matches(path, &logged.path))
            })
            .map(|logged| logged.view.clone())
            .collect()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    fn find(&mut self, request: &Request) -> Option<&mut LoggedRequest> {
        self.0.iter_mut().rev().find(|logged| logged.seq == request.seq)
    }
}

impl LoggedRequest {
    fn new(request: &Request, authorized: bool) -> Self {
        let mut headers = Map::new();
        for (name, value) in &request.headers {
            let shown = if name.eq_ignore_ascii_case("authorization") {
                let scheme = value.split(' ').next().unwrap_or_default();
                format!("{scheme} ({})", if authorized { "valid" } else { "invalid" })
            } else {
                value.clone()
            };
            headers.insert(name.clone(), shown.into());
        }
        let query: Map<String, Value> = request
            .query
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect();
        let body = if request.body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&request.body)
                .unwrap_or_else(|_| String::from_utf8_lossy(&request.body).into_owned().into())
        };
        let view = json!({
            "seq": request.seq,
            "at": with_offset(request.at),
            "method": request.method,
            "path": request.resource(),
            "query": query,
            "headers": headers,
            "body": body,
            "request_id": request.request_id,
            "status": null,
            "ending": "pending",
            "effect": false,
        });
        Self {
            seq: request.seq,
            method: request.method.clone(),
            path: request.resource().to_owned(),
            view,
        }
    }
}

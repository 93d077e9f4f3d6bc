//! What was asked of the simulated Close, request by request, without what authenticates.

use serde_json::{Map, Value, json};

use crate::faults::fault::path_meets;
use crate::json::with_offset;
use crate::request::Call;
use crate::state::World;

/// Requests remembered at most; the oldest go first.
const KEPT: usize = 50_000;

/// One request and what became of it.
pub(crate) struct Record {
    seq: u64,
    method: String,
    path: String,
    view: Value,
}

impl Record {
    fn new(call: &Call, authorized: bool) -> Self {
        let mut headers = Map::new();
        for (name, value) in &call.headers {
            let shown = if name.eq_ignore_ascii_case("authorization") {
                let scheme = value.split(' ').next().unwrap_or_default();
                format!("{scheme} ({})", if authorized { "valid" } else { "invalid" })
            } else {
                value.clone()
            };
            headers.insert(name.clone(), shown.into());
        }
        let query: Map<String, Value> = call
            .query
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect();
        let body = if call.body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&call.body)
                .unwrap_or_else(|_| String::from_utf8_lossy(&call.body).into_owned().into())
        };
        let view = json!({
            "seq": call.seq,
            "at": with_offset(call.at),
            "method": call.method,
            "path": call.resource(),
            "query": query,
            "headers": headers,
            "body": body,
            "request_id": call.request_id,
            "status": null,
            "ending": "pending",
            "effect": false,
        });
        Self {
            seq: call.seq,
            method: call.method.clone(),
            path: call.resource().to_owned(),
            view,
        }
    }
}

impl World {
    pub(crate) fn record(&mut self, call: &Call, authorized: bool) {
        if self.requests.len() >= KEPT {
            self.requests.remove(0);
        }
        self.requests.push(Record::new(call, authorized));
    }

    /// The status that the client was given (none when it was given none), and how the answer ended.
    pub(crate) fn record_ending(&mut self, call: &Call, status: Option<u16>, ending: &str) {
        if let Some(record) = self.find_record(call) {
            record.view["status"] = status.into();
            record.view["ending"] = ending.into();
        }
    }

    /// That the request changed something.
    pub(crate) fn record_effect(&mut self, call: &Call) {
        if let Some(record) = self.find_record(call) {
            record.view["effect"] = true.into();
        }
    }

    pub(crate) fn recorded(&self, method: Option<&str>, path: Option<&str>) -> Vec<Value> {
        self.requests
            .iter()
            .filter(|record| {
                method.is_none_or(|method| method.eq_ignore_ascii_case(&record.method))
                    && path.is_none_or(|path| path_meets(path, &record.path))
            })
            .map(|record| record.view.clone())
            .collect()
    }

    fn find_record(&mut self, call: &Call) -> Option<&mut Record> {
        self.requests
            .iter_mut()
            .rev()
            .find(|record| record.seq == call.seq)
    }
}

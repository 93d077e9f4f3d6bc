//! A request as the endpoints see it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::response::Response;

/// A completely read request.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_field_names,
    reason = "`request_id` is the name of the field in Close's answers"
)]
pub(crate) struct Request {
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
    pub(crate) request_id: String,
    pub(crate) method: String,
    /// The full path, `/api/v1` included.
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Request {
    /// The path below `/api/v1`, with its leading slash.
    pub(crate) fn resource(&self) -> &str {
        self.path.strip_prefix("/api/v1").unwrap_or(&self.path)
    }

    /// The API key; `None` unless it is sent as Basic credentials.
    pub(crate) fn basic_key(&self) -> Option<String> {
        let (scheme, rest) = self.header("authorization")?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let plain = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
        plain.split(':').next().map(str::to_owned)
    }

    /// Whether this request rents a number.
    pub(crate) fn is_rent(&self) -> bool {
        self.method == "POST" && self.resource() == "/phone_number/request/internal/"
    }

    /// A query parameter: the last one if repeated, `None` if empty.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        let value = self
            .query
            .iter()
            .rev()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str());
        value.filter(|value| !value.is_empty())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as a JSON object; 415 for another content type, 400 for other content.
    pub(crate) fn object(&self) -> Result<Map<String, Value>, Response> {
        let is_json = self
            .header("content-type")
            .and_then(|value| value.split(';').next())
            .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"));
        if !is_json {
            return Err(Response::error(415, "Content-Type must be application/json."));
        }
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err(Response::invalid("The request body must be a JSON object.")),
            Err(_) => Err(Response::error(400, "The request contains invalid JSON.")),
        }
    }

    /// A query parameter that is a whole number from 0 to `max`, or the default if it is absent.
    pub(crate) fn count(&self, name: &str, default: usize, max: usize) -> Result<usize, Response> {
        let Some(text) = self.param(name) else {
            return Ok(default);
        };
        let Ok(number) = text.parse::<i64>() else {
            return Err(Response::invalid_field(name, "Input should be a valid integer"));
        };
        match usize::try_from(number) {
            Ok(number) if number <= max => Ok(number),
            Ok(_) => Err(Response::invalid_field(
                name,
                &format!("Input should be less than or equal to {max}"),
            )),
            Err(_) => Err(Response::invalid_field(
                name,
                "Input should be greater than or equal to 0",
            )),
        }
    }

    /// Keeps only the fields that `_fields` names; without `_fields`, all.
    pub(crate) fn select(&self, object: Value) -> Value {
        match (self.param("_fields"), object) {
            (Some(wanted), Value::Object(mut fields)) => {
                let wanted: Vec<&str> = wanted.split(',').map(str::trim).collect();
                fields.retain(|name, _| wanted.contains(&name.as_str()));
                Value::Object(fields)
            }
            (_, object) => object,
        }
    }

    /// One page of a list by `_skip` and `_limit`, in Close's envelope. `cap` is the largest `_limit`.
    pub(crate) fn page(&self, mut all: Vec<Value>, cap: usize) -> Result<Response, Response> {
        let skip = self.count("_skip", 0, usize::MAX)?;
        let limit = self.count("_limit", cap.min(100), cap)?;
        if limit == 0 {
            return Err(Response::invalid_field(
                "_limit",
                "Input should be greater than or equal to 1",
            ));
        }
        let mut rest = all.split_off(skip.min(all.len()));
        let has_more = rest.len() > limit;
        rest.truncate(limit);
        let data: Vec<Value> = rest.into_iter().map(|object| self.select(object)).collect();
        Ok(Response::json(
            200,
            &serde_json::json!({ "data": data, "has_more": has_more }),
        ))
    }
}

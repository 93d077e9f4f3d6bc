//! How a fault changes a response: status, headers and body. The server does the rest while it sends it.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::request::Request;
use crate::response::Response;

/// What the client receives instead of the real response.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum FaultAnswer {
    Replacement(Replacement),
    Named(Corruption),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replacement {
    pub(crate) status: u16,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    body: Value,
}

/// How a response is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Corruption {
    /// The connection closes before the first byte.
    DropBeforeHeaders,
    /// The connection closes in the middle of the body.
    DropInBody,
    /// The body is neither JSON nor UTF-8.
    Garbage,
    /// The body is cut in half, but `content-length` matches, so HTTP clients accept it.
    Truncate,
    /// No response until the client closes the connection.
    Hang,
    /// A practically endless body.
    Huge,
    /// 307 to the same URL.
    Redirect,
}

const CORRUPTIONS: &str = "drop_before_headers, drop_in_body, garbage, truncate, hang, huge, redirect";

impl<'de> Deserialize<'de> for FaultAnswer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        match &value {
            Value::String(name) => serde_json::from_value(value.clone())
                .map(Self::Named)
                .map_err(|_| {
                    D::Error::custom(format!(
                        "unknown answer `{name}`: use an object with `status`, or one of {CORRUPTIONS}"
                    ))
                }),
            Value::Object(_) => serde_json::from_value(value)
                .map(Self::Replacement)
                .map_err(|error| D::Error::custom(format!("answer: {error}"))),
            _ => Err(D::Error::custom(format!(
                "`answer` must be an object with `status`, or one of {CORRUPTIONS}"
            ))),
        }
    }
}

impl Serialize for FaultAnswer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Replacement(instead) => instead.serialize(serializer),
            Self::Named(corruption) => corruption.serialize(serializer),
        }
    }
}

impl FaultAnswer {
    /// The response, and the damage that is left to the server.
    pub(crate) fn apply(
        &self,
        real: Option<Response>,
        request: &Request,
        location: &str,
    ) -> (Response, Option<Corruption>) {
        // The response to damage if the request was not executed.
        let whole = real.unwrap_or_else(|| {
            let status = if request.is_rent() { 201 } else { 200 };
            Response::json(
                status,
                &json!({"id": "phon_", "number": "+10000000000", "data": [], "has_more": false}),
            )
        });
        match self {
            Self::Replacement(instead) => (instead.build(), None),
            Self::Named(Corruption::Garbage) => (
                Response {
                    body: b"\xff\xfe\x00{]not json at all\x80".to_vec(),
                    ..whole
                },
                None,
            ),
            Self::Named(Corruption::Truncate) => {
                let half = whole.body.len() / 2;
                (
                    Response {
                        body: whole.body[..half].to_vec(),
                        ..whole
                    },
                    None,
                )
            }
            Self::Named(Corruption::Redirect) => {
                (Response::empty(307).with_header("location", location), None)
            }
            Self::Named(on_the_wire) => (whole, Some(*on_the_wire)),
        }
    }
}

impl Replacement {
    fn build(&self) -> Response {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut answer = match &self.body {
            Value::Null => Response::empty(self.status),
            Value::String(body) => {
                let kind = if body.trim_start().starts_with('<') {
                    "text/html"
                } else {
                    "text/plain"
                };
                Response {
                    body: body.clone().into_bytes(),
                    ..Response::empty(self.status)
                }
                .with_header("content-type", kind)
            }
            json => Response::json(self.status, json),
        };
        for (name, value) in &self.headers {
            answer = answer.with_header(name, text(value));
        }
        answer
    }
}

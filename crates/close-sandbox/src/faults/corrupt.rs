//! What a fault makes of an answer, as far as it is a matter of status, headers and bytes; the rest is left to
//! the wire.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::request::Call;
use crate::response::Answer;

/// What becomes of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Broken {
    Instead(Instead),
    Named(Manner),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Instead {
    pub(crate) status: u16,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    body: Value,
}

/// How an answer is destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Manner {
    /// The connection is closed without a byte.
    DropBeforeHeaders,
    /// The connection is closed in the middle of the body.
    DropInBody,
    /// The body is no JSON and no UTF-8.
    Garbage,
    /// The body ends too early, though HTTP says that it is whole.
    Truncate,
    /// Nothing comes until the client closes.
    Hang,
    /// A body that does not end.
    Huge,
    /// 307 to the same place.
    Redirect,
}

const MANNERS: &str = "drop_before_headers, drop_in_body, garbage, truncate, hang, huge, redirect";

impl<'de> Deserialize<'de> for Broken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        match &value {
            Value::String(name) => serde_json::from_value(value.clone())
                .map(Self::Named)
                .map_err(|_| {
                    D::Error::custom(format!(
                        "unknown answer `{name}`: an object with `status`, or one of {MANNERS}"
                    ))
                }),
            Value::Object(_) => serde_json::from_value(value)
                .map(Self::Instead)
                .map_err(|failure| D::Error::custom(format!("answer: {failure}"))),
            _ => Err(D::Error::custom(format!(
                "`answer` is an object with `status`, or one of {MANNERS}"
            ))),
        }
    }
}

impl Serialize for Broken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Instead(instead) => instead.serialize(serializer),
            Self::Named(manner) => manner.serialize(serializer),
        }
    }
}

impl Broken {
    /// What the client gets, and what is left for the wire to do.
    pub(crate) fn apply(
        &self,
        real: Option<Answer>,
        call: &Call,
        location: &str,
    ) -> (Answer, Option<Manner>) {
        // What there is to destroy when no work was done.
        let whole = real.unwrap_or_else(|| {
            let status = if call.is_rent() { 201 } else { 200 };
            Answer::json(
                status,
                &json!({"id": "phon_", "number": "+10000000000", "data": [], "has_more": false}),
            )
        });
        match self {
            Self::Instead(instead) => (instead.build(), None),
            Self::Named(Manner::Garbage) => (
                Answer {
                    body: b"\xff\xfe\x00{]not json at all\x80".to_vec(),
                    ..whole
                },
                None,
            ),
            Self::Named(Manner::Truncate) => {
                let half = whole.body.len() / 2;
                (
                    Answer {
                        body: whole.body[..half].to_vec(),
                        ..whole
                    },
                    None,
                )
            }
            Self::Named(Manner::Redirect) => (Answer::empty(307).with_header("location", location), None),
            Self::Named(left) => (whole, Some(*left)),
        }
    }
}

impl Instead {
    fn build(&self) -> Answer {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut answer = match &self.body {
            Value::Null => Answer::empty(self.status),
            Value::String(body) => {
                let kind = if body.trim_start().starts_with('<') {
                    "text/html"
                } else {
                    "text/plain"
                };
                Answer {
                    body: body.clone().into_bytes(),
                    ..Answer::empty(self.status)
                }
                .with_header("content-type", kind)
            }
            json => Answer::json(self.status, json),
        };
        for (name, value) in &self.headers {
            answer = answer.with_header(name, text(value));
        }
        answer
    }
}

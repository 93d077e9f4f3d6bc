//! Request headers: `Idempotency-Key`, `Prefer`, `If-Match`, `If-None-Match` and `Accept`.

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::http::request::Parts;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{RefOr, Required, Schema};
use utoipa::{IntoParams, PartialSchema as _};

use crate::desk::Precondition;
use crate::domain::input::fault::Fault;
use crate::domain::order::{IdempotencyKey, NotAKey};
use crate::domain::schema::string;
use crate::http::extract::conditional::{self, Condition};
use crate::http::extract::negotiation::choices;
use crate::http::problem::Problem;
use crate::http::problem::problem_type::ProblemType;

/// Maximum time that a request waits for its order.
///
/// A longer `wait` in `Prefer` is shortened to this time.
const MAX_WAIT: Duration = Duration::from_mins(1);

/// The idempotency key, if the request has one.
pub(in crate::http) struct Key(pub(in crate::http) Option<IdempotencyKey>);

/// The maximum time to wait for the end of the order, from `Prefer: wait=…` (RFC 7240).
pub(in crate::http) struct Wait(pub(in crate::http) Option<Duration>);

/// The versions of a number that the request may change, from `If-Match`.
pub(in crate::http) struct IfMatch(pub(in crate::http) Option<Precondition>);

/// The versions of a number that the caller already has, from `If-None-Match`.
pub(in crate::http) struct IfNoneMatch(pub(in crate::http) Option<Condition>);

/// Whether the caller prefers CSV to JSON, from `Accept`.
pub(in crate::http) struct WantsCsv(pub(in crate::http) bool);

impl IntoParams for Key {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "Identifies the order when you retry. Use one key for each number that you want.";
        vec![
            header("Idempotency-Key", description, IdempotencyKey::schema())
                .required(Required::True)
                .build(),
        ]
    }
}

impl IntoParams for Wait {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description =
            "`wait=N`: the maximum time to wait for the end of the order, 0 to 60 seconds (RFC 7240).";
        let schema = string().examples(["wait=10"]);
        vec![header("Prefer", description, schema.into()).build()]
    }
}

impl IntoParams for IfMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description =
            "The `ETag` that you have read. If the number has changed since, the response is 412.";
        vec![header("If-Match", description, entity_tags()).build()]
    }
}

impl IntoParams for IfNoneMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "The `ETag`s that you have. If one of them is current, the response is 304.";
        vec![header("If-None-Match", description, entity_tags()).build()]
    }
}

/// Returns an optional header for the OpenAPI document.
fn header(name: &str, description: &str, schema: RefOr<Schema>) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema))
}

fn entity_tags() -> RefOr<Schema> {
    let list = r#"^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$"#;
    string().pattern(Some(list)).into()
}

impl<S: Send + Sync> FromRequestParts<S> for Key {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all("idempotency-key").iter();
        let Some(value) = values.next() else {
            return Ok(Self(None));
        };
        let key = match (value.to_str(), values.next()) {
            (_, Some(_)) => Err("must appear only once".to_owned()),
            (Ok(text), None) => text.parse().map_err(|fault: NotAKey| fault.to_string()),
            (Err(_), None) => Err(NotAKey.to_string()),
        };
        key.map(|key| Self(Some(key))).map_err(|message| {
            let pointer = "/headers/Idempotency-Key".to_owned();
            Problem::header_fault(ProblemType::IdempotencyKeyInvalid, &Fault { pointer, message })
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Wait {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(wait(&parts.headers)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for WantsCsv {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(wants_csv(&parts.headers)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(
            condition(&parts.headers, "If-Match")?.map(Condition::precondition),
        ))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        condition(&parts.headers, "If-None-Match").map(Self)
    }
}

/// Reads a condition. The pointer of its fault has the name as it is written here.
fn condition(headers: &HeaderMap, name: &'static str) -> Result<Option<Condition>, Problem> {
    let values: Option<Vec<&str>> = headers
        .get_all(name)
        .iter()
        .map(|value| value.to_str().ok())
        .collect();
    if values.as_ref().is_some_and(Vec::is_empty) {
        return Ok(None);
    }
    let condition = values.and_then(|values| conditional::parse(&values.join(",")));
    let invalid = || {
        Problem::fault(
            &format!("/headers/{name}"),
            "must be `*` or a list of ETags in double quotes",
        )
    };
    condition.map(Some).ok_or_else(invalid)
}

/// Parses the first `wait`. Ignores preferences that are not valid (RFC 7240 section 2).
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let texts = headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut preferences = texts.flat_map(|text| text.split(','));
    let seconds = preferences.find_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        let value = value.trim();
        let value = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'))
            .unwrap_or(value);
        name.trim().eq_ignore_ascii_case("wait").then(|| value.to_owned())
    })?;
    let digits = !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit());
    // Digits that exceed a `u64` mean the maximum.
    digits.then(|| {
        seconds
            .parse()
            .map_or(MAX_WAIT, Duration::from_secs)
            .min(MAX_WAIT)
    })
}

/// Returns whether `Accept` gives CSV a higher weight than JSON. Wildcards do not count.
fn wants_csv(headers: &HeaderMap) -> bool {
    let weight = |media_type: &str| {
        choices(headers, ACCEPT)
            .filter(|(choice, _)| choice == media_type)
            .map(|(_, weight)| weight)
            .fold(0.0, f32::max)
    };
    weight("text/csv") > weight("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn csv_is_preferred_only_if_accept_names_it_with_the_highest_weight() {
        let wants = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.append(ACCEPT, HeaderValue::from_static(value));
            wants_csv(&headers)
        };
        for csv in [
            "text/csv",
            "Text/CSV; header=present",
            "application/json;q=0.5, text/csv;q=0.9",
            "text/csv, */*",
        ] {
            assert!(wants(csv), "{csv}");
        }
        for json in [
            "",
            "*/*",
            "text/*",
            "application/json",
            "application/json, text/csv",
            "text/csv;q=0",
            "text/csv;q=x",
            "text/csvx",
            ",;q=,",
        ] {
            assert!(!wants(json), "{json}");
        }
        assert!(!wants_csv(&HeaderMap::new()));
    }

    fn seconds(values: &[&'static str]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("prefer", HeaderValue::from_static(value));
        }
        wait(&headers).map(|wait| wait.as_secs())
    }

    #[test]
    fn wait_is_found_among_other_preferences() {
        assert_eq!(seconds(&["wait=10"]), Some(10));
        assert_eq!(seconds(&["respond-async, WAIT = \"0\" ; x=1"]), Some(0));
        assert_eq!(seconds(&["handling=lenient", "wait=7, wait=9"]), Some(7));
        assert_eq!(seconds(&["wait=3600"]), Some(60));
        assert_eq!(seconds(&["wait=99999999999999999999999"]), Some(60));
    }

    #[test]
    fn an_invalid_preference_is_ignored() {
        for nonsense in [
            "wait",
            "wait=",
            "wait=-1",
            "wait=1.5",
            "wait=soon",
            "waiting=5",
            "",
            ",,;=",
            "wait=+5",
        ] {
            assert_eq!(seconds(&[nonsense]), None, "{nonsense}");
        }
        assert_eq!(seconds(&[]), None);
    }
}

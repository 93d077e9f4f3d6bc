//! Scripted faults: which requests they match, whether these are executed, and what the client receives.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::duration::{optional_duration, positive_duration};
use crate::faults::corrupt::{Corruption, FaultAnswer};
use crate::request::Request;
use crate::response::Response;

/// A scripted fault. As JSON:
///
/// ```json
/// {"method": "POST", "path": "/phone_number/request/internal/", "country": "DE", "after": 0, "times": 1,
///  "effect": true, "answer": {"status": 503, "headers": {"retry-after": "1"}, "body": "<html>…"}, "delay": "3s"}
/// ```
///
/// All members are optional:
///
/// * `method`, `path`, `country`: which requests the fault matches. `path` is compared segment by segment, and `{id}`
///   matches any segment. Without a trailing slash it matches every path that starts with it.
/// * `after`: how many matching requests are not affected first; `times`: how many are affected then (default: all).
/// * `answer`: a response, or one of `drop_before_headers`, `drop_in_body`, `garbage`, `truncate`, `hang`, `huge`,
///   `redirect`. Default: the real response.
/// * `effect`: whether the request is executed. Default: only if the client receives the real response.
/// * `effect_after`: executes the request that long after it arrived; the response does not wait for it.
/// * `delay`: how long the response waits.
/// * `refuse`: the request is a rent, and Close refuses it with this status, such as `has-voice-only`; `message` is the
///   text of the error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    country: Option<String>,
    #[serde(default)]
    after: u32,
    #[serde(default)]
    times: Option<u32>,
    #[serde(default)]
    effect: Option<bool>,
    #[serde(default, with = "optional_duration")]
    effect_after: Option<Duration>,
    #[serde(default)]
    answer: Option<FaultAnswer>,
    #[serde(default)]
    refuse: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default, with = "positive_duration")]
    delay: Duration,
}

/// Reads a fault or a list of faults. The error gives the number of the invalid fault and the reason.
pub fn faults_from_json(text: &str) -> Result<Vec<Fault>, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    let list = match value {
        Value::Array(list) => list,
        single => vec![single],
    };
    list.into_iter()
        .enumerate()
        .map(|(index, value)| {
            let fault: Fault =
                serde_json::from_value(value).map_err(|error| format!("fault {}: {error}", index + 1))?;
            fault
                .check()
                .map_err(|error| format!("fault {}: {error}", index + 1))?;
            Ok(fault)
        })
        .collect()
}

impl Fault {
    /// Whether the request is executed.
    pub(crate) fn effect(&self) -> bool {
        self.effect
            .unwrap_or(self.answer.is_none() && self.refuse.is_none())
    }

    pub(crate) fn effect_after(&self) -> Option<Duration> {
        self.effect_after
    }

    pub(crate) fn delay(&self) -> Duration {
        self.delay
    }

    /// Whether the response to the client is based on the real one.
    pub(crate) fn shows_real_answer(&self) -> bool {
        matches!(
            self.answer,
            None | Some(FaultAnswer::Named(
                Corruption::DropInBody | Corruption::Truncate | Corruption::Garbage
            ))
        ) && self.refuse.is_none()
    }

    /// What the client receives, and how the server damages it while it sends it, if at all.
    pub(crate) fn corrupt(
        &self,
        real: Option<Response>,
        request: &Request,
        location: &str,
    ) -> (Response, Option<Corruption>) {
        if let Some(status) = &self.refuse {
            let usual = (status == "error").then_some("No numbers are available for this prefix.");
            return (
                Response::rent_refused(status, self.message.as_deref().or(usual)),
                None,
            );
        }
        match &self.answer {
            None => (real.unwrap_or_else(|| Response::empty(500)), None),
            Some(broken) => broken.apply(real, request, location),
        }
    }

    fn check(&self) -> Result<(), String> {
        if let Some(method) = &self.method
            && !["GET", "POST", "PUT", "DELETE", "PATCH"].contains(&method.as_str())
        {
            return Err(format!(
                "`method` must be GET, POST, PUT or DELETE, not `{method}`"
            ));
        }
        if let Some(path) = &self.path
            && !path.starts_with('/')
        {
            return Err(format!(
                "`path` must begin with a slash, as in `/phone_number/{{id}}/`, not `{path}`"
            ));
        }
        if let Some(country) = &self.country
            && !(country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase()))
        {
            return Err(format!("`country` must be two capital letters, not `{country}`"));
        }
        if self.times == Some(0) {
            return Err("`times` must be at least 1; leave it out for all requests".into());
        }
        if self.refuse.is_some() && (self.answer.is_some() || self.effect == Some(true)) {
            return Err("`refuse` cannot be combined with `answer` or `effect`".into());
        }
        if self.message.is_some() && self.refuse.is_none() {
            return Err("`message` needs `refuse`".into());
        }
        if self.answer.is_none() && self.refuse.is_none() && self.effect == Some(false) {
            return Err("`effect: false` needs an `answer`".into());
        }
        if self.answer.is_none()
            && self.refuse.is_none()
            && self.effect_after.is_none()
            && self.delay.is_zero()
        {
            return Err("it changes nothing: it needs an `answer`, a `delay` or `refuse`".into());
        }
        if self.effect_after.is_some() && (self.shows_real_answer() || self.effect == Some(false)) {
            return Err("`effect_after` needs an `answer` that does not depend on the effect".into());
        }
        match &self.answer {
            Some(FaultAnswer::Replacement(instead)) if !(200..600).contains(&instead.status) => {
                Err(format!("`status` must be 200 to 599, not {}", instead.status))
            }
            _ => Ok(()),
        }
    }

    fn matches(&self, request: &Request) -> bool {
        let (method, path) = if self.refuse.is_some() {
            (Some("POST"), Some("/phone_number/request/internal/"))
        } else {
            (None, None)
        };
        let method = self.method.as_deref().or(method);
        let path = self.path.as_deref().or(path);
        method.is_none_or(|method| method == request.method)
            && path.is_none_or(|path| path_matches(path, request.resource()))
            && self
                .country
                .as_ref()
                .is_none_or(|country| sent_country(request).as_ref() == Some(country))
    }
}

/// Whether the path matches: `{…}` matches any segment, a pattern without a trailing slash matches a beginning.
pub(crate) fn path_matches(pattern: &str, path: &str) -> bool {
    let pattern = pattern.strip_prefix("/api/v1").unwrap_or(pattern);
    let open = !pattern.ends_with('/');
    let wanted: Vec<&str> = pattern
        .trim_matches('/')
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    let parts: Vec<&str> = path
        .trim_matches('/')
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    let matches = wanted
        .iter()
        .zip(&parts)
        .all(|(wanted, part)| (wanted.starts_with('{') && wanted.ends_with('}')) || wanted == part);
    matches
        && if open {
            wanted.len() <= parts.len()
        } else {
            wanted.len() == parts.len()
        }
}

fn sent_country(request: &Request) -> Option<String> {
    let body: Value = serde_json::from_slice(&request.body).ok()?;
    Some(body.get("country")?.as_str()?.to_owned())
}

/// A fault that is active, with the number of requests it matched.
pub(crate) struct ArmedFault {
    fault: Fault,
    matched: u32,
}

impl ArmedFault {
    pub(crate) fn new(fault: Fault) -> Self {
        Self { fault, matched: 0 }
    }

    pub(crate) fn describe(&self) -> Value {
        let mut view = serde_json::to_value(&self.fault).expect("a fault has string keys only");
        view["_control"] = json!({ "met": self.matched, "spent": self.is_spent() });
        view
    }

    fn is_spent(&self) -> bool {
        self.fault
            .times
            .is_some_and(|times| self.matched >= self.fault.after.saturating_add(times))
    }
}

/// Returns the first fault that this request triggers, and counts the match.
pub(crate) fn trigger(faults: &mut [ArmedFault], request: &Request) -> Option<Fault> {
    faults
        .iter_mut()
        .filter(|armed| !armed.is_spent() && armed.fault.matches(request))
        .find_map(|armed| {
            armed.matched = armed.matched.saturating_add(1);
            (armed.matched > armed.fault.after).then(|| armed.fault.clone())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_a_trailing_slash_is_a_template_and_one_without_is_a_prefix() {
        assert!(path_matches("/phone_number/", "/phone_number/"));
        assert!(!path_matches("/phone_number/", "/phone_number/phon_1/"));
        assert!(path_matches("/phone_number/{id}/", "/phone_number/phon_1/"));
        assert!(!path_matches(
            "/phone_number/{id}/",
            "/phone_number/request/internal/"
        ));
        assert!(path_matches("/phone_number", "/phone_number/request/internal/"));
        assert!(path_matches("/api/v1/me/", "/me/"));
        assert!(!path_matches("/phone", "/phone_number/"));
    }

    #[test]
    fn an_error_gives_the_number_of_the_fault_and_the_reason() {
        for (text, expected) in [
            ("[", "not JSON"),
            (
                r#"[{"refuse":"error"},{"metod":"GET"}]"#,
                "fault 2: unknown field `metod`",
            ),
            (r#"{"answer":"explode"}"#, "fault 1: unknown answer `explode`"),
            (
                r#"{"answer":{"status":99}}"#,
                "`status` must be 200 to 599, not 99",
            ),
            (r#"{"answer":{"code":503}}"#, "answer: unknown field `code`"),
            (r#"{"delay":"soon"}"#, "`soon` is not a duration"),
            (r#"{"delay":"-1s"}"#, "must not be negative"),
            (r#"{"times":0}"#, "`times` must be at least 1"),
            (r#"{"path":"me/"}"#, "must begin with a slash"),
            (r#"{"method":"post"}"#, "not `post`"),
            (r#"{"country":"Germany"}"#, "two capital letters"),
            (r#"{"effect":false}"#, "needs an `answer`"),
            ("{}", "it changes nothing"),
            (r#"{"method":"GET","effect":true}"#, "it changes nothing"),
            (r#"{"effect_after":"1s"}"#, "does not depend on the effect"),
            (
                r#"{"refuse":"error","effect":true}"#,
                "cannot be combined with `answer` or `effect`",
            ),
        ] {
            let error = faults_from_json(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert_eq!(faults_from_json("[]"), Ok(Vec::new()));
    }
}

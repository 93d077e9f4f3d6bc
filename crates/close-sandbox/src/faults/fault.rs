//! Faults that are scripted per request: which requests they meet, whether the work is done all the same, and
//! the answer is to be spoiled. Knows nothing of sockets.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::faults::corrupt::{Broken, Manner};
use crate::json::{duration, optional_duration};
use crate::request::Call;
use crate::response::Answer;

/// One scripted fault. Its JSON:
///
/// ```json
/// {"method": "POST", "path": "/phone_number/request/internal/", "country": "DE", "after": 0, "times": 1,
///  "effect": true, "answer": {"status": 503, "headers": {"retry-after": "1"}, "body": "<html>…"}, "delay": "3s"}
/// ```
///
/// `path` is compared segment by segment, `{id}` standing for any; without a slash at its end it is the beginning
/// of a path. `times` left out: forever. `answer` is an object, or one of `drop_before_headers`, `drop_in_body`,
/// `garbage`, `truncate`, `hang`, `huge`, `redirect`; left out, the real answer is given. `effect` says whether the
/// work is done; left out, it is done only when the real answer is given. `effect_after` does the work that much
/// later than the request came, without the answer waiting for it. `{"refuse": "has-voice-only"}` is a rent refused.
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
    answer: Option<Broken>,
    #[serde(default)]
    refuse: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default, with = "duration")]
    delay: Duration,
}

/// Reads a fault or a list of faults; the error names the fault by its place, and what is wrong with it.
pub fn faults_from_json(text: &str) -> Result<Vec<Fault>, String> {
    let value: Value = serde_json::from_str(text).map_err(|failure| format!("not JSON: {failure}"))?;
    let list = match value {
        Value::Array(list) => list,
        single => vec![single],
    };
    list.into_iter()
        .enumerate()
        .map(|(index, value)| {
            let fault: Fault =
                serde_json::from_value(value).map_err(|failure| format!("fault {}: {failure}", index + 1))?;
            fault
                .check()
                .map_err(|failure| format!("fault {}: {failure}", index + 1))?;
            Ok(fault)
        })
        .collect()
}

impl Fault {
    /// Whether the work is done although the answer is not the real one.
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

    /// Whether what the client gets depends on the real answer.
    pub(crate) fn shows_real_answer(&self) -> bool {
        matches!(
            self.answer,
            None | Some(Broken::Named(
                Manner::DropInBody | Manner::Truncate | Manner::Garbage
            ))
        ) && self.refuse.is_none()
    }

    /// What the client gets, and how it is destroyed on the wire, if at all.
    pub(crate) fn spoil(
        &self,
        real: Option<Answer>,
        call: &Call,
        location: &str,
    ) -> (Answer, Option<Manner>) {
        if let Some(status) = &self.refuse {
            let usual = (status == "error").then_some("No numbers are available for this prefix.");
            return (Answer::refused(status, self.message.as_deref().or(usual)), None);
        }
        match &self.answer {
            None => (real.unwrap_or_else(|| Answer::empty(500)), None),
            Some(broken) => broken.apply(real, call, location),
        }
    }

    fn check(&self) -> Result<(), String> {
        if let Some(method) = &self.method
            && !["GET", "POST", "PUT", "DELETE", "PATCH"].contains(&method.as_str())
        {
            return Err(format!("`method` is GET, POST, PUT or DELETE, not `{method}`"));
        }
        if let Some(path) = &self.path
            && !path.starts_with('/')
        {
            return Err(format!(
                "`path` begins with a slash, as in `/phone_number/{{id}}/`, not `{path}`"
            ));
        }
        if let Some(country) = &self.country
            && !(country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase()))
        {
            return Err(format!("`country` is two capital letters, not `{country}`"));
        }
        if self.times == Some(0) {
            return Err("`times` is at least 1; left out it means forever".into());
        }
        if self.refuse.is_some() && (self.answer.is_some() || self.effect == Some(true)) {
            return Err("`refuse` goes without `answer` and without `effect`".into());
        }
        if self.message.is_some() && self.refuse.is_none() {
            return Err("`message` goes with `refuse`".into());
        }
        if self.answer.is_none() && self.refuse.is_none() && self.effect == Some(false) {
            return Err("without its effect a request needs an `answer`".into());
        }
        if self.effect_after.is_some() && (self.shows_real_answer() || self.effect == Some(false)) {
            return Err("`effect_after` goes with an `answer` that does not wait for the effect".into());
        }
        match &self.answer {
            Some(Broken::Instead(instead)) if !(200..600).contains(&instead.status) => {
                Err(format!("`status` is 200 to 599, not {}", instead.status))
            }
            _ => Ok(()),
        }
    }

    fn meets(&self, call: &Call) -> bool {
        let (method, path) = if self.refuse.is_some() {
            (Some("POST"), Some("/phone_number/request/internal/"))
        } else {
            (None, None)
        };
        let method = self.method.as_deref().or(method);
        let path = self.path.as_deref().or(path);
        method.is_none_or(|method| method == call.method)
            && path.is_none_or(|path| path_meets(path, call.resource()))
            && self
                .country
                .as_ref()
                .is_none_or(|country| sent_country(call).as_ref() == Some(country))
    }
}

/// `{…}` stands for any one segment; a pattern without a slash at its end is a beginning.
pub(crate) fn path_meets(pattern: &str, path: &str) -> bool {
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
    let fits = wanted
        .iter()
        .zip(&parts)
        .all(|(wanted, part)| (wanted.starts_with('{') && wanted.ends_with('}')) || wanted == part);
    fits && if open {
        wanted.len() <= parts.len()
    } else {
        wanted.len() == parts.len()
    }
}

fn sent_country(call: &Call) -> Option<String> {
    let body: Value = serde_json::from_slice(&call.body).ok()?;
    Some(body.get("country")?.as_str()?.to_owned())
}

/// A fault with the count of requests it has met.
pub(crate) struct Armed {
    fault: Fault,
    met: u32,
}

impl Armed {
    pub(crate) fn new(fault: Fault) -> Self {
        Self { fault, met: 0 }
    }

    pub(crate) fn describe(&self) -> Value {
        let mut view = serde_json::to_value(&self.fault).expect("a fault has string keys only");
        view["_control"] = json!({ "met": self.met, "spent": self.is_spent() });
        view
    }

    fn is_spent(&self) -> bool {
        self.fault
            .times
            .is_some_and(|times| self.met >= self.fault.after.saturating_add(times))
    }
}

/// The first fault that this request triggers.
pub(crate) fn trigger(faults: &mut [Armed], call: &Call) -> Option<Fault> {
    faults
        .iter_mut()
        .filter(|armed| !armed.is_spent() && armed.fault.meets(call))
        .find_map(|armed| {
            armed.met = armed.met.saturating_add(1);
            (armed.met > armed.fault.after).then(|| armed.fault.clone())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_template_with_a_slash_at_its_end_and_a_beginning_without() {
        assert!(path_meets("/phone_number/", "/phone_number/"));
        assert!(!path_meets("/phone_number/", "/phone_number/phon_1/"));
        assert!(path_meets("/phone_number/{id}/", "/phone_number/phon_1/"));
        assert!(!path_meets(
            "/phone_number/{id}/",
            "/phone_number/request/internal/"
        ));
        assert!(path_meets("/phone_number", "/phone_number/request/internal/"));
        assert!(path_meets("/api/v1/me/", "/me/"));
        assert!(!path_meets("/phone", "/phone_number/"));
    }

    #[test]
    fn what_is_wrong_with_a_fault_is_said_with_its_place() {
        for (text, says) in [
            ("[", "not JSON"),
            (
                r#"[{"refuse":"error"},{"metod":"GET"}]"#,
                "fault 2: unknown field `metod`",
            ),
            (r#"{"answer":"explode"}"#, "fault 1: unknown answer `explode`"),
            (r#"{"answer":{"status":99}}"#, "`status` is 200 to 599, not 99"),
            (r#"{"answer":{"code":503}}"#, "answer: unknown field `code`"),
            (r#"{"delay":"soon"}"#, "`soon` is no duration"),
            (r#"{"delay":"-1s"}"#, "not negative"),
            (r#"{"times":0}"#, "`times` is at least 1"),
            (r#"{"path":"me/"}"#, "begins with a slash"),
            (r#"{"method":"post"}"#, "not `post`"),
            (r#"{"country":"Germany"}"#, "two capital letters"),
            (r#"{"effect":false}"#, "needs an `answer`"),
            (r#"{"effect_after":"1s"}"#, "does not wait for the effect"),
            (r#"{"refuse":"error","effect":true}"#, "without `effect`"),
        ] {
            let failure = faults_from_json(text).unwrap_err();
            assert!(failure.contains(says), "{text}: {failure}");
        }
        assert_eq!(faults_from_json("[]"), Ok(Vec::new()));
    }
}

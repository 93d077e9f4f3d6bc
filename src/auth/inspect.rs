//! Inspects a token check by check, for a person who asks why it is refused or what it states.
//!
//! Unlike the verification, it goes on after a check that failed. Its result is for people: nothing may be allowed by it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::auth::issuer::Issuer;
use crate::auth::jwt::Token;
use crate::auth::rejection::Rejection;
use crate::auth::settings::IssuerKind;
use crate::domain::claim;
use crate::domain::identity::Identity;
use crate::domain::input::fault::nearest;
use crate::domain::input::json;
use crate::domain::time::Timestamp;

/// The most characters of a claim's value in a detail.
const MAX_SHOWN_CHARS: usize = 200;

/// What a token states, and the result of each check.
#[derive(Debug)]
pub struct Inspection {
    /// The checks, in the order of the verification.
    pub checks: Vec<Check>,
    /// All claims; `null` if they can't be read. Do not trust them unless every check passed.
    pub claims: Value,
    /// The kind of the issuer, if it is trusted.
    pub kind: Option<IssuerKind>,
    /// The identity that the claims name, also if a check failed; `None` without a trusted issuer.
    pub identity: Option<Result<Identity, Rejection>>,
}

/// One check of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What is checked, such as `audience`.
    pub name: &'static str,
    /// The result.
    pub outcome: Outcome,
    /// The value that was checked, or what is wrong. It has values of claims, and never the token or its signature.
    pub detail: String,
}

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The token passes.
    Passed,
    /// The token fails, and is refused.
    Failed,
    /// The check is impossible now, such as without the issuer's keys.
    Unknown,
}

impl Check {
    fn passed(name: &'static str, detail: String) -> Self {
        Self {
            name,
            outcome: Outcome::Passed,
            detail,
        }
    }

    fn failed(name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            name,
            outcome: Outcome::Failed,
            detail: detail.into(),
        }
    }

    /// The result of a check of this value; `None` if the value says nothing about the result.
    fn of(name: &'static str, result: Result<(), Rejection>, value: Option<String>) -> Self {
        match (result, value) {
            (Ok(()), value) => Self::passed(name, value.unwrap_or_else(|| "valid".to_owned())),
            (Err(wrong), None) => Self::failed(name, wrong.to_string()),
            (Err(wrong), Some(value)) => Self::failed(name, format!("{wrong}: {value}")),
        }
    }
}

/// Checks whether the text is a JWT, and returns its claims even if it is not an acceptable one.
pub(super) fn form(text: &str) -> (Check, Option<Map<String, Value>>) {
    let parsed = Token::parse(text);
    let claims = match &parsed {
        Ok(token) => Some(token.claims.clone()),
        Err(_) => lenient_claims(text),
    };
    let check = match parsed {
        Ok(_) => Check::passed("form", "a signed JWT".to_owned()),
        Err(wrong) => Check::failed("form", wrong.to_string()),
    };
    (check, claims)
}

/// Checks whether the issuer is one of the trusted ones.
pub(super) fn issuer(claims: &Map<String, Value>, trusted: &[&str]) -> Check {
    const NAME: &str = "issuer";
    let Some(issuer) = claims.get("iss") else {
        return Check::failed(NAME, "the token has no `iss`");
    };
    let text = issuer.as_str().unwrap_or_default();
    if trusted.contains(&text) {
        return Check::passed(NAME, shown(issuer));
    }
    let without_slash = text.trim_end_matches('/');
    let hint = match trusted
        .iter()
        .find(|known| known.trim_end_matches('/') == without_slash)
    {
        Some(known) => format!("there is `{known}`, and a slash at the end counts"),
        None => nearest(text, trusted),
    };
    Check::failed(
        NAME,
        format!(
            "no [[auth.issuers]] of the configuration has exactly this `issuer`: {}; {hint}",
            shown(issuer)
        ),
    )
}

/// Checks everything that the settings of the issuer decide, apart from the signature.
pub(super) fn rules(issuer: &Issuer, text: &str, claims: &Map<String, Value>, now: Timestamp) -> Vec<Check> {
    let typ = Token::parse(text).ok().and_then(|token| token.typ);
    let audience = claims.get("aud").map(shown);
    let for_this_service = issuer.rules.check_audience(claims);
    let accepted = issuer.rules.audiences.join(", ");
    let audience = match &for_this_service {
        Ok(()) => audience,
        Err(_) => audience.map(|audience| format!("{audience}; the issuer's `audiences` are {accepted}")),
    };
    vec![
        Check::of("audience", for_this_service, audience),
        Check::of("type", issuer.rules.check_kind(typ, claims), None),
        Check::of(
            "times",
            issuer.rules.check_times(claims, now).map(drop),
            Some(times(claims)),
        ),
    ]
}

/// Checks the signature. The keys may have to be loaded first.
pub(super) async fn signature(issuer: &Issuer, text: &str) -> Check {
    const NAME: &str = "signature";
    let Ok(token) = Token::parse(text) else {
        return Check::failed(NAME, "not checked, because the token is no acceptable JWT");
    };
    match issuer.keys.find(token.kid.as_deref(), token.algorithm).await {
        Ok((key, _)) => Check::of(NAME, token.verify(&key), None),
        Err(Rejection::KeysUnavailable) => {
            let error = issuer.keys.report().last_error;
            Check {
                name: NAME,
                outcome: Outcome::Unknown,
                detail: match error {
                    Some(error) => {
                        format!("not checked, because the issuer's keys could not be had: {error}")
                    }
                    None => "not checked, because the issuer's keys could not be had".to_owned(),
                },
            }
        }
        Err(wrong) => {
            let kid = token.kid.as_deref().map_or("none".to_owned(), printable);
            Check::failed(NAME, format!("{wrong}; its key id: {kid}"))
        }
    }
}

/// Returns the claims of a token that [`Token::parse`] refuses, if they can be read at all.
fn lenient_claims(text: &str) -> Option<Map<String, Value>> {
    let claims = text.split('.').nth(1)?;
    let bytes = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    match json::parse(&bytes) {
        Ok(Value::Object(claims)) => Some(claims),
        _ => None,
    }
}

/// Returns the times of a token, as people read them.
fn times(claims: &Map<String, Value>) -> String {
    let named = ["iat", "nbf", "exp"].into_iter().filter_map(|name| {
        let value = claims.get(name)?;
        let time = claim::time(value).map_or_else(|| shown(value), Timestamp::in_words);
        Some(format!("{name} {time}"))
    });
    named.collect::<Vec<_>>().join(", ")
}

/// Returns the value of a claim as JSON on one line, shortened.
pub fn shown(value: &Value) -> String {
    printable(&value.to_string())
}

fn printable(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(MAX_SHOWN_CHARS)
        .map(|letter| if letter.is_control() { '?' } else { letter })
        .collect();
    if text.chars().count() > MAX_SHOWN_CHARS {
        shown.push('…');
    }
    shown
}

//! A token's claims: checks audience and times, and reads the identity that the token names.
//!
//! This module is pure. `jwt` verifies the signature before.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::auth::rejection::{Rejection, invalid};
use crate::auth::settings::ClaimPointers;
use crate::domain::caller::Caller;
use crate::domain::service_account::{ServiceAccount, ServiceAccountName};
use crate::domain::team::Team;
use crate::domain::time::Timestamp;

/// The allowed difference between the issuer's clock and the service's clock.
const LEEWAY_SECONDS: i64 = 30;
/// 9999-12-31T23:59:59Z. A later time is a mistake, such as a time in milliseconds.
const LATEST_SECONDS: i64 = 253_402_300_799;
const MAX_SUBJECT_CHARS: usize = 255;

/// Checks audience and times, and that the token is a plain bearer token.
///
/// Returns when the token expires, with the leeway added.
pub(super) fn check(
    claims: &Map<String, Value>,
    audiences: &[String],
    now: Timestamp,
) -> Result<Timestamp, Rejection> {
    check_audience(claims.get("aud"), audiences)?;
    let time = |name, fault| {
        claims
            .get(name)
            .map(|value| seconds(value).ok_or(invalid(fault)))
            .transpose()
    };
    let exp = time(
        "exp",
        "the token's `exp` must be an integer of seconds since 1970",
    )?
    .ok_or(invalid("the token has no `exp`"))?;
    let nbf = time(
        "nbf",
        "the token's `nbf` must be an integer of seconds since 1970",
    )?;
    time(
        "iat",
        "the token's `iat` must be an integer of seconds since 1970",
    )?;
    let ends = Timestamp::from_seconds(exp + LEEWAY_SECONDS);
    if now >= ends {
        return Err(invalid("the token has expired"));
    }
    if nbf.is_some_and(|nbf| now < Timestamp::from_seconds(nbf - LEEWAY_SECONDS)) {
        return Err(invalid("the token is not valid yet"));
    }
    if claims.contains_key("cnf") {
        return Err(invalid(
            "the token is bound to a key (`cnf`); the service accepts only plain bearer tokens",
        ));
    }
    // Only OpenID Connect ID tokens have these claims. They prove a login, and are not for calls to services.
    if claims.contains_key("at_hash") || claims.contains_key("c_hash") {
        return Err(invalid("the token is an ID token, not an access token"));
    }
    Ok(ends)
}

/// Reads the person or app that a verified token names.
pub(super) fn caller(claims: Map<String, Value>, pointers: &ClaimPointers) -> Result<Caller, Rejection> {
    let (issuer, subject) = (text(&claims, "iss"), text(&claims, "sub"));
    if subject.is_empty() || subject.chars().count() > MAX_SUBJECT_CHARS || subject.contains(char::is_control)
    {
        return Err(invalid(
            "the token's `sub` must be 1 to 255 characters, none of them a control character",
        ));
    }
    // The audit trail shows service accounts by such names, so no other kind of issuer may use them.
    if ServiceAccountName::is_claimed_by(&subject) {
        return Err(invalid(
            "the token's `sub` names a service account; only an issuer of kind kubernetes may issue such a token",
        ));
    }
    let claims = Value::Object(claims);
    let mut teams: Vec<Team> = Vec::new();
    for word in words(claims.pointer(&pointers.teams)) {
        match word.parse() {
            Ok(team) if !teams.contains(&team) => teams.push(team),
            Ok(_) => {}
            Err(_) => tracing::debug!(subject, "team of the token ignored; the name is invalid"),
        }
    }
    let permissions: BTreeSet<String> = words(claims.pointer(&pointers.permissions))
        .into_iter()
        .map(str::to_owned)
        .collect();
    let close_user = claims
        .pointer(&pointers.close_user)
        .and_then(Value::as_str)
        .and_then(|user| user.parse().ok());
    Ok(Caller {
        issuer,
        subject,
        teams,
        permissions,
        close_user,
        claims,
    })
}

/// Reads the service account that a verified token of a cluster names. Other claims grant it nothing.
pub(super) fn account(claims: Map<String, Value>) -> Result<ServiceAccount, Rejection> {
    let name: ServiceAccountName = text(&claims, "sub").parse().map_err(|_| {
        invalid(
            "the token's `sub` must be system:serviceaccount:, a namespace and the name of a service account",
        )
    })?;
    // API servers repeat namespace and name in this claim. A token whose claims contradict each other is refused.
    if let Some(repeated) = claims.get("kubernetes.io") {
        let part = |pointer| repeated.pointer(pointer).and_then(Value::as_str);
        if part("/namespace") != Some(name.namespace()) || part("/serviceaccount/name") != Some(name.name()) {
            return Err(invalid(
                "the token's `kubernetes.io` names another service account than its `sub`",
            ));
        }
    }
    Ok(ServiceAccount {
        issuer: text(&claims, "iss"),
        name,
        claims: Value::Object(claims),
    })
}

/// Returns a claim that is a string; an empty string if the claim is missing or has another type.
fn text(claims: &Map<String, Value>, name: &str) -> String {
    claims
        .get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn check_audience(aud: Option<&Value>, audiences: &[String]) -> Result<(), Rejection> {
    let accepted = |aud: &str| audiences.iter().any(|audience| audience == aud);
    let for_this_service = match aud {
        None => return Err(invalid("the token has no `aud`")),
        Some(Value::String(aud)) => accepted(aud),
        Some(Value::Array(all)) if all.iter().all(Value::is_string) => {
            all.iter().filter_map(Value::as_str).any(accepted)
        }
        Some(_) => {
            return Err(invalid(
                "the token's `aud` must be a string or an array of strings",
            ));
        }
    };
    if for_this_service {
        Ok(())
    } else {
        Err(invalid("the token is for another audience (`aud`)"))
    }
}

/// Reads a JSON integer that is a plausible time; `1e9`, `1.0` and `"1"` are not integers.
fn seconds(value: &Value) -> Option<i64> {
    value
        .as_i64()
        .filter(|seconds| (0..=LATEST_SECONDS).contains(seconds))
}

/// Reads an array of strings, or one string with spaces between the words.
fn words(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(text)) => text.split_ascii_whitespace().collect(),
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(claims: Value) -> Result<Caller, Rejection> {
        let Value::Object(claims) = claims else {
            panic!("claims are an object")
        };
        caller(claims, &ClaimPointers::default())
    }

    #[test]
    fn teams_and_permissions_are_read_from_arrays_and_from_strings_with_spaces() {
        let array = json!({"iss": "i", "sub": "s", "teams": ["a", "b", "a"], "scope": ["numbers:read", "x"]});
        let words = json!({"iss": "i", "sub": "s", "teams": "a b  a", "scope": "x numbers:read"});
        for claims in [array, words] {
            let caller = read(claims).unwrap();
            assert_eq!(
                caller.teams.iter().map(Team::as_str).collect::<Vec<_>>(),
                ["a", "b"]
            );
            assert_eq!(
                caller.permissions.iter().collect::<Vec<_>>(),
                ["numbers:read", "x"]
            );
            assert_eq!(caller.close_user, None);
        }
    }

    #[test]
    fn invalid_teams_and_users_are_ignored() {
        let caller = read(json!({
            "iss": "i", "sub": "s", "teams": ["*", "a/b", "", 7, null, "ok"], "scope": {"x": 1}, "close_user_id": "../me"
        }))
        .unwrap();
        assert_eq!(caller.teams.iter().map(Team::as_str).collect::<Vec<_>>(), ["ok"]);
        assert!(caller.permissions.is_empty());
        assert_eq!(caller.close_user, None);
        let named = read(json!({"iss": "i", "sub": "s", "close_user_id": "user_abc"})).unwrap();
        assert_eq!(named.close_user.unwrap().as_str(), "user_abc");
    }

    #[test]
    fn pointers_reach_into_nested_claims() {
        let pointers = ClaimPointers {
            teams: "/https:~1~1example.com~1desk/teams".into(),
            permissions: "/realm_access/roles".into(),
            close_user: "/desk/0".into(),
        };
        let Value::Object(claims) = json!({
            "iss": "i", "sub": "s", "https://example.com/desk": {"teams": ["a"]},
            "realm_access": {"roles": ["numbers:rent"]}, "desk": ["user_1"]
        }) else {
            panic!("claims are an object")
        };
        let caller = caller(claims, &pointers).unwrap();
        assert_eq!(caller.teams.len(), 1);
        assert!(caller.permissions.contains("numbers:rent"));
        assert!(caller.close_user.is_some());
    }

    #[test]
    fn a_service_account_is_read_from_the_subject_and_contradictions_are_refused() {
        let read = |claims: Value| {
            let Value::Object(claims) = claims else {
                panic!("claims are an object")
            };
            account(claims)
        };
        let sub = "system:serviceaccount:crm:dialer";
        let repeated = json!({"namespace": "crm", "serviceaccount": {"name": "dialer", "uid": "u"}, "pod": {"name": "p"}});
        for claims in [
            json!({"iss": "i", "sub": sub}),
            json!({"iss": "i", "sub": sub, "kubernetes.io": repeated, "teams": ["sales"], "scope": "numbers:admin"}),
        ] {
            let account = read(claims).unwrap();
            assert_eq!(
                (account.issuer.as_str(), account.name.to_string().as_str()),
                ("i", sub)
            );
        }
        for repeated in [
            json!(null),
            json!({}),
            json!("crm"),
            json!({"namespace": "crm"}),
            json!({"namespace": "crm", "serviceaccount": "dialer"}),
            json!({"namespace": "crm", "serviceaccount": {"name": "other"}}),
            json!({"namespace": "crn", "serviceaccount": {"name": "dialer"}}),
            json!({"namespace": ["crm"], "serviceaccount": {"name": "dialer"}}),
        ] {
            assert!(
                read(json!({"iss": "i", "sub": sub, "kubernetes.io": repeated})).is_err(),
                "{repeated}"
            );
        }
        for sub in [
            json!("alice"),
            json!(""),
            json!(null),
            json!([sub]),
            json!("system:serviceaccount:crm"),
        ] {
            assert!(read(json!({"iss": "i", "sub": sub})).is_err(), "{sub}");
        }
    }

    #[test]
    fn a_subject_that_could_forge_a_log_line_is_refused() {
        for sub in [
            json!(""),
            json!("a\nb"),
            json!("\u{7f}"),
            json!("x".repeat(256)),
            json!(7),
            Value::Null,
            json!("system:serviceaccount:crm:dialer"),
            json!("system:serviceaccount:"),
        ] {
            assert!(read(json!({"iss": "i", "sub": sub})).is_err(), "{sub}");
        }
        assert!(read(json!({"iss": "i"})).is_err());
        assert!(read(json!({"iss": "i", "sub": "é".repeat(255)})).is_ok());
    }
}

//! Reads the identity that a verified token names: a person, an app, or a service account of a cluster.
//!
//! This module is pure. It decides no right: the policy does, from this identity.

use serde_json::{Map, Value};

use crate::auth::rejection::{Rejection, invalid};
use crate::auth::settings::ClaimPointers;
use crate::domain::claim;
use crate::domain::identity::{IgnoredReason, IgnoredTeam, MAX_IGNORED_TEAMS, TokenIdentity};
use crate::domain::permission::Permission;
use crate::domain::service_account::{ServiceAccount, ServiceAccountName};
use crate::domain::team::Team;

const MAX_SUBJECT_CHARS: usize = 255;

/// Reads the person or app that a verified token names.
pub(super) fn identity(
    claims: Map<String, Value>,
    pointers: &ClaimPointers,
) -> Result<TokenIdentity, Rejection> {
    let (issuer, subject) = (text(&claims, "iss"), text(&claims, "sub"));
    if !is_subject(&subject) {
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
    let name = first_text(&claims, &pointers.subject)
        .filter(|name| is_name(name))
        .unwrap_or(&subject)
        .to_owned();
    let (teams, ignored_teams) = teams(&claims, &pointers.teams);
    let permissions = values(&claims, &pointers.permissions).flat_map(claim::words);
    let permissions = permissions.map(str::to_owned).collect();
    let close_user = first_text(&claims, &pointers.close_user).and_then(|user| user.parse().ok());
    Ok(TokenIdentity {
        issuer,
        name,
        subject,
        teams,
        ignored_teams,
        overage: has_overage(&claims),
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

/// Returns the claims at the pointers that exist, in the order of the pointers.
fn values<'a>(claims: &'a Value, pointers: &'a [String]) -> impl Iterator<Item = &'a Value> {
    let found = pointers.iter().filter_map(|pointer| claims.pointer(pointer));
    found.filter(|value| !value.is_null())
}

/// Returns the first claim at the pointers that exists; `None` if it is not a string.
fn first_text<'a>(claims: &'a Value, pointers: &'a [String]) -> Option<&'a str> {
    values(claims, pointers).next().and_then(Value::as_str)
}

/// Whether the text can be a `sub`: it must not be able to forge a line of a log.
fn is_subject(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= MAX_SUBJECT_CHARS && !text.contains(char::is_control)
}

/// Whether the text can be the name of a caller for people.
///
/// It must not look like a service account, and must have no character that hides or reorders others, because users can
/// change such a claim at some providers.
fn is_name(text: &str) -> bool {
    let deceptive = |c| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    let blank = text.trim().is_empty();
    is_subject(text) && !blank && !text.contains(deceptive) && !ServiceAccountName::is_claimed_by(text)
}

/// Reads the names of teams, and the names that are no team.
fn teams(claims: &Value, pointers: &[String]) -> (Vec<Team>, Vec<IgnoredTeam>) {
    let (mut teams, mut ignored) = (Vec::new(), Vec::new());
    let names = values(claims, pointers).filter(|value| !is_source(claims, value));
    for name in names.flat_map(claim::words) {
        match team(name) {
            Ok(team) if !teams.contains(&team) => teams.push(team),
            Ok(_) => {}
            // Some issuers have one claim for teams and permissions.
            Err(_) if name.parse::<Permission>().is_ok() => {}
            Err(reason) => {
                let name = name.to_owned();
                let entry = IgnoredTeam { name, reason };
                if ignored.len() < MAX_IGNORED_TEAMS && !ignored.contains(&entry) {
                    ignored.push(entry);
                }
            }
        }
    }
    (teams, ignored)
}

/// Reads the name of a team. Keycloak sends groups as paths: the path of a group at the top is `/` and its name.
fn team(name: &str) -> Result<Team, IgnoredReason> {
    let top = name.strip_prefix('/').unwrap_or(name);
    top.parse().map_err(|_| {
        if name.starts_with('/') && top.contains('/') {
            IgnoredReason::GroupPath
        } else {
            IgnoredReason::NotATeam
        }
    })
}

/// Whether the provider left groups out because the caller has too many, and named an address for them instead.
///
/// Entra ID does so in three ways. `OpenID` Connect calls the first one distributed claims (Core 1.0, section 5.6.2).
/// The service never asks such an address, because that needs a token of its own for the provider's directory.
fn has_overage(claims: &Value) -> bool {
    let names_groups = claims
        .pointer("/_claim_names")
        .and_then(Value::as_object)
        .is_some_and(|names| names.contains_key("groups"));
    let has_groups = claims
        .get("hasgroups")
        .is_some_and(|value| *value == true || *value == "true");
    let has_source = claims
        .as_object()
        .is_some_and(|claims| claims.keys().any(|name| name.starts_with("groups:src")));
    names_groups
        || has_groups
        || has_source
        || claims.get("groups").is_some_and(|value| is_source(claims, value))
}

/// Whether the value is not a name, but refers to a member of `_claim_sources`.
fn is_source(claims: &Value, value: &Value) -> bool {
    let sources = claims.get("_claim_sources").and_then(Value::as_object);
    let name = value.as_str();
    sources
        .zip(name)
        .is_some_and(|(sources, name)| sources.contains_key(name))
}

/// Returns a claim that is a string; an empty string if the claim is missing or has another type.
fn text(claims: &Map<String, Value>, name: &str) -> String {
    claims
        .get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests;

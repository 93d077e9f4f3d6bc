//! The report of `numberdesk policy whoami`, as JSON and, in `text`, for people.

mod text;

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use super::whoami_rent;
use crate::auth::{Inspection, IssuerKind, Outcome, shown};
use crate::domain::caller::Caller;
use crate::domain::claim;
use crate::domain::identity::Identity;
use crate::domain::input::pointer::{self, Pointer};
use crate::domain::rights::Permissions;
use crate::domain::team::Team;
use crate::policy::{Grant, Policy, Reach};

/// What a token and the policy give its caller.
#[derive(Serialize)]
pub(super) struct Report {
    /// Whether the service accepts the token and knows its caller.
    accepted: bool,
    checks: Vec<CheckLine>,
    /// `null`: the token names no caller, or none that the policy knows.
    caller: Option<CallerLine>,
    claims: Vec<ClaimLine>,
    /// The names of the other claims, which nothing reads.
    other_claims: Vec<String>,
    ignored_teams: Vec<IgnoredLine>,
    group_overage: bool,
    grants: Vec<GrantLine>,
    everywhere: Vec<PermissionLine>,
    teams: Vec<TeamLine>,
    /// Why the caller can't rent in any team; empty if it can.
    missing_to_rent: Vec<String>,
}

#[derive(Serialize)]
struct CheckLine {
    check: &'static str,
    /// `ok`, `fault` or `unknown`.
    outcome: &'static str,
    detail: String,
}

#[derive(Serialize)]
struct CallerLine {
    issuer: String,
    subject: String,
    name: String,
    close_user: Option<String>,
}

#[derive(Serialize)]
struct ClaimLine {
    read_for: &'static str,
    pointer: String,
    /// The value as JSON, shortened; `null`: the token has no such claim.
    value: Option<String>,
}

#[derive(Serialize)]
struct IgnoredLine {
    name: String,
    reason: &'static str,
}

#[derive(Serialize)]
struct GrantLine {
    grant: String,
    matches: bool,
    reason: String,
}

#[derive(Serialize)]
struct PermissionLine {
    permission: String,
    from: Vec<String>,
}

#[derive(Serialize)]
struct TeamLine {
    team: Team,
    permissions: Vec<PermissionLine>,
    /// Whether the policy has rules for the team. Without them it may rent nothing.
    has_rules: bool,
    may_rent: bool,
}

/// Reports about a token that was inspected.
pub(super) fn about(inspection: Inspection, policy: &Policy) -> Report {
    let valid = inspection
        .checks
        .iter()
        .all(|check| check.outcome == Outcome::Passed);
    let mut checks: Vec<CheckLine> = inspection
        .checks
        .into_iter()
        .map(|check| CheckLine {
            check: check.name,
            outcome: match check.outcome {
                Outcome::Passed => "ok",
                Outcome::Failed => "fault",
                Outcome::Unknown => "unknown",
            },
            detail: check.detail,
        })
        .collect();
    let issuer = inspection
        .claims
        .get("iss")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let mut claims = claims(inspection.kind.as_ref(), policy, issuer, &inspection.claims);
    let caller = match inspection.identity {
        Some(Ok(identity)) => {
            let unmapped = unmapped(&identity);
            let caller = policy.caller(identity);
            if caller.is_none() {
                checks.push(CheckLine {
                    check: "caller",
                    outcome: "fault",
                    detail: unmapped,
                });
            }
            caller
        }
        Some(Err(wrong)) => {
            checks.push(CheckLine {
                check: "caller",
                outcome: "fault",
                detail: wrong.to_string(),
            });
            None
        }
        None => None,
    };
    for (read_for, pointer) in caller
        .iter()
        .flat_map(|caller| whoami_rent::claims_of_rules(caller, policy))
    {
        claims.push(ClaimLine {
            read_for,
            pointer: pointer.to_string(),
            value: inspection.claims.pointer(pointer.as_str()).map(shown),
        });
    }
    let is_provider = matches!(inspection.kind, Some(IssuerKind::Oidc(_)));
    let mut missing_to_rent = whoami_rent::missing(caller.as_ref(), policy);
    if !valid || caller.is_none() {
        missing_to_rent.insert(0, "a token that passes each check above".to_owned());
    }
    Report {
        accepted: valid && caller.is_some(),
        grants: if is_provider {
            grants(policy, issuer, &inspection.claims)
        } else {
            Vec::new()
        },
        missing_to_rent,
        checks,
        other_claims: others(&inspection.claims, &claims),
        claims,
        ignored_teams: caller
            .iter()
            .flat_map(Caller::ignored_teams)
            .map(|ignored| IgnoredLine {
                name: ignored.shown(),
                reason: ignored.reason.as_str(),
            })
            .collect(),
        group_overage: caller.as_ref().is_some_and(Caller::has_group_overage),
        everywhere: caller
            .as_ref()
            .map(|caller| permissions(caller.rights().everywhere()))
            .unwrap_or_default(),
        teams: caller
            .as_ref()
            .map(|caller| teams(caller, policy))
            .unwrap_or_default(),
        caller: caller.map(|caller| CallerLine {
            issuer: caller.issuer().to_owned(),
            subject: caller.subject().to_owned(),
            name: caller.name().to_owned(),
            close_user: caller.close_user().map(ToString::to_string),
        }),
    }
}

/// Explains why the policy knows no caller with this identity.
fn unmapped(identity: &Identity) -> String {
    match identity {
        Identity::ServiceAccount(account) => format!(
            "the policy has no entry [[service_accounts]] with namespace = \"{}\" and name = \"{}\"",
            account.name.namespace(),
            account.name.name()
        ),
        Identity::Token(_) => "the policy does not know this caller".to_owned(),
    }
}

/// Returns each claim that the settings of the issuer or its grants name, with its value in the token.
fn claims(kind: Option<&IssuerKind>, policy: &Policy, issuer: &str, claims: &Value) -> Vec<ClaimLine> {
    let Some(IssuerKind::Oidc(pointers)) = kind else {
        return Vec::new();
    };
    let lists = [
        ("teams", &pointers.teams),
        ("permissions", &pointers.permissions),
        ("close_user", &pointers.close_user),
        ("subject", &pointers.subject),
    ];
    let grants = policy.grants().iter().filter(|grant| grant.applies_to(issuer));
    let of_grants: BTreeSet<&str> = grants
        .flat_map(|grant| grant.claims.as_slice().iter().map(Pointer::as_str))
        .collect();
    lists
        .into_iter()
        .flat_map(|(read_for, pointers)| pointers.iter().map(move |pointer| (read_for, pointer.as_str())))
        .chain(of_grants.into_iter().map(|pointer| ("grants", pointer)))
        .map(|(read_for, pointer)| ClaimLine {
            read_for,
            pointer: pointer.to_owned(),
            value: claims.pointer(pointer).map(shown),
        })
        .collect()
}

/// Returns the names of the claims that are not read and not of JWT itself: a pointer that finds nothing may mean one.
fn others(claims: &Value, read: &[ClaimLine]) -> Vec<String> {
    const REGISTERED: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];
    let names = claims.as_object().into_iter().flat_map(serde_json::Map::keys);
    names
        .filter(|name| !REGISTERED.contains(&name.as_str()))
        .filter(|name| {
            let first = pointer::child("", name);
            let below = format!("{first}/");
            !read
                .iter()
                .any(|line| line.pointer == first || line.pointer.starts_with(&below))
        })
        .map(|name| shown(&Value::from(name.as_str())))
        .collect()
}

/// Returns each grant of the policy, and why it matches or not.
fn grants(policy: &Policy, issuer: &str, claims: &Value) -> Vec<GrantLine> {
    let matching = policy.matching_grants(issuer, claims);
    let each = policy.grants().iter().enumerate();
    each.map(|(index, grant)| {
        let matches = matching.contains(&index);
        let pointers: Vec<&str> = grant.claims.as_slice().iter().map(Pointer::as_str).collect();
        let pointers = pointers.join(", ");
        let reason = if matches {
            let place = match &grant.reach {
                Reach::Everywhere => "everywhere".to_owned(),
                Reach::Teams(teams) => joined(teams),
            };
            format!(
                "{pointers} has `{}`: {} in {place}",
                grant.value,
                joined(&grant.permissions)
            )
        } else if !grant.applies_to(issuer) {
            "it is for another issuer".to_owned()
        } else if grant
            .claims
            .as_slice()
            .iter()
            .all(|claim| claims.pointer(claim.as_str()).is_none())
        {
            format!("the token has no {pointers}")
        } else if let Some(similar) = similar(grant, claims) {
            format!(
                "{pointers} has `{similar}` and no `{}`: upper and lower case count",
                grant.value
            )
        } else {
            format!("{pointers} has no `{}`", grant.value)
        };
        GrantLine {
            grant: format!("grants[{index}]"),
            matches,
            reason,
        }
    })
    .collect()
}

/// Returns a value at the claims of the grant that differs from the grant's only in upper and lower case.
fn similar(grant: &Grant, claims: &Value) -> Option<String> {
    let values = grant
        .claims
        .as_slice()
        .iter()
        .filter_map(|claim| claims.pointer(claim.as_str()));
    let mut members = values.flat_map(claim::members);
    members
        .find(|member| member.to_lowercase() == grant.value.to_lowercase())
        .map(str::to_owned)
}

fn joined<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items
        .into_iter()
        .map(|item| item.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

fn permissions(given: &Permissions) -> Vec<PermissionLine> {
    let by_source = given.by_source();
    given
        .names()
        .map(|name| PermissionLine {
            permission: name.to_owned(),
            from: by_source
                .iter()
                .filter(|(_, names)| names.contains(name))
                .map(|(source, _)| source.to_string())
                .collect(),
        })
        .collect()
}

fn teams(caller: &Caller, policy: &Policy) -> Vec<TeamLine> {
    let rights = caller.rights();
    rights
        .by_team()
        .map(|(team, given)| TeamLine {
            team: team.clone(),
            permissions: permissions(given),
            has_rules: policy.rules(team).is_some(),
            may_rent: whoami_rent::missing_in(caller, policy, team).is_none(),
        })
        .collect()
}

impl Report {
    /// Whether the service accepts the token and knows its caller.
    pub(super) fn is_accepted(&self) -> bool {
        self.accepted
    }
}

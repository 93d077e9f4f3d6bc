//! The personas of `numberdesk dev`: who they are, and what their tokens allow.

use std::path::Path;

use close_sandbox::Sandbox;

use super::environment::Persona;
use crate::auth::DevIssuer;
use crate::cli::dev_tokens::sign;
use crate::cli::env_file::FOLDER;
use crate::domain::id::UserId;
use crate::domain::permission::Permission;
use crate::domain::team::Team;
use crate::domain::time::Span;
use crate::policy::Policy;

/// The team of the personas that order numbers.
const TEAM: &str = "sales-emea";

/// A persona, and what its token states.
struct Person {
    name: &'static str,
    does: &'static str,
    teams: &'static [&'static str],
    permissions: &'static [Permission],
    /// Its groups at the identity provider.
    groups: &'static [&'static str],
}

/// Signs a token for every persona, valid for a day.
pub(super) fn create(issuer: &DevIssuer, close: &Sandbox) -> anyhow::Result<Vec<Persona>> {
    let owner: UserId = close.owner().parse()?;
    let people = [
        Person {
            name: "alice",
            does: "an app of sales-emea: rents, changes and releases",
            teams: &[TEAM],
            permissions: &[
                Permission::NumbersRead,
                Permission::NumbersRent,
                Permission::NumbersUpdate,
                Permission::NumbersRelease,
            ],
            groups: &[],
        },
        Person {
            name: "bob",
            does: "another app of sales-emea: may also order numbers for several people, which need an approval",
            teams: &[TEAM],
            permissions: &[
                Permission::NumbersRead,
                Permission::NumbersRent,
                Permission::NumbersGroup,
            ],
            groups: &[],
        },
        Person {
            name: "lena",
            does: "lead of sales-emea: approvals, webhooks, audit trail and spend",
            teams: &[TEAM],
            permissions: &[
                Permission::NumbersRead,
                Permission::NumbersRent,
                Permission::NumbersGroup,
                Permission::NumbersUpdate,
                Permission::NumbersRelease,
                Permission::OrdersApprove,
                Permission::AuditRead,
                Permission::SpendRead,
                Permission::WebhooksManage,
            ],
            groups: &[],
        },
        Person {
            name: "olaf",
            does: "administrator: sees every team, approves, adopts and moves numbers",
            teams: &["platform"],
            permissions: &[
                Permission::NumbersRead,
                Permission::OrdersApprove,
                Permission::NumbersAdmin,
                Permission::AuditRead,
            ],
            groups: &[],
        },
        Person {
            name: "greta",
            does: "lead of sales-emea whose token has only groups: a grant of the policy gives her rights",
            teams: &[],
            permissions: &[],
            groups: &["phone-leads-emea", "all-staff"],
        },
    ];
    let day: Span = "24h".parse()?;
    people
        .into_iter()
        .map(|person| {
            let Person {
                name,
                does,
                teams,
                permissions,
                groups,
            } = person;
            let teams: Vec<Team> = teams.iter().map(|team| team.parse()).collect::<Result<_, _>>()?;
            let subject = format!("{name}@example.com");
            // Only one token names the Close user of the API key, because nobody may approve an order of the same user.
            let user = (name == "alice").then_some(&owner);
            let token = sign(issuer, &subject, &teams, permissions, groups, user, day)?;
            Ok(Persona { name, does, token })
        })
        .collect()
}

/// Explains why the personas may order nothing, if the policy has no rules for their team, and what works instead.
pub(super) fn no_rules(policy: &Policy, folder: &Path) -> Option<String> {
    if policy.rules(&TEAM.parse().ok()?).is_some() {
        return None;
    }
    let folder = if folder == Path::new(FOLDER) {
        String::new()
    } else {
        format!(" --dir {}", folder.display())
    };
    let remedy = match policy.team_names().next() {
        Some(other) => {
            format!("`numberdesk token --team {other}{folder}` prints a token for a team that it has")
        }
        None => format!("add [teams.{TEAM}]"),
    };
    Some(format!("the policy has no team {TEAM}: {remedy}"))
}

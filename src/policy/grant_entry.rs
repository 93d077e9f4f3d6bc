//! The `[[grants]]` of the policy file: which member of which claim gives which permissions, and where.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::input::fault::Fault;
use crate::domain::input::list::{Distinct, Item};
use crate::domain::input::pointers::Pointers;
use crate::domain::input::read::part;
use crate::domain::permission::Permission;
use crate::domain::schema::string_schema;
use crate::domain::team::Team;
use crate::policy::grants::{Grant, Reach};
use crate::policy::permission_name::PermissionName;

/// The permissions that can be granted everywhere.
const EVERYWHERE: [Permission; 3] = [
    Permission::NumbersAdmin,
    Permission::AuditRead,
    Permission::SpendRead,
];
const WHERE: &str = "needs one of `team`, `teams` and `everywhere = true`: where the permissions hold";

/// Permissions for every caller whose token has a value at a claim, such as a group or a role.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantEntry {
    /// The `iss` of the tokens, exactly. By default every issuer in the settings, except those of Kubernetes clusters.
    #[schema(nullable = false)]
    issuer: Option<ClaimValue>,
    /// The claim that has the value, or a list of claims of which at least one must have it: a string, an array, a
    /// string with spaces, or an object with the value as a name.
    claim: Pointers,
    /// The value, exactly as the token has it: an id, a name or a path of a group, or a role.
    value: ClaimValue,
    /// The team in which the permissions hold. Set `team`, `teams` or `everywhere`.
    #[schema(nullable = false)]
    team: Option<Team>,
    /// The teams in which the permissions hold.
    #[schema(nullable = false)]
    teams: Option<Distinct<Team, 1, 1_000>>,
    /// `true`: the permissions hold in all teams. Only `numbers:admin`, `audit:read`, `spend:read`, and `numbers:read`
    /// beside `numbers:admin`.
    #[serde(default)]
    everywhere: bool,
    /// The permissions.
    permissions: Distinct<PermissionName, 1, 1_000>,
}

/// A value of a claim: 1 to 2048 characters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct ClaimValue(pub(super) String);

impl TryFrom<String> for ClaimValue {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, &'static str> {
        if text.trim().is_empty() {
            Err("must not be empty")
        } else if text.trim() != text {
            Err("must not begin or end with a space")
        } else if text.chars().count() > 2_048 {
            Err("must have at most 2048 characters")
        } else {
            Ok(Self(text))
        }
    }
}
string_schema! {
    ClaimValue: "A text of at most 2048 characters, without spaces at its ends.", pattern: r"^\S([\s\S]*\S)?$",
    max_length: 2_048, example: "5f1c8a52-0b1e-4b57-9a36-1a2d0c7be901"
}

impl Item for Team {
    const PLURAL: &'static str = "teams";
    const NONE: Option<&'static str> = Some("must name at least one team");
}

impl From<GrantEntry> for Grant {
    fn from(entry: GrantEntry) -> Self {
        let teams = entry.teams.map_or_else(Vec::new, |teams| teams.0);
        Self {
            issuer: entry.issuer.map(|ClaimValue(issuer)| issuer),
            claims: entry.claim,
            value: entry.value.0,
            reach: if entry.everywhere {
                Reach::Everywhere
            } else {
                Reach::Teams(entry.team.into_iter().chain(teams).collect())
            },
            permissions: entry.permissions.0.into_iter().map(String::from).collect(),
        }
    }
}

/// Checks where the permissions of each grant hold.
pub(super) fn check(root: &Value, faults: &mut Vec<Fault>) {
    let entries = root.get("grants").and_then(Value::as_array);
    for (index, entry) in entries.into_iter().flatten().enumerate() {
        let Value::Object(members) = entry else { continue };
        let mut fault = |key: &str, message: String| {
            faults.push(Fault {
                pointer: format!("/grants/{index}{key}"),
                message,
            });
        };
        let named: Vec<&str> = ["team", "teams"]
            .into_iter()
            .filter(|key| members.contains_key(*key))
            .collect();
        let everywhere = match members.get("everywhere") {
            None => Some(false),
            Some(value) => value.as_bool(),
        };
        match (named.as_slice(), everywhere) {
            // A value that is no boolean has a fault of its own.
            (_, None) | ([_], Some(false)) => {}
            ([], Some(false)) => fault("", WHERE.to_owned()),
            ([], Some(true)) => everywhere_only(entry, &mut fault),
            (_, Some(true)) => fault(
                "/everywhere",
                format!(
                    "contradicts `{}`: set only one of `team`, `teams` and `everywhere`",
                    named[0]
                ),
            ),
            (_, Some(false)) => fault("/teams", "contradicts `team`: set only one of the two".to_owned()),
        }
    }
}

/// Checks that the permissions may hold everywhere.
fn everywhere_only(entry: &Value, fault: &mut impl FnMut(&str, String)) {
    let permissions: Option<Vec<PermissionName>> = part(entry, "/permissions");
    let names: Vec<String> = permissions.into_iter().flatten().map(String::from).collect();
    let administers = names.iter().any(|name| name == Permission::NumbersAdmin.as_str());
    let mut allowed: BTreeSet<&str> = EVERYWHERE.iter().map(|permission| permission.as_str()).collect();
    if administers {
        allowed.insert(Permission::NumbersRead.as_str());
    }
    for (index, name) in names.iter().enumerate() {
        if !allowed.contains(name.as_str()) {
            let message = "can't hold everywhere: name the teams with `teams`. Everywhere can hold numbers:admin, \
                           audit:read, spend:read, and numbers:read beside numbers:admin";
            fault(&format!("/permissions/{index}"), message.to_owned());
        }
    }
}

//! The rights of Kubernetes service accounts, as the policy file lists them by cluster and name.
//!
//! An account that the file does not list may do nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::id::UserId;
use crate::domain::input::fault::{Fault, nearest, suggestion};
use crate::domain::input::list::NonEmpty;
use crate::domain::input::read::part;
use crate::domain::permission::Permission;
use crate::domain::schema::string_schema;
use crate::domain::service_account::{InvalidServiceAccount, ServiceAccountName};
use crate::domain::team::Team;
use crate::policy::check;
use crate::policy::choices::GroupRule;
use crate::policy::permission_name::PermissionName;
use crate::policy::rules::{ANY_TEAM, TeamRules};

/// Entries by cluster (issuer), then by name.
pub(super) type ServiceAccounts = BTreeMap<String, BTreeMap<ServiceAccountName, AccountEntry>>;

/// The team and permissions of one service account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountEntry {
    /// The position of the entry in the file.
    pub index: usize,
    /// The account's team.
    pub team: Team,
    /// The account's permissions.
    pub permissions: BTreeSet<String>,
    /// The user in Close for whom the account acts.
    pub close_user: Option<UserId>,
}

/// A service account of a Kubernetes cluster that may call Numberdesk.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceAccountEntry {
    /// The Kubernetes namespace of the account.
    namespace: Namespace,
    /// The name of the account.
    name: AccountName,
    /// The cluster: its `issuer` in the settings. Required if the settings trust several clusters.
    issuer: Option<String>,
    /// The team of the account. It must have rules in this file.
    team: Team,
    /// What the account may do.
    permissions: NonEmpty<PermissionName>,
    /// The user in Close for whom the account acts. None by default.
    close_user: Option<UserId>,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Namespace(String);

impl TryFrom<String> for Namespace {
    type Error = InvalidServiceAccount;
    fn try_from(text: String) -> Result<Self, InvalidServiceAccount> {
        match ServiceAccountName::new(&text, "any") {
            Err(wrong @ InvalidServiceAccount::Namespace) => Err(wrong),
            _ => Ok(Self(text)),
        }
    }
}
string_schema! {
    Namespace: "1 to 63 lower-case letters, digits or `-`.", pattern: "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", example: "crm"
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct AccountName(String);

impl TryFrom<String> for AccountName {
    type Error = InvalidServiceAccount;
    fn try_from(text: String) -> Result<Self, InvalidServiceAccount> {
        match ServiceAccountName::new("any", &text) {
            Err(wrong @ InvalidServiceAccount::Name) => Err(wrong),
            _ => Ok(Self(text)),
        }
    }
}
string_schema! {
    AccountName: "Lower-case letters, digits, `-` or `.`.",
    pattern: r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$", max_length: 253, example: "dialer"
}

/// Returns the entries by cluster. They have no faults.
pub(super) fn by_cluster(entries: Vec<ServiceAccountEntry>, clusters: &[String]) -> ServiceAccounts {
    let mut accounts = ServiceAccounts::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let issuer = entry.issuer.or_else(|| clusters.first().cloned());
        let name = ServiceAccountName::new(&entry.namespace.0, &entry.name.0);
        if let (Some(issuer), Ok(name)) = (issuer, name) {
            let found = AccountEntry {
                index,
                team: entry.team,
                permissions: entry.permissions.0.into_iter().map(String::from).collect(),
                close_user: entry.close_user,
            };
            accounts.entry(issuer).or_default().insert(name, found);
        }
    }
    accounts
}

/// Checks each entry against the trusted clusters, the teams and permissions of the same file, and other entries.
pub(super) fn check(root: &Value, clusters: &[String]) -> Vec<Fault> {
    // Rules that depend on the teams apply only if the teams have no faults.
    let teams = check::teams(root);
    let known = known_permissions(teams.as_ref());
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    let entries = root.get("service_accounts").and_then(Value::as_array);
    for (index, entry) in entries
        .into_iter()
        .flatten()
        .enumerate()
        .filter(|(_, entry)| entry.is_object())
    {
        let mut fault = |key: &str, message: String| {
            faults.push(Fault {
                pointer: format!("/service_accounts/{index}{key}"),
                message,
            });
        };
        let issuer = match issuer(entry, clusters) {
            Ok(issuer) => issuer,
            Err((key, message)) => {
                fault(key, message);
                None
            }
        };
        if let (Some(Namespace(namespace)), Some(AccountName(name))) =
            (part(entry, "/namespace"), part(entry, "/name"))
        {
            match (ServiceAccountName::new(&namespace, &name), issuer) {
                (Err(wrong), _) => fault("", wrong.to_string()),
                (Ok(account), Some(issuer)) => {
                    if !seen.insert((issuer, account)) {
                        fault("", format!("{namespace}/{name} already has an entry"));
                    }
                }
                (Ok(_), None) => {}
            }
        }
        if let (Some(team), Some(teams)) = (part::<Team>(entry, "/team"), &teams)
            && !has_rules(&team, teams)
        {
            let names: Vec<&str> = teams.keys().map(String::as_str).collect();
            let message = format!(
                "not a team of this file: add [teams.{team}], or name another team{}",
                suggestion(team.as_str(), &names)
            );
            fault("/team", message);
        }
        let permissions = entry.get("permissions").and_then(Value::as_array);
        for (index, permission) in permissions.into_iter().flatten().enumerate() {
            if let Some(permission) = part::<PermissionName>(permission, "").map(String::from)
                && teams.is_some()
                && !known.contains(&permission.as_str())
            {
                let shown: String = permission.chars().take(64).collect();
                let message = format!("unknown permission `{shown}`; {}", nearest(&shown, &known));
                fault(&format!("/permissions/{index}"), message);
            }
        }
    }
    faults
}

/// Returns the cluster of an entry; `None` if it has a fault that serde reports. An error has its key.
///
/// With several clusters, an entry must name its own. Otherwise a person who can create a namespace in one cluster could
/// act as an account of another cluster.
fn issuer(entry: &Value, clusters: &[String]) -> Result<Option<String>, (&'static str, String)> {
    match (entry.get("issuer"), clusters) {
        (Some(Value::String(issuer)), _) if clusters.contains(issuer) => Ok(Some(issuer.clone())),
        (Some(Value::String(_)), []) => Err(("/issuer", NO_CLUSTER.to_owned())),
        (Some(Value::String(_)), _) => Err((
            "/issuer",
            format!(
                "must be an issuer in the configuration with `kind = \"kubernetes\"`: {}",
                clusters.join(", ")
            ),
        )),
        (Some(_), _) => Ok(None),
        (None, []) => Err(("", NO_CLUSTER.to_owned())),
        (None, [only]) => Ok(Some(only.clone())),
        (None, several) => Err((
            "",
            format!(
                "needs `issuer`, because several clusters are trusted: one of {}",
                several.join(", ")
            ),
        )),
    }
}

const NO_CLUSTER: &str =
    "no token can prove this account: the configuration has no [[auth.issuers]] with `kind = \"kubernetes\"`";

pub(super) fn has_rules(team: &Team, teams: &BTreeMap<String, TeamRules>) -> bool {
    teams.contains_key(team.as_str()) || teams.contains_key(ANY_TEAM)
}

/// Returns the service's own permissions, and those that a rule of the file names.
pub(super) fn known_permissions(teams: Option<&BTreeMap<String, TeamRules>>) -> Vec<&str> {
    let named = teams
        .into_iter()
        .flat_map(BTreeMap::values)
        .filter_map(|rules| match &rules.group_numbers {
            GroupRule::Permission(permission) => Some(permission.as_str()),
            GroupRule::Nobody | GroupRule::Everybody | GroupRule::Claim(_) => None,
        });
    let own = Permission::ALL.iter().map(|permission| permission.as_str());
    own.chain(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Issuers, Policy};

    const ONE: &str = "https://kubernetes.default.svc.cluster.local";
    const TWO: &str = "https://oidc.example.com/id/two";

    fn parse(text: &str, clusters: &[&str]) -> Result<Policy, Vec<String>> {
        let clusters: Vec<String> = clusters.iter().map(ToString::to_string).collect();
        Policy::parse_for(
            "policy.toml",
            text,
            &Issuers {
                clusters,
                ..Issuers::default()
            },
        )
        .map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    fn name(namespace: &str, name: &str) -> ServiceAccountName {
        ServiceAccountName::new(namespace, name).unwrap()
    }

    /// A policy with one account of the team sales and more lines.
    fn account(lines: &str) -> String {
        format!(
            "[teams.sales]\n[[service_accounts]]\nnamespace = \"crm\"\nname = \"dialer\"\nteam = \"sales\"\n\
             permissions = [\"numbers:read\"]\n{lines}\n"
        )
    }

    #[test]
    fn an_account_in_the_file_has_its_grant_and_every_other_has_none() {
        let policy = parse(&account("close_user = \"user_A\""), &[ONE]).unwrap();
        let grant = policy.service_account(ONE, &name("crm", "dialer")).unwrap();
        assert_eq!(grant.team.as_str(), "sales");
        assert_eq!(grant.permissions, BTreeSet::from(["numbers:read".to_owned()]));
        assert_eq!(grant.close_user.as_ref().unwrap().as_str(), "user_A");
        for (issuer, namespace, other) in [
            (TWO, "crm", "dialer"),
            (ONE, "crm", "other"),
            (ONE, "crn", "dialer"),
        ] {
            assert_eq!(policy.service_account(issuer, &name(namespace, other)), None);
        }
        assert_eq!(
            Policy::nothing().service_account(ONE, &name("crm", "dialer")),
            None
        );
    }

    #[test]
    fn with_several_clusters_an_entry_must_name_its_issuer() {
        let both = [ONE, TWO];
        let policy = parse(&account(&format!("issuer = \"{TWO}\"")), &both).unwrap();
        assert!(policy.service_account(TWO, &name("crm", "dialer")).is_some());
        assert!(policy.service_account(ONE, &name("crm", "dialer")).is_none());
        assert_eq!(
            parse(&account(""), &both).unwrap_err(),
            [format!(
                "policy.toml:2: service_accounts[0]: needs `issuer`, because several clusters are trusted: \
                 one of {ONE}, {TWO}"
            )]
        );
        assert_eq!(
            parse(&account("issuer = \"https://kubernetes\""), &[ONE]).unwrap_err(),
            [format!(
                "policy.toml:7: service_accounts[0].issuer: must be an issuer in the configuration with \
                 `kind = \"kubernetes\"`: {ONE}"
            )]
        );
        for lines in ["", "issuer = \"https://kubernetes\""] {
            assert!(
                parse(&account(lines), &[]).unwrap_err()[0].ends_with(NO_CLUSTER),
                "{lines}"
            );
        }
    }

    #[test]
    fn in_a_file_without_teams_no_team_is_suggested() {
        let text = "[[service_accounts]]\nnamespace = \"crm\"\nname = \"dialer\"\nteam = \"sales\"\n\
                    permissions = [\"numbers:read\"]\n";
        let faults = parse(text, &[ONE]).unwrap_err();
        assert!(
            faults.len() == 1 && faults[0].ends_with("or name another team"),
            "{faults:?}"
        );
    }

    #[test]
    fn faults_name_their_line_and_key() {
        let text = r#"
[teams.sales]
[[service_accounts]]
namespace = "CRM"
name = "dialer_"
team = "sales"
permissions = ["numbers:rnet", "fly"]
[[service_accounts]]
namespace = "crm"
name = "a.b"
team = "slaes"
permissions = []
close_user = "alice"
[[service_accounts]]
name = "x"
team = "sales"
permissions = ["numbers:read"]
nmespace = "y"
"#;
        let faults = parse(text, &[ONE]).unwrap_err();
        let expected = [
            "policy.toml:4: service_accounts[0].namespace: must be a Kubernetes namespace",
            "policy.toml:5: service_accounts[0].name: must be the name of a service account",
            "policy.toml:7: service_accounts[0].permissions[0]: unknown permission `numbers:rnet`; did you mean \
             `numbers:rent`?",
            "policy.toml:7: service_accounts[0].permissions[1]: unknown permission `fly`; expected one of \
             numbers:read, ",
            "policy.toml:11: service_accounts[1].team: not a team of this file: add [teams.slaes], \
             or name another team; did you mean `sales`?",
            "policy.toml:12: service_accounts[1].permissions: must name at least one permission",
            "policy.toml:13: service_accounts[1].close_user: must be an id like `user_…`",
            "policy.toml:14: service_accounts[2]: `namespace` is required",
            "policy.toml:18: service_accounts[2].nmespace: unknown key `nmespace`; did you mean `namespace`?",
        ];
        assert_eq!(faults.len(), expected.len(), "{faults:#?}");
        for (fault, expected) in faults.iter().zip(expected) {
            assert!(fault.starts_with(expected), "{fault}\n{expected}");
        }
    }

    #[test]
    fn an_account_has_at_most_one_entry_in_a_cluster() {
        let entry = account("").replace("[teams.sales]\n", "");
        let twice = format!("{}{entry}", account(""));
        assert_eq!(
            parse(&twice, &[ONE]).unwrap_err(),
            ["policy.toml:8: service_accounts[1]: crm/dialer already has an entry"]
        );
        let entry_for = |issuer: &str| {
            entry.replace(
                "name = \"dialer\"",
                &format!("name = \"dialer\"\nissuer = \"{issuer}\""),
            )
        };
        assert!(
            parse(
                &format!("[teams.sales]\n{}{}", entry_for(ONE), entry_for(TWO)),
                &[ONE, TWO]
            )
            .is_ok()
        );
        // With one cluster, an entry without `issuer` means that cluster.
        assert!(parse(&format!("{}{}", account(""), entry_for(ONE)), &[ONE]).is_err());
    }

    #[test]
    fn the_star_entry_and_permissions_in_rules_are_valid_in_a_grant() {
        let anyone = account("").replace("[teams.sales]", "[teams.\"*\"]");
        assert!(parse(&anyone, &[ONE]).is_ok());
        let own = account("").replace("numbers:read", "acme:share");
        assert!(parse(&own, &[ONE]).is_err());
        let named = own.replace(
            "[teams.sales]",
            "[teams.sales]\ngroup_numbers = { permission = \"acme:share\" }",
        );
        assert!(parse(&named, &[ONE]).is_ok());
    }
}

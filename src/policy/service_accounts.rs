//! The grants of Kubernetes service accounts, as the policy file lists them by cluster and name.
//!
//! An account that the file does not list may do nothing.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::domain::id::UserId;
use crate::domain::input::fields::{Node, nearest};
use crate::domain::permission::Permission;
use crate::domain::service_account::{InvalidServiceAccount, ServiceAccountName};
use crate::domain::team::Team;
use crate::policy::rules::{ANY_TEAM, GroupRule, TeamRules};

/// Grants by cluster (issuer), then by name.
pub(super) type ServiceAccounts = BTreeMap<String, BTreeMap<ServiceAccountName, Grant>>;

/// The team and permissions of one service account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The account's team.
    pub team: Team,
    /// The account's permissions.
    pub permissions: BTreeSet<String>,
    /// The user in Close for whom the account acts.
    pub close_user: Option<UserId>,
}

/// Reads `[[service_accounts]]`.
///
/// `clusters` are the trusted issuers. `teams` are the teams of the same file; `None` if they have faults, which skips
/// the checks that depend on them.
pub(super) fn read(
    node: &Node<'_>,
    teams: Option<&BTreeMap<String, TeamRules>>,
    clusters: &[String],
) -> Option<ServiceAccounts> {
    let accounts = RefCell::new(ServiceAccounts::new());
    node.list(|item| {
        let (issuer, name, grant) = entry(&item, teams, clusters)?;
        let mut accounts = accounts.borrow_mut();
        let known = accounts.entry(issuer).or_default();
        if known.contains_key(&name) {
            return item.fault(format!(
                "{}/{} already has an entry",
                name.namespace(),
                name.name()
            ));
        }
        known.insert(name, grant);
        Some(())
    })?;
    Some(accounts.into_inner())
}

fn entry(
    node: &Node<'_>,
    teams: Option<&BTreeMap<String, TeamRules>>,
    clusters: &[String],
) -> Option<(String, ServiceAccountName, Grant)> {
    let mut fields = node.clone().fields()?;
    // A fault of one part names its own key; a fault of both together names the whole entry.
    let namespace = fields.required("namespace", |node| {
        let text = node.string()?;
        match ServiceAccountName::new(text, "any") {
            Err(wrong @ InvalidServiceAccount::Namespace) => node.fault(wrong.to_string()),
            _ => Some(text),
        }
    });
    let name = fields.required("name", |node| {
        let text = node.string()?;
        match ServiceAccountName::new("any", text) {
            Err(wrong @ InvalidServiceAccount::Name) => node.fault(wrong.to_string()),
            _ => Some(text),
        }
    });
    let issuer = fields.optional("issuer", |node| trusted(&node, clusters));
    let team = fields.required("team", |node| {
        let team: Team = node.parse()?;
        match teams {
            Some(teams) if !has_rules(&team, teams) => node.fault(format!(
                "not a team of this file: add [teams.{team}], or name another team; {}",
                nearest(
                    team.as_str(),
                    &teams.keys().map(String::as_str).collect::<Vec<_>>()
                )
            )),
            _ => Some(team),
        }
    });
    let permissions = fields.required("permissions", |node| permissions(&node, teams));
    let close_user = fields.optional("close_user", |node| node.parse());
    let whole = fields.node().clone();
    fields.finish()?;
    let issuer = match issuer? {
        Some(issuer) => issuer,
        None => only(&whole, clusters)?,
    };
    let name = match ServiceAccountName::new(namespace?, name?) {
        Ok(name) => name,
        Err(wrong) => return whole.fault(wrong.to_string()),
    };
    let grant = Grant {
        team: team?,
        permissions: permissions?,
        close_user: close_user?,
    };
    Some((issuer, name, grant))
}

/// Returns the only trusted cluster. With several clusters, an entry must name its own.
///
/// Otherwise a person who can create a namespace in one cluster could act as an account of another cluster.
fn only(node: &Node<'_>, clusters: &[String]) -> Option<String> {
    match clusters {
        [only] => Some(only.clone()),
        [] => node.fault(NO_CLUSTER),
        several => node.fault(format!(
            "needs `issuer`, because several clusters are trusted: one of {}",
            several.join(", ")
        )),
    }
}

fn trusted(node: &Node<'_>, clusters: &[String]) -> Option<String> {
    let text = node.string()?;
    if clusters.iter().any(|cluster| cluster == text) {
        Some(text.to_owned())
    } else if clusters.is_empty() {
        node.fault(NO_CLUSTER)
    } else {
        node.fault(format!(
            "must be an issuer in the configuration with `kind = \"kubernetes\"`: {}",
            clusters.join(", ")
        ))
    }
}

const NO_CLUSTER: &str =
    "no token can prove this account: the configuration has no [[auth.issuers]] with `kind = \"kubernetes\"`";

fn has_rules(team: &Team, teams: &BTreeMap<String, TeamRules>) -> bool {
    teams.contains_key(team.as_str()) || teams.contains_key(ANY_TEAM)
}

/// Reads permissions: the service's own, and those that a rule of the file names.
fn permissions(node: &Node<'_>, teams: Option<&BTreeMap<String, TeamRules>>) -> Option<BTreeSet<String>> {
    let named = teams
        .into_iter()
        .flat_map(BTreeMap::values)
        .filter_map(|rules| match &rules.group_numbers {
            GroupRule::Permission(permission) => Some(permission.as_str()),
            GroupRule::Nobody | GroupRule::Everybody => None,
        });
    let mut known: Vec<&str> = Permission::ALL.iter().map(|one| one.as_str()).collect();
    known.extend(named);
    let permissions = node.list(|item| {
        let text = item.string()?;
        if teams.is_none() || known.contains(&text) {
            Some(text.to_owned())
        } else {
            let shown: String = text.chars().take(64).collect();
            item.fault(format!(
                "unknown permission `{shown}`; {}",
                nearest(&shown, &known)
            ))
        }
    })?;
    if permissions.is_empty() {
        return node.fault("must name at least one permission, such as \"numbers:read\"");
    }
    Some(permissions.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    const ONE: &str = "https://kubernetes.default.svc.cluster.local";
    const TWO: &str = "https://oidc.example.com/id/two";

    fn parse(text: &str, clusters: &[&str]) -> Result<Policy, Vec<String>> {
        let clusters: Vec<String> = clusters.iter().map(ToString::to_string).collect();
        Policy::parse_for("policy.toml", text, &clusters)
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

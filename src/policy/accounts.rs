//! What service accounts of Kubernetes may do: the list of the policy file, by cluster and name. It decides nothing: an
//! account that is not listed is nobody.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::domain::caller::{Permission, Team};
use crate::domain::id::UserId;
use crate::domain::input::fields::{Node, nearest};
use crate::domain::service_account::{AccountName, NotAnAccount};
use crate::policy::ANY_TEAM;
use crate::policy::rules::{GroupRule, TeamRules};

/// By cluster, then by name.
pub(super) type Accounts = BTreeMap<String, BTreeMap<AccountName, Grant>>;

/// What one account may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Whose it is.
    pub team: Team,
    /// What it may do for the team.
    pub permissions: BTreeSet<String>,
    /// The user in Close that it acts for.
    pub close_user: Option<UserId>,
}

/// `[[service_accounts]]`, for teams of the same file and the clusters that are trusted. `None` for teams: they have faults
/// of their own, and what depends on them is not looked at.
pub(super) fn read(
    node: &Node<'_>,
    teams: Option<&BTreeMap<String, TeamRules>>,
    clusters: &[String],
) -> Option<Accounts> {
    let accounts = RefCell::new(Accounts::new());
    node.list(|item| {
        let (issuer, name, grant) = entry(&item, teams, clusters)?;
        let mut accounts = accounts.borrow_mut();
        let known = accounts.entry(issuer).or_default();
        if known.contains_key(&name) {
            return item.fault(format!(
                "{}/{} has an entry already",
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
) -> Option<(String, AccountName, Grant)> {
    let mut fields = node.clone().fields()?;
    // Each is held to its own rule where it stands; what no pair of both could be is said of the whole.
    let namespace = fields.required("namespace", |node| {
        let text = node.string()?;
        match AccountName::new(text, "any") {
            Err(wrong @ NotAnAccount::Namespace) => node.fault(wrong.to_string()),
            _ => Some(text),
        }
    });
    let name = fields.required("name", |node| {
        let text = node.string()?;
        match AccountName::new("any", text) {
            Err(wrong @ NotAnAccount::Name) => node.fault(wrong.to_string()),
            _ => Some(text),
        }
    });
    let issuer = fields.optional("issuer", |node| trusted(&node, clusters));
    let team = fields.required("team", |node| {
        let team: Team = node.parse()?;
        match teams {
            Some(teams) if !has_rules(&team, teams) => node.fault(format!(
                "no team of this file: add [teams.{team}], or name another; {}",
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
    let name = match AccountName::new(namespace?, name?) {
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

/// Where several clusters are trusted, one of them must be named: whoever may make a namespace in one must not become
/// an account of another.
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
            "must be an issuer of the configuration with `kind = \"kubernetes\"`: {}",
            clusters.join(", ")
        ))
    }
}

const NO_CLUSTER: &str =
    "nobody could be this account: the configuration has no [[auth.issuers]] with `kind = \"kubernetes\"`";

fn has_rules(team: &Team, teams: &BTreeMap<String, TeamRules>) -> bool {
    teams.contains_key(team.as_str()) || teams.contains_key(ANY_TEAM)
}

/// Those that the desk knows, and those that a rule of the file asks for.
fn permissions(node: &Node<'_>, teams: Option<&BTreeMap<String, TeamRules>>) -> Option<BTreeSet<String>> {
    let asked = teams
        .into_iter()
        .flat_map(BTreeMap::values)
        .filter_map(|rules| match &rules.group_numbers {
            GroupRule::Permission(permission) => Some(permission.as_str()),
            GroupRule::Nobody | GroupRule::Everybody => None,
        });
    let mut known: Vec<&str> = Permission::ALL.iter().map(|one| one.as_str()).collect();
    known.extend(asked);
    let permissions = node.list(|item| {
        let text = item.string()?;
        if teams.is_none() || known.contains(&text) {
            Some(text.to_owned())
        } else {
            let shown: String = text.chars().take(64).collect();
            item.fault(format!("no permission `{shown}`; {}", nearest(&shown, &known)))
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

    fn name(namespace: &str, name: &str) -> AccountName {
        AccountName::new(namespace, name).unwrap()
    }

    /// An account of the team sales with more or other lines.
    fn account(lines: &str) -> String {
        format!(
            "[teams.sales]\n[[service_accounts]]\nnamespace = \"crm\"\nname = \"dialer\"\nteam = \"sales\"\n\
             permissions = [\"numbers:read\"]\n{lines}\n"
        )
    }

    #[test]
    fn an_account_gets_what_stands_there_and_another_gets_nothing() {
        let policy = parse(&account("close_user = \"user_A\""), &[ONE]).unwrap();
        let grant = policy.account(ONE, &name("crm", "dialer")).unwrap();
        assert_eq!(grant.team.as_str(), "sales");
        assert_eq!(grant.permissions, BTreeSet::from(["numbers:read".to_owned()]));
        assert_eq!(grant.close_user.as_ref().unwrap().as_str(), "user_A");
        for (issuer, namespace, other) in [
            (TWO, "crm", "dialer"),
            (ONE, "crm", "other"),
            (ONE, "crn", "dialer"),
        ] {
            assert_eq!(policy.account(issuer, &name(namespace, other)), None);
        }
        assert_eq!(Policy::nothing().account(ONE, &name("crm", "dialer")), None);
    }

    #[test]
    fn with_several_clusters_an_entry_says_of_which_it_is() {
        let both = [ONE, TWO];
        let policy = parse(&account(&format!("issuer = \"{TWO}\"")), &both).unwrap();
        assert!(policy.account(TWO, &name("crm", "dialer")).is_some());
        assert!(policy.account(ONE, &name("crm", "dialer")).is_none());
        assert_eq!(
            parse(&account(""), &both).unwrap_err(),
            [format!(
                "policy.toml:2: service_accounts[0]: needs `issuer`, because several clusters are trusted: one of {ONE}, {TWO}"
            )]
        );
        assert_eq!(
            parse(&account("issuer = \"https://kubernetes\""), &[ONE]).unwrap_err(),
            [format!(
                "policy.toml:7: service_accounts[0].issuer: must be an issuer of the configuration with \
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
    fn faults_are_named_with_line_and_key() {
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
        let said = parse(text, &[ONE]).unwrap_err();
        let expected = [
            "policy.toml:4: service_accounts[0].namespace: must be a namespace of Kubernetes",
            "policy.toml:5: service_accounts[0].name: must be a service account's name",
            "policy.toml:7: service_accounts[0].permissions[0]: no permission `numbers:rnet`; did you mean `numbers:rent`?",
            "policy.toml:7: service_accounts[0].permissions[1]: no permission `fly`; known are numbers:read, ",
            "policy.toml:11: service_accounts[1].team: no team of this file: add [teams.slaes], or name another; did you mean \
             `sales`?",
            "policy.toml:12: service_accounts[1].permissions: must name at least one permission",
            "policy.toml:13: service_accounts[1].close_user: must be an id like `user_…`",
            "policy.toml:14: service_accounts[2]: `namespace` is required",
            "policy.toml:18: service_accounts[2].nmespace: unknown key `nmespace`; did you mean `namespace`?",
        ];
        assert_eq!(said.len(), expected.len(), "{said:#?}");
        for (said, expected) in said.iter().zip(expected) {
            assert!(said.starts_with(expected), "{said}\n{expected}");
        }
    }

    #[test]
    fn an_account_stands_once_in_a_cluster() {
        let entry = account("").replace("[teams.sales]\n", "");
        let twice = format!("{}{entry}", account(""));
        assert_eq!(
            parse(&twice, &[ONE]).unwrap_err(),
            ["policy.toml:8: service_accounts[1]: crm/dialer has an entry already"]
        );
        let of = |issuer: &str| {
            entry.replace(
                "name = \"dialer\"",
                &format!("name = \"dialer\"\nissuer = \"{issuer}\""),
            )
        };
        assert!(parse(&format!("[teams.sales]\n{}{}", of(ONE), of(TWO)), &[ONE, TWO]).is_ok());
        // With one cluster, naming it and not naming it is the same.
        assert!(parse(&format!("{}{}", account(""), of(ONE)), &[ONE]).is_err());
    }

    #[test]
    fn a_team_without_an_entry_and_a_permission_of_the_company_s_own_are_known_where_rules_name_them() {
        let anyone = account("").replace("[teams.sales]", "[teams.\"*\"]");
        assert!(parse(&anyone, &[ONE]).is_ok());
        let own = account("").replace("numbers:read", "acme:share");
        assert!(parse(&own, &[ONE]).is_err());
        let asked = own.replace(
            "[teams.sales]",
            "[teams.sales]\ngroup_numbers = { permission = \"acme:share\" }",
        );
        assert!(parse(&asked, &[ONE]).is_ok());
    }
}

//! Warnings about grants that are valid and probably not meant so: they can never match, or match too much.
//!
//! They are no faults: one policy file may serve several installations, of which each trusts other issuers.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::domain::input::fault::{Fault, nearest, suggestion};
use crate::policy::grants::{Grant, Reach};
use crate::policy::issuers::Issuers;
use crate::policy::rules::TeamRules;
use crate::policy::service_accounts::{has_rules, known_permissions};

/// The hosts of Entra ID's issuers, of its national clouds too.
const ENTRA_HOSTS: [&str; 5] = [
    "login.microsoftonline.com",
    "sts.windows.net",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    "login.chinacloudapi.cn",
];

/// The end of the hosts of Entra External ID's issuers, each of which begins with the name or id of a tenant.
const ENTRA_EXTERNAL_ID: &str = ".ciamlogin.com";

/// Returns the warnings about the grants of a file.
pub(super) fn about(grants: &[Grant], teams: &BTreeMap<String, TeamRules>, issuers: &Issuers) -> Vec<Fault> {
    let known = known_permissions(Some(teams));
    let mut warnings = Vec::new();
    for (index, grant) in grants.iter().enumerate() {
        let mut warn = |key: &str, message: String| {
            warnings.push(Fault {
                pointer: format!("/grants/{index}{key}"),
                message,
            });
        };
        if let Some((key, message)) = never_matches(grant, issuers) {
            warn(key, message);
        }
        for permission in &grant.permissions {
            if !known.contains(&permission.as_str()) {
                let message = format!(
                    "unknown permission `{permission}`; {}",
                    nearest(permission, &known)
                );
                warn("/permissions", message);
            }
        }
        for team in grant.teams().iter().filter(|team| !has_rules(team, teams)) {
            let names: Vec<&str> = teams.keys().map(String::as_str).collect();
            let suggestion = suggestion(team.as_str(), &names);
            warn(
                "",
                format!(
                    "the team {team} has no rules, so it may rent nothing: add [teams.{team}]{suggestion}"
                ),
            );
        }
        if is_group_name_of_entra(grant, issuers) {
            warn(
                "/value",
                format!(
                    "`{}` is no GUID: at /groups, Entra ID sends the object ids of groups, unless the application is \
                     configured to send names",
                    grant.value
                ),
            );
        }
        if is_upper_case_id_of_entra(grant, issuers) {
            warn(
                "/value",
                format!(
                    "can never match: Entra ID writes ids in lower case, here `{}`",
                    grant.value.to_lowercase()
                ),
            );
        }
        if let Some(other) = grants[..index]
            .iter()
            .position(|other| is_ambiguous(grant, other))
        {
            warn(
                "/value",
                format!(
                    "grants[{other}] has the same value for another team: its members belong to both teams"
                ),
            );
        }
    }
    warnings
}

/// Returns why no token can match the grant, with the key concerned.
fn never_matches(grant: &Grant, issuers: &Issuers) -> Option<(&'static str, String)> {
    let providers: Vec<&str> = issuers.providers.iter().map(String::as_str).collect();
    match &grant.issuer {
        None if providers.is_empty() => Some((
            "",
            "can never match: the configuration has no issuer with `kind = \"oidc\"`".to_owned(),
        )),
        Some(issuer) if issuers.clusters.contains(issuer) => Some((
            "/issuer",
            "can never match: service accounts of a cluster get permissions by [[service_accounts]] alone"
                .to_owned(),
        )),
        Some(issuer) if !issuers.providers.contains(issuer) => {
            let nearest = if providers.is_empty() {
                "none is configured".to_owned()
            } else {
                nearest(issuer, &providers)
            };
            Some((
                "/issuer",
                format!(
                    "can never match: no [[auth.issuers]] of the configuration has this `issuer`; {nearest}"
                ),
            ))
        }
        _ => None,
    }
}

/// Whether the grant names a group of Entra ID by a name, where its tokens have ids.
fn is_group_name_of_entra(grant: &Grant, issuers: &Issuers) -> bool {
    is_for_groups_of_entra(grant, issuers) && !is_guid(&grant.value)
}

/// Whether the grant names a group of Entra ID by an id that its tokens never have in this form.
fn is_upper_case_id_of_entra(grant: &Grant, issuers: &Issuers) -> bool {
    let upper_case = grant.value.contains(|letter: char| letter.is_ascii_uppercase());
    is_for_groups_of_entra(grant, issuers) && is_guid(&grant.value) && upper_case
}

/// Whether only tokens of Entra ID can match the grant, by their groups.
fn is_for_groups_of_entra(grant: &Grant, issuers: &Issuers) -> bool {
    let mut possible = issuers
        .providers
        .iter()
        .filter(|issuer| grant.applies_to(issuer))
        .peekable();
    let mut claims = grant.claims.as_slice().iter();
    let groups = claims.all(|claim| claim.as_str() == "/groups");
    groups && possible.peek().is_some() && possible.all(|issuer| is_entra(issuer))
}

/// Whether the text is a GUID as Entra ID writes it.
fn is_guid(text: &str) -> bool {
    text.len() == 36 && Uuid::try_parse(text).is_ok()
}

fn is_entra(issuer: &str) -> bool {
    let host = issuer
        .strip_prefix("https://")
        .and_then(|rest| rest.split('/').next());
    host.is_some_and(|host| ENTRA_HOSTS.contains(&host) || host.ends_with(ENTRA_EXTERNAL_ID))
}

/// Whether both grants match the same value of one claim, and give different teams.
fn is_ambiguous(one: &Grant, other: &Grant) -> bool {
    let (Reach::Teams(teams), Reach::Teams(others)) = (&one.reach, &other.reach) else {
        return false;
    };
    let overlap = match (&one.issuer, &other.issuer) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    };
    let differ = |some: &[_], more: &[_]| some.iter().any(|team| !more.contains(team));
    one.value == other.value
        && overlap
        && one
            .claims
            .as_slice()
            .iter()
            .any(|claim| other.claims.as_slice().contains(claim))
        && (differ(teams, others) || differ(others, teams))
}

#[cfg(test)]
mod tests {
    use crate::policy::{Issuers, Policy};

    const OKTA: &str = "https://acme.okta.com";
    const ENTRA: &str = "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0";
    const CLUSTER: &str = "https://kubernetes.default.svc";

    fn warnings(text: &str, providers: &[&str]) -> Vec<String> {
        let issuers = Issuers {
            providers: providers.iter().map(ToString::to_string).collect(),
            clusters: vec![CLUSTER.to_owned()],
        };
        let policy = Policy::parse_for("policy.toml", text, &issuers).unwrap();
        policy.warnings().iter().map(ToString::to_string).collect()
    }

    /// A grant to the team sales, with more lines.
    fn grant(value: &str, lines: &str) -> String {
        format!(
            "[[grants]]\nclaim = \"/groups\"\nvalue = \"{value}\"\n{lines}\npermissions = [\"numbers:read\"]\n"
        )
    }

    const GUID: &str = "5f1c8a52-0b1e-4b57-9a36-1a2d0c7be901";

    #[test]
    fn a_grant_that_can_match_has_no_warning() {
        for lines in [
            "team = \"sales\"".to_owned(),
            format!("team = \"sales\"\nissuer = \"{OKTA}\""),
        ] {
            let text = format!("[teams.sales]\n{}", grant(GUID, &lines));
            assert_eq!(warnings(&text, &[OKTA]), [""; 0]);
        }
    }

    #[test]
    fn a_grant_that_can_never_match_is_named() {
        let with_issuer = |issuer: &str| {
            format!(
                "[teams.sales]\n{}",
                grant("leads", &format!("team = \"sales\"\nissuer = \"{issuer}\""))
            )
        };
        assert_eq!(
            warnings(&with_issuer("https://acme.okta.com/"), &[OKTA]),
            [
                "policy.toml:6: grants[0].issuer: can never match: no [[auth.issuers]] of the configuration has this \
              `issuer`; did you mean `https://acme.okta.com`?"
            ]
        );
        assert_eq!(
            warnings(&with_issuer(CLUSTER), &[OKTA]),
            [
                "policy.toml:6: grants[0].issuer: can never match: service accounts of a cluster get permissions by \
              [[service_accounts]] alone"
            ]
        );
        let any = format!("[teams.sales]\n{}", grant("leads", "team = \"sales\""));
        assert_eq!(
            warnings(&any, &[]),
            [
                "policy.toml:2: grants[0]: can never match: the configuration has no issuer with `kind = \"oidc\"`"
            ]
        );
    }

    #[test]
    fn an_unknown_permission_and_a_team_without_rules_are_named() {
        let text = "[teams.sales]\n[[grants]]\nclaim = \"/groups\"\nvalue = \"leads\"\nteams = [\"sales\", \"slaes\"]\n\
                    permissions = [\"numbers:read\", \"numbers:rnet\"]\n";
        assert_eq!(
            warnings(text, &[OKTA]),
            [
                "policy.toml:2: grants[0]: the team slaes has no rules, so it may rent nothing: add [teams.slaes]; did \
                 you mean `sales`?",
                "policy.toml:6: grants[0].permissions: unknown permission `numbers:rnet`; did you mean `numbers:rent`?",
            ]
        );
        let named = text.replace(
            "[teams.sales]",
            "[teams.\"*\"]\ngroup_numbers = { permission = \"numbers:rnet\" }",
        );
        assert_eq!(warnings(&named, &[OKTA]), [""; 0]);
    }

    #[test]
    fn a_group_name_where_entra_sends_ids_is_named() {
        let text = format!("[teams.sales]\n{}", grant("Sales Leads", "team = \"sales\""));
        let found = warnings(&text, &[ENTRA]);
        assert!(
            found.len() == 1 && found[0].contains("`Sales Leads` is no GUID"),
            "{found:?}"
        );
        assert_eq!(warnings(&text, &[OKTA]), [""; 0]);
        // With another provider, the grant may be for its tokens.
        assert_eq!(warnings(&text, &[ENTRA, OKTA]), [""; 0]);
        let roles = text.replace("/groups", "/roles");
        assert_eq!(warnings(&roles, &[ENTRA]), [""; 0]);
        assert_eq!(warnings(&text.replace("Sales Leads", GUID), &[ENTRA]), [""; 0]);
    }

    #[test]
    fn an_id_of_entra_in_upper_case_can_never_match() {
        let upper = GUID.to_uppercase();
        let text = format!("[teams.sales]\n{}", grant(&upper, "team = \"sales\""));
        let external = "https://acme.ciamlogin.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0";
        for issuer in [ENTRA, external] {
            assert_eq!(
                warnings(&text, &[issuer]),
                [format!(
                    "policy.toml:4: grants[0].value: can never match: Entra ID writes ids in lower case, here `{GUID}`"
                )],
                "{issuer}"
            );
        }
        assert_eq!(warnings(&text, &[OKTA]), [""; 0]);
    }

    #[test]
    fn one_value_for_different_teams_is_named() {
        let two = |one: &str, other: &str| {
            format!("[teams.\"*\"]\n{}{}", grant("leads", one), grant("leads", other))
        };
        let found = warnings(&two("team = \"a\"", "team = \"b\""), &[OKTA]);
        assert_eq!(
            found,
            [
                "policy.toml:9: grants[1].value: grants[0] has the same value for another team: its members belong to \
              both teams"
            ]
        );
        for (one, other) in [
            ("team = \"a\"", "teams = [\"a\"]"),
            ("teams = [\"a\", \"b\"]", "teams = [\"b\", \"a\"]"),
            (
                "team = \"a\"\nissuer = \"https://acme.okta.com\"",
                "team = \"b\"\nissuer = \"https://other\"",
            ),
        ] {
            assert_eq!(
                warnings(&two(one, other), &[OKTA, "https://other"]),
                [""; 0],
                "{one} {other}"
            );
        }
    }
}

//! The guide to identity providers: its settings accept its tokens, and the service reads from them what it says.
//!
//! The settings, tokens and policies are the blocks of the guide, so that guide and test can't differ.

use std::collections::{BTreeMap, BTreeSet};

use numberdesk::auth::Auth;
use numberdesk::domain::claim;
use numberdesk::domain::identity::TokenIdentity;
use numberdesk::domain::permission::Permission;
use numberdesk::domain::time::Clock;
use numberdesk::{app, config};
use serde_json::{Value, json};

use crate::auth::identified;
use crate::auth::idp::{Signer, jwks};
use crate::support::binary::run;
use crate::support::database::{Database, with_sqlite};
use crate::support::program::root;
use crate::support::server::{POLICY, TestConfig, TestServer, send};

const GUIDE: &str = "docs/identity-providers.md";
const PROVIDERS: [&str; 10] = [
    "Microsoft Entra ID",
    "Okta",
    "Auth0",
    "Keycloak",
    "Google",
    "Amazon Cognito",
    "Dex",
    "Zitadel",
    "oauth2-proxy",
    "Cloud Foundry UAA",
];
/// The file that replaces the keys of each provider.
const KEYS: &str = "provider.json";

/// The section of one provider.
struct Provider {
    name: &'static str,
    settings: String,
    tokens: Vec<Sample>,
    grants: Vec<toml::Table>,
    policy: String,
}

/// A token, and what the guide says about it.
struct Sample {
    claims: Value,
    read: Expected,
}

/// What the service reads from a token.
#[derive(Debug, PartialEq)]
struct Expected {
    name: String,
    teams: Vec<String>,
    permissions: Vec<String>,
    close_user: Option<String>,
    left_out: Vec<String>,
    overage: bool,
}

impl Provider {
    fn read(name: &'static str, section: &str) -> Self {
        let (mut settings, mut policy, mut tokens) = (String::new(), String::new(), Vec::new());
        let mut parts = section.split("```");
        parts.next();
        while let (Some(block), Some(text)) = (parts.next(), parts.next()) {
            let (language, content) = block.split_once('\n').expect("a block has a language");
            match language {
                "toml" if content.contains("[[grants]]") => policy.push_str(content),
                "toml" => settings.push_str(content),
                "json" => tokens.push(Sample {
                    claims: serde_json::from_str(content).expect("JSON"),
                    read: Expected::parse(text),
                }),
                other => panic!("{name} has a block in {other}"),
            }
        }
        let parsed: toml::Table = policy.parse().expect("TOML");
        let grants = parsed["grants"].as_array().expect("a list").iter();
        let grants = grants
            .map(|grant| grant.as_table().expect("a table").clone())
            .collect();
        assert!(!settings.is_empty() && !tokens.is_empty(), "{name}");
        Self {
            name,
            settings,
            tokens,
            grants,
            policy,
        }
    }

    /// Returns the settings with keys that the test has, instead of the provider's.
    fn settings_with_test_keys(&self) -> String {
        let lines = self
            .settings
            .lines()
            .filter(|line| !line.starts_with("jwks_url = "));
        let lines = lines.map(|line| match line {
            "[[auth.issuers]]" => format!("{line}\njwks_file = \"{KEYS}\""),
            line => line.to_owned(),
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl Sample {
    /// Signs the token as of now. Its header has members that no provider's key may come from.
    fn sign(&self, signer: &Signer) -> String {
        let (mut claims, now) = (self.claims.clone(), Clock::system().now().as_seconds());
        for (name, time) in [
            ("iat", now),
            ("nbf", now),
            ("auth_time", now),
            ("exp", now + 3_600),
        ] {
            if claims.get(name).is_some() {
                claims[name] = json!(time);
            }
        }
        let mut header = signer.header();
        header["jku"] = "http://127.0.0.1:9/token_keys".into();
        header["x5t"] = "p3wyVp08o44UB4W0LDXw8OD2rQw".into();
        signer.sign_texts(&header.to_string(), &claims.to_string())
    }
}

impl Expected {
    /// Parses a paragraph such as "Read: name `a`; teams none; permissions `b` `c`; Close user none."
    fn parse(text: &str) -> Self {
        let read = text.split("Read: ").nth(1).expect("a paragraph after each token");
        let read = read.split("\n\n").next().expect("a paragraph").replace('\n', " ");
        let mut parts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for part in read.trim_end_matches('.').split("; ") {
            let (what, _) = part
                .split_once(" `")
                .unwrap_or_else(|| part.rsplit_once(" none").unwrap_or((part, "")));
            let words = part.split('`').skip(1).step_by(2).map(str::to_owned);
            parts.insert(what, words.collect());
        }
        let mut take = |what: &str| parts.remove(what).unwrap_or_default();
        let expected = Self {
            name: take("name").pop().expect("a name"),
            teams: take("teams"),
            permissions: take("permissions"),
            close_user: take("Close user").pop(),
            left_out: take("left out"),
            overage: read.contains("groups left out by the provider"),
        };
        take("groups left out by the provider");
        assert!(parts.is_empty(), "{parts:?}");
        expected
    }

    fn of(identity: &TokenIdentity) -> Self {
        let known = |word: &&String| word.parse::<Permission>().is_ok();
        Self {
            name: identity.name.clone(),
            teams: identity.teams.iter().map(ToString::to_string).collect(),
            permissions: identity.permissions.iter().filter(known).cloned().collect(),
            close_user: identity.close_user.as_ref().map(ToString::to_string),
            left_out: identity
                .ignored_teams
                .iter()
                .map(|team| team.name.clone())
                .collect(),
            overage: identity.overage,
        }
    }
}

fn providers() -> Vec<Provider> {
    let guide = std::fs::read_to_string(root().join(GUIDE)).expect("the guide can be read");
    let sections: BTreeMap<&str, &str> = guide
        .split("\n## ")
        .filter_map(|section| section.split_once('\n'))
        .collect();
    PROVIDERS.map(|name| Provider::read(name, sections[name])).into()
}

/// Returns a configuration with the settings of all providers, and the key that signs for them.
fn configuration(providers: &[Provider]) -> (TestConfig, Signer) {
    let signer = Signer::new("RS256", "a");
    let settings: Vec<_> = providers.iter().map(Provider::settings_with_test_keys).collect();
    let config = TestConfig {
        issuers: settings.join("\n"),
        files: vec![(KEYS, jwks(&[&signer]).to_string())],
        ..TestConfig::default()
    };
    (config, signer)
}

#[tokio::test]
async fn the_service_reads_from_the_token_of_each_provider_what_the_guide_says() {
    with_sqlite(read_each_sample).await;
}

async fn read_each_sample(database: Database) {
    let providers = providers();
    let (config, signer) = configuration(&providers);
    let server = TestServer::unsynced(database, config).await;
    let file = server.folder.path().join("numberdesk.toml");
    let config = config::load(&file, std::iter::empty()).expect("the configuration is fine");
    let proxies = app::proxies(&config).expect("no proxy is configured");
    let auth: Auth = app::auth(&config, &proxies, Clock::system()).expect("the issuers can be opened");
    for provider in &providers {
        for sample in &provider.tokens {
            let token = sample.sign(&signer);
            let identity = identified(&auth, &token).await;
            let identity = identity.unwrap_or_else(|fault| panic!("{}: {fault}", provider.name));
            assert_eq!(Expected::of(&identity), sample.read, "{}", provider.name);

            let me = send(server.request("GET", "/v1/me").bearer_auth(token))
                .await
                .expect(200);
            assert_eq!(me["issuer"], sample.claims["iss"], "{}", provider.name);
        }
    }
}

#[test]
fn each_grant_of_the_guide_matches_a_token_of_its_provider() {
    let permissions: BTreeSet<&str> = Permission::ALL
        .iter()
        .map(|permission| permission.as_str())
        .collect();
    for provider in providers() {
        for grant in &provider.grants {
            let text = |name: &str| grant[name].as_str().expect("a string");
            let matches = |sample: &&Sample| {
                let value = sample.claims.pointer(text("claim"));
                sample.claims["iss"] == text("issuer")
                    && value.is_some_and(|value| claim::members(value).contains(&text("value")))
            };
            assert!(
                provider.tokens.iter().any(|sample| matches(&sample)),
                "{}: {grant}",
                provider.name
            );
            let given = grant["permissions"].as_array().expect("a list").iter();
            let unknown = given
                .filter_map(|word| word.as_str())
                .find(|word| !permissions.contains(word));
            assert_eq!(unknown, None, "{}: {grant}", provider.name);
        }
    }
}

/// The right of a caller of each grant, in its team.
#[tokio::test]
async fn the_policy_of_the_guide_gives_each_caller_the_rights_of_its_grants() {
    with_sqlite(give_the_rights_of_each_grant).await;
}

async fn give_the_rights_of_each_grant(database: Database) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let schema = run(folder.path(), &["schema", "policy"]).await.stdout;
    if !schema.contains("\"grants\"") {
        return;
    }
    let providers = providers();
    let (mut config, signer) = configuration(&providers);
    let policies: Vec<_> = providers
        .iter()
        .map(|provider| provider.policy.as_str())
        .collect();
    config.policy = format!("{POLICY}\n{}", policies.join("\n"));
    let server = TestServer::unsynced(database, config).await;
    for provider in &providers {
        for grant in &provider.grants {
            let text = |name: &str| grant[name].as_str().expect("a string");
            let holders = provider.tokens.iter().filter(|sample| {
                let value = sample.claims.pointer(text("claim"));
                sample.claims["iss"] == text("issuer")
                    && value.is_some_and(|value| claim::members(value).contains(&text("value")))
            });
            for sample in holders {
                let token = sample.sign(&signer);
                let me = send(server.request("GET", "/v1/me").bearer_auth(token))
                    .await
                    .expect(200);
                let teams = me["teams"].as_array().expect("a list");
                let team = teams.iter().find(|team| team["team"] == text("team"));
                let team = team.unwrap_or_else(|| panic!("{}: {grant}: {me}", provider.name));
                let held = team["permissions"].as_array().expect("permissions per team");
                for permission in grant["permissions"].as_array().expect("a list") {
                    let permission = json!(permission.as_str());
                    assert!(held.contains(&permission), "{}: {grant}: {me}", provider.name);
                }
            }
        }
    }
}

#[test]
fn the_guide_to_permissions_lists_every_permission() {
    let guide = std::fs::read_to_string(root().join("docs/permissions.md")).expect("the guide can be read");
    let rows = guide
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let listed: Vec<&str> = rows
        .map(|(name, _)| name)
        .filter(|name| name.contains(':'))
        .collect();
    let expected: Vec<&str> = Permission::ALL
        .iter()
        .map(|permission| permission.as_str())
        .collect();
    assert_eq!(listed, expected);
}

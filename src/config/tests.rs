//! Tests of the whole configuration: a file, variables, and the faults that an operator sees.

mod environment;
mod issuer;
mod secret;
mod traces;

use std::time::Duration;

use proptest::prelude::*;
use secrecy::ExposeSecret as _;

use super::*;
use crate::domain::input::document::FileFault;

const ISSUER: &str =
    "[[auth.issuers]]\nissuer = \"https://idp.example.com/\"\naudiences = [\"numberdesk\"]\n";
const KEY: &str = "api_canary.hunter2";
const HEX: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A folder with an API key, a webhook key, a JWKS and a policy.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("key", KEY),
        ("hook", HEX),
        ("jwks.json", "{}"),
        ("policy.toml", ""),
        ("empty", "\n"),
        (
            "ca.crt",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ),
        ("master", "0123456789abcdef0123456789abcdef"),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn minimal() -> String {
    format!("{ISSUER}[close]\napi_key_file = \"key\"\n")
}

fn with(text: &str, env: &[(&str, &str)]) -> Result<Config, Vec<FileFault>> {
    let env = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    parse("numberdesk.toml", text, folder().path(), env)
}

fn fault_texts<T: std::fmt::Debug>(outcome: Result<T, Vec<FileFault>>) -> Vec<String> {
    outcome.unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn a_minimal_file_gets_every_default() {
    let config = with(&minimal(), &[]).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.server.ops_listen.to_string(), "127.0.0.1:9090");
    assert_eq!(config.server.public_url.as_str(), "http://127.0.0.1:8080/");
    assert!(config.server.tls.is_none());
    assert_eq!(
        (config.server.body_limit, config.server.max_headers),
        (65_536, 100)
    );
    let limits = config.limits;
    assert_eq!((limits.requests_per_minute, limits.burst), (600, 600));
    assert_eq!((limits.in_flight, limits.waiting_orders), (512, 256));
    assert_eq!(config.store.shown(), "sqlite://numberdesk.db");
    assert_eq!(config.close.base_url.as_str(), "https://api.close.com/api/v1");
    assert!(config.close.api_key.file().unwrap().ends_with("key"));
    assert!(config.close.webhook_key.is_none() && config.policy_file.is_none());
    assert!(config.close.subscribe);
    assert_eq!(config.close.webhook_tolerance, Duration::from_hours(72));
    assert_eq!(config.orders.wait, Duration::from_secs(25));
    assert_eq!(config.orders.settle_after, Duration::from_mins(5));
    assert_eq!(config.orders.approval_expires, Duration::from_hours(72));
    assert_eq!(config.inventory.full_sync, Duration::from_mins(15));
    assert_eq!(config.inventory.catch_up, Duration::from_mins(5));
    assert_eq!(config.events.keep, Duration::from_hours(720));
    let webhooks = &config.webhooks;
    assert!(webhooks.hosts.is_empty() && webhooks.networks.is_empty() && webhooks.secret.is_none());
    assert_eq!(
        (webhooks.ports.as_slice(), webhooks.allow_http),
        (&[443][..], false)
    );
    assert_eq!(
        (webhooks.timeout, webhooks.retry_for, webhooks.overlap),
        (
            Duration::from_secs(10),
            Duration::from_hours(72),
            Duration::from_hours(24)
        )
    );
    let issuer = &config.auth[0];
    assert_eq!(issuer.jwks, Jwks::Discovery);
    assert_eq!(issuer.algorithms, ["RS256", "ES256", "EdDSA"]);
    let IssuerKind::Oidc(claims) = &issuer.kind else {
        panic!("not the default: {:?}", issuer.kind)
    };
    assert_eq!(claims.permissions.as_str(), "/scope");
    assert_eq!((&issuer.ca_file, &issuer.token_file), (&None, &None));
    assert_eq!(
        (config.log.format, config.log.level.as_str()),
        (LogFormat::Auto, "info")
    );
    assert_eq!((config.traces.endpoint, config.traces.percent), (None, 100));
}

#[test]
fn a_full_file_is_read_with_paths_relative_to_itself() {
    let folder = folder();
    let path = folder.path().join("numberdesk.toml");
    let text = r#"
        [server]
        listen = "[::1]:0"
        ops_listen = "[::1]:0"
        public_url = "https://desk.example.com/phones"
        body_limit = 1024
        header_timeout = "5s"
        max_headers = 50
        grace = "1m"
        [store]
        url = "postgres://desk:hunter2@db/desk"
        [close]
        base_url = "http://127.0.0.1:8081/api/v1"
        api_key_file = "key"
        webhook_signature_key_file = "hook"
        subscribe = false
        timeout = "10s"
        webhook_tolerance = "1h"
        [[auth.issuers]]
        issuer = "local"
        audiences = ["a", "b"]
        jwks_file = "jwks.json"
        algorithms = ["ES384", "PS256"]
        [auth.issuers.claims]
        teams = "/https:~1~1example.com~1teams"
        permissions = "/permissions"
        close_user = "/user"
        [[auth.issuers]]
        issuer = "https://idp.example.com/"
        audiences = ["numberdesk"]
        jwks_url = "http://localhost:9/jwks?x=1"
        [policy]
        file = "policy.toml"
        [orders]
        wait = "0s"
        settle_after = "1s"
        approval_expires = "30d"
        [inventory]
        full_sync = "2s"
        [webhooks]
        hosts = ["hooks.example.com", "*.apps.example.com"]
        networks = ["10.20.0.0/16", "fd00::/8"]
        ports = [443, 8443]
        allow_http = true
        secret_file = "master"
        timeout = "5s"
        retry_for = "1h"
        overlap = "0s"
        [log]
        format = "json"
        level = "info,numberdesk=debug"
    "#;
    std::fs::write(&path, text).unwrap();
    let config = load(&path, std::iter::empty()).unwrap();
    assert_eq!(config.close.api_key.read().unwrap().expose_secret(), KEY);
    assert_eq!(
        config.close.webhook_key.as_ref().unwrap().file(),
        Some(folder.path().join("hook").as_path())
    );
    assert_eq!(
        config
            .close
            .webhook_key
            .unwrap()
            .read_webhook_keys()
            .unwrap()
            .len(),
        1
    );
    assert!(!config.close.subscribe);
    assert_eq!(config.auth[0].jwks, Jwks::File(folder.path().join("jwks.json")));
    assert!(
        matches!(&config.auth[0].kind, IssuerKind::Oidc(claims) if claims.teams.as_str() == "/https:~1~1example.com~1teams")
    );
    assert_eq!(config.policy_file, Some(folder.path().join("policy.toml")));
    assert_eq!(config.store.shown(), "postgres://desk@db/desk");
    assert_eq!(config.log.format, LogFormat::Json);
    let webhooks = config.webhooks;
    assert!(webhooks.hosts[1].matches("a.apps.example.com") && webhooks.networks.len() == 2);
    assert_eq!((webhooks.ports, webhooks.allow_http), (vec![443, 8443], true));
    assert_eq!(
        webhooks
            .secret
            .unwrap()
            .read_master()
            .unwrap()
            .expose_secret()
            .len(),
        32
    );
    assert_eq!(webhooks.retry_for, Duration::from_hours(1));
}

#[test]
fn several_faults_are_named_at_once_with_file_line_and_key() {
    let text = r#"[server]
listen = "localhost"
grace = "1y"
body_limit = 0
lisen = "x"

[store]
url = "mysql://root:hunter2@db/x"

[close]
base_url = "http://api.close.com/api/v1"
api_key_file = "missing"
webhook_signature_key_file = "key"
timeout = "121s"

[[auth.issuers]]
issuer = "https://idp.example.com/"
audiences = []
algorithms = ["HS256"]
jwks_url = "ftp://idp.example.com/"
claims = { teams = "teams" }

[[auth.issuers]]
issuer = "not a url"
audiences = ["a"]

[policy]
file = "none.toml"

[orders]
wait = "61s"
approval_expires = "59s"

[webhooks]
hosts = ["10.0.0.1", "https://x.example"]
networks = ["10.0.0.0", "10.1.2.3/16"]
ports = [0]
allow_http = "yes"
secret_file = "key"
secret = "hunter2"
retry_for = "59s"

[log]
level = "inof"
"#;
    let faults = fault_texts(with(text, &[]));
    let starts = [
        "numberdesk.toml:2: server.listen: must be an address and a port",
        "numberdesk.toml:3: server.grace: must be a length of time",
        "numberdesk.toml:4: server.body_limit: must be a whole number from 1024 to 16777216",
        "numberdesk.toml:5: server.lisen: unknown key `lisen`; did you mean `listen`?",
        "numberdesk.toml:8: store.url: must be a URL like",
        "numberdesk.toml:11: close.base_url: must be an https URL",
        "numberdesk.toml:12: close.api_key_file: can't read ",
        "numberdesk.toml:13: close.webhook_signature_key_file: the content of the file must be the signature key",
        "numberdesk.toml:14: close.timeout: must be from 1s to 120s",
        "numberdesk.toml:18: auth.issuers[0].audiences: must name at least one audience",
        "numberdesk.toml:19: auth.issuers[0].algorithms[0]: must be one of RS256",
        "numberdesk.toml:20: auth.issuers[0].jwks_url: must be an https URL",
        "numberdesk.toml:21: auth.issuers[0].claims.teams: must be a JSON pointer",
        "numberdesk.toml:23: auth.issuers[1]: needs `jwks_url` or `jwks_file`",
        "numberdesk.toml:28: policy.file: can't read ",
        "numberdesk.toml:31: orders.wait: must be from 0s to 60s",
        "numberdesk.toml:32: orders.approval_expires: must be from 1m to 30d",
        "numberdesk.toml:35: webhooks.hosts[0]: must be the name of a host",
        "numberdesk.toml:35: webhooks.hosts[1]: must be the name of a host",
        "numberdesk.toml:36: webhooks.networks[0]: must be a range of addresses like",
        "numberdesk.toml:36: webhooks.networks[1]: has bits set after its prefix; did you mean \"10.1.0.0/16\"?",
        "numberdesk.toml:37: webhooks.ports[0]: must be a whole number from 1 to 65535",
        "numberdesk.toml:38: webhooks.allow_http: must be true or false",
        "numberdesk.toml:39: webhooks.secret_file: the content of the file must have at least 32 bytes",
        "numberdesk.toml:40: webhooks.secret: a secret does not belong in this file: use `secret_file`",
        "numberdesk.toml:41: webhooks.retry_for: must be from 1m to 30d",
        "numberdesk.toml:44: log.level: must be one of off",
    ];
    for (fault, start) in faults.iter().zip(starts) {
        assert!(fault.starts_with(start), "{fault}\n{start}");
    }
    assert_eq!(faults.len(), starts.len(), "{faults:#?}");
    assert!(!faults.join("").contains("hunter2"), "{faults:#?}");
}

#[test]
fn an_empty_file_gets_a_fault_for_each_missing_key() {
    assert_eq!(
        fault_texts(with("", &[])),
        [
            "numberdesk.toml: close: `api_key_file` is required (or NUMBERDESK_CLOSE__API_KEY in the environment)",
            "numberdesk.toml: auth: needs at least one [[auth.issuers]]: without an issuer, no token is valid",
        ]
    );
    let missing = fault_texts(load(Path::new("/nowhere/numberdesk.toml"), std::iter::empty()));
    assert!(
        missing[0].starts_with("/nowhere/numberdesk.toml: can't be read: "),
        "{missing:?}"
    );
}

#[test]
fn an_issuer_needs_an_audience_and_may_have_only_one_entry() {
    let without =
        "[[auth.issuers]]\nissuer = \"https://idp.example.com/\"\n[close]\napi_key_file = \"key\"\n";
    assert_eq!(
        fault_texts(with(without, &[])),
        ["numberdesk.toml:1: auth.issuers[0]: `audiences` is required"]
    );
    assert_eq!(
        fault_texts(with(&format!("{ISSUER}{}", minimal()), &[])),
        ["numberdesk.toml:4: auth.issuers[1]: another entry has the same `issuer`"]
    );
    let both = format!(
        "{ISSUER}jwks_url = \"https://a.example/\"\njwks_file = \"jwks.json\"\n[close]\napi_key_file = \"key\""
    );
    assert_eq!(
        fault_texts(with(&both, &[])),
        ["numberdesk.toml:1: auth.issuers[0]: has `jwks_url` and `jwks_file`: set only one of the two"]
    );
}

#[test]
fn the_two_addresses_must_differ() {
    for (listen, ops) in [
        ("127.0.0.1:9090", ""),
        ("0.0.0.0:80", "127.0.0.1:80"),
        ("[::1]:80", "[::1]:80"),
    ] {
        let ops = if ops.is_empty() {
            String::new()
        } else {
            format!("ops_listen = \"{ops}\"")
        };
        let text = format!("{}[server]\nlisten = \"{listen}\"\n{ops}", minimal());
        assert_eq!(fault_texts(with(&text, &[])).len(), 1, "{listen}");
    }
    let free = format!(
        "{}[server]\nlisten = \"127.0.0.1:0\"\nops_listen = \"127.0.0.1:0\"",
        minimal()
    );
    assert!(with(&free, &[]).is_ok());
}

#[test]
fn plain_http_is_allowed_only_for_loopback() {
    for (url, fine) in [
        ("https://api.close.com/api/v1", true),
        ("http://127.0.0.1:1/x", true),
        ("http://[::1]/x", true),
        ("http://localhost/x", true),
        ("http://localhost.example.com/x", false),
        ("http://10.0.0.1/x", false),
        ("https://user@api.close.com/", false),
        ("https://api.close.com/?x=1", false),
        ("file:///etc/passwd", false),
    ] {
        let text = format!("{}base_url = \"{url}\"", minimal());
        assert_eq!(with(&text, &[]).is_ok(), fine, "{url}");
    }
}

proptest! {
    #[test]
    fn no_text_and_no_variable_makes_the_reader_panic(
        text in "((\\[\\[?(auth\\.issuers|close|server|log)\\]?\\]|[a-z_]{1,9}) ?=? ?(\"\\PC{0,9}\"|[0-9]{0,5}|\\PC{0,9})\n){0,9}",
        name in "NUMBERDESK_(AUTH__ISSUERS|STORE|CLOSE)(__([0-9]{1,5}|URL|AUDIENCES|TIMEOUT|API_KEY|[A-Z]{0,3})){0,4}",
        value in "\\PC{0,20}",
    ) {
        let _ = with(&text, &[(&name, &value)]);
    }
}

//! Tests of the whole configuration: a file, variables, and the faults that an operator sees.

mod environment;
mod faults;
mod issuer;
mod network;
mod samples;
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
        ("proxy", "http://u:hunter2@proxy:3128\n"),
        ("bad-proxy", "socks5://u:hunter2@proxy:1080\n"),
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
    assert_eq!(config.server.public_url().as_str(), "http://127.0.0.1:8080/");
    assert!(config.server.tls.is_none());
    assert_eq!(
        (config.server.body_limit.0, config.server.max_headers.0),
        (65_536, 100)
    );
    let limits = config.limits;
    assert_eq!((limits.requests_per_minute.get(), limits.burst()), (600_u32, 600));
    assert_eq!(
        (limits.in_flight.get(), limits.waiting_orders()),
        (512_usize, 256)
    );
    assert_eq!(config.store.url().unwrap().shown(), "sqlite://numberdesk.db");
    assert_eq!(config.close.base_url.as_str(), "https://api.close.com/api/v1");
    assert!(config.close.api_key().file().unwrap().ends_with("key"));
    assert!(config.close.webhook_key().is_none() && config.policy.file.is_none());
    assert!(config.close.subscribe);
    assert_eq!(config.close.webhook_tolerance.get(), Duration::from_hours(72));
    assert_eq!(config.orders.wait.get(), Duration::from_secs(25));
    assert_eq!(config.orders.settle_after.get(), Duration::from_mins(5));
    assert_eq!(config.orders.approval_expires.get(), Duration::from_hours(72));
    assert_eq!(config.inventory.full_sync.get(), Duration::from_mins(15));
    assert_eq!(config.inventory.catch_up.get(), Duration::from_mins(5));
    assert_eq!(config.events.keep.get(), Duration::from_hours(720));
    let webhooks = &config.webhooks;
    assert!(webhooks.hosts.is_empty() && webhooks.networks.is_empty() && webhooks.secret().is_none());
    assert_eq!(
        (webhooks.ports().as_slice(), webhooks.allow_http),
        (&[443][..], false)
    );
    assert_eq!(
        (
            webhooks.timeout.get(),
            webhooks.retry_for.get(),
            webhooks.overlap.get()
        ),
        (
            Duration::from_secs(10),
            Duration::from_hours(72),
            Duration::from_hours(24)
        )
    );
    let issuer = &config.auth.issuers[0];
    assert_eq!(issuer.jwks(), Jwks::Discovery);
    assert_eq!(
        issuer
            .algorithms
            .iter()
            .map(|name| name.as_str())
            .collect::<Vec<_>>(),
        ["RS256", "ES256", "EdDSA"]
    );
    let IssuerKind::Oidc(claims) = issuer.kind() else {
        panic!("not the default: {:?}", issuer.kind())
    };
    assert_eq!(claims.permissions.to_strings(), ["/scope"]);
    assert_eq!((issuer.ca_file(), issuer.token_file()), (None, None));
    assert_eq!((config.log.format, &*config.log.level), (LogFormat::Auto, "info"));
    assert_eq!((config.traces.endpoint, config.traces.percent.0), (None, 100));
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
    assert_eq!(config.close.api_key().read().unwrap().expose_secret(), KEY);
    assert_eq!(
        config.close.webhook_key().unwrap().file(),
        Some(folder.path().join("hook").as_path())
    );
    assert_eq!(
        config
            .close
            .webhook_key()
            .unwrap()
            .read_webhook_keys()
            .unwrap()
            .len(),
        1
    );
    assert!(!config.close.subscribe);
    assert_eq!(
        config.auth.issuers[0].jwks(),
        Jwks::File(folder.path().join("jwks.json"))
    );
    assert!(
        matches!(config.auth.issuers[0].kind(), IssuerKind::Oidc(claims) if claims.teams.to_strings() == ["/https:~1~1example.com~1teams"])
    );
    assert_eq!(
        config.policy.file.as_deref(),
        Some(&folder.path().join("policy.toml"))
    );
    assert_eq!(config.store.url().unwrap().shown(), "postgres://desk@db/desk");
    assert_eq!(config.log.format, LogFormat::Json);
    let webhooks = config.webhooks;
    assert!(webhooks.hosts[1].matches("a.apps.example.com") && webhooks.networks.len() == 2);
    assert_eq!((webhooks.ports(), webhooks.allow_http), (vec![443, 8443], true));
    assert_eq!(
        webhooks
            .secret()
            .unwrap()
            .read_master()
            .unwrap()
            .expose_secret()
            .len(),
        32
    );
    assert_eq!(webhooks.retry_for.get(), Duration::from_hours(1));
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
        [
            "numberdesk.toml:4: auth.issuers[1]: another entry has the same `issuer`: write one entry, with all audiences, and with \
             lists of pointers in `claims` if its tokens differ"
        ]
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

#[test]
fn plain_http_to_a_simulated_close_needs_its_name_and_is_refused_beside_the_real_one() {
    for (lines, fine) in [
        ("base_url = \"http://close-sandbox:8081/api/v1\"", false),
        (
            "base_url = \"http://close-sandbox:8081/api/v1\"\nsandbox_host = \"close-sandbox\"",
            true,
        ),
        (
            "base_url = \"https://close-sandbox:8443/api/v1\"\nsandbox_host = \"close-sandbox\"",
            true,
        ),
        (
            "base_url = \"http://c.dev.svc.cluster.local/api/v1\"\nsandbox_host = \"c.dev.svc.cluster.local\"",
            true,
        ),
        (
            "base_url = \"http://other:8081/api/v1\"\nsandbox_host = \"close-sandbox\"",
            false,
        ),
        (
            "base_url = \"https://api.close.com/api/v1\"\nsandbox_host = \"close-sandbox\"",
            false,
        ),
        ("sandbox_host = \"close-sandbox\"", false),
        (
            "base_url = \"http://api.close.com/api/v1\"\nsandbox_host = \"api.close.com\"",
            false,
        ),
        (
            "base_url = \"http://10.0.0.1/api/v1\"\nsandbox_host = \"10.0.0.1\"",
            false,
        ),
        (
            "base_url = \"http://sandbox.dev/api/v1\"\nsandbox_host = \"sandbox.dev\"",
            false,
        ),
    ] {
        let text = format!("{}{lines}", minimal());
        assert_eq!(with(&text, &[]).is_ok(), fine, "{lines}");
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

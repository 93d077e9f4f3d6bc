//! Settings that come from environment variables.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use secrecy::ExposeSecret as _;
use serde_json::json;

use super::*;
use crate::config::keys::KEYS;

#[test]
fn every_key_can_come_from_the_environment() {
    let folder = folder();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (jwks, policy, hook) = (file("jwks.json"), file("policy.toml"), file("hook"));
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (file("tls.crt"), file("tls.key"));
    std::fs::write(&certificate, pair.cert.pem()).unwrap();
    std::fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
    let env = [
        ("NUMBERDESK_SERVER__LISTEN", "0.0.0.0:80"),
        ("NUMBERDESK_SERVER__OPS_LISTEN", "0.0.0.0:81"),
        ("NUMBERDESK_SERVER__PUBLIC_URL", "https://desk.example.com"),
        ("NUMBERDESK_SERVER__TLS__CERTIFICATE_FILE", certificate.as_str()),
        ("NUMBERDESK_SERVER__TLS__KEY_FILE", key.as_str()),
        ("NUMBERDESK_SERVER__BODY_LIMIT", "2048"),
        ("NUMBERDESK_SERVER__HEADER_TIMEOUT", "2s"),
        ("NUMBERDESK_SERVER__MAX_HEADERS", "20"),
        ("NUMBERDESK_SERVER__GRACE", "3s"),
        ("NUMBERDESK_LIMITS__REQUESTS_PER_MINUTE", "60"),
        ("NUMBERDESK_LIMITS__BURST", "10"),
        ("NUMBERDESK_LIMITS__IN_FLIGHT", "20"),
        ("NUMBERDESK_LIMITS__WAITING_ORDERS", "0"),
        ("NUMBERDESK_STORE__URL", "postgres://desk:hunter2@db/desk"),
        ("NUMBERDESK_CLOSE__BASE_URL", "https://close.example.com/api/v1"),
        ("NUMBERDESK_CLOSE__API_KEY", KEY),
        ("NUMBERDESK_CLOSE__WEBHOOK_SIGNATURE_KEY_FILE", hook.as_str()),
        ("NUMBERDESK_CLOSE__TIMEOUT", "4s"),
        ("NUMBERDESK_CLOSE__WEBHOOK_TOLERANCE", "5m"),
        ("NUMBERDESK_AUTH__ISSUERS__1__ISSUER", "two"),
        ("NUMBERDESK_AUTH__ISSUERS__1__AUDIENCES", "x"),
        (
            "NUMBERDESK_AUTH__ISSUERS__1__JWKS_URL",
            "https://idp.example.com/jwks",
        ),
        ("NUMBERDESK_AUTH__ISSUERS__0__ISSUER", "one"),
        ("NUMBERDESK_AUTH__ISSUERS__0__AUDIENCES__1", "b"),
        ("NUMBERDESK_AUTH__ISSUERS__0__AUDIENCES__0", "a"),
        ("NUMBERDESK_AUTH__ISSUERS__0__JWKS_FILE", jwks.as_str()),
        ("NUMBERDESK_AUTH__ISSUERS__0__ALGORITHMS", "ES256, EdDSA"),
        ("NUMBERDESK_AUTH__ISSUERS__0__CLAIMS__TEAMS", "/t"),
        ("NUMBERDESK_AUTH__ISSUERS__0__CLAIMS__PERMISSIONS", "/p"),
        ("NUMBERDESK_AUTH__ISSUERS__0__CLAIMS__CLOSE_USER", "/u"),
        ("NUMBERDESK_POLICY__FILE", policy.as_str()),
        ("NUMBERDESK_ORDERS__WAIT", "6s"),
        ("NUMBERDESK_ORDERS__SETTLE_AFTER", "7s"),
        ("NUMBERDESK_ORDERS__APPROVAL_EXPIRES", "2d"),
        ("NUMBERDESK_INVENTORY__FULL_SYNC", "8s"),
        ("NUMBERDESK_INVENTORY__CATCH_UP", "9s"),
        ("NUMBERDESK_EVENTS__KEEP", "2d"),
        (
            "NUMBERDESK_WEBHOOKS__HOSTS",
            "hooks.example.com, *.apps.example.com",
        ),
        ("NUMBERDESK_WEBHOOKS__NETWORKS__0", "10.0.0.0/8"),
        ("NUMBERDESK_WEBHOOKS__PORTS", "443,8443"),
        ("NUMBERDESK_WEBHOOKS__ALLOW_HTTP", "true"),
        (
            "NUMBERDESK_WEBHOOKS__SECRET",
            "hunter2hunter2hunter2hunter2hunter2",
        ),
        ("NUMBERDESK_WEBHOOKS__TIMEOUT", "9s"),
        ("NUMBERDESK_LOG__FORMAT", "text"),
        ("NUMBERDESK_LOG__LEVEL", "debug"),
    ];
    let config = with("", &env).unwrap();
    assert_eq!(config.server.listen.port(), 80);
    assert_eq!(config.server.max_headers.0, 20);
    assert!(
        config
            .server
            .tls
            .as_ref()
            .is_some_and(|files| files.key.ends_with("tls.key"))
    );
    let limits = config.limits;
    assert_eq!((limits.requests_per_minute.get(), limits.burst()), (60_u32, 10));
    assert_eq!((limits.in_flight.get(), limits.waiting_orders()), (20_usize, 0));
    assert_eq!(config.close.api_key().read().unwrap().expose_secret(), KEY);
    let issuers: Vec<_> = config.auth.issuers.iter().map(|issuer| &*issuer.issuer).collect();
    assert_eq!(issuers, ["one", "two"]);
    let first = &config.auth.issuers[0];
    assert_eq!(json!(first.audiences), json!(["a", "b"]));
    assert_eq!(json!(first.algorithms), json!(["ES256", "EdDSA"]));
    assert_eq!(config.orders.approval_expires.get(), Duration::from_hours(48));
    assert_eq!(config.inventory.full_sync.get(), Duration::from_secs(8));
    assert_eq!(config.inventory.catch_up.get(), Duration::from_secs(9));
    assert_eq!(config.events.keep.get(), Duration::from_hours(48));
    let webhooks = &config.webhooks;
    assert_eq!((webhooks.hosts.len(), webhooks.networks.len()), (2, 1));
    assert_eq!(
        (webhooks.ports().as_slice(), webhooks.allow_http),
        (&[443, 8443][..], true)
    );
    assert!(webhooks.secret().unwrap().read_master().is_ok());
    let debug = format!("{config:?}");
    assert!(!debug.contains("hunter2"), "{debug}");
}

#[test]
fn the_environment_overrides_a_key_of_the_file_and_the_key_that_it_excludes() {
    let text = format!(
        "{}[store]\nurl = \"sqlite://file.db\"\n[log]\nlevel = \"warn\"",
        minimal()
    );
    let config = with(
        &text,
        &[
            ("NUMBERDESK_CLOSE__API_KEY", "api_other"),
            ("NUMBERDESK_LOG__LEVEL", "error"),
        ],
    )
    .unwrap();
    assert_eq!(
        config.close.api_key().read().unwrap().expose_secret(),
        "api_other"
    );
    assert_eq!(&*config.log.level, "error");
    let both = [
        ("NUMBERDESK_CLOSE__API_KEY", "api_other"),
        ("NUMBERDESK_CLOSE__API_KEY_FILE", "key"),
    ];
    assert_eq!(
        fault_texts(with(&text, &both)),
        [
            "env NUMBERDESK_CLOSE__API_KEY_FILE: close.api_key_file: conflicts with NUMBERDESK_CLOSE__API_KEY: \
             set only one of the two"
        ]
    );
}

#[test]
fn a_flag_is_true_or_false_in_the_environment_too() {
    let read = |value| {
        with(&minimal(), &[("NUMBERDESK_CLOSE__SUBSCRIBE", value)]).map(|config| config.close.subscribe)
    };
    assert!(!read("false").unwrap() && read("true").unwrap());
    assert_eq!(
        fault_texts(read("no")),
        ["env NUMBERDESK_CLOSE__SUBSCRIBE: close.subscribe: must be true or false, not a string"]
    );
}

#[test]
fn faults_of_variables_name_the_variable() {
    let env = [
        ("NUMBERDESK_SERVER__MAX_HEADERS", "many"),
        ("NUMBERDESK_AUTH__ISSUERS__7__ISSUER", "x"),
        ("NUMBERDESK_AUTH__ISSUERS__0__AUDIENCES", ","),
        ("NUMBERDESK_CLOSE_BASE_URL", "https://x.example"),
        ("NUMBERDESK_CLOSE__BASE_URI", "https://x.example"),
        ("NUMBERDESK_close__base_url", "https://x.example"),
        ("NUMBERDESK_TOKEN", "x"),
        ("NUMBERDESK_URL", "x"),
        ("NUMBERDESK_FOO", "x"),
    ];
    let faults = fault_texts(with(&minimal(), &env));
    for expected in [
        "env NUMBERDESK_SERVER__MAX_HEADERS: server.max_headers: must be a whole number from 10 to 1000, not a string",
        "env NUMBERDESK_AUTH__ISSUERS__7__ISSUER: auth.issuers.7.issuer: leaves a gap in the list: its next index is 1",
        "env NUMBERDESK_AUTH__ISSUERS__0__AUDIENCES: auth.issuers[0].audiences: must name at least one audience: \
         tokens for other services must be rejected",
        "env NUMBERDESK_CLOSE_BASE_URL: unknown key `NUMBERDESK_CLOSE_BASE_URL`; did you mean `NUMBERDESK_CLOSE__BASE_URL`?",
        "env NUMBERDESK_CLOSE__BASE_URI: unknown key `NUMBERDESK_CLOSE__BASE_URI`; did you mean `NUMBERDESK_CLOSE__BASE_URL`?",
    ] {
        assert!(
            faults.iter().any(|fault| fault == expected),
            "{expected}\n{faults:#?}"
        );
    }
    assert_eq!(faults.len(), env.len(), "{faults:#?}");
    // Names that are not similar to any key.
    for name in ["NUMBERDESK_TOKEN", "NUMBERDESK_URL", "NUMBERDESK_FOO"] {
        let fault = faults.iter().find(|fault| fault.contains(name)).expect("a fault");
        assert!(
            !fault.contains("did you mean") && fault.contains("must not begin with NUMBERDESK_"),
            "{fault}"
        );
    }
}

#[test]
fn variables_of_other_programs_and_of_kubernetes_services_are_ignored() {
    let env = [
        ("PATH", "/bin"),
        ("NUMBERDESK_LOG", "debug"),
        ("NUMBERDESK_CONFIG", "x.toml"),
        ("NUMBERDESK_TEST_POSTGRES", "1"),
        ("NUMBERDESK_SERVICE_HOST", "10.0.0.1"),
        ("NUMBERDESK_SERVICE_PORT", "80"),
        ("NUMBERDESK_SERVICE_PORT_HTTP", "80"),
        ("NUMBERDESK_PORT", "tcp://10.0.0.1:80"),
        ("NUMBERDESK_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("NUMBERDESK_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("NUMBERDESK_POSTGRES_PORT_5432_TCP_PROTO", "tcp"),
    ];
    assert!(with(&minimal(), &env).is_ok());
    assert!(with(&minimal(), &[("NUMBERDESK_FOO", "x")]).is_err());
}

#[test]
fn a_path_from_the_environment_is_relative_to_the_working_directory() {
    // Tests run in the folder of the crate.
    let config = with(&minimal(), &[("NUMBERDESK_POLICY__FILE", "Cargo.toml")]).unwrap();
    assert_eq!(
        config.policy.file.as_deref(),
        Some(&std::env::current_dir().unwrap().join("Cargo.toml"))
    );
}

#[test]
fn the_keys_that_variables_name_are_the_keys_of_the_file() {
    // For an unknown key without a similar one, the reader lists all known keys. The lists together are `KEYS`.
    let far = "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq";
    let mut text = String::new();
    let sections: BTreeSet<&str> = KEYS.iter().filter_map(|(key, _)| key.split('.').next()).collect();
    for section in sections.iter().filter(|section| **section != "auth") {
        writeln!(text, "[{section}]\n{far} = 1").unwrap();
    }
    writeln!(
        text,
        "[server.tls]\n{far} = 1\n[[auth.issuers]]\n{far} = 1\n[auth.issuers.claims]\n{far} = 1"
    )
    .unwrap();
    let mut known: Vec<String> = with(&text, &[])
        .unwrap_err()
        .iter()
        .filter_map(|fault| {
            let (_, list) = fault.message.split_once("; expected one of ")?;
            let section = fault.key.rsplit_once('.')?.0.replace("[0]", ".#");
            Some(
                list.split(", ")
                    .map(|key| format!("{section}.{key}"))
                    .collect::<Vec<_>>(),
            )
        })
        .flatten()
        .filter(|key| !["auth.issuers.#.claims", "server.tls"].contains(&key.as_str()))
        .collect();
    let mut variables: Vec<String> = KEYS.iter().map(|(key, _)| key.clone()).collect();
    known.sort();
    variables.sort();
    assert_eq!(known, variables);
}

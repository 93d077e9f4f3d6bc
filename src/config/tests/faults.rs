//! The faults of a whole file: all at once, each with its place.

use super::*;

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

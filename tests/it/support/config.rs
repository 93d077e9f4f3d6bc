//! The configuration of a test server, and the files that it writes for the server to read.

use std::path::Path;

use close_sandbox as sandbox;

use crate::support::personas::{AUDIENCE, ISSUER};
use crate::support::tls::{self, Pair};

/// The policy unless a test sets another one. The team `platform` has no entry, so it may do nothing.
pub(crate) const POLICY: &str = r#"
[teams.sales]
countries = ["DE", "FR", "GB", "US", "CA", "AT", "CH", "ES", "IT", "NL", "BE", "PL", "SE", "DK", "AU", "IE", "BR"]
group_numbers = { permission = "numbers:group" }
max_numbers = 400
max_orders_per_day = 1000
monthly_budget = "5000.00"
forward_to_countries = ["DE", "FR"]
assign_to = "anyone"

[teams.support]
countries = ["DE", "US"]
group_numbers = true
carrier_types = ["local"]
max_numbers = 400
monthly_budget = "5000.00"
assign_to = "self"

[prices]
DE = "5.00"
default = "4.00"
"#;

/// The configuration of a test server. The default suits most tests.
pub(crate) struct TestConfig {
    pub(crate) policy: String,
    pub(crate) close: sandbox::Options,
    /// The base URL of Close, when it is not the simulated one.
    pub(crate) close_url: Option<String>,
    /// The timeout of calls to Close.
    pub(crate) timeout: &'static str,
    /// More lines for `[server]`.
    pub(crate) server: &'static str,
    /// The certificate of the API. Without one the API serves plain HTTP.
    pub(crate) tls: Option<Pair>,
    /// The lines of `[limits]`. Off by default, because tests send more requests than a team does.
    pub(crate) limits: &'static str,
    /// Whether the service subscribes to webhooks at Close.
    ///
    /// If not, it accepts deliveries that are signed with [`WEBHOOK_KEY`].
    pub(crate) subscribe: bool,
    pub(crate) full_sync: &'static str,
    /// How long Close must list no number for an order before the service decides that none was rented.
    pub(crate) settle_after: &'static str,
    /// How much longer than the timeout of a call the claim of an order is valid.
    pub(crate) lease_margin: &'static str,
    /// More lines for `[close]`, each after a line break.
    pub(crate) close_lines: &'static str,
    /// The lines of `[webhooks]`.
    pub(crate) webhooks: String,
    /// More `[[auth.issuers]]`.
    pub(crate) issuers: String,
    /// More files beside the configuration.
    pub(crate) files: Vec<(&'static str, String)>,
}

/// The master secret from which the secrets of endpoints are derived.
pub(crate) const MASTER: &str = "canary-master-secret-0123456789abcdef";

/// Returns lines of `[webhooks]` that allow webhooks to this machine on these ports.
pub(crate) fn webhooks_to(ports: &[u16]) -> String {
    format!(
        "secret_file = \"webhook-secret\"\nhosts = [\"localhost\"]\nnetworks = [\"127.0.0.1/32\"]\n\
         allow_http = true\nports = {ports:?}\ntimeout = \"5s\""
    )
}

/// The key of Close's webhooks for a service that does not subscribe by itself.
pub(crate) const WEBHOOK_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

impl Default for TestConfig {
    fn default() -> Self {
        Self {
            policy: POLICY.to_owned(),
            close: sandbox::Options::default(),
            close_url: None,
            timeout: "20s",
            server: "",
            tls: None,
            limits: "requests_per_minute = 0",
            subscribe: false,
            full_sync: "1h",
            settle_after: "5m",
            lease_margin: "30s",
            close_lines: "",
            webhooks: webhooks_to(&[443]),
            issuers: String::new(),
            files: Vec::new(),
        }
    }
}

/// Writes the files of a service, such as configuration, policy and API key, as an operator would.
pub(crate) fn write_files(
    folder: &Path,
    config: &TestConfig,
    close_url: &str,
    api_key: &str,
    database: &str,
) {
    let TestConfig {
        server,
        limits,
        subscribe,
        timeout,
        full_sync,
        settle_after,
        lease_margin,
        webhooks,
        issuers,
        close_lines,
        ..
    } = config;
    let tls = if config.tls.is_some() { tls::SECTION } else { "" };
    let webhook_key = if *subscribe {
        ""
    } else {
        "webhook_signature_key_file = \"close-webhook-key\""
    };
    let file = format!(
        r#"
[server]
listen = "127.0.0.1:0"
ops_listen = "127.0.0.1:0"
{server}
{tls}
[limits]
{limits}

[store]
url = "{database}"

[close]
base_url = "{close_url}"
api_key_file = "close-api-key"
{webhook_key}
timeout = "{timeout}"
subscribe = {subscribe}{close_lines}

[[auth.issuers]]
issuer = "{ISSUER}"
audiences = ["{AUDIENCE}"]
jwks_file = "jwks.json"
algorithms = ["EdDSA"]

{issuers}

[policy]
file = "policy.toml"

[inventory]
full_sync = "{full_sync}"

[orders]
settle_after = "{settle_after}"
lease_margin = "{lease_margin}"

[webhooks]
{webhooks}
"#
    );
    if let Some(pair) = &config.tls {
        tls::mount(folder, &pair.certificate, &pair.key);
    }
    std::fs::write(folder.join("numberdesk.toml"), file).expect("the configuration is written");
    std::fs::write(folder.join("policy.toml"), &config.policy).expect("the policy is written");
    std::fs::write(folder.join("close-api-key"), api_key).expect("the key is written");
    std::fs::write(folder.join("webhook-secret"), MASTER).expect("the secret is written");
    std::fs::write(folder.join("close-webhook-key"), WEBHOOK_KEY).expect("the key is written");
    for (name, text) in &config.files {
        std::fs::write(folder.join(name), text).expect("the file is written");
    }
}

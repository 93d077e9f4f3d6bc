//! The settings that the other modules use: one struct for each section of the file.
//!
//! A field's comment gives its meaning, its bounds and its default.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::config::identity::TlsFiles;
use crate::config::secret::{SecretSource, StoreUrl};
use crate::domain::input::pointer::Pointer;
use crate::domain::network::{HostPattern, Network};
use crate::domain::string_enum::string_enum;

/// All settings. Tables and keys of the file have the names of the fields, unless a comment names another.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[limits]`
    pub limits: Limits,
    /// `[store]`: `url`, or `url_file` with the URL in a file; `sqlite://numberdesk.db` by default.
    pub store: StoreUrl,
    /// `[close]`
    pub close: CloseConfig,
    /// `[[auth.issuers]]`: the trusted issuers of tokens; never empty, no issuer twice.
    pub auth: Vec<IssuerConfig>,
    /// `[policy] file`; without one everything is denied. The file is readable; its content is not checked here.
    pub policy_file: Option<PathBuf>,
    /// `[orders]`
    pub orders: Orders,
    /// `[inventory]`
    pub inventory: Inventory,
    /// `[events]`
    pub events: Events,
    /// `[webhooks]`
    pub webhooks: Webhooks,
    /// `[traces]`
    pub traces: Traces,
    /// `[log]`
    pub log: Log,
}

impl Config {
    /// The issuers that are Kubernetes clusters.
    pub fn clusters(&self) -> Vec<String> {
        let clusters = self
            .auth
            .iter()
            .filter(|issuer| issuer.kind == IssuerKind::Kubernetes);
        clusters.map(|cluster| cluster.issuer.clone()).collect()
    }
}

/// The listeners, and the limits of a request.
#[derive(Debug, Clone)]
pub struct Server {
    /// API, docs and webhooks; `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// Probes and metrics; `127.0.0.1:9090`.
    pub ops_listen: SocketAddr,
    /// `[server.tls]`: certificate and key of `listen`; without it, `listen` serves plain HTTP.
    pub tls: Option<TlsFiles>,
    /// The URL at which clients reach `listen`; `http://127.0.0.1` (with TLS `https://…`) with its port.
    ///
    /// Port 0 means the port that was bound.
    pub public_url: Url,
    /// Bytes of a request body, 1024 to 16777216; 65536.
    pub body_limit: usize,
    /// How long a client may take to send the headers, 1s to 120s; 10s.
    pub header_timeout: Duration,
    /// Headers of a request, 10 to 1000; 100.
    pub max_headers: usize,
    /// How long requests are accepted after SIGTERM while readiness fails, 0s to 2m; 0s.
    pub drain: Duration,
    /// How long requests may take to end after that, 0s to 10m; 30s.
    pub grace: Duration,
}

/// The limits of load; the service rejects requests above them.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests a minute of one team, 0 to 1000000; 0 means no limit; 600.
    pub requests_per_minute: u32,
    /// How many of them may come at once, 1 to 1000000; `requests_per_minute`.
    pub burst: u32,
    /// Requests in progress at once, 1 to 100000; 512.
    pub in_flight: usize,
    /// Requests that wait for their order at once, 0 to 100000; half of `in_flight`.
    pub waiting_orders: usize,
}

/// How to reach Close.
#[derive(Debug, Clone)]
pub struct CloseConfig {
    /// `https://api.close.com/api/v1`; https unless the host is loopback.
    pub base_url: Url,
    /// `api_key_file`, or `api_key` from the environment.
    pub api_key: SecretSource,
    /// Whether the service creates a webhook subscription if no signature key is given; true.
    pub subscribe: bool,
    /// `webhook_signature_key_file`, or `webhook_signature_key` from the environment: 64 hexadecimal digits, or several
    /// such lines while a key is rotated. Without one, see `subscribe`.
    pub webhook_key: Option<SecretSource>,
    /// How long Close may take to answer, 1s to 120s; 30s.
    pub timeout: Duration,
    /// The greatest age of a signed webhook, 1m to 30d; 72h.
    pub webhook_tolerance: Duration,
}

/// One issuer of tokens.
#[derive(Debug, Clone)]
pub struct IssuerConfig {
    /// The exact `iss` of its tokens.
    pub issuer: String,
    /// The accepted values of `aud`; never empty.
    pub audiences: Vec<String>,
    /// Where its keys are: `jwks_url`, `jwks_file`, or neither.
    pub jwks: Jwks,
    /// Algorithms that its keys may have, of RS256, PS256, ES256, ES384 and `EdDSA`; RS256, ES256 and `EdDSA`.
    pub algorithms: Vec<String>,
    /// `kind`: `oidc` or `kubernetes`; `oidc`.
    pub kind: IssuerKind,
    /// PEM certificates of the only authorities to trust for the address of its keys; the system's authorities.
    pub ca_file: Option<PathBuf>,
    /// A bearer token for fetching its keys; needs `ca_file`; none.
    pub token_file: Option<PathBuf>,
}

/// The kind of identities that an issuer's tokens name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssuerKind {
    /// People and apps, with teams and permissions in claims.
    Oidc(Claims),
    /// Service accounts of a cluster, with teams and permissions in the policy.
    Kubernetes,
}

/// `claims`: pointers to the claims that the service reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The teams; `/teams`.
    pub teams: Pointer,
    /// The permissions; `/scope`.
    pub permissions: Pointer,
    /// The caller's user in Close; `/close_user_id`.
    pub close_user: Pointer,
}

/// Where an issuer's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Jwks {
    /// At a URL; https unless the host is loopback.
    Url(Url),
    /// In a file.
    File(PathBuf),
    /// At the address in the issuer's discovery document.
    Discovery,
}

/// How orders are processed.
#[derive(Debug, Clone)]
pub struct Orders {
    /// How long a request waits for the end of its order, 0s to 60s; 25s.
    pub wait: Duration,
    /// How long Close must show no number before an order counts as not rented, 1s to 24h; 5m.
    pub settle_after: Duration,
    /// The longest pause between two checks of Close for an unverified order, 1s to 1h; 30s.
    pub reconcile_every: Duration,
    /// How long after `close.timeout` a replica may take to store the outcome of a call, 1s to 10m; 30s.
    ///
    /// After that, other replicas assume that the replica has stopped.
    pub lease_margin: Duration,
    /// How long an order awaits a second person's approval, 1m to 30d; 72h.
    pub approval_expires: Duration,
}

/// How the inventory is synchronized with Close.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// The time between two complete comparisons, 1s to 24h; 15m.
    pub full_sync: Duration,
    /// The time between two reads of Close's event log, 1s to 24h; 5m.
    pub catch_up: Duration,
}

/// The events for apps.
#[derive(Debug, Clone)]
pub struct Events {
    /// How long events are kept, 1h to 365d; 30d.
    pub keep: Duration,
}

/// Webhooks to apps: allowed targets, and how they are sent.
///
/// Without a secret, or with neither hosts nor networks, there are none.
#[derive(Debug, Clone)]
pub struct Webhooks {
    /// Allowed hosts: a name, or `*.` and a name for its subdomains; none.
    pub hosts: Vec<HostPattern>,
    /// Allowed private networks; none.
    pub networks: Vec<Network>,
    /// Allowed ports; 443.
    pub ports: Vec<u16>,
    /// Whether plain http is allowed to addresses in `networks`; false.
    pub allow_http: bool,
    /// `secret_file`, or `secret` from the environment: at least 32 bytes. Every endpoint's secret is derived from it.
    pub secret: Option<SecretSource>,
    /// How long a receiver may take to answer, 1s to 60s; 10s.
    pub timeout: Duration,
    /// How long one delivery is tried, 1m to 30d; 72h.
    pub retry_for: Duration,
    /// How long the previous secret still signs after a rotation, 0s to 30d; 24h.
    pub overlap: Duration,
}

/// The export of traces.
#[derive(Debug, Clone)]
pub struct Traces {
    /// The URL of a collector, OTLP over HTTP; none. Plain http is allowed: spans contain no secrets.
    pub endpoint: Option<Url>,
    /// The percentage of requests to record if the caller's trace context does not decide, 0 to 100; 100.
    pub percent: u8,
}

/// The log.
#[derive(Debug, Clone)]
pub struct Log {
    /// `auto`.
    pub format: LogFormat,
    /// `info`; a level, or several by target such as `info,numberdesk=debug`.
    pub level: String,
}

string_enum! {
    /// The shape of a log line.
    LogFormat {
        /// Text on a terminal, JSON elsewhere.
        Auto = "auto",
        /// One JSON object a line.
        Json = "json",
        /// Text.
        Text = "text",
    }
}

//! The settings of the service: read once, from a TOML file and the environment, and checked whole before a port
//! is bound. Every fault is named with file, line and key. It knows the shape of the settings, not who uses them.

mod environment;
mod issuer;
mod limits;
mod read;
mod secret;
mod server;
#[cfg(test)]
mod tests;
mod tls;
mod traces;
mod webhooks;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;

use crate::domain::input::document::{Document, FileFault};
use crate::domain::input::fields::{self, Fault};
use crate::domain::input::pointer::Pointer;
use crate::domain::network::{HostPattern, Network};
use crate::domain::string_enum::string_enum;

pub use environment::environment;
pub use secret::{SecretSource, StoreUrl};
pub use tls::{Identity, TlsFiles};

/// Everything that can be set. The keys of the file are the names of the fields, in tables of the same names,
/// except where a field says otherwise.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[limits]`
    pub limits: Limits,
    /// `[store]`: `url`, or `url_file` with the URL in a file; `sqlite://numberdesk.db` when nothing is said.
    pub store: StoreUrl,
    /// `[close]`
    pub close: CloseConfig,
    /// `[[auth.issuers]]`: who may issue tokens; never empty, no issuer twice.
    pub auth: Vec<IssuerConfig>,
    /// `[policy] file`; without one everything is denied. It can be read; what it says is not checked here.
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
    /// The issuers that are clusters of Kubernetes.
    pub fn clusters(&self) -> Vec<String> {
        let clusters = self
            .auth
            .iter()
            .filter(|issuer| issuer.kind == IssuerKind::Kubernetes);
        clusters.map(|cluster| cluster.issuer.clone()).collect()
    }
}

/// What the service listens on, and the limits of a request.
#[derive(Debug, Clone)]
pub struct Server {
    /// API, docs and webhooks; `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// Probes and metrics; `127.0.0.1:9090`.
    pub ops_listen: SocketAddr,
    /// `[server.tls]`: what `listen` proves itself with; without it, it speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    /// How others reach `listen`; `http://127.0.0.1` (with TLS `https://…`) with its port. Port 0 stands for the one that
    /// was bound.
    pub public_url: Url,
    /// Bytes of a request body, 1024 to 16777216; 65536.
    pub body_limit: usize,
    /// How long a client may take to send the headers, 1s to 120s; 10s.
    pub header_timeout: Duration,
    /// Headers of a request, 10 to 1000; 100.
    pub max_headers: usize,
    /// How long requests are still taken after SIGTERM, while readiness says that they should go elsewhere, 0s to 2m; 0s.
    pub drain: Duration,
    /// How long requests may take to end after that, 0s to 10m; 30s.
    pub grace: Duration,
}

/// How much is taken at once; what is above is turned away.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests a minute of one team, 0 to 1000000, 0 for any number; 600.
    pub requests_per_minute: u32,
    /// How many of them may come at once, 1 to 1000000; as many as a minute has.
    pub burst: u32,
    /// Requests at work at once, 1 to 100000; 512.
    pub in_flight: usize,
    /// Requests that wait for the end of their order at once, 0 to 100000; half as many.
    pub waiting_orders: usize,
}

/// How to reach Close.
#[derive(Debug, Clone)]
pub struct CloseConfig {
    /// `https://api.close.com/api/v1`; https unless the host is loopback.
    pub base_url: Url,
    /// `api_key_file`, or `api_key` from the environment.
    pub api_key: SecretSource,
    /// Whether the desk makes a webhook subscription of its own where no signature key is given; yes.
    pub subscribe: bool,
    /// `webhook_signature_key_file`, or `webhook_signature_key` from the environment: 64 hexadecimal digits, or several
    /// such lines while a key is rotated. Without one the desk makes a subscription of its own.
    pub webhook_key: Option<SecretSource>,
    /// How long Close may take to answer, 1s to 120s; 30s.
    pub timeout: Duration,
    /// The age at which a signed event is still taken, 1m to 30d; 72h.
    pub webhook_tolerance: Duration,
}

/// One issuer of tokens.
#[derive(Debug, Clone)]
pub struct IssuerConfig {
    /// What `iss` must be, letter by letter.
    pub issuer: String,
    /// What `aud` may be; never empty.
    pub audiences: Vec<String>,
    /// Where its keys are: `jwks_url`, `jwks_file`, or neither.
    pub jwks: Jwks,
    /// Algorithms that its keys may have, of RS256, PS256, ES256, ES384 and `EdDSA`; RS256, ES256 and `EdDSA`.
    pub algorithms: Vec<String>,
    /// `kind`: `oidc` or `kubernetes`; `oidc`.
    pub kind: IssuerKind,
    /// PEM certificates of those who alone vouch for the address of its keys; whom the system trusts.
    pub ca_file: Option<PathBuf>,
    /// A bearer token that is shown where its keys are; only beside `ca_file`. None.
    pub token_file: Option<PathBuf>,
}

/// Whose tokens an issuer makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssuerKind {
    /// People's and apps', which name what they may.
    Oidc(Claims),
    /// Service accounts' of a cluster: the policy says what they may.
    Kubernetes,
}

/// `claims`: where a token says what the desk wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Where it names the teams; `/teams`.
    pub teams: Pointer,
    /// Where it names the permissions; `/scope`.
    pub permissions: Pointer,
    /// Where it names the caller's user in Close; `/close_user_id`.
    pub close_user: Pointer,
}

/// Where an issuer's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Jwks {
    /// At a URL; https unless the host is loopback.
    Url(Url),
    /// In a file.
    File(PathBuf),
    /// Where the issuer's own discovery document says.
    Discovery,
}

/// How orders are treated.
#[derive(Debug, Clone)]
pub struct Orders {
    /// How long a request waits for the end of its order, 0s to 60s; 25s.
    pub wait: Duration,
    /// How long Close must show nothing before "not rented" is believed, 1s to 24h; 5m.
    pub settle_after: Duration,
    /// The longest pause between two looks at Close for an order in doubt, 1s to 1h; 30s.
    pub reconcile_every: Duration,
    /// How much longer than `close.timeout` a replica may take to write down how a call ended before others take it for
    /// dead, 1s to 10m; 30s.
    pub lease_margin: Duration,
    /// How long an order awaits a second person's approval, 1m to 30d; 72h.
    pub approval_expires: Duration,
}

/// How the copy of Close's numbers is kept.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// The time between two complete listings, 1s to 24h; 15m.
    pub full_sync: Duration,
    /// The time between two looks into Close's event log, 1s to 24h; 5m.
    pub catch_up: Duration,
}

/// What is told to who follows.
#[derive(Debug, Clone)]
pub struct Events {
    /// How long events are kept, 1h to 365d; 30d.
    pub keep: Duration,
}

/// Webhooks to apps: where they may go, and how they are sent. Without a secret, or with neither hosts nor networks,
/// there are none.
#[derive(Debug, Clone)]
pub struct Webhooks {
    /// Hosts that may be called: by name, or `*.` and a name for all below it; none.
    pub hosts: Vec<HostPattern>,
    /// Networks that may be reached although they are not public; none.
    pub networks: Vec<Network>,
    /// Ports that may be used; 443.
    pub ports: Vec<u16>,
    /// Whether http is taken to addresses in `networks`; false.
    pub allow_http: bool,
    /// `secret_file`, or `secret` from the environment: at least 32 bytes, from which every endpoint's secret is derived.
    pub secret: Option<SecretSource>,
    /// How long a receiver may take to answer, 1s to 60s; 10s.
    pub timeout: Duration,
    /// How long one delivery is tried, 1m to 30d; 72h.
    pub retry_for: Duration,
    /// How long the secret before a rotation still signs, 0s to 30d; 24h.
    pub overlap: Duration,
}

/// Where spans go that tell what a request waited for.
#[derive(Debug, Clone)]
pub struct Traces {
    /// A collector's address for traces, OTLP over HTTP; none. http is taken to any host: no secret of ours goes
    /// there.
    pub endpoint: Option<Url>,
    /// How many of a hundred requests are recorded where the caller's own trace does not say, 0 to 100; 100.
    pub percent: u8,
}

/// What is logged, and how.
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
        /// For people.
        Text = "text",
    }
}

const SECTIONS: [&str; 12] = [
    "server",
    "limits",
    "store",
    "close",
    "auth",
    "policy",
    "orders",
    "inventory",
    "events",
    "webhooks",
    "traces",
    "log",
];

/// Reads the file at `path` and what `env` (see [`environment()`]) overrides. All faults are named at once. Key
/// files, JWKS files and the policy file must be there; Close and the issuers are not asked.
pub fn load(path: &Path, env: impl Iterator<Item = (String, String)>) -> Result<Config, Vec<FileFault>> {
    let folder = path.parent().unwrap_or(Path::new(""));
    parse(&path.display().to_string(), &text(path)?, folder, env)
}

/// What the file at `path` and `env` say of the database; everything else may be faulty or not there, for whoever
/// looks at the database from elsewhere.
pub fn store(path: &Path, env: impl Iterator<Item = (String, String)>) -> Result<StoreUrl, Vec<FileFault>> {
    let file = path.display().to_string();
    let mut document = Document::parse(&file, &text(path)?)?;
    if document.root().get("store").is_none() {
        document.set(&["store"], Value::Object(Map::new()), &file);
    }
    let env = env.filter(|(variable, _)| variable.starts_with("NUMBERDESK_STORE_"));
    let (secrets, faults) = environment::apply(&mut document, env);
    let reader = read::Reader {
        folder: path.parent().unwrap_or(Path::new("")),
        secrets: &secrets,
    };
    let store = fields::read(document.root(), |root| {
        root.fields()?.required("store", |node| reader.store(node))
    });
    settled(&document, store, faults)
}

fn text(path: &Path) -> Result<String, Vec<FileFault>> {
    std::fs::read_to_string(path).map_err(|cause| {
        vec![FileFault {
            file: path.display().to_string(),
            line: None,
            key: String::new(),
            message: format!("can't be read: {cause}"),
        }]
    })
}

/// The same for a text that is at hand. `file` is the name that faults carry; relative paths start at `folder`.
pub fn parse(
    file: &str,
    text: &str,
    folder: &Path,
    env: impl Iterator<Item = (String, String)>,
) -> Result<Config, Vec<FileFault>> {
    let mut document = Document::parse(file, text)?;
    // A section that was left out is one that says nothing: what it must say is then missed by name.
    for section in SECTIONS {
        if document.root().get(section).is_none() {
            document.set(&[section], Value::Object(Map::new()), file);
        }
    }
    let (secrets, faults) = environment::apply(&mut document, env);
    let reader = read::Reader {
        folder,
        secrets: &secrets,
    };
    let config = fields::read(document.root(), |root| reader.config(root));
    settled(&document, config, faults)
}

/// What was read, unless there was any fault at all.
fn settled<T>(
    document: &Document,
    read: Result<T, Vec<Fault>>,
    mut faults: Vec<FileFault>,
) -> Result<T, Vec<FileFault>> {
    match read {
        Ok(value) if faults.is_empty() => Ok(value),
        Ok(_) => Err(faults),
        Err(more) => {
            faults.extend(document.locate(more));
            Err(faults)
        }
    }
}

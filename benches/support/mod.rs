//! The service as a separate process, with a simulated Close in this one, for measurements from outside.
#![allow(dead_code, reason = "each bench uses only a part")]

pub(crate) mod fill;

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use close_sandbox::{Options, Sandbox};
use numberdesk::auth::DevIssuer;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

const ISSUER: &str = "https://idp.example.com/";
/// The key with which Close signs its webhooks.
pub(crate) const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Every team may rent in Germany.
const POLICY: &str = r#"
[teams."*"]
countries = ["DE"]
max_numbers = 100000
monthly_budget = "500000.00"
assign_to = "anyone"

[prices]
default = "4.00"
"#;

/// The service, its simulated Close, and the issuer of its callers' tokens.
pub(crate) struct Desk {
    pub(crate) close: Sandbox,
    pub(crate) api: String,
    pub(crate) client: reqwest::Client,
    pub(crate) folder: TempDir,
    issuer: DevIssuer,
    user: String,
    process: Child,
}

impl Desk {
    /// Starts the service. `store` is the URL of the database, `more` are further lines of the configuration.
    pub(crate) async fn start(options: Options, store: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let close = Sandbox::start(options).await.expect("Close starts");
        let issuer = DevIssuer::load_or_create(folder.path(), ISSUER).expect("an issuer can be made");
        write_files(folder.path(), &close, store, more);
        let log = folder.path().join("log");
        let process = Command::new(env!("CARGO_BIN_EXE_numberdesk"))
            .args(["serve", "--config", "numberdesk.toml"])
            .env("NUMBERDESK_LOG", "warn,numberdesk::app=info")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).expect("a log can be written"))
            .kill_on_drop(true)
            .spawn()
            .expect("the desk can be started");
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let world = client
            .get(format!("http://{}/_control/world", close.address()))
            .send()
            .await
            .expect("Close answers");
        let world: Value = world.json().await.expect("JSON");
        let user = world["users"][0]["id"].as_str().expect("an id").to_owned();
        let (api, ops) = up(&log).await;
        while client
            .get(format!("{ops}/readyz"))
            .send()
            .await
            .expect("it answers")
            .json::<Value>()
            .await
            .expect("JSON")["inventory_as_of"]
            .is_null()
        {
            sleep(Duration::from_millis(50)).await;
        }
        Self {
            close,
            api,
            client,
            folder,
            issuer,
            user,
            process,
        }
    }

    /// Returns a token of the team, valid for at least nine minutes.
    ///
    /// It is the same for a minute, because apps also reuse their tokens.
    pub(crate) fn token(&self, team: &str) -> String {
        self.signed(
            &[team],
            "numbers:read numbers:rent numbers:release numbers:admin audit:read spend:read",
        )
    }

    /// Returns a token of a member of these teams, who only reads.
    pub(crate) fn token_of_member(&self, teams: &[&str]) -> String {
        self.signed(teams, "numbers:read audit:read spend:read")
    }

    fn signed(&self, teams: &[&str], scope: &str) -> String {
        let minute = now() / 60 * 60;
        let claims = json!({ "iss": ISSUER, "aud": "numberdesk", "sub": teams[0], "iat": minute, "exp": minute + 600,
            "teams": teams, "close_user_id": self.user, "scope": scope });
        self.issuer.sign(&claims).expect("the issuer signs")
    }

    /// Reads this file of the process in `/proc`.
    pub(crate) fn proc_file(&self, name: &str) -> String {
        fs::read_to_string(self.proc(name)).expect("the desk runs")
    }

    /// Returns the resident memory in KiB.
    pub(crate) fn memory(&self) -> u64 {
        let status = self.proc_file("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok())
            .expect("the file has the resident memory")
    }

    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(self.proc("fd")).expect("the desk runs").count()
    }

    fn proc(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.process.id().expect("it runs"))
    }

    /// Stops the service with SIGTERM, as an orchestrator does, and returns its exit status.
    pub(crate) async fn stop(mut self) -> String {
        let id = self.process.id().expect("it runs").to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().await;
        sent.expect("kill can be run");
        let ended = timeout(Duration::from_mins(1), self.process.wait()).await;
        self.close.stop().await;
        ended.map_or("it does not end".to_owned(), |ended| {
            ended.expect("it has ended").to_string()
        })
    }
}

/// Creates a database on the PostgreSQL server for this bench, and returns its URL.
pub(crate) async fn database(server: &str, bench: &str) -> String {
    let name = format!("numberdesk_bench_{bench}");
    let mut control = PgConnection::connect(server)
        .await
        .expect("PostgreSQL can be reached");
    for statement in [
        format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
        format!("CREATE DATABASE {name}"),
    ] {
        sqlx::query(AssertSqlSafe(statement))
            .execute(&mut control)
            .await
            .expect("a database can be made");
    }
    let (address, _) = server.rsplit_once('/').expect("the URL names a database");
    format!("{address}/{name}")
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    numberdesk::domain::time::Clock::system().now().as_seconds()
}

/// Waits until the service is up, and returns the URLs of its API and its ops port.
async fn up(log: &Path) -> (String, String) {
    for _ in 0..600 {
        sleep(Duration::from_millis(100)).await;
        let lines = fs::read_to_string(log).expect("the log can be read");
        if let Some(line) = lines.lines().find(|line| line.contains("numberdesk is up")) {
            let line: Value = serde_json::from_str(line).expect("a line of the log is JSON");
            let url = |name: &str| format!("http://{}", line[name].as_str().expect("an address is logged"));
            return (url("address"), url("ops_address"));
        }
    }
    panic!(
        "the desk does not start: {}",
        fs::read_to_string(log).unwrap_or_default()
    );
}

fn write_files(folder: &Path, close: &Sandbox, store: &str, more: &str) {
    let config = format!(
        r#"
[server]
listen = "127.0.0.1:0"
ops_listen = "127.0.0.1:0"

[store]
url = "{store}"

[close]
base_url = "{}"
api_key_file = "close-api-key"
webhook_signature_key_file = "close-webhook-key"

[[auth.issuers]]
issuer = "{ISSUER}"
audiences = ["numberdesk"]
jwks_file = "jwks.json"
algorithms = ["EdDSA"]

[policy]
file = "policy.toml"

[log]
format = "json"

{more}
"#,
        close.base_url()
    );
    for (name, text) in [
        ("numberdesk.toml", config.as_str()),
        ("policy.toml", POLICY),
        ("close-api-key", close.api_key()),
        ("close-webhook-key", KEY),
    ] {
        fs::write(folder.join(name), text).expect("a file can be written");
    }
}

//! `numberdesk dev`: a whole desk on loopback, in a folder of its own, with a simulated Close behind it.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;

use super::serve::Signals;
use super::token::{AUDIENCE, ISSUER, sign};
use crate::app::{self, App};
use crate::auth::LocalIssuer;
use crate::cli::{Failure, demo, dev_env, serve};
use crate::domain::caller::{Permission, Team};
use crate::domain::id::UserId;
use crate::domain::time::Span;
use crate::store::ProcessLock;
use crate::telemetry::{self, Metrics};
use close_sandbox::{self, Options, Sandbox};

/// Where everything of `dev` is kept, unless it is told otherwise.
pub(super) const FOLDER: &str = ".dev";
/// The same organization at every start, so that ids in notes and policies stay true.
const SEED: u64 = 1;
/// Where programs under development like to listen.
const HOOK_PORTS: [u16; 10] = [80, 443, 3000, 4000, 5000, 8000, 8081, 8082, 8888, 9000];

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The folder for database, keys, configuration and policy; edit its policy.toml while the desk runs
    #[arg(long, default_value = FOLDER)]
    dir: PathBuf,
    /// Where the API should answer; a free port is taken, and told, when this one is not free
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Ends after the tour instead of staying up
    #[arg(long)]
    exit_after_tour: bool,
}

/// Someone with a token.
pub(super) struct Persona {
    pub(super) name: &'static str,
    pub(super) does: &'static str,
    pub(super) token: String,
}

/// What the tour and the closing lines need to know.
pub(super) struct Stage {
    pub(super) api: String,
    pub(super) ops: String,
    pub(super) close: String,
    pub(super) folder: PathBuf,
    pub(super) personas: Vec<Persona>,
}

/// The part of the simulated Close's cast that `dev` needs.
#[derive(Deserialize)]
struct World {
    /// The user whose API key the desk has.
    owner: UserId,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let folder = &arguments.dir;
    std::fs::create_dir_all(folder).with_context(|| format!("{} can't be made", folder.display()))?;
    let close = Sandbox::start(Options {
        listen: loopback(0),
        seed: SEED,
        // Close waits a few seconds for more before it tells of a change; nobody wants to here.
        settings: close_sandbox::Settings {
            consolidation_window: Duration::from_millis(300),
            ..close_sandbox::Settings::default()
        },
        ..Options::default()
    })
    .await?;
    let issuer = LocalIssuer::load_or_create(folder, ISSUER)?;
    let app = start(&arguments, &close).await?;
    let mut signals = Signals::listen()?;
    let stage = Stage {
        api: format!("http://{}", app.address),
        ops: format!("http://{}", app.ops_address),
        close: format!("http://{}", close.address()),
        folder: folder.clone(),
        personas: personas(&issuer, &close).await?,
    };
    write_env(&stage)?;
    let toured = tokio::select! {
        toured = stay(&stage, &app, arguments.exit_after_tour) => toured,
        () = signals.next() => {
            eprintln!("\nstopping");
            Ok(())
        }
    };
    let end = async {
        app.stop().await;
        close.stop().await;
    };
    signals.unless_another(end).await?;
    Ok(toured?)
}

/// Writes the URLs and tokens for shells and scripts.
fn write_env(stage: &Stage) -> anyhow::Result<()> {
    let urls = [("API", &stage.api), ("OPS", &stage.ops), ("CLOSE", &stage.close)];
    let urls = urls.map(|(name, url)| (name.to_owned(), url.as_str()));
    let tokens = stage
        .personas
        .iter()
        .map(|persona| (persona.name.to_uppercase(), persona.token.as_str()));
    let variables: Vec<_> = urls.into_iter().chain(tokens).collect();
    dev_env::write(&stage.folder, &variables)
        .with_context(|| format!("{}/env cannot be written", stage.folder.display()))
}

/// Gives the tour and stays up, until something that must run has stopped.
async fn stay(stage: &Stage, app: &App, leave: bool) -> anyhow::Result<()> {
    demo::walk(stage).await?;
    if !leave {
        demo::print_lines_to_copy(stage);
        app.broken().await;
        eprintln!("a part of the desk stopped; see the log");
    }
    Ok(())
}

/// Starts the desk on ports that are free. Another `dev` may take one between the look and the start; then others
/// are looked for.
async fn start(arguments: &Arguments, close: &Sandbox) -> Result<App, Failure> {
    let metrics = Metrics::install()?;
    let mut tries = 3;
    loop {
        // Held until the desk has it: what is removed and written here must not be a running desk's.
        let hold = ProcessLock::take(&database(&arguments.dir)?.into()).with_context(|| {
            let folder = arguments.dir.display();
            format!("a desk runs in {folder} already; `--dir` gives this one a folder of its own")
        })?;
        let api = free_port(arguments.port)?;
        let ops = free_port(arguments.port.saturating_add(1010))?;
        write_files(&arguments.dir, close, api, ops)?;
        let (config, policy) = serve::load(&arguments.dir.join("numberdesk.toml"))?;
        telemetry::start(&app::telemetry(&config))?;
        tries -= 1;
        match App::start_with(hold, &config, policy, metrics.clone()).await {
            Err(error) if tries > 0 && is_taken(&error) => {}
            outcome => return Ok(outcome?),
        }
    }
}

fn is_taken(error: &anyhow::Error) -> bool {
    let mut causes = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    causes.any(|cause| cause.kind() == std::io::ErrorKind::AddrInUse)
}

/// The database begins anew with the simulated Close, which forgets; the policy stays as the reader edited it.
fn write_files(folder: &Path, close: &Sandbox, api: SocketAddr, ops: SocketAddr) -> anyhow::Result<()> {
    for name in ["numberdesk.db", "numberdesk.db-wal", "numberdesk.db-shm"] {
        match std::fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("the old {name} can't be removed"));
            }
            _ => {}
        }
    }
    let mut config = String::from("# Written by `numberdesk dev` at every start.\n");
    writeln!(
        config,
        "[server]\nlisten = \"{api}\"\nops_listen = \"{ops}\"\npublic_url = \"http://{api}\"\n"
    )?;
    writeln!(config, "[store]\nurl = \"{}\"\n", database(folder)?)?;
    writeln!(
        config,
        "[close]\nbase_url = \"{}\"\napi_key_file = \"close-api-key\"\n",
        close.base_url()
    )?;
    writeln!(
        config,
        "[[auth.issuers]]\nissuer = \"{ISSUER}\"\naudiences = [\"{AUDIENCE}\"]"
    )?;
    writeln!(config, "jwks_file = \"jwks.json\"\nalgorithms = [\"EdDSA\"]\n")?;
    writeln!(
        config,
        "[policy]\nfile = \"policy.toml\"\n\n[log]\nlevel = \"warn\"\n"
    )?;
    writeln!(
        config,
        "# Webhooks to whatever you try them with on this machine."
    )?;
    writeln!(
        config,
        "[webhooks]\nsecret_file = \"webhook-secret\"\nhosts = [\"localhost\"]\nnetworks = [\"127.0.0.0/8\", \"::1/128\"]"
    )?;
    writeln!(config, "allow_http = true\nports = {HOOK_PORTS:?}")?;
    std::fs::write(
        folder.join("webhook-secret"),
        "for development, and never anywhere else",
    )?;
    std::fs::write(folder.join("close-api-key"), close.api_key())?;
    std::fs::write(folder.join("numberdesk.toml"), config)?;
    let policy = folder.join("policy.toml");
    if !policy.exists() {
        std::fs::write(policy, include_str!("dev_policy.toml"))?;
    }
    Ok(())
}

/// Where its database is, as a URL.
fn database(folder: &Path) -> anyhow::Result<String> {
    let file = std::path::absolute(folder)?.join("numberdesk.db");
    Ok(format!("sqlite://{}", file.display()))
}

async fn personas(issuer: &LocalIssuer, close: &Sandbox) -> anyhow::Result<Vec<Persona>> {
    let client = reqwest::Client::builder().build()?;
    let world: World = client
        .get(format!("http://{}/_control/world", close.address()))
        .send()
        .await?
        .json()
        .await?;
    let cast: [(&str, &str, &[&str], &[Permission]); 4] = [
        (
            "alice",
            "an app of sales-emea: rents, changes and releases",
            &["sales-emea"],
            &[
                Permission::NumbersRead,
                Permission::NumbersRent,
                Permission::NumbersUpdate,
                Permission::NumbersRelease,
            ],
        ),
        (
            "bob",
            "another app of sales-emea: may also order group numbers, which need an approval",
            &["sales-emea"],
            &[
                Permission::NumbersRead,
                Permission::NumbersRent,
                Permission::NumbersGroup,
            ],
        ),
        (
            "lena",
            "lead of sales-emea: approvals, webhooks, audit trail and spend",
            &["sales-emea"],
            &[
                Permission::NumbersRead,
                Permission::NumbersRent,
                Permission::NumbersGroup,
                Permission::NumbersUpdate,
                Permission::NumbersRelease,
                Permission::OrdersApprove,
                Permission::AuditRead,
                Permission::SpendRead,
                Permission::WebhooksManage,
            ],
        ),
        (
            "olaf",
            "administrator: sees every team, approves, adopts and moves numbers",
            &["platform"],
            &[
                Permission::NumbersRead,
                Permission::OrdersApprove,
                Permission::NumbersAdmin,
                Permission::AuditRead,
            ],
        ),
    ];
    let day: Span = "24h".parse()?;
    cast.into_iter()
        .map(|(name, does, teams, permissions)| {
            let teams: Vec<Team> = teams.iter().map(|team| team.parse()).collect::<Result<_, _>>()?;
            let subject = format!("{name}@example.com");
            // Who approves an order is another user in Close than who ordered, so only the app has the owner's.
            let user = (name == "alice").then_some(&world.owner);
            let token = sign(issuer, &subject, &teams, permissions, user, day)?;
            Ok(Persona { name, does, token })
        })
        .collect()
}

/// The port asked for, or another one, said aloud.
fn free_port(wanted: u16) -> anyhow::Result<SocketAddr> {
    if TcpListener::bind(loopback(wanted)).is_ok() {
        return Ok(loopback(wanted));
    }
    let free = TcpListener::bind(loopback(0))
        .context("no port on loopback is free")?
        .local_addr()?;
    eprintln!("port {wanted} is taken; using {} instead", free.port());
    Ok(free)
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

//! `numberdesk dev`: runs the service with a simulated Close and a token issuer on loopback, and shows a demo.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use close_sandbox::{Options, Sandbox};
use serde::Deserialize;

use super::demo::{self, Environment, Persona};
use super::dev_env;
use super::dev_tokens::{AUDIENCE, FOLDER, ISSUER, sign};
use super::failure::Failure;
use super::load::load;
use super::signals::Signals;
use crate::app::{self, App};
use crate::auth::DevIssuer;
use crate::domain::id::UserId;
use crate::domain::permission::Permission;
use crate::domain::team::Team;
use crate::domain::time::Span;
use crate::store::ProcessLock;
use crate::telemetry::{self, Metrics};

/// A fixed seed, so that ids in notes and policies stay valid after a restart.
const SEED: u64 = 1;
/// Ports on which programs under development usually listen for webhooks.
const HOOK_PORTS: [u16; 10] = [80, 443, 3000, 4000, 5000, 8000, 8081, 8082, 8888, 9000];

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Folder for database, keys, configuration and policy; changes of its policy.toml apply within seconds
    #[arg(long, default_value = FOLDER)]
    dir: PathBuf,
    /// Port of the API; if it is taken, another one is chosen and printed
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Exit after the demo instead of running until Ctrl-C
    #[arg(long)]
    exit_after_tour: bool,
}

/// The part of the sandbox's `/_control/world` that `dev` needs.
#[derive(Deserialize)]
struct World {
    /// The user whose API key the service uses.
    owner: UserId,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let folder = &arguments.dir;
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be created", folder.display()))?;
    let close = Sandbox::start(Options {
        listen: loopback(0),
        seed: SEED,
        // Close merges changes for some seconds before it sends a webhook; the demo should not wait for that.
        settings: close_sandbox::Settings {
            consolidation_window: Duration::from_millis(300),
            ..close_sandbox::Settings::default()
        },
        ..Options::default()
    })
    .await?;
    let issuer = DevIssuer::load_or_create(folder, ISSUER)?;
    let app = start(&arguments, &close).await?;
    let mut signals = Signals::listen()?;
    let environment = Environment {
        api: format!("http://{}", app.address),
        ops: format!("http://{}", app.ops_address),
        close: format!("http://{}", close.address()),
        folder: folder.clone(),
        personas: personas(&issuer, &close).await?,
    };
    write_env(&environment)?;
    let result = tokio::select! {
        result = demonstrate(&environment, &app, arguments.exit_after_tour) => result,
        () = signals.next() => {
            eprintln!("\nstopping");
            Ok(())
        }
    };
    let end = async {
        app.stop().await;
        close.stop().await;
    };
    signals.next_stops(end).await?;
    Ok(result?)
}

/// Writes the URLs and tokens for shells and scripts.
fn write_env(environment: &Environment) -> anyhow::Result<()> {
    let urls = [
        ("API", &environment.api),
        ("OPS", &environment.ops),
        ("CLOSE", &environment.close),
    ];
    let urls = urls.map(|(name, url)| (name.to_owned(), url.as_str()));
    let tokens = environment
        .personas
        .iter()
        .map(|persona| (persona.name.to_uppercase(), persona.token.as_str()));
    let variables: Vec<_> = urls.into_iter().chain(tokens).collect();
    dev_env::write(&environment.folder, &variables)
        .with_context(|| format!("{}/env cannot be written", environment.folder.display()))
}

/// Shows the demo, then runs until a part of the service stops.
async fn demonstrate(environment: &Environment, app: &App, exit_afterwards: bool) -> anyhow::Result<()> {
    demo::run(environment).await?;
    if !exit_afterwards {
        demo::print_next_steps(environment);
        app.broken().await;
        eprintln!("a part of the service stopped; see the log");
    }
    Ok(())
}

/// Starts the service on free ports.
///
/// Another process may take a port between the check and the start; then the function retries with other ports.
async fn start(arguments: &Arguments, close: &Sandbox) -> Result<App, Failure> {
    let metrics = Metrics::install()?;
    let mut tries = 3;
    loop {
        // Held until the service takes the lock over: the files below must not belong to a running service.
        let lock = ProcessLock::take(&database(&arguments.dir)?.into()).with_context(|| {
            let folder = arguments.dir.display();
            format!("another `numberdesk dev` runs in {folder}; choose another folder with `--dir`")
        })?;
        let api = free_port(arguments.port)?;
        let ops = free_port(arguments.port.saturating_add(1010))?;
        write_files(&arguments.dir, close, api, ops)?;
        let (config, policy) = load(&arguments.dir.join("numberdesk.toml"))?;
        telemetry::start(&app::telemetry(&config))?;
        tries -= 1;
        match App::start_with(lock, &config, policy, metrics.clone()).await {
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

/// Writes the configuration and deletes the database, because the simulated Close starts empty.
///
/// An existing policy is kept: the user may have edited it.
fn write_files(folder: &Path, close: &Sandbox, api: SocketAddr, ops: SocketAddr) -> anyhow::Result<()> {
    for name in ["numberdesk.db", "numberdesk.db-wal", "numberdesk.db-shm"] {
        match std::fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("the old {name} cannot be deleted"));
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
    writeln!(config, "# Allows webhooks to programs on this machine.")?;
    writeln!(
        config,
        "[webhooks]\nsecret_file = \"webhook-secret\"\nhosts = [\"localhost\"]\nnetworks = [\"127.0.0.0/8\", \"::1/128\"]"
    )?;
    writeln!(config, "allow_http = true\nports = {HOOK_PORTS:?}")?;
    std::fs::write(
        folder.join("webhook-secret"),
        "only for development, and never anywhere else",
    )?;
    std::fs::write(folder.join("close-api-key"), close.api_key())?;
    std::fs::write(folder.join("numberdesk.toml"), config)?;
    let policy = folder.join("policy.toml");
    if !policy.exists() {
        std::fs::write(policy, include_str!("dev_policy.toml"))?;
    }
    Ok(())
}

/// The URL of the database.
fn database(folder: &Path) -> anyhow::Result<String> {
    let file = std::path::absolute(folder)?.join("numberdesk.db");
    Ok(format!("sqlite://{}", file.display()))
}

async fn personas(issuer: &DevIssuer, close: &Sandbox) -> anyhow::Result<Vec<Persona>> {
    let client = reqwest::Client::builder().build()?;
    let world: World = client
        .get(format!("http://{}/_control/world", close.address()))
        .send()
        .await?
        .json()
        .await?;
    let people: [(&str, &str, &[&str], &[Permission]); 4] = [
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
    people
        .into_iter()
        .map(|(name, does, teams, permissions)| {
            let teams: Vec<Team> = teams.iter().map(|team| team.parse()).collect::<Result<_, _>>()?;
            let subject = format!("{name}@example.com");
            // Only one token names the Close user of the API key, because nobody may approve an order of the same user.
            let user = (name == "alice").then_some(&world.owner);
            let token = sign(issuer, &subject, &teams, permissions, user, day)?;
            Ok(Persona { name, does, token })
        })
        .collect()
}

/// Returns the wanted port, or another free one after printing its number.
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

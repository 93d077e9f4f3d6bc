//! `numberdesk dev`: runs the service with a simulated Close and a token issuer on loopback, and shows a demo.
//!
//! The folder keeps the database between starts, and beside it the numbers and events of the simulated Close. If the
//! simulation began anew, the service would find that every number has vanished from Close.

mod demo;
mod environment;
mod files;
mod personas;
mod schemas;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use close_sandbox::{Options, Sandbox};

use self::environment::Environment;
use super::dev_tokens::ISSUER;
use super::env_file::FOLDER;
use super::failure::Failure;
use super::load::load;
use super::output::{OutputError, errln, outln};
use super::signals::Signals;
use super::values;
use crate::app::{self, App};
use crate::auth::DevIssuer;
use crate::domain::time::Clock;
use crate::store::{ProcessLock, ProcessLockError};
use crate::telemetry::{self, HeldLogs, Metrics};

/// A fixed seed, so that ids in notes and policies stay valid after a restart.
const SEED: u64 = 1;
/// How long the service may take to become ready.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How often the tokens are replaced. They are valid for a day.
const TOKEN_RENEWAL: Duration = Duration::from_hours(12);
/// How often their age is checked.
const RENEWAL_CHECK: Duration = Duration::from_mins(1);

#[derive(clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of the command line"
)]
pub(super) struct Arguments {
    /// Folder for database, keys, configuration and policy; changes of its policy.toml apply within seconds
    #[arg(long, default_value = FOLDER)]
    dir: PathBuf,
    /// Port of the API; if it is taken, another one is chosen and printed
    #[arg(long, default_value_t = 8080, value_parser = values::port)]
    port: u16,
    /// Port of health and metrics [default: the port of the API + 1010, or another one if that is taken]
    #[arg(long, value_name = "PORT", value_parser = values::port)]
    ops_port: Option<u16>,
    /// Port of the simulated Close [default: any free port]
    #[arg(long, value_name = "PORT", value_parser = values::port)]
    close_port: Option<u16>,
    /// Begin with an empty database and an empty simulated Close; policy and keys stay
    #[arg(long)]
    fresh: bool,
    /// Start without the demo
    #[arg(long)]
    no_tour: bool,
    /// Print the URLs and tokens as one JSON object on stdout when the service is ready, and nothing else
    #[arg(long)]
    json: bool,
    /// Exit after the demo instead of running until Ctrl-C
    #[arg(long, conflicts_with_all = ["no_tour", "json"])]
    exit_after_tour: bool,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let folder = &arguments.dir;
    files::create_folder(folder)?;
    // Held until the service takes the lock over: the files must not belong to a running service.
    let lock = take_lock(folder)?;
    let kept = !arguments.fresh && files::has_data(folder)?;
    if !kept {
        files::delete_data(folder)?;
    }
    let issuer = DevIssuer::load_or_create(folder, ISSUER)?;
    let close = start_close(&arguments).await?;
    // The log must not interrupt the demo; it follows afterwards.
    let held = HeldLogs::begin();
    let (app, no_rules) = start(&arguments, &close, lock)
        .await
        .map_err(|failure| match failure {
            Failure::Error(error) if kept && !is_about_a_port(&error) => Failure::Error(
                error.context("the service does not start; if the reason is its database, use `--fresh`"),
            ),
            failure => failure,
        })?;
    let mut signals = Signals::listen()?;
    let mut environment = Environment {
        api: format!("http://{}", app.address),
        ops: format!("http://{}", app.ops_address),
        close: format!("http://{}", close.address()),
        folder: folder.clone(),
        personas: personas::create(&issuer, &close)?,
        no_rules,
    };
    environment.write()?;
    let result = tokio::select! {
        result = async {
            present(&arguments, &environment).await?;
            drop(held);
            if arguments.exit_after_tour {
                return Ok(());
            }
            tokio::select! {
                () = app.broken() => Err(anyhow!("a part of the service stopped; see the log")),
                failed = renew_tokens(&mut environment, &issuer, &close) => failed,
            }
        } => result,
        () = signals.next() => {
            errln!("\nstopping");
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

fn take_lock(folder: &Path) -> anyhow::Result<ProcessLock> {
    ProcessLock::take(&files::database(folder)?.into()).map_err(|error| {
        let is_served = matches!(error, ProcessLockError::Served { .. });
        let error = anyhow::Error::new(error);
        if !is_served {
            return error;
        }
        let folder = folder.display();
        error.context(format!(
            "another `numberdesk dev` runs in {folder}; choose another folder with `--dir`"
        ))
    })
}

async fn start_close(arguments: &Arguments) -> anyhow::Result<Sandbox> {
    let options = Options {
        listen: match arguments.close_port {
            Some(port) => fixed_port("--close-port", port)?,
            None => loopback(0),
        },
        seed: SEED,
        // Close merges changes for some seconds before it sends a webhook; a developer should not wait for that.
        settings: close_sandbox::Settings {
            consolidation_window: Duration::from_millis(300),
            ..close_sandbox::Settings::default()
        },
        state_file: Some(files::close_state(&arguments.dir)),
        ..Options::default()
    };
    Sandbox::start(options)
        .await
        .context("the simulated Close does not start; `--fresh` deletes its numbers")
}

/// Shows the demo, or prints what a script needs.
async fn present(arguments: &Arguments, environment: &Environment) -> anyhow::Result<()> {
    wait_until_ready(environment).await?;
    if arguments.json {
        outln!("{}", environment.json())?;
        return Ok(());
    }
    if !arguments.no_tour {
        let shown = demo::run(environment).await;
        if arguments.exit_after_tour {
            return shown;
        }
        // The service runs, so a demo that ends early is no reason to stop it.
        if let Err(error) = shown {
            if error.is::<OutputError>() {
                return Err(error);
            }
            errln!("the demo ended early: {error:#}");
        }
    }
    Ok(demo::print_next_steps(environment)?)
}

async fn wait_until_ready(environment: &Environment) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("{}/readyz", environment.ops);
    let ready = async {
        while !client
            .get(&url)
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(START_TIMEOUT, ready)
        .await
        .with_context(|| format!("the service is not ready after {START_TIMEOUT:?}; see {url}?verbose"))
}

/// Writes new tokens before the old ones expire, as long as the service runs. Returns only with an error.
async fn renew_tokens(
    environment: &mut Environment,
    issuer: &DevIssuer,
    close: &Sandbox,
) -> anyhow::Result<()> {
    let clock = Clock::system();
    let mut renewed_at = clock.now();
    loop {
        // A timer stops while the machine sleeps, but tokens still expire.
        tokio::time::sleep(RENEWAL_CHECK).await;
        if clock.now().since(renewed_at) < TOKEN_RENEWAL {
            continue;
        }
        renewed_at = clock.now();
        environment.personas = personas::create(issuer, close)?;
        environment.write()?;
    }
}

/// Starts the service on free ports. Also returns why the personas may order nothing, if the policy lacks their team.
///
/// Another process may take a port between the check and the start; then the function retries with other ports.
async fn start(
    arguments: &Arguments,
    close: &Sandbox,
    lock: ProcessLock,
) -> Result<(App, Option<String>), Failure> {
    let metrics = Metrics::install()?;
    let (mut lock, mut tries) = (Some(lock), 3);
    loop {
        let lock = match lock.take() {
            Some(lock) => lock,
            None => take_lock(&arguments.dir)?,
        };
        let api = free_port(arguments.port)?;
        let ops = match arguments.ops_port {
            Some(port) => fixed_port("--ops-port", port)?,
            None if arguments.port == 0 => loopback(0),
            None => free_port(arguments.port.saturating_add(1010))?,
        };
        files::write(&arguments.dir, close, api, ops)?;
        let (config, policy) = load(&files::config(&arguments.dir))?;
        let proxies = app::proxies(&config).map_err(anyhow::Error::msg)?;
        telemetry::start(&app::telemetry(&config, &proxies))?;
        let no_rules = personas::no_rules(&policy, &arguments.dir);
        tries -= 1;
        match App::start_with(lock, &config, proxies, policy, metrics.clone()).await {
            Err(error) if tries > 0 && is_taken(&error) => {}
            outcome => return Ok((outcome?, no_rules)),
        }
    }
}

fn is_taken(error: &anyhow::Error) -> bool {
    let mut causes = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    causes.any(|cause| cause.kind() == std::io::ErrorKind::AddrInUse)
}

/// Returns the wanted port, or another free one after printing its number.
fn free_port(wanted: u16) -> anyhow::Result<SocketAddr> {
    let Err(error) = TcpListener::bind(loopback(wanted)) else {
        return Ok(loopback(wanted));
    };
    let free = TcpListener::bind(loopback(0))
        .context("no port on loopback is free")?
        .local_addr()?;
    errln!("port {wanted} {}; using {} instead", problem(&error), free.port());
    Ok(free)
}

/// A port that a script relies on cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("port {port} {}; `{option}` chooses another one", problem(source))]
struct PortError {
    option: &'static str,
    port: u16,
    source: std::io::Error,
}

/// Returns a port that a script relies on, or an error if it cannot be used.
fn fixed_port(option: &'static str, port: u16) -> Result<SocketAddr, PortError> {
    match TcpListener::bind(loopback(port)) {
        Ok(_) => Ok(loopback(port)),
        Err(source) => Err(PortError { option, port, source }),
    }
}

fn problem(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "is taken",
        _ => "cannot be used",
    }
}

/// Whether the error is about a port, so that deleting data would not help.
fn is_about_a_port(error: &anyhow::Error) -> bool {
    error.is::<PortError>() || is_taken(error)
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

//! The command line of the simulated Close, shared by `close-sandbox` and `numberdesk sandbox`.

use std::io::{Write as _, stderr, stdout};
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::{Options, Sandbox, faults_from_json};

/// The arguments that describe one simulated Close.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Address to listen on
    ///
    /// The control routes under /_control/ need no API key: listen on other addresses than loopback only in
    /// networks where every client may control the simulation.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081", value_parser = address)]
    pub listen: SocketAddr,
    /// Seed of the generated data: the same seed gives the same organization, users, groups and API key
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = seed)]
    pub seed: u64,
    /// JSON file with faults that are armed from the start; POST /_control/faults adds more
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "must be an IP address and a port, such as 127.0.0.1:8081 or [::1]:8081".to_owned())
}

fn seed(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| "must be a whole number, 0 or more".to_owned())
}

/// Runs a simulated Close until SIGINT or SIGTERM.
///
/// Prints the base URL to stdout, and what a person needs to know to stderr. Fails when the file of faults is
/// invalid or the address cannot be bound.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let faults = match &arguments.faults {
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("{} cannot be read", file.display()))?;
            faults_from_json(&text).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?
        }
        None => Vec::new(),
    };
    // Registered before the start, so that an early signal is not lost.
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be handled")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be handled")?;
    let sandbox = Sandbox::start(Options {
        listen: arguments.listen,
        seed: arguments.seed,
        faults,
        ..Options::default()
    })
    .await?;
    // Not `println!`, which panics if nobody reads.
    writeln!(stdout(), "{}", sandbox.base_url()).context("standard output cannot be written")?;
    let control = format!("http://{}/_control", sandbox.address());
    // Nobody has to read this.
    let _ = writeln!(
        stderr(),
        "simulated Close    {}\n\
         API key            {}\n\
         users and groups   {control}/world\n\
         received requests  {control}/requests\n\
         press Ctrl-C to stop",
        sandbox.base_url(),
        sandbox.api_key()
    );
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    sandbox.stop().await;
    Ok(())
}

//! `numberdesk sandbox`: the simulated Close alone.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;

use super::Failure;
use close_sandbox::{Options, Sandbox, faults_from_json};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// The same seed makes the same organization, users, groups and key
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A JSON file of faults to begin with; more can be set at /_control/faults
    #[arg(long)]
    faults: Option<PathBuf>,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let faults = match &arguments.faults {
        Some(file) => {
            let text =
                std::fs::read_to_string(file).with_context(|| format!("{} can't be read", file.display()))?;
            faults_from_json(&text).map_err(|fault| anyhow::anyhow!("{}: {fault}", file.display()))?
        }
        None => Vec::new(),
    };
    let options = Options {
        listen: arguments.listen,
        seed: arguments.seed,
        faults,
        ..Options::default()
    };
    let sandbox = Sandbox::start(options)
        .await
        .with_context(|| format!("can't listen on {}", arguments.listen))?;
    println!("{}", sandbox.base_url());
    eprintln!("simulated Close at {}", sandbox.base_url());
    eprintln!("api key            {}", sandbox.api_key());
    eprintln!("who is there       http://{}/_control/world", sandbox.address());
    eprintln!(
        "every request      http://{}/_control/requests",
        sandbox.address()
    );
    eprintln!("press Ctrl-C to stop");
    super::serve::Signals::listen()?.next().await;
    sandbox.stop().await;
    Ok(())
}

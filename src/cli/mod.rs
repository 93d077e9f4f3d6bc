//! The commands, one a file. Progress goes to stderr, results to stdout.

mod check;
mod demo;
mod dev;
mod dev_env;
mod doctor;
mod explain;
mod health;
mod migrate;
mod openapi;
mod sandbox;
mod serve;
mod token;
mod verify;
mod webhooks;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::domain::input::document::FileFault;

/// Rents, changes and releases Close phone numbers for internal apps, under team policy.
#[derive(Parser)]
#[command(name = "numberdesk", version, arg_required_else_help = true)]
#[command(after_help = "Try it with nothing to configure:  numberdesk dev\n\
    Configuration is a TOML file; every key can be overridden by the environment, such as\n\
    NUMBERDESK_CLOSE__BASE_URL for base_url in [close]. Exit status: 0 fine, 1 the answer is no or it failed,\n\
    2 wrong usage, 64 faulty configuration.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything on loopback with nothing to configure: a simulated Close, SQLite, a local issuer, and a tour
    Dev(dev::Arguments),
    /// The service
    Serve(serve::Arguments),
    /// The simulated Close alone: stateful, with webhooks, rate limits and switchable faults
    Sandbox(sandbox::Arguments),
    /// Validates configuration and policy without starting; names file, line and key of every fault
    Check(check::Arguments),
    /// Asks Close, the database and each issuer whether all is well; one line each, exit 1 when something is not
    Doctor(doctor::Arguments),
    /// What the policy says
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// The audit trail
    #[command(subcommand)]
    Audit(AuditCommand),
    /// The desk's own webhook subscription in Close
    #[command(subcommand)]
    Webhooks(webhooks::Command),
    /// A JWT from the local dev issuer
    Token(token::Arguments),
    /// Prints the OpenAPI document that the server serves
    Openapi(openapi::Arguments),
    /// Applies database migrations and exits
    Migrate(migrate::Arguments),
    /// Asks a running desk whether it is ready; for container health checks
    #[command(hide = true)]
    Health(health::Arguments),
}

#[derive(Subcommand)]
enum PolicyCommand {
    /// The decision on an order, the rule that made it, and what would have to change
    Explain(explain::Arguments),
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Checks the chain of a database or an export, and names the first row that was tampered with
    Verify(verify::Arguments),
}

/// Parses the arguments of the process and runs the command.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let code = runtime.block_on(async {
        match arguments.command {
            Command::Dev(arguments) => end(dev::run(arguments).await),
            Command::Serve(arguments) => end(serve::run(arguments).await),
            Command::Sandbox(arguments) => end(sandbox::run(arguments).await),
            Command::Check(arguments) => end(check::run(&arguments)),
            Command::Doctor(arguments) => end(doctor::run(&arguments).await),
            Command::Policy(PolicyCommand::Explain(arguments)) => end(explain::run(&arguments)),
            Command::Audit(AuditCommand::Verify(arguments)) => end(verify::run(arguments).await),
            Command::Webhooks(command) => end(webhooks::run(command).await),
            Command::Token(arguments) => end(token::run(&arguments)),
            Command::Openapi(arguments) => end(openapi::run(&arguments)),
            Command::Migrate(arguments) => end(migrate::run(&arguments).await),
            Command::Health(arguments) => end(health::run(&arguments).await),
        }
    });
    // A command has ended when it says so, whatever a thread still waits for.
    runtime.shutdown_background();
    code
}

/// Why a command did not do what it was asked.
enum Failure {
    /// The configuration or the policy is faulty: every fault, exit 64.
    Faulty(Vec<FileFault>),
    /// The answer is no; it was printed already. Exit 1.
    No,
    /// It failed. Exit 1.
    Failed(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

fn end(outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::No) => ExitCode::FAILURE,
        Err(Failure::Failed(error)) => failed(&error),
        Err(Failure::Faulty(faults)) => {
            tell(&faults);
            ExitCode::from(64)
        }
    }
}

fn tell(faults: &[FileFault]) {
    for fault in faults {
        eprintln!("error: {fault}");
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

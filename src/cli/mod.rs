//! The command line: one command, one file. Results go to stdout, progress and errors to stderr.
//!
//! `dev`, `sandbox` and `token` exist only with the Cargo feature `dev`.

mod audit_export;
mod check;
#[cfg(feature = "dev")]
mod dev;
#[cfg(feature = "dev")]
mod dev_tokens;
mod doctor;
mod env_file;
mod explain;
mod failure;
mod health;
mod hold;
mod listen;
mod load;
mod migrate;
mod openapi;
mod output;
#[cfg(feature = "dev")]
mod private_file;
mod progress;
mod recover;
#[cfg(feature = "dev")]
mod sandbox;
mod schema;
mod serve;
mod signals;
mod store_copy;
#[cfg(feature = "dev")]
mod token;
mod values;
mod verify;
mod webhooks;
mod whoami;
mod whoami_rent;
mod whoami_report;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::exit_code;

#[cfg(feature = "dev")]
const FIRST_STEP: &str = "Try it without any configuration:  numberdesk dev\n\n";
#[cfg(not(feature = "dev"))]
const FIRST_STEP: &str = "";

const AFTER_HELP: &str = "\
The configuration is a TOML file. An environment variable overrides every key: NUMBERDESK_CLOSE__BASE_URL is
base_url in [close].

Exit status: 0 success, 1 failure or a negative result, 2 invalid arguments, 64 invalid configuration or policy.
Also 141 if the reader of the output has closed it, as `head` does.";

/// Rents, changes and releases Close phone numbers for internal apps, under team policy
#[derive(Parser)]
#[command(name = "numberdesk", version, arg_required_else_help = true)]
#[command(after_help = format!("{FIRST_STEP}{AFTER_HELP}"))]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs everything on this machine: the service, a simulated Close, a token issuer; and shows a demo
    #[cfg(feature = "dev")]
    Dev(dev::Arguments),
    /// Runs the service
    Serve(serve::Arguments),
    /// Runs only the simulated Close, with webhooks, rate limits and scripted faults
    #[cfg(feature = "dev")]
    Sandbox(close_sandbox::cli::Arguments),
    /// Validates configuration and policy, and lists every fault with file, line and key
    Check(check::Arguments),
    /// Checks that Close, the database and every issuer work; exit status 1 if one does not
    Doctor(doctor::Arguments),
    /// Asks the policy for a decision
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Exports and verifies the audit trail
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Shows and changes the service's own webhook subscription in Close; forwards events to an app under development
    #[command(subcommand)]
    Webhooks(webhooks::Command),
    /// Prints a token of the development issuer
    #[cfg(feature = "dev")]
    Token(token::Arguments),
    /// Prints the OpenAPI document of the API
    Openapi(openapi::Arguments),
    /// Prints the JSON Schema of the configuration or the policy, for editors
    Schema(schema::Arguments),
    /// Copies the database
    #[command(subcommand)]
    Store(StoreCommand),
    /// Applies database migrations and exits
    Migrate(migrate::Arguments),
    /// Stops orders and releases on all replicas, and permits them again
    Hold(hold::Arguments),
    /// Shows what happened in Close after the backup that was restored, and confirms it
    Recover(recover::Arguments),
    /// Checks that a running service is ready; for container health checks
    Health(health::Arguments),
}

#[derive(Subcommand)]
enum PolicyCommand {
    /// Shows the decision on an order, the rule behind it, and what would change it
    Explain(Box<explain::Arguments>),
    /// Shows what a token and the policy give its caller, and what is missing to rent
    Whoami(whoami::Arguments),
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Continues a copy of the trail in a folder, and sends the new rows to a collector; for a job with a cursor
    Export(audit_export::Arguments),
    /// Verifies the hash chain of a database or an export, and names the first row that was changed
    Verify(verify::Arguments),
}

#[derive(Subcommand)]
enum StoreCommand {
    /// Copies everything into an empty database, for the way from SQLite to PostgreSQL, and verifies the copy
    Copy(store_copy::Arguments),
}

/// Parses the arguments of the process and runs the command.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit_code(Err(error.into())),
    };
    let code = runtime.block_on(async {
        match arguments.command {
            #[cfg(feature = "dev")]
            Command::Dev(arguments) => exit_code(dev::run(arguments).await),
            Command::Serve(arguments) => exit_code(serve::run(arguments).await),
            #[cfg(feature = "dev")]
            Command::Sandbox(arguments) => exit_code(sandbox::run(arguments).await),
            Command::Check(arguments) => exit_code(check::run(&arguments)),
            Command::Doctor(arguments) => exit_code(doctor::run(&arguments).await),
            Command::Policy(PolicyCommand::Explain(arguments)) => exit_code(explain::run(&arguments)),
            Command::Policy(PolicyCommand::Whoami(arguments)) => exit_code(whoami::run(&arguments).await),
            Command::Audit(AuditCommand::Export(arguments)) => exit_code(audit_export::run(arguments).await),
            Command::Audit(AuditCommand::Verify(arguments)) => exit_code(verify::run(arguments).await),
            Command::Webhooks(command) => exit_code(webhooks::run(command).await),
            #[cfg(feature = "dev")]
            Command::Token(arguments) => exit_code(token::run(&arguments)),
            Command::Openapi(arguments) => exit_code(openapi::run(&arguments)),
            Command::Schema(arguments) => exit_code(schema::run(&arguments)),
            Command::Store(StoreCommand::Copy(arguments)) => exit_code(store_copy::run(&arguments).await),
            Command::Migrate(arguments) => exit_code(migrate::run(&arguments).await),
            Command::Hold(arguments) => exit_code(hold::run(&arguments).await),
            Command::Recover(arguments) => exit_code(recover::run(&arguments).await),
            Command::Health(arguments) => exit_code(health::run(&arguments).await),
        }
    });
    // The command has finished: do not wait for blocking threads.
    runtime.shutdown_background();
    code
}

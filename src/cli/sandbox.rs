//! `numberdesk sandbox`: runs the simulated Close alone.

use close_sandbox::cli::{self, Arguments};

use super::failure::Failure;

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    Ok(cli::run(arguments).await?)
}

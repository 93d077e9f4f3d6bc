//! The `numberdesk` binary: hands its arguments over and decides nothing.

use std::process::ExitCode;

fn main() -> ExitCode {
    numberdesk::cli::run()
}

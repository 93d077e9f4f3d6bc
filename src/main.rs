//! The `numberdesk` binary. The commands are in `numberdesk::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    numberdesk::cli::run()
}

//! Why a command failed, and its exit status.

use std::process::ExitCode;

use crate::domain::input::document::FileFault;

/// Exit status for an invalid configuration or policy.
const INVALID_CONFIGURATION: u8 = 64;

/// Why a command failed.
pub(super) enum Failure {
    /// The configuration or the policy is invalid: lists every fault. Exit status 64.
    Invalid(Vec<FileFault>),
    /// The result is negative, and the command already printed it. Exit status 1.
    Negative,
    /// An error. Exit status 1.
    Error(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

/// Prints the failure of a command, if there is one, and returns the exit status.
pub(super) fn exit_code(outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Negative) => ExitCode::FAILURE,
        Err(Failure::Error(error)) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
        Err(Failure::Invalid(faults)) => {
            print_faults(&faults);
            ExitCode::from(INVALID_CONFIGURATION)
        }
    }
}

/// Prints every fault of a configuration or policy to stderr, one a line.
pub(super) fn print_faults(faults: &[FileFault]) {
    for fault in faults {
        eprintln!("error: {fault}");
    }
}

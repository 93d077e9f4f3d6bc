//! Why a command failed, and its exit status.

use std::process::ExitCode;

use super::output::{OutputError, errln};
use crate::domain::input::document::FileFault;

/// Exit status for an invalid configuration or policy.
const INVALID_CONFIGURATION: u8 = 64;
/// Exit status if the reader of the output has closed it: what a shell shows after SIGPIPE, and never a success.
const BROKEN_PIPE: u8 = 141;

/// Why a command failed.
pub(super) enum Failure {
    /// The configuration or the policy is invalid: lists every fault. Exit status 64.
    Invalid(Vec<FileFault>),
    /// The result is negative, and the command already printed it. Exit status 1.
    Negative,
    /// An error. Exit status 1, or 141 without a message if the reader of the output has closed it.
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
        Err(Failure::Error(error)) if matches!(error.downcast_ref(), Some(OutputError::Closed)) => {
            ExitCode::from(BROKEN_PIPE)
        }
        Err(Failure::Error(error)) => {
            errln!("error: {}", causes(&error));
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
        errln!("error: {fault}");
    }
}

/// Returns the error with its causes, without those whose text the one before already ends with.
pub(super) fn causes(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

//! The output of commands: results on standard output, everything else on standard error. Neither panics if nobody reads.
//!
//! `println!` and `eprintln!` panic when a reader such as `head` has closed the pipe, so clippy denies them. Commands
//! pass the error of [`out!`] and [`outln!`] on with `?`, which also lets `dev` stop its service first. [`errln!`] has no
//! error: a command such as `webhooks rotate` must not stop half-way because nobody reads its progress.

use std::fmt;
use std::io::{self, Write as _};

/// Standard output could not be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutputError {
    /// The reader has closed the pipe, as `head` does: no fault, but the output is incomplete.
    #[error("nobody reads standard output any more")]
    Closed,
    #[error("standard output cannot be written")]
    Failed(#[source] io::Error),
}

impl From<io::Error> for OutputError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Failed(error),
        }
    }
}

/// Writes text as it is, and flushes it: at the end of the process, an error would go unnoticed.
pub(super) fn print(text: fmt::Arguments<'_>) -> Result<(), OutputError> {
    let mut stdout = io::stdout().lock();
    stdout.write_fmt(text)?;
    Ok(stdout.flush()?)
}

/// Writes text to standard error. If that is closed, no other output is left for it.
pub(super) fn tell(text: fmt::Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(text);
}

/// Writes formatted text to standard output, like `print!`, and returns an [`OutputError`] instead of a panic.
macro_rules! out {
    ($($text:tt)*) => {
        $crate::cli::output::print(format_args!($($text)*))
    };
}

/// Writes a line to standard output, like `println!`, and returns an [`OutputError`] instead of a panic.
macro_rules! outln {
    ($($text:tt)*) => {
        $crate::cli::output::print(format_args!("{}\n", format_args!($($text)*)))
    };
}

/// Writes a line to standard error, like `eprintln!`, and never panics.
macro_rules! errln {
    ($($text:tt)*) => {
        $crate::cli::output::tell(format_args!("{}\n", format_args!($($text)*)))
    };
}

pub(super) use {errln, out, outln};

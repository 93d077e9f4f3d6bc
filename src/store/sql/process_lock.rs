//! The process lock: only one process at a time serves a SQLite file.
//!
//! The process locks a file beside the database. The operating system releases the lock when the process ends, however
//! it ends. PostgreSQL needs no such lock, and neither do commands that only migrate or read.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use crate::store::sql::pool::{keep_private, private, sqlite_file};

/// The right to serve a database, until it is dropped or the process ends.
#[derive(Debug)]
pub struct ProcessLock(
    #[expect(dead_code, reason = "the lock lasts as long as the file is open")] Option<File>,
);

/// Why this process can't serve the database.
#[derive(Debug, thiserror::Error)]
pub enum ProcessLockError {
    /// Another process serves it.
    #[error(
        "another numberdesk{} already serves the SQLite file {}, which allows only one process: stop the other process \
         first, or set store.url to `postgres://…` to run several replicas", known(*.pid), .file.display()
    )]
    Served {
        /// The database file.
        file: PathBuf,
        /// The other process, if it is known.
        pid: Option<u32>,
    },
    /// The lock file can't be opened or locked.
    #[error("the SQLite file {} can't be opened and locked{}", .file.display(), no_folder(.cause))]
    Unknown {
        /// The file beside the database.
        file: PathBuf,
        /// The error of the system.
        #[source]
        cause: io::Error,
    },
}

/// Explains the error of a file that would be created if its folder existed.
fn no_folder(cause: &io::Error) -> &'static str {
    if cause.kind() == io::ErrorKind::NotFound {
        ": create its folder first"
    } else {
        ""
    }
}

impl ProcessLock {
    /// Takes the lock of the database at `url`, which need not be open.
    ///
    /// It creates a missing SQLite file and resolves links, so that two links to a file share one lock. It accepts an
    /// invalid URL, which `Store::open` reports.
    pub fn take(url: &SecretString) -> Result<Self, ProcessLockError> {
        let Ok(Some(options)) = sqlite_file(url.expose_secret()) else {
            return Ok(Self(None));
        };
        let named = options.get_filename();
        let file = keep_private(named)
            .and_then(|()| named.canonicalize())
            .map_err(|cause| ProcessLockError::Unknown {
                file: named.to_owned(),
                cause,
            })?;
        let mut beside = file.clone().into_os_string();
        beside.push(".lock");
        let beside = PathBuf::from(beside);
        match lock(&beside) {
            Ok(Some(lock)) => Ok(Self(Some(lock))),
            Ok(None) => Err(ProcessLockError::Served {
                file,
                pid: holder(&beside),
            }),
            Err(cause) => Err(ProcessLockError::Unknown { file: beside, cause }),
        }
    }
}

/// Locks the file and writes this process's id into it; `None` when another process holds the lock.
///
/// The file stays when the lock ends. If it were removed, two processes could lock two files of the same name.
fn lock(beside: &Path) -> io::Result<Option<File>> {
    let mut file = private().read(true).write(true).open(beside)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(cause)) => return Err(cause),
    }
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())?;
    Ok(Some(file))
}

fn holder(beside: &Path) -> Option<u32> {
    let mut text = String::new();
    File::open(beside).ok()?.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn known(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}

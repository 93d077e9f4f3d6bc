//! One process serves a SQLite file: it holds a lock of the operating system on a file beside it, which ends with the
//! process however that ends. PostgreSQL needs none. Whoever only migrates or reads asks for none either.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use crate::store::sql::pool::{keep_private, private, sqlite_file};

/// The right to serve a database, given back when it is dropped or the process dies.
#[derive(Debug)]
pub struct ProcessLock(
    #[expect(dead_code, reason = "the lock lasts as long as the file is open")] Option<File>,
);

/// Why the database can't be served by this process.
#[derive(Debug, thiserror::Error)]
pub enum ProcessLockError {
    /// Another process has it.
    #[error(
        "the SQLite file {} is served by another numberdesk{}: a SQLite file is for one process; end the other one \
         first, or put `postgres://…` into store.url for several replicas", .file.display(), known(*.pid)
    )]
    Served {
        /// The database.
        file: PathBuf,
        /// The other process, if it is known.
        pid: Option<u32>,
    },
    /// Nobody can say.
    #[error("{} can't be locked", .file.display())]
    Unknown {
        /// The file beside the database.
        file: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
}

impl ProcessLock {
    /// Takes the right to serve the database at `url`, which need not be open; the file of a SQLite database is made
    /// when it is missing, and is the same by whatever link it is reached. What is wrong with the URL itself is left
    /// to [`crate::store::Store::open`].
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

/// The locked file, with this process written into it; `None` when another has it. The file stays when the lock ends:
/// removing it would let two processes lock two files of one name.
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

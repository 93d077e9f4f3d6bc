//! Classifies database errors: temporary ones, such as a lost connection, and internal errors.

use sqlx::error::DatabaseError;

use crate::error::{Cause, Error};

/// The database can't be opened. The message names the file or server, never the password.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(in crate::store) struct CannotOpen {
    what: String,
    #[source]
    cause: Option<Cause>,
}

impl CannotOpen {
    pub(in crate::store) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            cause: None,
        }
    }
    pub(in crate::store) fn because(what: impl Into<String>, cause: sqlx::Error) -> Self {
        Self {
            what: what.into(),
            cause: Some(cause.into()),
        }
    }
}

/// The server is a standby, or its default is to read only.
#[derive(Debug, thiserror::Error)]
#[error("the database accepts only reads")]
pub(in crate::store) struct OnlyReads;

impl OnlyReads {
    /// Whether this is why no connection could be made.
    pub(in crate::store) fn is(error: &sqlx::Error) -> bool {
        matches!(error, sqlx::Error::Configuration(cause) if cause.is::<Self>())
    }
}

/// A row, or an argument, is corrupt.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(in crate::store) struct Corrupt {
    what: String,
    #[source]
    cause: Option<Cause>,
}

/// An internal error that names what is corrupt.
pub(in crate::store) fn corrupt(what: impl Into<String>, cause: Option<Cause>) -> Error {
    let what = what.into();
    Error::Internal(Box::new(Corrupt { what, cause }))
}

/// Classifies an error of the driver.
pub(in crate::store) fn store_error(error: sqlx::Error) -> Error {
    let temporary = match &error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed
        // The driver's error for a connection that ended in the middle of a message.
        | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(cause) => is_temporary(cause.as_ref()),
        error => OnlyReads::is(error),
    };
    if temporary {
        Error::StoreUnavailable(Box::new(error))
    } else {
        Error::Internal(Box::new(error))
    }
}

fn is_temporary(cause: &dyn DatabaseError) -> bool {
    let Some(code) = cause.code() else { return false };
    if cause
        .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
        .is_some()
    {
        // Connection, authorization, missing database, serialization, resources, not in the right state
        // (locks), operator intervention, system errors, a standby that can't write, a pooler that shares statements.
        // https://www.postgresql.org/docs/current/errcodes-appendix.html
        [
            "08", "28", "3D", "40", "53", "55", "57", "58", "25006", "26000", "42P05",
        ]
        .iter()
        .any(|class| code.starts_with(class))
    } else {
        // BUSY, LOCKED, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, NOTADB; extended codes keep them in the low byte.
        // https://www.sqlite.org/rescode.html
        code.parse::<i64>()
            .is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 8 | 10 | 11 | 13 | 14 | 26))
    }
}

/// Whether the error reports a missing table.
pub(in crate::store) fn no_such_table(error: &Error) -> bool {
    let Error::Internal(cause) = error else {
        return false;
    };
    let Some(sqlx::Error::Database(cause)) = cause.downcast_ref() else {
        return false;
    };
    cause.code().is_some_and(|code| code == "42P01") || cause.message().starts_with("no such table")
}

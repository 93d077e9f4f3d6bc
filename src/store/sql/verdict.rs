//! What an error says about the connection on which it occurred.

use sqlx::postgres::PgDatabaseError;

/// What follows for the connection, and for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Verdict {
    /// The connection can be used again.
    Usable,
    /// The connection can't be used again.
    Broken,
    /// The server became a standby, is going away or vanished: no connection to it can be used again.
    ServerChanges,
    /// Another client's prepared statements are on the connection: a pooler shares it.
    StatementsShared,
}

impl Verdict {
    /// The verdict of an error of PostgreSQL's driver.
    pub(in crate::store) fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(cause) => match cause.try_downcast_ref::<PgDatabaseError>() {
                Some(cause) => Self::of_code(cause.code()),
                None => Self::Usable,
            },
            // A statement without a response: the server vanished, and with it every connection of that time.
            sqlx::Error::Io(cause) if cause.kind() == std::io::ErrorKind::TimedOut => Self::ServerChanges,
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Broken,
            _ => Self::Usable,
        }
    }

    /// The verdict of an SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
    fn of_code(code: &str) -> Self {
        match code {
            // A read-only transaction; the server shuts down, crashed, or can't be connected to now.
            "25006" | "57P01" | "57P02" | "57P03" => Self::ServerChanges,
            // A prepared statement that does not exist, or exists already.
            "26000" | "42P05" => Self::StatementsShared,
            // The database was dropped, or the server ended an idle session.
            "57P04" | "57P05" | "25P03" | "25P04" => Self::Broken,
            code if code.starts_with("08") => Self::Broken,
            _ => Self::Usable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_server_decides_about_the_connection_and_one_of_the_statement_does_not() {
        for (code, verdict) in [
            ("25006", Verdict::ServerChanges),
            ("57P01", Verdict::ServerChanges),
            ("57P03", Verdict::ServerChanges),
            ("57P05", Verdict::Broken),
            ("08P01", Verdict::Broken),
            ("26000", Verdict::StatementsShared),
            ("42P05", Verdict::StatementsShared),
            ("23505", Verdict::Usable),
            ("57014", Verdict::Usable),
            ("40001", Verdict::Usable),
        ] {
            assert_eq!(Verdict::of_code(code), verdict, "{code}");
        }
        let ended = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert_eq!(Verdict::of(&sqlx::Error::Io(ended)), Verdict::Broken);
        let silent = std::io::Error::from(std::io::ErrorKind::TimedOut);
        assert_eq!(Verdict::of(&sqlx::Error::Io(silent)), Verdict::ServerChanges);
        assert_eq!(Verdict::of(&sqlx::Error::PoolTimedOut), Verdict::Usable);
    }
}

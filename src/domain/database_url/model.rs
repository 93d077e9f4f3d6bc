//! The parts of a `postgres://` URL.

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;

/// A parsed `postgres://` URL. What is `None` follows from the driver's defaults and the `PG…` variables.
#[derive(Debug, Clone, Default)]
pub struct PostgresUrl {
    /// The servers to try in this order; empty for the default one.
    pub hosts: Vec<Host>,
    /// The name of the user.
    pub user: Option<String>,
    /// The password.
    pub password: Option<SecretString>,
    /// The name of the database.
    pub database: Option<String>,
    /// How the connection is encrypted.
    pub tls: Option<TlsMode>,
    /// The authorities that certify the server.
    pub authorities: Option<Authorities>,
    /// The client's certificate and its key: two paths.
    pub identity: Option<(String, String)>,
    /// Command-line options for the server.
    pub options: Option<String>,
    /// The name of this client in the server's views.
    pub application_name: Option<String>,
    /// The schemas in which tables are found; the first one is for new tables.
    pub search_path: Vec<String>,
    /// How long a task waits for a connection.
    pub wait: Option<Duration>,
    /// The maximum number of connections of one process.
    pub connections: Option<u32>,
    /// Whether the URL says that a pooler gives a server connection to each transaction.
    pub transaction_pooling: bool,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// A name, an address without brackets, or the folder of a Unix socket; `None` for the default.
    pub name: Option<String>,
    /// The port; `None` for the default.
    pub port: Option<u16>,
}

/// How the connection to the server is encrypted: libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsMode {
    /// Never encrypted.
    Disable,
    /// Encrypted if the server can.
    Prefer,
    /// Always encrypted; any certificate is accepted.
    Require,
    /// A trusted authority must have issued the certificate.
    VerifyCa,
    /// The certificate must also be for the host's name.
    VerifyFull,
}

impl TlsMode {
    /// The word of `sslmode`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

/// Where the certificates of authorities come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorities {
    /// The trust store of this machine.
    System,
    /// A PEM file.
    File(String),
}

/// Writes the URL without password and parameters.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        for (index, host) in self.hosts.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            host.fmt(f)?;
        }
        if let Some(database) = &self.database {
            write!(f, "/{database}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) if name.contains(':') => write!(f, "[{name}]")?,
            Some(name) => f.write_str(name)?,
            None => {}
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

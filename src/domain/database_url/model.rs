//! The parts of a `postgres://` URL.

use std::fmt;
use std::net::IpAddr;
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
    /// How the connection is encrypted; `None` if the URL does not say, see [`PostgresUrl::tls_to`].
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

impl PostgresUrl {
    /// How the connection to this host is encrypted.
    ///
    /// Unless the URL says otherwise, the certificate of another machine is verified. `None` leaves it to the driver,
    /// for a server on this machine.
    pub fn tls_to(&self, host: &Host) -> Option<TlsMode> {
        match self.tls {
            Some(mode) => Some(mode),
            None if host.is_local() && self.authorities.is_none() => None,
            None => Some(TlsMode::VerifyFull),
        }
    }

    /// Says what the connection to another machine does not protect from; `None` if its certificate is verified.
    pub fn weakness(&self) -> Option<String> {
        let remote = self.hosts.iter().find(|host| !host.is_local())?;
        let (mode, danger) = match self.tls_to(remote)? {
            TlsMode::VerifyFull => return None,
            mode @ TlsMode::VerifyCa => (mode, "a server with another name's certificate is accepted"),
            mode @ TlsMode::Require => (
                mode,
                "no certificate is verified, so any server can pretend to be it",
            ),
            mode @ TlsMode::Prefer => (
                mode,
                "the connection may be unencrypted, and no certificate is verified",
            ),
            mode @ TlsMode::Disable => (mode, "the connection is not encrypted"),
        };
        Some(format!(
            "the URL of the database has sslmode={} for {remote}: {danger}; remove it, or write sslmode=verify-full",
            mode.as_str()
        ))
    }
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// A name, an address without brackets, or the folder of a Unix socket; `None` for the default.
    pub name: Option<String>,
    /// The port; `None` for the default.
    pub port: Option<u16>,
}

impl Host {
    /// Whether the server is on this machine: a socket, a loopback address, or the default.
    pub fn is_local(&self) -> bool {
        let Some(name) = &self.name else { return true };
        let name = name.strip_suffix('.').unwrap_or(name);
        name.starts_with('/')
            || name.eq_ignore_ascii_case("localhost")
            || name
                .parse::<IpAddr>()
                .is_ok_and(|address| address.to_canonical().is_loopback())
    }
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

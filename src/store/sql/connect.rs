//! Single connections to PostgreSQL, made before there is a pool: which server suits, and what stands before it.

use std::time::{Duration, Instant};

use secrecy::ExposeSecret as _;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{Connection as _, Row as _};
use url::form_urlencoded::byte_serialize;

use crate::domain::database_url::{Authorities, Host, PostgresUrl};
use crate::store::sql::error::{CannotOpen, OnlyReads};

/// The oldest supported server, in the form of `server_version_num`.
const OLDEST: u32 = 120_000;
/// How long one server of several may take to respond.
const RESPONSE: Duration = Duration::from_secs(5);
/// The pause before a server that starts or refuses connections is asked again.
pub(in crate::store) const PAUSE: Duration = Duration::from_millis(100);
/// How often the pooler is tested: other clients of it can make a single test wrong.
const ROUNDS: usize = 10;
/// The name of a service in the server's views, unless the URL sets another one.
pub(in crate::store) const NAME: &str = "numberdesk";
/// The end of the name of a command that only reads, so that the server's views tell it apart from a service.
pub(in crate::store) const READER: &str = "-reader";

/// What a process does with the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Access {
    /// It reads and writes, so it needs a server that accepts writes.
    Write,
    /// It only reads, also from a standby. Every statement that writes fails.
    Read,
}

/// The options of a connection to each server of the URL.
pub(in crate::store) fn options(
    url: &PostgresUrl,
    access: Access,
) -> Result<Vec<PgConnectOptions>, CannotOpen> {
    let default = [Host {
        name: None,
        port: None,
    }];
    let hosts = if url.hosts.is_empty() {
        &default[..]
    } else {
        &url.hosts
    };
    hosts.iter().map(|host| options_of(url, host, access)).collect()
}

/// The options for one server, by a URL of the driver's own form: so its defaults and `.pgpass` still apply.
fn options_of(url: &PostgresUrl, host: &Host, access: Access) -> Result<PgConnectOptions, CannotOpen> {
    let mut text = "postgres:///?".to_owned();
    let mut add = |name: &str, value: &str| {
        text.push_str(name);
        text.push('=');
        text.extend(byte_serialize(value.as_bytes()));
        text.push('&');
    };
    for (name, value) in [
        ("host", &host.name),
        ("user", &url.user),
        ("dbname", &url.database),
        ("options", &url.options),
    ] {
        if let Some(value) = value {
            add(name, value);
        }
    }
    if let Some(port) = host.port {
        add("port", &port.to_string());
    }
    if let Some(password) = &url.password {
        add("password", password.expose_secret());
    }
    let tls = url.tls_to(host);
    if let Some(tls) = tls {
        add("sslmode", tls.as_str());
    }
    if let Some(Authorities::File(path)) = &url.authorities {
        add("sslrootcert", path);
    }
    if let Some((certificate, key)) = &url.identity {
        add("sslcert", certificate);
        add("sslkey", key);
    }
    let mut options: PgConnectOptions = text
        .parse()
        .map_err(|cause| CannotOpen::because("store.url is not a PostgreSQL URL", cause))?;
    if url.tls.is_none() && host.name.is_none() && is_remote(&options) {
        options = options.ssl_mode(PgSslMode::VerifyFull);
    }
    // A verified certificate needs authorities: also those of this machine, unless the URL names a file.
    if url.authorities == Some(Authorities::System)
        || (url.authorities.is_none() && matches!(options.get_ssl_mode(), PgSslMode::VerifyFull))
    {
        options = options.ssl_root_cert_from_pem(system_authorities());
    }
    let mut name = url.application_name.clone().unwrap_or_else(|| NAME.to_owned());
    if access == Access::Read {
        name.push_str(READER);
    }
    // Old poolers refuse `extra_float_digits`, and the store has no floats.
    Ok(options.application_name(&name).extra_float_digits(None))
}

/// Whether the driver's default host, such as the one of `PGHOST`, is another machine.
fn is_remote(options: &PgConnectOptions) -> bool {
    let host = Host {
        name: Some(options.get_host().to_owned()),
        port: None,
    };
    options.get_socket().is_none() && !host.is_local()
}

/// The certificates of this machine's trust store, in PEM. The driver adds the public ones that it contains.
fn system_authorities() -> Vec<u8> {
    use base64::Engine as _;
    let mut pem = String::new();
    for certificate in rustls_native_certs::load_native_certs().certs {
        let encoded = base64::engine::general_purpose::STANDARD.encode(&certificate);
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in encoded.as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    pem.into_bytes()
}

/// Connects to the first server that suits, trying all of them again until `wait` has passed.
///
/// Returns its index. The error is the last server's.
pub(in crate::store) async fn first(
    hosts: &[PgConnectOptions],
    access: Access,
    wait: Duration,
) -> Result<(usize, PgConnection), sqlx::Error> {
    let deadline = Instant::now() + wait;
    loop {
        let mut last = sqlx::Error::PoolTimedOut;
        for (index, host) in hosts.iter().enumerate() {
            match tokio::time::timeout(RESPONSE.max(wait), suitable(host, access)).await {
                Ok(Ok(connection)) => return Ok((index, connection)),
                Ok(Err(error)) => last = error,
                Err(_) => last = sqlx::Error::PoolTimedOut,
            }
        }
        if !passes(&last) || Instant::now() + PAUSE >= deadline {
            return Err(last);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn suitable(host: &PgConnectOptions, access: Access) -> Result<PgConnection, sqlx::Error> {
    let mut connection = PgConnection::connect_with(host).await?;
    if access == Access::Write && only_reads(&mut connection).await? {
        close(connection).await;
        return Err(sqlx::Error::Configuration(Box::new(OnlyReads)));
    }
    Ok(connection)
}

/// Whether the server refuses writes: it is a standby, or its default is to read only.
///
/// A simple query, because behind a pooler two messages of an extended one can meet two servers.
pub(in crate::store) async fn only_reads(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    Ok(text(connection, "SHOW transaction_read_only").await? == "on")
}

/// Whether the error may pass within seconds: the server starts, restarts or is promoted.
pub(in crate::store) fn passes(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(cause) => cause.kind() == std::io::ErrorKind::ConnectionRefused,
        sqlx::Error::Database(cause) => cause
            .code()
            .is_some_and(|code| code == "57P03" || code == "53300"),
        sqlx::Error::Configuration(cause) => cause.is::<OnlyReads>(),
        _ => false,
    }
}

/// Closes a connection in order, without waiting for a server that does not respond.
pub(in crate::store) async fn close(connection: PgConnection) {
    // The process ends the connection anyway.
    let _ = tokio::time::timeout(RESPONSE, connection.close()).await;
}

/// Checks the server's version, and the encoding of the database.
pub(in crate::store) async fn check_server(connection: &mut PgConnection) -> Result<(), CannotOpen> {
    if let Some(version) = connection.server_version_num()
        && version < OLDEST
    {
        return Err(CannotOpen::new(format!(
            "the server is PostgreSQL {}, but the service needs {} or newer",
            version / 10_000,
            OLDEST / 10_000
        )));
    }
    let encoding = text(connection, "SHOW server_encoding").await;
    match encoding
        .map_err(|cause| CannotOpen::because("the encoding of the database can't be read", cause))?
    {
        encoding if encoding == "UTF8" => Ok(()),
        encoding => Err(CannotOpen::new(format!(
            "the database has the encoding {encoding}, which can't store every text: create one with \
             `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`"
        ))),
    }
}

/// Whether a pooler gives a server connection to each transaction, so that a second client gets that of an idle first.
///
/// The first client has none while a transaction of the second one runs. So one of these happens: the second gets the
/// same server process, or the first gets another one than before.
pub(in crate::store) async fn is_transaction_pooled(
    first: &mut PgConnection,
    host: &PgConnectOptions,
    wait: Duration,
) -> Result<bool, sqlx::Error> {
    let test = async {
        let mut second = PgConnection::connect_with(host).await?;
        for _ in 0..ROUNDS {
            let before = process(first).await?;
            sqlx::raw_sql("BEGIN").execute(&mut second).await?;
            let other = process(&mut second).await?;
            let after = if other == before {
                None
            } else {
                Some(process(first).await?)
            };
            sqlx::raw_sql("ROLLBACK").execute(&mut second).await?;
            if after.as_ref() != Some(&before) {
                close(second).await;
                return Ok(true);
            }
        }
        close(second).await;
        Ok(false)
    };
    match tokio::time::timeout(RESPONSE.max(wait), test).await {
        Ok(done) => done,
        Err(_) => Err(sqlx::Error::Protocol(
            "the server does not serve two connections at once: a pooler in session mode needs a pool of at least \
             ten connections for each replica"
                .to_owned(),
        )),
    }
}

async fn process(connection: &mut PgConnection) -> Result<String, sqlx::Error> {
    text(connection, "SELECT pg_backend_pid()::text").await
}

async fn text(connection: &mut PgConnection, query: &'static str) -> Result<String, sqlx::Error> {
    sqlx::raw_sql(query).fetch_one(connection).await?.try_get(0)
}

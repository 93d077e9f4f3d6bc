//! The form of a `postgres://` URL: user, password, hosts, database and parameters, with libpq's grammar.
//!
//! <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS>

use std::net::Ipv6Addr;

use crate::domain::database_url::model::{Host, PostgresUrl};
use crate::domain::database_url::parameter;
use crate::domain::database_url::part::{decoded, host_name, port_number};

/// The fault of a URL that falls apart at a character of the password.
const UNENCODED: &str = "has a user name or password with a character that must be percent-encoded: write `/` as %2F, \
    `?` as %3F, `#` as %23, `@` as %40, `:` as %3A and `%` as %25; or put the password alone into store.password_file";

/// Texts that pages of providers show instead of a password.
const PLACEHOLDERS: [&str; 5] = [
    "[YOUR-PASSWORD]",
    "[PASSWORD]",
    "<password>",
    "YOUR_PASSWORD",
    "********",
];

/// Parses the part after `postgres://`.
pub(super) fn parse(rest: &str) -> Result<PostgresUrl, String> {
    if rest.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("contains white space: a URL has none, and a space in a value is written %20".to_owned());
    }
    if rest.ends_with(['\'', '"']) {
        return Err("ends with a quotation mark: give the URL without quotation marks".to_owned());
    }
    if PLACEHOLDERS.iter().any(|placeholder| rest.contains(placeholder)) {
        return Err("still has a placeholder where the password belongs".to_owned());
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    parts(authority, tail).map_err(|fault| {
        // A `/`, `?` or `#` of the password ended the authority early. Any fault found then would quote the password.
        if tail.contains('@') {
            UNENCODED.to_owned()
        } else {
            fault
        }
    })
}

fn parts(authority: &str, tail: &str) -> Result<PostgresUrl, String> {
    if tail.contains('#') {
        return Err(UNENCODED.to_owned());
    }
    let mut url = PostgresUrl::default();
    let (credentials, servers) = match authority.rsplit_once('@') {
        Some((credentials, servers)) => (Some(credentials), servers),
        None => (None, authority),
    };
    if let Some(credentials) = credentials {
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (credentials, None),
        };
        if !user.is_empty() {
            url.user = Some(decoded(user)?);
        }
        if let Some(password) = password.filter(|password| !password.is_empty()) {
            url.password = Some(decoded(password)?.into());
        }
    }
    if !servers.is_empty() {
        url.hosts = servers.split(',').map(host).collect::<Result<_, _>>()?;
    }
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    let database = path.strip_prefix('/').unwrap_or(path);
    if database.contains('/') {
        return Err("has a `/` in the name of the database: write it as %2F".to_owned());
    }
    if !database.is_empty() {
        url.database = Some(decoded(database)?);
    }
    parameter::read(query, &mut url)?;
    Ok(url)
}

/// Parses one server: a name, an address, or the encoded folder of a socket, and a port.
fn host(text: &str) -> Result<Host, String> {
    let (name, port) = if let Some(rest) = text.strip_prefix('[') {
        let (address, after) = rest
            .split_once(']')
            .ok_or("has a `[` without a `]`: an IPv6 address is written in brackets, like [::1]")?;
        if address.parse::<Ipv6Addr>().is_err() {
            return Err("has no IPv6 address between the brackets".to_owned());
        }
        let port = match after.strip_prefix(':') {
            Some(port) => port,
            None if after.is_empty() => "",
            None => return Err("has text between the `]` of an address and the port".to_owned()),
        };
        (address.to_owned(), port)
    } else {
        let (name, port) = text.split_once(':').unwrap_or((text, ""));
        if port.contains(':') {
            return Err(
                "has a host with several colons: an IPv6 address is written in brackets, like [::1]"
                    .to_owned(),
            );
        }
        (host_name(&decoded(name)?)?, port)
    };
    Ok(Host {
        name: Some(name).filter(|name| !name.is_empty()),
        port: port_number(port)?,
    })
}

/// Explains what is wrong with a text that begins with neither `sqlite://` nor `postgres://`.
pub(super) fn foreign(text: &str) -> String {
    let text = text.trim_start();
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    let wrong = if scheme == "jdbc:postgresql" {
        "is a JDBC URL: write postgres://user:password@host/database, without `jdbc:`, and with the user and password \
         before the host"
    } else if text.starts_with("psql ") || text.starts_with(['\'', '"']) || text.starts_with("DATABASE_URL=")
    {
        "has other text around the URL: give only the URL, which begins with postgres://"
    } else if scheme.starts_with("postgresql+") || scheme.starts_with("postgres+") {
        "names a driver after the `+`: begin with postgres://"
    } else if ["host=", "user=", "dbname=", "hostaddr=", "service=", "port="]
        .iter()
        .any(|key| text.starts_with(key))
    {
        "is a list of keys and values: write it as a URL, postgres://user:password@host:port/dbname?sslmode=…"
    } else if text.to_ascii_lowercase().starts_with("server=")
        || text.to_ascii_lowercase().starts_with("host=")
    {
        "is a connection string of ADO.NET: write it as a URL, postgres://user:password@host:port/database?sslmode=…"
    } else if scheme.eq_ignore_ascii_case("postgres") || scheme.eq_ignore_ascii_case("postgresql") {
        "has a scheme in upper case: begin with postgres://"
    } else {
        "must be a URL like \"sqlite://numberdesk.db\" or \"postgres://user@host/database\""
    };
    wrong.to_owned()
}

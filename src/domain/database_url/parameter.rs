//! The parameters of a `postgres://` URL: which ones work, which ones change nothing here, and which ones are faults.

use std::time::Duration;

use crate::domain::database_url::model::{Authorities, Host, PostgresUrl, TlsMode};
use crate::domain::database_url::part::{decoded, host_name, port_number};
use crate::domain::input::fault::nearest;

/// The parameters that have an effect, for suggestions.
const KNOWN: [&str; 20] = [
    "host",
    "hostaddr",
    "port",
    "user",
    "password",
    "dbname",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "channel_binding",
    "options",
    "application_name",
    "target_session_attrs",
    "connect_timeout",
    "pool_timeout",
    "connection_limit",
    "pgbouncer",
    "schema",
    "search_path",
];

/// Parameters that change nothing here: the service has deadlines of its own, or the provider's page adds them.
const WITHOUT_EFFECT: [&str; 12] = [
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "fallback_application_name",
    "load_balance_hosts",
    "sslcompression",
    "krbsrvname",
    "gsslib",
    "supa",
    "workaround",
];

/// Parameters of other libraries that switch prepared statements off when they are 0 or false.
const PREPARED_STATEMENTS: [&str; 6] = [
    "statement-cache-capacity",
    "statement_cache_capacity",
    "statement_cache_size",
    "prepared_statement_cache_size",
    "prepareThreshold",
    "prepared_statements",
];

/// The longest time that a task waits for a connection, so that a call fails before its own deadline.
const LONGEST_WAIT: u64 = 15;

/// Values of several parameters that mean more together.
#[derive(Default)]
struct Together {
    host: Option<String>,
    address: Option<String>,
    port: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
    channel_binding: bool,
}

/// Reads the part after `?` into the URL. A fault names the parameter, never its value.
pub(super) fn read(query: &str, url: &mut PostgresUrl) -> Result<(), String> {
    let (mut seen, mut together) = (Vec::new(), Together::default());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or("has a parameter without `=`")?;
        let name = decoded(name)?;
        let value = decoded(value).map_err(|fault| format!("{fault}, in the parameter {}", shown(&name)))?;
        if seen.contains(&name) {
            return Err(format!("has the parameter {} twice", shown(&name)));
        }
        one(&name, value, url, &mut together)?;
        seen.push(name);
    }
    combine(url, together)
}

fn one(name: &str, value: String, url: &mut PostgresUrl, together: &mut Together) -> Result<(), String> {
    match name {
        "host" => together.host = Some(value),
        "hostaddr" => together.address = Some(value),
        "port" => together.port = Some(value),
        "user" => url.user = Some(value),
        "password" => url.password = Some(value.into()),
        "dbname" => url.database = Some(value),
        "options" => url.options = Some(value),
        "application_name" => url.application_name = Some(value).filter(|name| !name.is_empty()),
        "sslmode" | "ssl-mode" => url.tls = Some(tls_mode(&value)?),
        "sslrootcert" | "ssl-root-cert" | "ssl-ca" => {
            url.authorities = Some(match value.as_str() {
                "system" => Authorities::System,
                _ => Authorities::File(value),
            });
        }
        "sslcert" | "ssl-cert" => together.certificate = Some(value),
        "sslkey" | "ssl-key" => together.key = Some(value),
        "channel_binding" => {
            one_of(name, &value, &["disable", "prefer", "require"])?;
            together.channel_binding = value == "require";
        }
        "schema" | "search_path" | "currentSchema" => url.search_path = schemas(name, &value)?,
        "connect_timeout" | "pool_timeout" => {
            let wait = wait(name, &value)?;
            url.wait = Some(url.wait.map_or(wait, |other| other.max(wait)));
        }
        "connection_limit" => url.connections = Some(connections(&value)?),
        "pgbouncer" => url.transaction_pooling |= flag(name, &value)?,
        "target_session_attrs" => one_of(name, &value, &["read-write", "primary", "any"])
            .map_err(|fault| format!("{fault}: the service writes"))?,
        "client_encoding" => one_of(name, &value.to_ascii_lowercase(), &["utf8", "utf-8", "auto"])?,
        "gssencmode" => one_of(name, &value, &["disable", "prefer"])?,
        "sslnegotiation" => one_of(name, &value, &["postgres"])?,
        "sslsni" => one_of(name, &value, &["1"])?,
        "ssl_min_protocol_version" => one_of(name, &value, &["TLSv1", "TLSv1.1", "TLSv1.2"])?,
        _ if name.starts_with("options[") && name.ends_with(']') => {
            let setting = &name["options[".len()..name.len() - 1];
            let option = format!("-c {setting}={value}");
            url.options = Some(match url.options.take() {
                Some(options) => format!("{options} {option}"),
                None => option,
            });
        }
        _ if PREPARED_STATEMENTS.contains(&name) => {
            url.transaction_pooling |= matches!(value.as_str(), "0" | "false");
        }
        _ if WITHOUT_EFFECT.contains(&name) => {}
        _ => return Err(unusable(name)),
    }
    Ok(())
}

/// Applies the parameters that depend on each other.
fn combine(url: &mut PostgresUrl, together: Together) -> Result<(), String> {
    hosts(url, &together)?;
    url.identity = match (together.certificate, together.key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err("has only one of sslcert and sslkey: give both".to_owned()),
    };
    // As in libpq: `require` with an authority verifies, and the system's authorities certify anybody's name.
    match (&url.authorities, url.tls) {
        (Some(Authorities::File(_)), Some(TlsMode::Require)) => url.tls = Some(TlsMode::VerifyCa),
        (Some(Authorities::System), None | Some(TlsMode::VerifyFull)) => url.tls = Some(TlsMode::VerifyFull),
        (Some(Authorities::System), Some(_)) => {
            return Err("has sslrootcert=system, which needs sslmode=verify-full".to_owned());
        }
        _ => {}
    }
    if together.channel_binding {
        // The driver has no channel binding. A verified certificate protects from the same attack.
        if url.tls == Some(TlsMode::Disable) {
            return Err("has channel_binding=require, which needs TLS, and sslmode=disable".to_owned());
        }
        url.tls = Some(TlsMode::VerifyFull);
        url.authorities.get_or_insert(Authorities::System);
    }
    Ok(())
}

/// Replaces the hosts by those of `host`, `hostaddr` and `port`, which are lists.
fn hosts(url: &mut PostgresUrl, together: &Together) -> Result<(), String> {
    if together.host.is_some() && together.address.is_some() {
        return Err("has host and hostaddr: give only one of the two".to_owned());
    }
    if let Some(names) = together.host.as_ref().or(together.address.as_ref()) {
        let ports: Vec<_> = url.hosts.iter().map(|host| host.port).collect();
        url.hosts = names
            .split(',')
            .enumerate()
            .map(|(index, name)| {
                let name = host_name(name)?;
                Ok(Host {
                    name: Some(name).filter(|name| !name.is_empty()),
                    port: ports.get(index).copied().flatten(),
                })
            })
            .collect::<Result<_, String>>()?;
    }
    if let Some(ports) = &together.port {
        let ports = ports.split(',').map(port_number).collect::<Result<Vec<_>, _>>()?;
        if url.hosts.is_empty() {
            url.hosts.push(Host {
                name: None,
                port: None,
            });
        }
        if ports.len() > 1 && ports.len() != url.hosts.len() {
            return Err("has another number of ports than of hosts".to_owned());
        }
        for (index, host) in url.hosts.iter_mut().enumerate() {
            host.port = ports.get(index).or(ports.first()).copied().flatten();
        }
    }
    Ok(())
}

fn tls_mode(value: &str) -> Result<TlsMode, String> {
    Ok(match value {
        "disable" => TlsMode::Disable,
        // Both accept a connection without TLS; this one encrypts if the server can.
        "allow" | "prefer" => TlsMode::Prefer,
        "require" => TlsMode::Require,
        "verify-ca" => TlsMode::VerifyCa,
        "verify-full" => TlsMode::VerifyFull,
        _ => {
            return Err(
                "has an unknown sslmode: expected one of disable, prefer, require, verify-ca, verify-full"
                    .to_owned(),
            );
        }
    })
}

/// Parses a list of schemas, each with or without double quotes.
fn schemas(name: &str, value: &str) -> Result<Vec<String>, String> {
    let schemas = value.split(',').map(|schema| {
        let schema = schema.trim();
        let unquoted = schema
            .strip_prefix('"')
            .and_then(|schema| schema.strip_suffix('"'))
            .unwrap_or(schema);
        if unquoted.is_empty() || unquoted.contains(['"', '\'', '\\']) {
            Err(format!("has a {name} that is not a list of schemas"))
        } else {
            Ok(unquoted.to_owned())
        }
    });
    schemas.collect()
}

/// Parses seconds; 0 means as long as possible.
fn wait(name: &str, value: &str) -> Result<Duration, String> {
    match value.parse::<u64>() {
        Ok(0) => Ok(Duration::from_secs(LONGEST_WAIT)),
        Ok(seconds) => Ok(Duration::from_secs(seconds.min(LONGEST_WAIT))),
        Err(_) => Err(format!("has a {name} that is not a number of seconds")),
    }
}

fn connections(value: &str) -> Result<u32, String> {
    match value.parse() {
        Ok(limit @ 3..=100) => Ok(limit),
        _ => Err("has a connection_limit that is not from 3 to 100".to_owned()),
    }
}

fn flag(name: &str, value: &str) -> Result<bool, String> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(format!("has a {name} that is neither true nor false")),
    }
}

fn one_of(name: &str, value: &str, allowed: &[&str]) -> Result<(), String> {
    if allowed.contains(&value) {
        Ok(())
    } else {
        Err(format!(
            "has a {name} that the service can't honour: it can be {}",
            allowed.join(", ")
        ))
    }
}

/// Explains a parameter that would change how the connection is made, and that the service does not have.
fn unusable(name: &str) -> String {
    let instead = match name {
        "ssl" | "sslaccept" | "requiressl" | "uselibpqcompat" => {
            "write sslmode=require or sslmode=verify-full instead"
        }
        "sslidentity" | "sslpassword" => "give a key without a password, in sslkey",
        "passfile" | "service" | "servicefile" => {
            "give the password in store.url_file or store.password_file"
        }
        "sslcrl"
        | "sslcrldir"
        | "ssl_max_protocol_version"
        | "requirepeer"
        | "require_auth"
        | "sslcertmode" => "the service does not have it, so it would not protect",
        "replication" => "the service does not use it",
        "default_query_exec_mode" => "write pgbouncer=true instead",
        _ => return unknown(name, &KNOWN),
    };
    format!("has the parameter {}: {instead}", shown(name))
}

/// The fault of an unknown parameter, with the nearest known one.
pub(super) fn unknown(name: &str, known: &[&str]) -> String {
    if printable(name) {
        format!("has the unknown parameter `{name}`; {}", nearest(name, known))
    } else {
        "has an unknown parameter".to_owned()
    }
}

/// The name in backquotes, if it can be one.
fn shown(name: &str) -> String {
    if printable(name) {
        format!("`{name}`")
    } else {
        "with an odd name".to_owned()
    }
}

fn printable(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '[' | ']');
    (1..=64).contains(&name.len()) && name.chars().all(fits)
}

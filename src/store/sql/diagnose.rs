//! Explains why PostgreSQL can't be used, and what to do about it.

use sqlx::error::DatabaseError;

use crate::domain::database_url::PostgresUrl;
use crate::store::sql::error::{CannotOpen, OnlyReads};

/// The error of a server that can't be used. The message names the server, never the password.
pub(in crate::store) fn diagnose(url: &PostgresUrl, cause: sqlx::Error) -> CannotOpen {
    let server = server(url);
    match remedy(&cause) {
        Some(remedy) => CannotOpen::because(format!("can't use PostgreSQL at {server}: {remedy}"), cause),
        None => CannotOpen::because(format!("can't reach PostgreSQL at {server}"), cause),
    }
}

fn server(url: &PostgresUrl) -> String {
    let hosts: Vec<String> = url.hosts.iter().map(ToString::to_string).collect();
    let hosts = if hosts.is_empty() {
        "the default host".to_owned()
    } else {
        hosts.join(", ")
    };
    match &url.user {
        Some(user) => format!("{hosts} as {user}"),
        None => hosts,
    }
}

/// What to do about an error; `None` if its own text says enough.
pub(in crate::store) fn remedy(error: &sqlx::Error) -> Option<&'static str> {
    match error {
        sqlx::Error::Database(cause) => of_server(cause.as_ref()),
        error if OnlyReads::is(error) => Some(
            "it accepts only reads. If a failover is in progress, it will pass; otherwise name the primary, or remove \
             default_transaction_read_only",
        ),
        sqlx::Error::Tls(cause) => Some(of_tls(&cause.to_string())),
        // The driver reports a handshake that failed as an error of the connection.
        sqlx::Error::Io(cause) if cause.to_string().contains("certificate") => {
            Some(of_tls(&cause.to_string()))
        }
        sqlx::Error::PoolTimedOut => Some("it does not respond"),
        _ => None,
    }
}

fn of_server(cause: &dyn DatabaseError) -> Option<&'static str> {
    let code = cause.code().unwrap_or_default();
    let message = cause.message();
    if message.contains("unsupported startup parameter") {
        return Some(
            "a pooler stands before it that refuses a parameter of the URL, such as `options`: remove the parameter, \
             or add it to the pooler's ignore_startup_parameters",
        );
    }
    if message.contains("statement pooling") {
        return Some(
            "a pooler in statement mode stands before it, which allows no transactions: set its pool_mode to \
             `transaction` or `session`, or connect directly",
        );
    }
    Some(match code.as_ref() {
        "28P01" => "it does not accept the password",
        "28000" if message.contains("no encryption") || message.contains("SSL off") => {
            "it requires TLS: add sslmode=require, or sslmode=verify-full, to the URL"
        }
        "28000" => "it does not allow this user to connect from here: see pg_hba.conf",
        "3D000" => "the database does not exist: create it with `CREATE DATABASE`",
        "53300" => {
            "it has no free connection: raise max_connections, use a pooler, or lower connection_limit in the URL (a \
             replica uses up to 10)"
        }
        "57P03" => "it is starting, stopping or recovering",
        // Without the right to use a schema, it is as if there were none.
        "42501" | "3F000" => {
            "the user lacks a right: let the user own the database, or `GRANT USAGE, CREATE ON SCHEMA public` to the \
             user (PostgreSQL 15 no longer grants it to everybody), and the rights to the existing tables; or name an existing schema in search_path"
        }
        "25006" => "it accepts only reads: name the primary",
        _ => return None,
    })
}

fn of_tls(message: &str) -> &'static str {
    if message.contains("does not support TLS") {
        "it does not support TLS, which is required unless the URL has sslmode=disable: switch TLS on in the server"
    } else if message.contains("UnknownIssuer") {
        "no trusted authority issued its certificate: name the authority's PEM file in store.ca_file, or in sslrootcert"
    } else if message.contains("NotValidForName") || message.contains("not valid for name") {
        "its certificate is for another name than the URL's host: use a name of the certificate, or sslmode=verify-ca"
    } else if message.contains("Expired") || message.contains("expired") {
        "its certificate has expired"
    } else {
        "the TLS handshake failed"
    }
}

//! The URL of either database, and its parser.

use std::fmt;

use crate::domain::database_url::model::PostgresUrl;
use crate::domain::database_url::{form, parameter};

/// The parameters of a `sqlite://` URL that the driver knows.
const SQLITE_PARAMETERS: [&str; 4] = ["mode", "cache", "immutable", "vfs"];

/// A parsed URL of a database.
#[derive(Debug, Clone)]
pub enum DatabaseUrl {
    /// The path of a SQLite file.
    Sqlite(String),
    /// A PostgreSQL server.
    Postgres(Box<PostgresUrl>),
}

impl DatabaseUrl {
    /// Parses a URL. The error says what would be right, and never repeats a value.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("sqlite://") {
            return sqlite(rest).map(Self::Sqlite);
        }
        let scheme = ["postgres://", "postgresql://"]
            .iter()
            .find_map(|scheme| text.strip_prefix(scheme));
        match scheme {
            Some(rest) => form::parse(rest).map(|url| Self::Postgres(Box::new(url))),
            None => Err(form::foreign(text)),
        }
    }
}

/// Parses the part after `sqlite://`.
fn sqlite(rest: &str) -> Result<String, String> {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if path.is_empty() {
        return Err("must name a file, like \"sqlite://numberdesk.db\"".to_owned());
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let name = pair.split('=').next().unwrap_or(pair);
        if !SQLITE_PARAMETERS.contains(&name) {
            return Err(parameter::unknown(name, &SQLITE_PARAMETERS));
        }
    }
    Ok(path.to_owned())
}

/// Writes the URL without password and parameters.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{path}"),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

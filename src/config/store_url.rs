//! The URL of the database as a setting. It may contain a password, so it is shown without.

use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::config::secret::read_secret;
use crate::domain::database_url::{Authorities, DatabaseUrl};
use crate::domain::schema::string_schema;

/// The URL of the database: `sqlite://…` or `postgres://…`.
#[derive(Debug, Clone)]
pub struct StoreUrl {
    url: SecretString,
    shown: String,
}

impl StoreUrl {
    /// The whole URL, with a password if it has one.
    pub fn secret(&self) -> &SecretString {
        &self.url
    }
    /// The URL without password and parameters, for output and logs.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Parses a URL. The error describes a valid one, and does not repeat the text.
    pub fn read(text: &str) -> Result<Self, String> {
        let parsed = DatabaseUrl::parse(text)?;
        Ok(Self {
            url: text.into(),
            shown: parsed.to_string(),
        })
    }

    /// Reads a URL from a file. The error does not repeat it.
    pub fn read_file(file: &Path) -> Result<Self, String> {
        Self::read(read_secret(file)?.expose_secret())
    }

    /// Adds the password from a file of its own.
    pub(super) fn with_password(&self, password: &SecretString) -> Result<Self, String> {
        match DatabaseUrl::parse(self.url.expose_secret())? {
            DatabaseUrl::Sqlite(_) => Err("SQLite has no password: remove store.password_file".to_owned()),
            DatabaseUrl::Postgres(url) if url.password.is_some() => {
                Err("the URL has a password, too: remove it, or store.password_file".to_owned())
            }
            DatabaseUrl::Postgres(_) => self.with("password", password.expose_secret().as_bytes()),
        }
    }

    /// Adds the file with the authorities of the server's certificate.
    pub(super) fn with_authorities(&self, file: &Path) -> Result<Self, String> {
        match DatabaseUrl::parse(self.url.expose_secret())? {
            DatabaseUrl::Sqlite(_) => Err("SQLite has no certificate: remove store.ca_file".to_owned()),
            DatabaseUrl::Postgres(url) if url.authorities.is_some() => {
                Err("the URL has sslrootcert, too: remove it, or store.ca_file".to_owned())
            }
            DatabaseUrl::Postgres(_) => self.with("sslrootcert", file.to_string_lossy().as_bytes()),
        }
    }

    /// Adds a parameter.
    fn with(&self, name: &str, value: &[u8]) -> Result<Self, String> {
        let url = self.url.expose_secret();
        let separator = if url.contains('?') { '&' } else { '?' };
        let mut encoded = String::new();
        for byte in value {
            encoded.push('%');
            encoded.push_str(&hex::encode([*byte]));
        }
        Self::read(&format!("{url}{separator}{name}={encoded}"))
    }

    /// Says what the connection does not protect from; `None` if there is nothing to say.
    pub fn weakness(&self) -> Option<String> {
        match DatabaseUrl::parse(self.url.expose_secret()) {
            Ok(DatabaseUrl::Postgres(url)) => url.weakness(),
            _ => None,
        }
    }

    /// Returns the certificate files that the URL names, each with its parameter.
    pub(super) fn files(&self) -> Vec<(&'static str, String)> {
        let Ok(DatabaseUrl::Postgres(url)) = DatabaseUrl::parse(self.url.expose_secret()) else {
            return Vec::new();
        };
        let mut files = Vec::new();
        if let Some(Authorities::File(path)) = url.authorities {
            files.push(("sslrootcert", path));
        }
        if let Some((certificate, key)) = url.identity {
            files.extend([("sslcert", certificate), ("sslkey", key)]);
        }
        files
    }

    /// Checks that the certificate files, which the URL names, can be read.
    pub(super) fn check_files(&self) -> Result<(), String> {
        let mut files = self.files().into_iter();
        files.try_for_each(|(parameter, path)| Self::check_file(parameter, &path))
    }

    /// Checks that a certificate file can be read.
    pub(super) fn check_file(parameter: &str, path: &str) -> Result<(), String> {
        let why = match std::fs::read_to_string(path) {
            Ok(text) if text.contains("-----BEGIN ") => return Ok(()),
            Ok(_) => "it has nothing in PEM".to_owned(),
            Err(cause) => cause.to_string(),
        };
        Err(format!(
            "names a file in {parameter} that can't be used, {path}: {why}"
        ))
    }
}

impl Default for StoreUrl {
    fn default() -> Self {
        Self::read("sqlite://numberdesk.db").expect("the default is well formed")
    }
}
impl<'de> Deserialize<'de> for StoreUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::read(&text).map_err(D::Error::custom)
    }
}
string_schema! {
    StoreUrl: "`sqlite://` and a path, or `postgres://user@host/database`.",
    pattern: "^(sqlite://[^?]|postgres(ql)?://)", example: "postgres://numberdesk@db.example.com/numberdesk"
}

impl std::fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_url_is_shown_without_its_password() {
        for text in [
            "postgres://desk:hunter2@db.example.com:5432/desk?sslmode=require",
            "postgresql://desk@db/desk?password=hunter2",
            "postgres:///desk?host=/run&password=hunter2",
        ] {
            let url = StoreUrl::read(text).unwrap();
            assert_eq!(url.secret().expose_secret(), text);
            let output = format!("{url} {url:?} {}", url.shown());
            assert!(!output.contains("hunter2"), "{output}");
            assert!(url.shown().contains("desk"), "{output}");
        }
        assert_eq!(
            StoreUrl::read("sqlite://a/b.db?mode=rwc").unwrap().shown(),
            "sqlite://a/b.db"
        );
    }

    #[test]
    fn an_invalid_store_url_is_not_repeated_in_the_error() {
        for text in [
            "",
            "sqlite://",
            "sqlite:x.db",
            "mysql://u:hunter2@h/d",
            "postgres://u:hunter2@h:port/d",
        ] {
            let error = StoreUrl::read(text).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_password_of_any_characters_comes_from_a_file_of_its_own() {
        for url in [
            "postgres://desk@db/desk",
            "postgres://desk@db/desk?sslmode=require",
        ] {
            let url = StoreUrl::read(url).unwrap();
            let whole = url.with_password(&SecretString::from("p@/?#:% ü&=")).unwrap();
            let DatabaseUrl::Postgres(parsed) = DatabaseUrl::parse(whole.secret().expose_secret()).unwrap()
            else {
                panic!("not PostgreSQL");
            };
            assert_eq!(parsed.password.unwrap().expose_secret(), "p@/?#:% ü&=");
            assert_eq!(whole.shown(), "postgres://desk@db/desk");
        }
        let password = SecretString::from("x");
        for (url, part) in [("sqlite://a.db", "SQLite"), ("postgres://u:p@h/d", "too")] {
            let error = StoreUrl::read(url).unwrap().with_password(&password).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn the_authorities_come_from_a_setting_or_from_the_url() {
        let url = StoreUrl::read("postgres://desk:pw@db/desk").unwrap();
        let whole = url.with_authorities(Path::new("/etc/c a&.crt")).unwrap();
        let DatabaseUrl::Postgres(parsed) = DatabaseUrl::parse(whole.secret().expose_secret()).unwrap()
        else {
            panic!("not PostgreSQL");
        };
        let file = Authorities::File("/etc/c a&.crt".to_owned());
        assert_eq!(parsed.authorities, Some(file));
        for (url, part) in [
            ("sqlite://a.db", "SQLite"),
            ("postgres://u@h/d?sslrootcert=system", "too"),
        ] {
            let url = StoreUrl::read(url).unwrap();
            let error = url.with_authorities(Path::new("/ca")).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_certificate_file_that_can_t_be_used_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "").unwrap();
        for path in [empty.display().to_string(), "/nowhere/ca.pem".to_owned()] {
            let url = StoreUrl::read(&format!("postgres://u:hunter2@h/d?sslrootcert={path}")).unwrap();
            let error = url.check_files().unwrap_err();
            assert!(error.contains("sslrootcert") && error.contains(&path), "{error}");
        }
    }
}

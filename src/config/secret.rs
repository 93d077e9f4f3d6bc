//! Reads and checks secrets, and the URL of the database, which may contain a password.
//!
//! Nothing here prints a secret, and no error repeats a part of one.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

/// The largest file that is read: no key and no certificate chain is larger.
const MAX_BYTES: u64 = 65_536;

/// The most signature keys at once: more than a rotation needs. Each delivery is checked against all of them.
const MAX_KEYS: usize = 8;

/// Where a secret comes from.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// A file. The service polls it for changes.
    File(PathBuf),
    /// A value from the environment.
    Value(SecretString),
}

impl SecretSource {
    /// Reads the secret, without surrounding white space. The error never contains it.
    pub fn read(&self) -> Result<SecretString, String> {
        match self {
            Self::File(path) => read_secret(path),
            Self::Value(value) => Ok(value.clone()),
        }
    }
    /// Reads the API key of Close. A text that cannot be a key is an error.
    ///
    /// A file may contain only half of a key while another process writes it.
    pub fn read_api_key(&self) -> Result<SecretString, String> {
        let key = self.read()?;
        match unusable_api_key(key.expose_secret()) {
            Some(why) => Err(why.to_owned()),
            None => Ok(key),
        }
    }
    /// Reads the signature keys of webhook subscriptions. Each has 64 hexadecimal digits.
    pub fn read_webhook_keys(&self) -> Result<Vec<SecretString>, String> {
        let keys = self.read()?;
        match unusable_webhook_key(keys.expose_secret()) {
            Some(why) => Err(why.to_owned()),
            None => Ok(keys
                .expose_secret()
                .split_whitespace()
                .map(SecretString::from)
                .collect()),
        }
    }
    /// Reads the master secret of webhooks to apps.
    pub fn read_master(&self) -> Result<SecretString, String> {
        let master = self.read()?;
        match unusable_master(master.expose_secret()) {
            Some(why) => Err(why.to_owned()),
            None => Ok(master),
        }
    }
    /// Returns the file to poll; `None` for a value.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Value(_) => None,
        }
    }
}

/// Reads a file as text and trims it. An empty file is an error.
pub(super) fn read_secret(path: &Path) -> Result<SecretString, String> {
    let cannot = |cause: &dyn std::fmt::Display| format!("can't read {}: {cause}", path.display());
    let mut text = String::new();
    let file = File::open(path).map_err(|cause| cannot(&cause))?;
    let length = file
        .take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|cause| cannot(&cause))?;
    let secret = SecretString::from(text.trim());
    if length as u64 > MAX_BYTES {
        return Err(format!(
            "{} is too long: it has more than {MAX_BYTES} bytes",
            path.display()
        ));
    }
    if secret.expose_secret().is_empty() {
        return Err(format!("{} is empty", path.display()));
    }
    Ok(secret)
}

/// Explains why a text can't be an API key: the key is the user name of HTTP Basic credentials, before a colon.
pub(super) fn unusable_api_key(text: &str) -> Option<&'static str> {
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b':';
    let usable = (1..=1_024).contains(&text.len()) && text.bytes().all(fits);
    (!usable).then_some("must be an API key of Close: visible ASCII characters without spaces or colons")
}

/// Explains why a text can't be signature keys of webhooks: one, or several during a rotation.
pub(super) fn unusable_webhook_key(text: &str) -> Option<&'static str> {
    let fits = |key: &str| key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    let keys = text.split_whitespace();
    let usable = (1..=MAX_KEYS).contains(&keys.clone().count()) && keys.clone().all(fits);
    (!usable).then_some(
        "must be the signature key of a webhook subscription: 64 hexadecimal digits; \
         during a rotation several, one a line",
    )
}

/// Explains why a text can't be the master secret.
pub(super) fn unusable_master(text: &str) -> Option<&'static str> {
    (text.len() < 32).then_some("must have at least 32 bytes, like the output of `openssl rand -base64 32`")
}

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
    pub(super) fn read(text: &str) -> Result<Self, &'static str> {
        if let Some(path) = text.strip_prefix("sqlite://") {
            let (path, _) = path.split_once('?').unwrap_or((path, ""));
            if path.is_empty() {
                return Err("must name a file, like \"sqlite://numberdesk.db\"");
            }
            return Ok(Self {
                url: text.into(),
                shown: format!("sqlite://{path}"),
            });
        }
        let wrong = "must be a URL like \"sqlite://numberdesk.db\" or \"postgres://user@host/database\"";
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(wrong);
        }
        let mut shown: Url = text.parse().map_err(|_| wrong)?;
        // Fails only for a URL without a host, which has no password.
        let _ = shown.set_password(None);
        shown.set_query(None);
        shown.set_fragment(None);
        Ok(Self {
            url: text.into(),
            shown: shown.into(),
        })
    }
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
    fn a_key_file_is_trimmed_and_an_empty_or_missing_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = |text: &str| {
            let path = folder.path().join("key");
            std::fs::write(&path, text).unwrap();
            SecretSource::File(path)
        };
        assert_eq!(file(" api_x.y\n").read().unwrap().expose_secret(), "api_x.y");
        assert!(file("\n").read().unwrap_err().contains("is empty"));
        assert!(file(&"x".repeat(70_000)).read().unwrap_err().contains("too long"));
        let missing = SecretSource::File(folder.path().join("none"));
        assert!(missing.read().unwrap_err().starts_with("can't read "));
    }
}

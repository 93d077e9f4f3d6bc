//! Secrets from the moment they are read, and the URL of the database, which may carry one. Nothing here ever
//! prints what is secret; what is wrong with a secret is said without it.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

/// No key of any kind is longer, and no chain of certificates.
const MAX_BYTES: u64 = 65_536;

/// More keys than any rotation needs; each delivery is tried with all of them.
const MAX_KEYS: usize = 8;

/// Where a secret comes from.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// A file, read again when it changes.
    File(PathBuf),
    /// A value from the environment.
    Value(SecretString),
}

impl SecretSource {
    /// The secret as it is now, without white space around it; else why it can't be had, without saying it.
    pub fn read(&self) -> Result<SecretString, String> {
        match self {
            Self::File(path) => read_secret(path),
            Self::Value(value) => Ok(value.clone()),
        }
    }
    /// The same, if it can be an API key of Close; a file that is being written may hold half of one.
    pub fn read_api_key(&self) -> Result<SecretString, String> {
        let key = self.read()?;
        match unusable_api_key(key.expose_secret()) {
            Some(why) => Err(why.to_owned()),
            None => Ok(key),
        }
    }
    /// The same, if it holds signature keys of webhook subscriptions; each is 64 hexadecimal digits.
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
    /// The same, if it can be the master secret of webhooks.
    pub fn read_master(&self) -> Result<SecretString, String> {
        let master = self.read()?;
        match unusable_master(master.expose_secret()) {
            Some(why) => Err(why.to_owned()),
            None => Ok(master),
        }
    }
    /// The file to watch, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Value(_) => None,
        }
    }
}

/// A text from a file, trimmed, never empty.
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

/// Why it can't be an API key: one goes into a header, in front of a colon.
pub(super) fn unusable_api_key(text: &str) -> Option<&'static str> {
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b':';
    let usable = (1..=1_024).contains(&text.len()) && text.bytes().all(fits);
    (!usable).then_some("must be an API key of Close: visible ASCII characters without spaces or colons")
}

/// Why it can't be the signature keys of webhooks: one, or several while they are rotated.
pub(super) fn unusable_webhook_key(text: &str) -> Option<&'static str> {
    let fits = |key: &str| key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    let keys = text.split_whitespace();
    let usable = (1..=MAX_KEYS).contains(&keys.clone().count()) && keys.clone().all(fits);
    (!usable).then_some(
        "must be the signature key of a webhook subscription: 64 hexadecimal digits; while it is rotated several, one a line",
    )
}

/// Why secrets can't be derived from it.
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
    /// The URL without password and parameters, for people to read.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// From a text; else what would be right, without the text.
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
        // Neither fails where there is no host; there is no password to hide then.
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
            let said = format!("{url} {url:?} {}", url.shown());
            assert!(!said.contains("hunter2"), "{said}");
            assert!(url.shown().contains("desk"), "{said}");
        }
        assert_eq!(
            StoreUrl::read("sqlite://a/b.db?mode=rwc").unwrap().shown(),
            "sqlite://a/b.db"
        );
    }

    #[test]
    fn what_is_no_store_url_is_refused_without_being_repeated() {
        for text in [
            "",
            "sqlite://",
            "sqlite:x.db",
            "mysql://u:hunter2@h/d",
            "postgres://u:hunter2@h:port/d",
        ] {
            let said = StoreUrl::read(text).unwrap_err();
            assert!(!said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn a_key_file_is_read_trimmed_and_an_empty_or_missing_one_is_not() {
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

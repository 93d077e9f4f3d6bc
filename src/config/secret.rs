//! Reads and checks secrets.
//!
//! Nothing here prints a secret, and no error repeats a part of one.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::config::values::FilePath;
use crate::config::variable::variable;
use crate::domain::input::fault::Fault;
use crate::domain::schema::string_schema;

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
    /// Returns the source of a secret that is either a value or in a file.
    pub(super) fn from_either(value: Option<&SecretString>, file: Option<&FilePath>) -> Option<Self> {
        match (value, file) {
            (Some(value), _) => Some(Self::Value(value.clone())),
            (None, Some(file)) => Some(Self::File((**file).clone())),
            (None, None) => None,
        }
    }
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

/// Whether a section has a value for this key. `null` is the mark of a key that an environment variable replaced.
pub(super) fn is_set(section: &Value, key: &str) -> bool {
    section.get(key).is_some_and(|value| !value.is_null())
}

/// Adds a fault if a secret is in the environment, and in a file too.
pub(super) fn forbid_both(section: &Value, key: &str, faults: &mut Vec<Fault>) {
    let (_, name) = key.rsplit_once('.').unwrap_or(("", key));
    let file = format!("{name}_file");
    if is_set(section, name) && is_set(section, &file) {
        faults.push(Fault {
            pointer: format!("/{file}"),
            message: format!("conflicts with {}: set only one of the two", variable(key)),
        });
    }
}

/// Declares a secret of the environment, with the function that explains why a text is unusable.
macro_rules! secret {
    ($name:ident: $description:literal, $unusable:ident) => {
        #[doc = $description]
        #[derive(Debug, Clone)]
        pub(super) struct $name(pub(super) SecretString);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer
                    .deserialize_str(SecretVisitor($unusable))
                    .map(Self)
            }
        }
        string_schema! { $name: $description, format: "password", example: "…" }
    };
}
secret! { ApiKey: "An API key of Close.", unusable_api_key }
secret! { SignatureKeys: "Signature keys of webhooks, one a line.", unusable_webhook_key }
secret! { MasterSecret: "The secret from which those of endpoints are derived.", unusable_master }

/// Checks a secret and moves it into a [`SecretString`]. Errors never contain it.
struct SecretVisitor(fn(&str) -> Option<&'static str>);

impl Visitor<'_> for SecretVisitor {
    type Value = SecretString;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a string")
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<SecretString, E> {
        let text = text.trim();
        match (self.0)(text) {
            Some(why) => Err(E::custom(why)),
            None => Ok(text.into()),
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

#[cfg(test)]
mod tests {
    use super::*;

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

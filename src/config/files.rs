//! The files that the settings name: where they are, and whether the service can use them.
//!
//! Nothing on the network is called.

use std::path::{Path, PathBuf};

use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::config::identity::TlsFiles;
use crate::config::keys::{KEYS, Kind, pointers};
use crate::config::secret::{read_secret, unusable_api_key, unusable_master, unusable_webhook_key};
use crate::config::store_url::StoreUrl;
use crate::config::values::FilePath;
use crate::domain::input::document::{Document, FileFault};
use crate::domain::input::fault::Fault;
use crate::domain::input::read::part;
use crate::domain::proxy::ProxyUrl;

/// Which of the files need not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MayBeAbsent {
    /// All files must exist, as for most commands.
    Nothing,
    /// The policy file: a running service needs none to start again.
    Policy,
    /// Any file, where only the settings are at hand. The check still reads a file that exists.
    Any,
}

/// A file that the settings name and that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbsentFile {
    /// The key that names it, such as `close.api_key_file`, with its place in the settings.
    pub place: FileFault,
    /// The path, from the working directory.
    pub path: PathBuf,
}

impl MayBeAbsent {
    fn covers(self, key: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Policy => key == "policy.file",
            Self::Any => true,
        }
    }
}

/// Whether a file does not exist. One that can't be looked at counts as there, so that its check says why.
fn is_absent(path: &Path) -> bool {
    !path.try_exists().unwrap_or(true)
}

/// Explains why a file is unusable.
type Check = fn(&Path) -> Result<(), String>;

/// The check of each file, apart from those of `[server.tls]`, which are checked together.
const CHECKS: [(&str, Check); 14] = [
    ("store.url_file", |path| StoreUrl::read_file(path)?.check_files()),
    ("store.password_file", |path| read_secret(path).map(drop)),
    ("store.ca_file", authorities),
    ("proxy.url_file", |path| {
        read_secret(path)?
            .expose_secret()
            .parse::<ProxyUrl>()
            .map_err(|wrong| format!("the content of the file {wrong}"))?;
        Ok(())
    }),
    ("close.ca_file", authorities),
    ("webhooks.ca_file", authorities),
    ("traces.ca_file", authorities),
    ("close.api_key_file", |path| secret(path, unusable_api_key)),
    ("close.webhook_signature_key_file", |path| {
        secret(path, unusable_webhook_key)
    }),
    ("auth.issuers.#.jwks_file", readable),
    ("auth.issuers.#.ca_file", authorities),
    ("auth.issuers.#.token_file", readable),
    ("policy.file", readable),
    ("webhooks.secret_file", |path| secret(path, unusable_master)),
];

/// Makes the relative paths of the file start at its folder.
pub(super) fn resolve(document: &mut Document, folder: &Path) {
    for (key, _) in KEYS.iter().filter(|(_, kind)| *kind == Kind::Path) {
        for pointer in pointers(document.root(), key) {
            if let Some(Value::String(path)) = document.root().pointer(&pointer)
                && !path.trim().is_empty()
            {
                let path = folder.join(path).to_string_lossy().into();
                document.replace(&pointer, path);
            }
        }
    }
}

/// Returns a fault for each file that the service can't use, and pointer and path of those that are tolerated absent.
pub(super) fn check(root: &Value, may_be_absent: MayBeAbsent) -> (Vec<Fault>, Vec<(String, PathBuf)>) {
    let (mut faults, mut absent) = (Vec::new(), Vec::new());
    for (key, check) in CHECKS {
        for pointer in pointers(root, key) {
            // A file that conflicts with another key is not used.
            let rival = pointer
                .strip_suffix("_file")
                .and_then(|value| root.pointer(value));
            if rival.is_some_and(|rival| !rival.is_null()) {
                continue;
            }
            let Some(path) = part::<FilePath>(root, &pointer) else {
                continue;
            };
            if may_be_absent.covers(key) && is_absent(&path) {
                absent.push((pointer, (*path).clone()));
            } else if let Err(message) = check(&path) {
                faults.push(Fault { pointer, message });
            }
        }
    }
    if let Some(url) = part::<StoreUrl>(root, "/store/url") {
        let (of_url, pointer) = (url.files(), "/store/url");
        for (parameter, path) in of_url {
            if may_be_absent.covers("store.url") && is_absent(Path::new(&path)) {
                absent.push((pointer.to_owned(), path.into()));
            } else if let Err(message) = StoreUrl::check_file(parameter, &path) {
                faults.push(Fault {
                    pointer: pointer.to_owned(),
                    message,
                });
            }
        }
    }
    let tls = part::<TlsFiles>(root, "/server/tls");
    let absent_tls: Vec<_> = tls
        .iter()
        .flat_map(|files| [("certificate_file", &files.certificate), ("key_file", &files.key)])
        .filter(|(key, path)| may_be_absent.covers(key) && is_absent(path))
        .map(|(key, path)| (format!("/server/tls/{key}"), (**path).clone()))
        .collect();
    if let Some(files) = tls
        && absent_tls.is_empty()
        && let Err(error) = files.load()
    {
        let key = if error.in_key {
            "key_file"
        } else {
            "certificate_file"
        };
        faults.push(Fault {
            pointer: format!("/server/tls/{key}"),
            message: error.message,
        });
    }
    absent.extend(absent_tls);
    (faults, absent)
}

fn secret(path: &Path, unusable: fn(&str) -> Option<&'static str>) -> Result<(), String> {
    match unusable(read_secret(path)?.expose_secret()) {
        Some(why) => Err(format!("the content of the file {why}")),
        None => Ok(()),
    }
}

fn readable(path: &Path) -> Result<(), String> {
    match std::fs::File::open(path).and_then(|file| file.metadata()) {
        Ok(about) if about.is_file() => Ok(()),
        Ok(_) => Err(format!("{} is not a file", path.display())),
        Err(cause) => Err(format!("can't read {}: {cause}", path.display())),
    }
}

/// Checks that a file has PEM certificates. The certificates themselves are parsed when the service starts.
fn authorities(path: &Path) -> Result<(), String> {
    readable(path)?;
    match std::fs::read_to_string(path) {
        Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => Ok(()),
        Ok(_) => Err(format!("{} contains no PEM certificate", path.display())),
        Err(cause) => Err(format!("can't read {}: {cause}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_path_in_the_settings_is_checked() {
        let tls = ["server.tls.certificate_file", "server.tls.key_file"];
        let checked: BTreeSet<&str> = CHECKS.iter().map(|(key, _)| *key).chain(tls).collect();
        let paths = KEYS.iter().filter(|(_, kind)| *kind == Kind::Path);
        let paths: BTreeSet<&str> = paths.map(|(key, _)| key.as_str()).collect();
        assert_eq!(checked, paths);
    }
}

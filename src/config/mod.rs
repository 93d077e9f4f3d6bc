//! The configuration: read once from a TOML file and the environment, and checked completely before a port is bound.
//!
//! Every fault is reported with file, line and key. `settings` declares the result; `read`, `server`, `issuer`,
//! `webhooks`, `tls` and `traces` read the sections; `values` has checks that several keys share.

mod environment;
mod identity;
mod issuer;
mod read;
mod reader;
mod secret;
mod server;
mod settings;
#[cfg(test)]
mod tests;
mod tls;
mod traces;
mod values;
mod webhooks;

use std::path::Path;

use serde_json::{Map, Value};

use crate::domain::input::document::{Document, FileFault};
use crate::domain::input::fields::{self, Fault};

pub use environment::environment;
pub use identity::{Identity, TlsFiles};
pub use secret::{SecretSource, StoreUrl};
pub use settings::{
    Claims, CloseConfig, Config, Events, Inventory, IssuerConfig, IssuerKind, Jwks, Limits, Log, LogFormat,
    Orders, Server, Traces, Webhooks,
};

const SECTIONS: [&str; 12] = [
    "server",
    "limits",
    "store",
    "close",
    "auth",
    "policy",
    "orders",
    "inventory",
    "events",
    "webhooks",
    "traces",
    "log",
];

/// Reads the file at `path`, with overrides from `env` (see [`environment()`]). Reports all faults at once.
///
/// Key files, JWKS files and the policy file must be readable. Close and the issuers are not called.
pub fn load(path: &Path, env: impl Iterator<Item = (String, String)>) -> Result<Config, Vec<FileFault>> {
    let folder = path.parent().unwrap_or(Path::new(""));
    parse(&path.display().to_string(), &text(path)?, folder, env)
}

/// Reads the section `[store]` alone; other sections may be missing or faulty.
///
/// For commands that use the database on another machine than the service's.
pub fn store(path: &Path, env: impl Iterator<Item = (String, String)>) -> Result<StoreUrl, Vec<FileFault>> {
    let file = path.display().to_string();
    let mut document = Document::parse(&file, &text(path)?)?;
    if document.root().get("store").is_none() {
        document.set(&["store"], Value::Object(Map::new()), &file);
    }
    let env = env.filter(|(variable, _)| variable.starts_with("NUMBERDESK_STORE_"));
    let (secrets, faults) = environment::apply(&mut document, env);
    let reader = reader::Reader {
        folder: path.parent().unwrap_or(Path::new("")),
        secrets: &secrets,
    };
    let store = fields::read(document.root(), |root| {
        root.fields()?.required("store", |node| reader.store(node))
    });
    checked(&document, store, faults)
}

fn text(path: &Path) -> Result<String, Vec<FileFault>> {
    std::fs::read_to_string(path).map_err(|cause| {
        vec![FileFault {
            file: path.display().to_string(),
            line: None,
            key: String::new(),
            message: format!("can't be read: {cause}"),
        }]
    })
}

/// Reads a configuration from a text. `file` is its name in faults; relative paths start at `folder`.
pub fn parse(
    file: &str,
    text: &str,
    folder: &Path,
    env: impl Iterator<Item = (String, String)>,
) -> Result<Config, Vec<FileFault>> {
    let mut document = Document::parse(file, text)?;
    // A missing section counts as an empty one, so that its required keys are reported by name.
    for section in SECTIONS {
        if document.root().get(section).is_none() {
            document.set(&[section], Value::Object(Map::new()), file);
        }
    }
    let (secrets, faults) = environment::apply(&mut document, env);
    let reader = reader::Reader {
        folder,
        secrets: &secrets,
    };
    let config = fields::read(document.root(), |root| reader.config(root));
    checked(&document, config, faults)
}

/// Returns the value if there is no fault of any kind.
fn checked<T>(
    document: &Document,
    read: Result<T, Vec<Fault>>,
    mut faults: Vec<FileFault>,
) -> Result<T, Vec<FileFault>> {
    match read {
        Ok(value) if faults.is_empty() => Ok(value),
        Ok(_) => Err(faults),
        Err(more) => {
            faults.extend(document.locate(more));
            Err(faults)
        }
    }
}

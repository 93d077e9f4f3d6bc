//! The configuration: read once from a TOML file and the environment, and checked completely before a port is bound.
//!
//! Every fault is reported with file, line and key. `settings` is the whole file, and each section is a struct in a module
//! of its own. Serde reads these structs, and utoipa describes them: they are the published JSON Schema, too.

mod claims;
mod close;
mod close_url;
mod environment;
mod events;
mod files;
mod identity;
mod inventory;
mod issuer;
mod keys;
mod limits;
mod log;
mod orders;
mod policy;
mod proxy;
mod secret;
mod server;
mod settings;
mod store;
mod store_url;
#[cfg(test)]
mod tests;
mod traces;
mod values;
mod variable;
mod webhooks;

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::input::document::{Document, FileFault, in_order};
use crate::domain::input::fault::Fault;
use crate::domain::input::read::{Input, check_part, read_with};
use crate::domain::json_schema;

pub use claims::{Claims, PermissionPointers};
pub use close::CloseConfig;
pub use close_url::{CloseUrl, SandboxHost};
pub use environment::environment;
pub use events::Events;
pub use files::{AbsentFile, MayBeAbsent};
pub use identity::{Identity, TlsFiles};
pub use inventory::Inventory;
pub use issuer::{Algorithm, Audience, Auth, IssuerConfig, IssuerKind, Jwks, TokenType};
pub use limits::Limits;
pub use log::{Log, LogFilter, LogFormat, LogRequests};
pub use orders::Orders;
pub use policy::PolicySettings;
pub use proxy::ProxySettings;
pub use secret::SecretSource;
pub use server::Server;
pub use settings::Config;
pub use store::Store;
pub use store_url::StoreUrl;
pub use traces::{CollectorUrl, Traces};
pub use values::{Address, BaseUrl, FilePath, NonBlank, Origin, WebUrl};
pub use webhooks::Webhooks;

/// Returns the JSON Schema of the configuration file.
pub fn schema() -> Value {
    json_schema::published::<Config>("The settings of Numberdesk (numberdesk.toml)")
}

/// Reads the file at `path`, with overrides from `env` (see [`environment()`]). Reports all faults at once.
///
/// Key files, JWKS files and the policy file must be readable. Close and the issuers are not called.
pub fn load(path: &Path, env: impl Iterator<Item = (String, String)>) -> Result<Config, Vec<FileFault>> {
    load_with(path, env, MayBeAbsent::Nothing).map(|(config, _)| config)
}

/// Reads the file at `path` as [`load`] does, although some of the files that it names do not exist; returns these.
pub fn load_with(
    path: &Path,
    env: impl Iterator<Item = (String, String)>,
    may_be_absent: MayBeAbsent,
) -> Result<(Config, Vec<AbsentFile>), Vec<FileFault>> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let document = Document::parse(&path.display().to_string(), &text(path)?)?;
    checked(document, folder, env, may_be_absent)
}

/// Reads the section `[store]` alone; other sections may be missing or faulty.
///
/// For commands that use the database on another machine than the service's.
pub fn store(path: &Path, env: impl Iterator<Item = (String, String)>) -> Result<StoreUrl, Vec<FileFault>> {
    let file = path.display().to_string();
    let whole = Document::parse(&file, &text(path)?)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let env = env.filter(|(variable, _)| variable.starts_with("NUMBERDESK_STORE_"));
    let (section, _): (OnlyStore, _) = checked(whole.only("store"), folder, env, MayBeAbsent::Nothing)?;
    section.store.url().map_err(|message| {
        vec![FileFault {
            file,
            line: None,
            column: None,
            key: "store.url_file".to_owned(),
            message,
        }]
    })
}

/// The section `[store]`, without the others.
#[derive(Deserialize, ToSchema)]
struct OnlyStore {
    #[serde(default)]
    store: Store,
}

impl Input for OnlyStore {
    fn check(root: &Value, faults: &mut Vec<Fault>) {
        check_part::<Store>(root, "/store", faults);
    }
}

fn text(path: &Path) -> Result<String, Vec<FileFault>> {
    std::fs::read_to_string(path).map_err(|cause| {
        vec![FileFault {
            file: path.display().to_string(),
            line: None,
            column: None,
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
    checked(Document::parse(file, text)?, folder, env, MayBeAbsent::Nothing).map(|(config, _)| config)
}

/// Reads a document with overrides from `env`, if there is no fault of any kind.
fn checked<T: Input>(
    mut document: Document,
    folder: &Path,
    env: impl Iterator<Item = (String, String)>,
    may_be_absent: MayBeAbsent,
) -> Result<(T, Vec<AbsentFile>), Vec<FileFault>> {
    let secrets = environment::refuse_secrets(&mut document);
    let mut faults = environment::apply(&mut document, env);
    files::resolve(&mut document, folder);
    let (unusable, absent) = files::check(document.root(), may_be_absent);
    let read = read_with(document.root(), unusable);
    match read {
        Ok(value) if faults.is_empty() && secrets.is_empty() => {
            let absent = absent.into_iter().flat_map(|(pointer, path)| {
                let message = format!("{} does not exist here, so it was not checked", path.display());
                let places = document.locate(vec![Fault { pointer, message }]);
                places.into_iter().map(move |place| AbsentFile {
                    place,
                    path: path.clone(),
                })
            });
            Ok((value, absent.collect()))
        }
        read => {
            let mut located = document.locate(read.err().unwrap_or_default());
            located.extend(secrets);
            faults.extend(in_order(located));
            Err(faults)
        }
    }
}

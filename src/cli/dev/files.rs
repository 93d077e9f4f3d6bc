//! The folder of `numberdesk dev`: database, configuration, policy and secrets.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use close_sandbox::Sandbox;

use super::schemas;
use crate::cli::dev_tokens::{AUDIENCE, ISSUER};
use crate::cli::output::errln;
use crate::cli::private_file;

/// The name of the configuration file.
const CONFIG: &str = "numberdesk.toml";
/// The name of the database file.
const DATABASE: &str = "numberdesk.db";
/// The name of the file with the numbers and events of the simulated Close.
const CLOSE_STATE: &str = "close-state.json";
/// Ports on which programs under development usually listen for webhooks.
const HOOK_PORTS: [u16; 10] = [80, 443, 3000, 4000, 5000, 8000, 8081, 8082, 8888, 9000];

/// Calls that get no answer, and orders in doubt, end within seconds, so that a developer can watch them.
const QUICK: &str = "\
[orders]
settle_after = \"3s\"
reconcile_every = \"1s\"
lease_margin = \"5s\"
";

/// Creates the folder. Only its owner may open it.
pub(super) fn create_folder(folder: &Path) -> anyhow::Result<()> {
    private_file::create_folder(folder).with_context(|| format!("{} cannot be created", folder.display()))?;
    // Only a folder that `dev` has used before: any other may have a purpose that needs its mode.
    if folder.join(CONFIG).exists() {
        private_file::close_folder(folder)
            .with_context(|| format!("{} cannot be made private", folder.display()))?;
    }
    Ok(())
}

/// Returns the path of the configuration file.
pub(super) fn config(folder: &Path) -> PathBuf {
    folder.join(CONFIG)
}

/// Returns the path of the file with the state of the simulated Close.
pub(super) fn close_state(folder: &Path) -> PathBuf {
    folder.join(CLOSE_STATE)
}

/// Returns the URL of the database.
pub(super) fn database(folder: &Path) -> anyhow::Result<String> {
    let file = std::path::absolute(folder)?.join(DATABASE);
    Ok(format!("sqlite://{}", file.display()))
}

/// Whether the database and the simulated Close of an earlier start can go on.
///
/// Both belong together: with only one of them, every number would be lost or unknown. So a half alone is moved away, and
/// a developer who deleted the other half by mistake loses nothing. An empty database file is only the result of taking
/// its lock.
pub(super) fn has_data(folder: &Path) -> anyhow::Result<bool> {
    let has_database = fs::metadata(folder.join(DATABASE)).is_ok_and(|file| file.len() > 0);
    let has_close = close_state(folder).exists();
    if has_database != has_close {
        let (found, missing) = if has_database {
            (DATABASE, CLOSE_STATE)
        } else {
            (CLOSE_STATE, DATABASE)
        };
        set_aside(folder).with_context(|| format!("{found} cannot be moved away"))?;
        errln!("{found} has no {missing} beside it: it is now {found}.old, and both begin empty");
    }
    Ok(has_database && has_close)
}

/// Renames the database and the state of the simulated Close, in place of those that were renamed before.
fn set_aside(folder: &Path) -> std::io::Result<()> {
    let ends = ["", "-wal", "-shm", "-journal"];
    let database = ends.map(|end| (format!("{DATABASE}{end}"), format!("{DATABASE}.old{end}")));
    let close = (CLOSE_STATE.to_owned(), format!("{CLOSE_STATE}.old"));
    for (name, old) in database.into_iter().chain([close]) {
        let (file, old) = (folder.join(name), folder.join(old));
        private_file::remove(&old)?;
        if file.exists() {
            fs::rename(file, old)?;
        }
    }
    Ok(())
}

/// Deletes the database and the state of the simulated Close. Policy and keys stay.
pub(super) fn delete_data(folder: &Path) -> anyhow::Result<()> {
    let database = ["", "-wal", "-shm", "-journal"].map(|end| format!("{DATABASE}{end}"));
    // The database goes last: as long as it is there alone, the next start does not use it.
    for name in [CLOSE_STATE]
        .into_iter()
        .chain(database.iter().map(String::as_str))
    {
        private_file::remove(&folder.join(name)).with_context(|| format!("{name} cannot be deleted"))?;
    }
    Ok(())
}

/// Writes configuration and secrets, and the policy if there is none: the user may have edited it.
pub(super) fn write(folder: &Path, close: &Sandbox, api: SocketAddr, ops: SocketAddr) -> anyhow::Result<()> {
    let webhook_secret = b"only for development, and never anywhere else";
    let settings = settings(folder, close, api, ops)?;
    let files: [(&str, &[u8]); 3] = [
        ("webhook-secret", webhook_secret),
        ("close-api-key", close.api_key().as_bytes()),
        (CONFIG, settings.as_bytes()),
    ];
    for (name, content) in files {
        private_file::write(folder, name, content).with_context(|| format!("{name} cannot be written"))?;
    }
    let policy = folder.join("policy.toml");
    if !policy.exists() {
        fs::write(policy, schemas::policy_file()).context("policy.toml cannot be written")?;
    }
    schemas::write(folder)?;
    Ok(())
}

fn settings(folder: &Path, close: &Sandbox, api: SocketAddr, ops: SocketAddr) -> anyhow::Result<String> {
    let mut text = format!(
        "{}\n# Written by `numberdesk dev` at every start. To change a setting, set its environment variable,\n\
         # such as NUMBERDESK_WEBHOOKS__PORTS=8889 for `ports` in [webhooks].\n",
        schemas::DIRECTIVE
    );
    writeln!(
        text,
        "[server]\nlisten = \"{api}\"\nops_listen = \"{ops}\"\npublic_url = \"http://{api}\"\n"
    )?;
    writeln!(text, "[store]\nurl = \"{}\"\n", database(folder)?)?;
    writeln!(
        text,
        "[close]\nbase_url = \"{}\"\napi_key_file = \"close-api-key\"\ntimeout = \"5s\"\n",
        close.base_url()
    )?;
    writeln!(
        text,
        "[[auth.issuers]]\nissuer = \"{ISSUER}\"\naudiences = [\"{AUDIENCE}\"]"
    )?;
    writeln!(
        text,
        "jwks_file = \"jwks.json\"\nalgorithms = [\"EdDSA\"]\nmax_lifetime = \"365d\"\n"
    )?;
    writeln!(
        text,
        "[policy]\nfile = \"policy.toml\"\n\n# Everything is on this machine.\n[proxy]\nenvironment = false\n\n[log]\nlevel = \"warn\"\n"
    )?;
    writeln!(text, "# Doubts about an order end within seconds.\n{QUICK}")?;
    writeln!(text, "# Allows webhooks to programs on this machine.")?;
    writeln!(
        text,
        "[webhooks]\nsecret_file = \"webhook-secret\"\nhosts = [\"localhost\"]\nnetworks = [\"127.0.0.0/8\", \"::1/128\"]"
    )?;
    writeln!(text, "allow_http = true\nports = {HOOK_PORTS:?}")?;
    Ok(text)
}

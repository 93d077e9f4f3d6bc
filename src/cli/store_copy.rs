//! `numberdesk store copy`: copies everything into an empty database, and verifies the copy.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::failure::Failure;
use super::output::{OutputError, outln};
use super::progress::ProgressLine;
use crate::config::StoreUrl;
use crate::store::{Copied, ProcessLock, Store};

/// The URLs may contain passwords, so each can also come from a file.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The database to copy; no service may use it
    #[arg(
        long,
        value_name = "URL",
        required_unless_present = "from_file",
        conflicts_with = "from_file"
    )]
    from: Option<String>,
    /// A file with the URL of the database to copy
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// The empty database to fill; its tables are created
    #[arg(
        long,
        value_name = "URL",
        required_unless_present = "to_file",
        conflicts_with = "to_file"
    )]
    to: Option<String>,
    /// A file with the URL of the database to fill
    #[arg(long, value_name = "FILE")]
    to_file: Option<PathBuf>,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let from = url(
        "--from",
        arguments.from.as_deref(),
        arguments.from_file.as_deref(),
    )?;
    let to = url("--to", arguments.to.as_deref(), arguments.to_file.as_deref())?;
    let source = Store::open_read_only(from.secret())
        .await
        .with_context(|| format!("the source {from} can't be opened"))?;
    // After the source was opened, because the lock would create a missing file.
    let _locks = [
        ProcessLock::take(from.secret()).context("the source is in use")?,
        ProcessLock::take(to.secret()).context("the target is in use")?,
    ];
    let target = Store::open(to.secret())
        .await
        .with_context(|| format!("the target {to} can't be opened"))?;
    let line = ProgressLine::start("copying");
    let copied = source
        .copy_to(&target, &mut |progress| {
            line.report(progress.step, progress.done, Some(progress.total));
        })
        .await;
    drop(line);
    let copied = copied.with_context(|| format!("{from} was not copied to {to}"))?;
    source.close().await;
    target.close().await;
    Ok(print(&from, &to, &copied)?)
}

/// Reads the URL of an argument, or of the file that an argument names.
fn url(argument: &str, url: Option<&str>, file: Option<&Path>) -> anyhow::Result<StoreUrl> {
    match (url, file) {
        (Some(url), _) => StoreUrl::read(url).map_err(|fault| anyhow!("{argument} {fault}")),
        (None, Some(file)) => StoreUrl::read_file(file).map_err(|fault| anyhow!("{argument}-file: {fault}")),
        (None, None) => Err(anyhow!("{argument} is missing")),
    }
}

fn print(from: &StoreUrl, to: &StoreUrl, copied: &Copied) -> Result<(), OutputError> {
    outln!("copied    {from}")?;
    outln!("to        {to}")?;
    for (table, rows) in &copied.tables {
        outln!("table     {table}, {rows} rows")?;
    }
    outln!("verified  the rows of {} tables", copied.tables.len())?;
    outln!("verified  the ledger of {} teams", copied.teams)?;
    outln!("verified  the audit chain, head {}", copied.audit_head)?;
    outln!("verified  the event log, up to {}", copied.last_event)?;
    outln!("next      set store.url to the copy, start the service, and start none on the source again")
}

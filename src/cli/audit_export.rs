//! `numberdesk audit export`: continues a copy of the audit trail in a folder, and sends it to a collector.
//!
//! The cursor in the folder is the head of the chain up to the last exported row. Each new row must continue the chain
//! at the cursor, so no row is left out, none is exported twice, and a chain that was rewritten is noticed. The cursor
//! moves only after the rows are on disk and the collector has them. A run that fails is repeated: it sends the file
//! that the collector may not have, byte for byte, before it asks for more.

mod collector;
mod folder;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use reqwest::StatusCode;
use url::Url;

use self::collector::Collector;
use self::folder::{Batch, Folder};
use super::failure::Failure;
use super::output::outln;
use super::values::http_url;
use crate::domain::audit_chain::{Head, Link};
use crate::egress::{Client, Trust};

/// How long the service may take to connect, and to send the next part of its answer.
const TIMEOUT: Duration = Duration::from_mins(1);
/// The longest row, in bytes.
const MAX_LINE: usize = 16 << 20;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// URL of the service
    #[arg(long, value_name = "URL", value_parser = http_url)]
    api: Url,
    /// File with a token that has `audit:read` and `numbers:admin`, so that it sees the whole trail
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
    /// Folder of the cursor and of the exported files
    #[arg(long, value_name = "FOLDER")]
    folder: PathBuf,
    /// URL of a collector that takes each file by POST, as NDJSON
    #[arg(long, value_name = "URL", value_parser = http_url)]
    send_to: Option<Url>,
    /// File with a bearer token for the collector, if it needs one
    #[arg(long, value_name = "FILE", requires = "send_to")]
    send_token_file: Option<PathBuf>,
    /// File with further authorities, in PEM, that the service or the collector may have a certificate of
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let trust = Trust::beside(arguments.ca_file.clone());
    let collector = match arguments.send_to.clone() {
        Some(url) => Some(Collector::new(
            url,
            arguments.send_token_file.clone(),
            trust.clone(),
        )?),
        None => None,
    };
    let mut folder = Folder::open(&arguments.folder)?;
    // A run before this one may have stopped between the file and the cursor.
    while let Some(batch) = folder.pending()? {
        finish(&mut folder, collector.as_ref(), &batch).await?;
    }
    let client = Client::new(trust, None, || {
        reqwest::Client::builder()
            .connect_timeout(TIMEOUT)
            .read_timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
    })?;
    let began = folder.cursor().seq;
    let mut response = open(&arguments, &client.current(), began).await?;
    let head: Head = response
        .headers()
        .get("audit-head")
        .and_then(|head| head.to_str().ok()?.parse().ok())
        .context("the answer has no head of the chain: the address is not that of the service")?;
    if head.seq < began {
        return broken(&format!(
            "the chain ends at {}, before the cursor: the database was restored from an older copy, or rows were deleted",
            head.seq
        ));
    }
    let (mut rest, mut batch) = (Vec::new(), Batch::new(folder.cursor().clone()));
    while let Some(part) = response
        .chunk()
        .await
        .map_err(reqwest::Error::without_url)
        .context("the export broke off; the next run continues it")?
    {
        rest.extend_from_slice(&part);
        let mut start = 0;
        while let Some(length) = rest[start..].iter().position(|byte| *byte == b'\n') {
            let row = &rest[start..start + length];
            let link = Link::from_line(row).context("a line of the answer is not a row of the trail")?;
            if let Err(why) = batch.add(&link, row) {
                return broken(&why);
            }
            start += length + 1;
            if batch.is_full() {
                folder.store(&batch)?;
                finish(&mut folder, collector.as_ref(), &batch).await?;
                batch = Batch::new(folder.cursor().clone());
            }
        }
        rest.drain(..start);
        if rest.len() > MAX_LINE {
            return Err(anyhow!("a line of the answer is too long for a row of the trail").into());
        }
    }
    if batch.end().seq < head.seq {
        return broken(&format!(
            "row {} is missing in the answer, and the chain ends at {}: the token must have `numbers:admin`; if it has, \
             run `numberdesk audit verify`",
            batch.end().seq + 1,
            head.seq
        ));
    }
    if !batch.is_empty() {
        folder.store(&batch)?;
        finish(&mut folder, collector.as_ref(), &batch).await?;
    }
    match folder.cursor().seq - began {
        0 => outln!("rows      none after {began}")?,
        count => outln!("rows      {count}, from {} to {}", began + 1, folder.cursor().seq)?,
    }
    outln!("head      {}", folder.cursor())?;
    Ok(())
}

/// Sends a stored file, and moves the cursor to its end.
async fn finish(folder: &mut Folder, collector: Option<&Collector>, batch: &Batch) -> anyhow::Result<()> {
    if let Some(collector) = collector {
        collector.send(batch).await?;
    }
    folder.advance(batch.end().clone())
}

/// Prints why the rows do not continue the exported ones. Nothing after the cursor is stored.
fn broken(why: &str) -> Result<(), Failure> {
    outln!("broken    {why}")?;
    Err(Failure::Negative)
}

/// Begins the export after this row.
async fn open(
    arguments: &Arguments,
    client: &reqwest::Client,
    after: i64,
) -> anyhow::Result<reqwest::Response> {
    let file = &arguments.token_file;
    let token = std::fs::read_to_string(file).with_context(|| format!("{} can't be read", file.display()))?;
    let api = &arguments.api;
    let response = client
        .get(format!("{}/v1/audit/export", api.as_str().trim_end_matches('/')))
        .query(&[("after", after)])
        .bearer_auth(token.trim())
        .send()
        .await
        .map_err(reqwest::Error::without_url)
        .with_context(|| format!("{api} does not respond"))?;
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(response);
    }
    let problem: serde_json::Value = response.json().await.unwrap_or_default();
    let detail = problem["detail"].as_str().or(problem["title"].as_str());
    bail!("{api} answers {status}: {}", detail.unwrap_or("without a reason"))
}

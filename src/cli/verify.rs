//! `numberdesk audit verify`: verifies the hash chain of the audit trail, and names the first invalid row.
//!
//! The command reads a database or an export, changes nothing, and calls neither Close nor an issuer.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _, stdin};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::failure::Failure;
use super::output::outln;
use super::progress::ProgressLine;
use crate::config;
use crate::domain::audit_chain::{Break, BrokenRow, Head, Link, Verified, Verifier};
use crate::store::Store;

/// The step that the progress shows.
const STEP: &str = "verifying";
/// The number of rows in one query.
const PAGE: u32 = 1_000;
/// The longest line that is read, in bytes, so that a file without line breaks does not fill the memory.
const MAX_LINE: u64 = 16 << 20;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The configuration file, of which only [store] is read
    #[arg(long, env = "NUMBERDESK_CONFIG", default_value = "numberdesk.toml")]
    config: PathBuf,
    /// Verify an export instead of the database; `-` is standard input
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// The export has only some rows: verify each row, and each pair of adjacent rows
    #[arg(long, requires = "export")]
    subset: bool,
    /// A head that you recorded elsewhere and that must be in the chain; may be repeated
    #[arg(long = "head", value_name = "SEQ:HASH")]
    heads: Vec<Head>,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let heads = arguments.heads;
    let verifier = if arguments.subset {
        Verifier::subset(heads.clone())
    } else {
        Verifier::whole(heads.clone())
    };
    let summary = match arguments.export {
        Some(file) => verify_export(&file, verifier)?,
        None => verify_database(&arguments.config, verifier).await?,
    };
    match summary.first {
        Some(first) => outln!(
            "rows      {}, from {first} to {}: all valid",
            summary.rows,
            summary.head.seq
        )?,
        None => outln!("rows      none")?,
    }
    outln!("head      {}", summary.head)?;
    for head in heads {
        outln!("recorded  {head} is in the chain")?;
    }
    Ok(())
}

/// Verifies the rows of a database up to the head at the beginning.
///
/// A running service may append rows and move the head during the verification.
async fn verify_database(config: &Path, mut verifier: Verifier) -> Result<Verified, Failure> {
    let url = config::store(config, config::environment()).map_err(Failure::Invalid)?;
    outln!("checking  {url}")?;
    let store = Store::open_read_only(url.secret())
        .await
        .context("the database can't be opened")?;
    let head = audit_head(&store).await?;
    let mut last: Option<(i64, String)> = None;
    let line = ProgressLine::start(STEP);
    loop {
        let after = last.as_ref().map(|(seq, id)| (*seq, id.as_str()));
        let links = store.all_chain_rows(after, head.seq, PAGE).await?;
        let Some(end) = links.last() else { break };
        last = Some((end.seq, end.row.id.clone()));
        for link in &links {
            if let Err(broken) = verifier.check(link) {
                drop(line);
                return Err(report(broken));
            }
        }
        let total = u64::try_from(head.seq).ok();
        line.report(STEP, u64::try_from(verifier.at()).unwrap_or_default(), total);
    }
    drop(line);
    let summary = verifier.finish(Some(&head)).map_err(report)?;
    if let Some((seq, id)) = store.first_row_beyond(head.seq).await? {
        // The service writes row and head in one transaction. If it wrote this row, the head has moved by now.
        let head = audit_head(&store).await?;
        if head.seq < seq {
            let (id, why) = (Some(id), Break::BeyondHead { head });
            return Err(report(BrokenRow { seq, id, why }));
        }
    }
    outln!(
        "unsealed  {} rows that are not in the chain yet",
        store.unchained_count().await?
    )?;
    store.close().await;
    Ok(summary)
}

async fn audit_head(store: &Store) -> anyhow::Result<Head> {
    store
        .audit_head()
        .await
        .context(
            "the head of the audit chain can't be read; \
             `numberdesk migrate` creates it in a database of an older version",
        )?
        .ok_or_else(|| anyhow!("the head of the audit chain is missing from the database"))
}

fn verify_export(file: &Path, mut verifier: Verifier) -> Result<Verified, Failure> {
    let mut lines = Lines::open(file)?;
    outln!("checking  {}", lines.name)?;
    let line = ProgressLine::start(STEP);
    let mut rows = 0;
    while let Some(link) = lines.next()? {
        rows += 1;
        line.report(STEP, rows, None);
        if let Err(broken) = verifier.check(&link) {
            drop(line);
            return Err(report(lines.find_later(broken)));
        }
    }
    drop(line);
    verifier.finish(None).map_err(report)
}

/// Prints the broken row, and returns the negative result.
#[expect(
    clippy::needless_pass_by_value,
    reason = "`map_err` passes the error by value"
)]
fn report(broken: BrokenRow) -> Failure {
    match outln!("broken    {broken}") {
        Ok(()) => Failure::Negative,
        Err(error) => error.into(),
    }
}

/// The lines of an export.
struct Lines {
    name: String,
    file: Box<dyn BufRead>,
    number: u64,
}

impl Lines {
    fn open(file: &Path) -> anyhow::Result<Self> {
        if file == Path::new("-") {
            return Ok(Self {
                name: "standard input".to_owned(),
                file: Box::new(stdin().lock()),
                number: 0,
            });
        }
        let name = file.display().to_string();
        let opened = File::open(file).with_context(|| format!("{name} can't be read"))?;
        Ok(Self {
            name,
            file: Box::new(BufReader::new(opened)),
            number: 0,
        })
    }

    fn next(&mut self) -> anyhow::Result<Option<Link>> {
        let (name, number) = (&self.name, self.number + 1);
        let mut line = Vec::new();
        (&mut self.file)
            .take(MAX_LINE)
            .read_until(b'\n', &mut line)
            .with_context(|| format!("{name} can't be read"))?;
        if line.is_empty() {
            return Ok(None);
        }
        if line.pop() != Some(b'\n') {
            return Err(anyhow!(
                "{name}:{number}: the line has no line break: the export is cut off"
            ));
        }
        self.number = number;
        let read = Link::from_line(&line);
        read.map(Some)
            .with_context(|| format!("{name}:{number}: not a row of an export"))
    }

    /// Looks for a missing row in the rest of the export; if it is there, the rows are out of order.
    fn find_later(mut self, broken: BrokenRow) -> BrokenRow {
        let Break::Missing { instead, .. } = broken.why else {
            return broken;
        };
        while let Ok(Some(link)) = self.next() {
            if link.seq == broken.seq {
                return BrokenRow {
                    seq: link.seq,
                    id: Some(link.row.id),
                    why: Break::OutOfOrder { after: instead },
                };
            }
        }
        broken
    }
}

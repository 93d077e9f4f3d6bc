//! The folder of an export: one file for each batch of rows, and the cursor.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};

use crate::domain::audit_chain::{Head, Link};

/// The file with the end of the exported chain, as `SEQ:HASH`.
const CURSOR: &str = "cursor";
/// The most rows and bytes of a file, so that a collector takes it and its copy in memory stays small.
const MOST: (i64, usize) = (10_000, 8 << 20);

/// Rows that follow each other in the chain.
pub(super) struct Batch {
    start: Head,
    end: Head,
    lines: Vec<u8>,
}

impl Batch {
    pub(super) fn new(start: Head) -> Self {
        Self {
            end: start.clone(),
            start,
            lines: Vec::new(),
        }
    }

    /// Adds the next row. The error says why the row does not continue the chain.
    pub(super) fn add(&mut self, link: &Link, text: &[u8]) -> Result<(), String> {
        let expected = self.end.seq + 1;
        if link.seq != expected {
            return Err(format!(
                "row {expected} is missing in the answer, which has row {} instead: the token must have `numbers:admin`; \
                 if it has, run `numberdesk audit verify`",
                link.seq
            ));
        }
        // A cursor of the earlier script has no hash.
        if self.end.hash.is_empty() {
            self.end.hash = link.prev.clone().unwrap_or_default();
        }
        if link.prev.as_ref() != Some(&self.end.hash) {
            return Err(format!(
                "row {expected} does not follow the exported row {}: the chain was rewritten; compare it with the \
                 exported files by `numberdesk audit verify --head {}`",
                self.end.seq, self.end
            ));
        }
        let end = self.end.then(&link.row);
        if link.hash.as_ref() != Some(&end.hash) {
            return Err(format!("row {expected} was changed: its hash does not fit"));
        }
        self.end = end;
        self.lines.extend_from_slice(text);
        self.lines.push(b'\n');
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.end.seq - self.start.seq >= MOST.0 || self.lines.len() >= MOST.1
    }

    /// The chain up to the last row.
    pub(super) fn end(&self) -> &Head {
        &self.end
    }

    pub(super) fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// The name of the file, from its first and last row.
    pub(super) fn name(&self) -> String {
        format!("{}{:012}.ndjson", prefix(&self.start), self.end.seq)
    }
}

/// The start of the name of the file that follows the cursor.
fn prefix(cursor: &Head) -> String {
    format!("audit-{:012}-", cursor.seq + 1)
}

/// A folder that no other run uses meanwhile.
pub(super) struct Folder {
    path: PathBuf,
    cursor: Head,
    _lock: File,
}

impl Folder {
    /// Opens the folder. Without a cursor, the export begins with the first row.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let lock = path.join("lock");
        let lock = File::create(&lock).with_context(|| format!("{} can't be written", lock.display()))?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => bail!("another export to {} is running", path.display()),
            // A bucket that is mounted as a folder may have no locks.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let cursor = path.join(CURSOR);
        let cursor = match fs::read_to_string(&cursor) {
            Ok(text) => read_cursor(&text)
                .with_context(|| format!("{} is not a cursor, such as 42:9c1a…", cursor.display()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Head::genesis(),
            Err(error) => return Err(anyhow!(error).context(format!("{} can't be read", cursor.display()))),
        };
        Ok(Self {
            path: path.to_owned(),
            cursor,
            _lock: lock,
        })
    }

    /// The end of the exported chain.
    pub(super) fn cursor(&self) -> &Head {
        &self.cursor
    }

    /// The file after the cursor that an earlier run has stored.
    pub(super) fn pending(&self) -> anyhow::Result<Option<Batch>> {
        let prefix = prefix(&self.cursor);
        let unreadable = || format!("{} can't be read", self.path.display());
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).with_context(unreadable)? {
            let name = entry.with_context(unreadable)?.file_name();
            let name = name.to_string_lossy().into_owned();
            if name.starts_with(&prefix) && name.ends_with(".ndjson") {
                names.push(name);
            }
        }
        let Some(name) = names.into_iter().min() else {
            return Ok(None);
        };
        let lines = fs::read(self.path.join(&name)).with_context(|| format!("{name} can't be read"))?;
        let mut batch = Batch::new(self.cursor.clone());
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let link =
                Link::from_line(line).with_context(|| format!("{name} has a line that is not a row"))?;
            batch.add(&link, line).map_err(|why| anyhow!("{name}: {why}"))?;
        }
        if batch.is_empty() {
            bail!("{name} is empty; remove it");
        }
        Ok(Some(batch))
    }

    /// Stores the rows of a batch in a file of its own.
    pub(super) fn store(&self, batch: &Batch) -> anyhow::Result<()> {
        self.write(&batch.name(), batch.lines())
    }

    /// Moves the cursor.
    pub(super) fn advance(&mut self, to: Head) -> anyhow::Result<()> {
        self.write(CURSOR, format!("{to}\n").as_bytes())?;
        self.cursor = to;
        Ok(())
    }

    /// Writes a file so that it is complete or absent, also after a power failure.
    fn write(&self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        let (path, part) = (self.path.join(name), self.path.join(format!("{name}.part")));
        let write = || {
            let mut file = File::create(&part)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&part, &path)?;
            // A bucket that is mounted as a folder may not have this.
            let _ = File::open(&self.path).and_then(|folder| folder.sync_all());
            Ok::<(), io::Error>(())
        };
        write().with_context(|| format!("{} can't be written", path.display()))
    }
}

/// Reads a cursor: `SEQ:HASH`, or the JSON of the script of version 0.1, which has no hash.
fn read_cursor(text: &str) -> anyhow::Result<Head> {
    if let Ok(cursor) = serde_json::from_str::<serde_json::Value>(text)
        && let Some(seq) = cursor["seq"].as_i64()
    {
        return Ok(match seq {
            0 => Head::genesis(),
            seq => Head {
                seq,
                hash: String::new(),
            },
        });
    }
    Ok(text.trim().parse::<Head>()?)
}

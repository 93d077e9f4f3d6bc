//! The state of the database, as its last check found it.
//!
//! A worker checks the database, so that probes and metrics are answered from memory. A probe must not wait for a
//! database that hangs: Kubernetes takes a late answer for a replica that is not ready.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::desk::core::Core;
use crate::error::{Error, chain};
use crate::telemetry::metrics::STORE_UP;

/// How long the database may take to answer a check.
const TIMEOUT: Duration = Duration::from_secs(2);

const NOT_CHECKED: &str = "not checked yet";
/// A failover has made it a standby, or it may only read by default.
const ONLY_READS: &str = "the database accepts only reads";
const NO_ANSWER: &str = "the database does not answer";
const OTHER_SCHEMA: &str = "the schema is not the one of this version: run `numberdesk migrate`";
/// A full disk, for example.
const NO_WRITES: &str = "the database can be read, but accepts no writes; the log names the cause";

/// The state of the database. Clones share it.
#[derive(Clone)]
pub struct Database {
    core: Core,
    last: Arc<Mutex<Checked>>,
}

/// What the checks so far found.
#[derive(Debug, Clone)]
pub(in crate::desk) struct Checked {
    /// What is wrong; `None` if nothing is.
    pub(in crate::desk) fault: Option<String>,
    /// Whether the schema of this version was seen once.
    pub(in crate::desk) schema_seen: bool,
    /// `ok`, or why orders and releases are on hold.
    pub(in crate::desk) orders: String,
    /// Whether the last write failed.
    write_failed: bool,
}

impl Database {
    pub(in crate::desk) fn new(core: Core) -> Self {
        Self {
            core,
            last: Arc::new(Mutex::new(Checked {
                fault: Some(NOT_CHECKED.to_owned()),
                schema_seen: false,
                orders: NOT_CHECKED.to_owned(),
                write_failed: false,
            })),
        }
    }

    /// What the checks so far found.
    pub(in crate::desk) fn state(&self) -> Checked {
        self.last.lock().clone()
    }

    /// One step: asks the database whether it answers, has the schema, and accepts writes.
    ///
    /// A fault is no error of the step: the state, the metric and one line of the log have it.
    pub async fn check(&self) -> Result<(), Error> {
        let store = &self.core.store;
        let query = async {
            let writable = store.accepts_writes().await?;
            let migrated = store.migrated().await?;
            let hold = store.holds().await?.into_iter().next();
            Ok::<_, Error>((writable, migrated, hold))
        };
        let (fault, cause) = match tokio::time::timeout(TIMEOUT, query).await {
            Ok(Ok((writable, migrated, hold))) => {
                let mut last = self.last.lock();
                last.schema_seen |= migrated;
                last.orders =
                    hold.map_or_else(|| "ok".to_owned(), |hold| format!("on hold: {}", hold.reason));
                let fault = match (writable, migrated) {
                    (true, true) => None,
                    (false, _) => Some(ONLY_READS),
                    (true, false) => Some(OTHER_SCHEMA),
                };
                (fault.map(str::to_owned), None)
            }
            Ok(Err(error)) if !store.only_reads() => (Some(error.to_string()), Some(chain(&error))),
            _ if store.only_reads() => (Some(ONLY_READS.to_owned()), None),
            _ => (Some(NO_ANSWER.to_owned()), None),
        };
        if fault.is_some() {
            if fault.as_deref() != Some(ONLY_READS) && fault.as_deref() != Some(OTHER_SCHEMA) {
                self.last.lock().orders = format!("unknown: {NO_ANSWER}");
            }
            self.publish(fault, cause);
            return Ok(());
        }
        let write_failed = self.last.lock().write_failed;
        if write_failed {
            // Otherwise only the next regular write would show that the database accepts writes again.
            let written = store.probe_write(self.core.now()).await;
            self.last.lock().write_failed = written.is_err();
            match written {
                Ok(()) => self.publish(None, None),
                Err(error) => self.publish(Some(NO_WRITES.to_owned()), Some(chain(&error))),
            }
        } else {
            self.publish(None, None);
        }
        Ok(())
    }

    /// Records the result of a regular write.
    ///
    /// A database with a full disk still answers reads, so a successful check does not prove that it accepts writes.
    pub(in crate::desk) fn record_write(&self, written: &Result<(), Error>) {
        let known = {
            let mut last = self.last.lock();
            last.write_failed = written.is_err();
            last.fault.clone()
        };
        // Another fault is closer to the cause.
        if let Err(error) = written
            && known.is_none()
        {
            self.publish(Some(NO_WRITES.to_owned()), Some(chain(error)));
        }
    }

    /// Stores what a check found, sets the metric, and logs a change.
    fn publish(&self, fault: Option<String>, cause: Option<String>) {
        metrics::gauge!(STORE_UP).set(f64::from(u8::from(fault.is_none())));
        let before = std::mem::replace(&mut self.last.lock().fault, fault.clone());
        match fault {
            Some(fault) if before.as_ref() != Some(&fault) => {
                let error = cause.unwrap_or_else(|| fault.clone());
                tracing::warn!(error, "database unavailable; numbers are read from memory");
            }
            None if before.is_some_and(|before| before != NOT_CHECKED) => {
                tracing::info!("database available again");
            }
            _ => {}
        }
    }
}

//! The reload status of the files that the service watches: policy, keys, certificates, secrets.
//!
//! The tasks in `app` read the files and record the outcome of each reload here. `/readyz?verbose` reports the last
//! outcome of each file.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;

use crate::domain::time::Timestamp;

/// The last reload outcome of each watched file. Clones share it.
#[derive(Clone, Default)]
pub struct ReloadStatus(Arc<Mutex<BTreeMap<&'static str, FileStatus>>>);

/// The outcome of a file's last reload.
#[derive(Clone, Serialize)]
pub(super) struct FileStatus {
    /// Whether the service uses the file's current content.
    #[serde(rename = "good")]
    ok: bool,
    /// When `ok` last changed.
    since: Timestamp,
    /// Why the last reload failed. Never contains a secret.
    #[serde(rename = "wrong", skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// When the content in use expires, for files that expire.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

impl ReloadStatus {
    /// Records the outcome of one reload of `file`.
    ///
    /// `expires_at` is when the content in use expires.
    pub fn record<E: Display>(
        &self,
        file: &'static str,
        now: Timestamp,
        outcome: &Result<(), E>,
        expires_at: Option<Timestamp>,
    ) {
        let error = outcome.as_ref().err().map(ToString::to_string);
        let ok = error.is_none();
        let mut files = self.0.lock();
        let since = match files.get(file) {
            Some(before) if before.ok == ok => before.since,
            _ => now,
        };
        files.insert(
            file,
            FileStatus {
                ok,
                since,
                error,
                expires_at,
            },
        );
    }

    /// Returns the status of every file, by its name.
    pub(super) fn files(&self) -> BTreeMap<&'static str, FileStatus> {
        self.0.lock().clone()
    }
}

//! How the files beside the configuration were found at the last look, for whoever asks `/readyz?verbose`. It does not
//! know what is in them.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;

use crate::domain::time::Timestamp;

/// One line a file. Clones share it.
#[derive(Clone, Default)]
pub struct Board(Arc<Mutex<BTreeMap<&'static str, Looked>>>);

/// How a file stands.
#[derive(Clone, Serialize)]
pub(super) struct Looked {
    /// Whether what it holds is in use.
    good: bool,
    /// Since when it is, or is not.
    since: Timestamp,
    /// Why not. Never a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    wrong: Option<String>,
    /// When what is in use ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

impl Board {
    /// Somebody has looked; `expires_at` is when what is in use ends by itself.
    pub fn looked<E: Display>(
        &self,
        what: &'static str,
        now: Timestamp,
        outcome: &Result<(), E>,
        expires_at: Option<Timestamp>,
    ) {
        let wrong = outcome.as_ref().err().map(ToString::to_string);
        let good = wrong.is_none();
        let mut lines = self.0.lock();
        let since = match lines.get(what) {
            Some(before) if before.good == good => before.since,
            _ => now,
        };
        lines.insert(
            what,
            Looked {
                good,
                since,
                wrong,
                expires_at,
            },
        );
    }

    pub(super) fn lines(&self) -> BTreeMap<&'static str, Looked> {
        self.0.lock().clone()
    }
}

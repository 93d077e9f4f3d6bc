//! Holds log lines back while a command prints something that they would interrupt.

use std::io::{self, Write as _};

use parking_lot::Mutex;

/// The lines that are held back; `None` while they go to stderr at once.
static HELD: Mutex<Option<Vec<u8>>> = Mutex::new(None);

/// Holds back all log lines of the process until it is dropped. Then they follow on stderr, in order.
#[must_use = "dropping it writes the lines"]
pub struct HeldLogs(());

impl HeldLogs {
    /// Begins to hold lines back.
    pub fn begin() -> Self {
        HELD.lock().get_or_insert_default();
        Self(())
    }
}

impl Drop for HeldLogs {
    fn drop(&mut self) {
        // Locked until the lines are written, so that no later line overtakes them.
        let mut held = HELD.lock();
        if let Some(lines) = held.take() {
            // If stderr is closed, there is no other output for the error.
            let _ = io::stderr().write_all(&lines);
        }
    }
}

/// Writes a line to stderr, or holds it back.
pub(super) fn write(line: &[u8]) -> io::Result<()> {
    match &mut *HELD.lock() {
        Some(lines) => lines.extend_from_slice(line),
        None => io::stderr().write_all(line)?,
    }
    Ok(())
}

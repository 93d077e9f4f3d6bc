//! SIGTERM and SIGINT (Ctrl-C).

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::failure::Failure;

/// Receives SIGTERM and SIGINT; no signal is lost after [`listen`](Self::listen).
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Registers the handlers. From now on, the signals no longer end the process by themselves.
    pub(super) fn listen() -> anyhow::Result<Self> {
        let register = |kind| signal(kind).context("signals cannot be handled");
        Ok(Self {
            terminate: register(SignalKind::terminate())?,
            interrupt: register(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits for `shutdown`, unless another signal asks to stop at once.
    pub(super) async fn next_stops(&mut self, shutdown: impl Future<Output = ()>) -> Result<(), Failure> {
        tokio::select! {
            () = shutdown => Ok(()),
            () = self.next() => Err(Failure::Error(anyhow::anyhow!(
                "stopped at once by a second signal; the next start resumes the work in progress"
            ))),
        }
    }
}

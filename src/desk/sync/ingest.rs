//! Taking in what Close delivers: proved to be Close's, durable before it is answered, believed in nothing. Notices that
//! come at the same moment are written together.

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use crate::close::{Forged, webhook};
use crate::desk::Desk;
use crate::domain::close_event::CloseEvent;
use crate::error::Error;
use crate::telemetry::metrics::{WEBHOOK_LAG_SECONDS, WEBHOOKS_RECEIVED_TOTAL};

/// What came of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It is taken in, and what it tells of is read back from Close.
    New,
    /// It was taken in before.
    Repeated,
    /// It is Close's, and tells of nothing that the desk follows.
    Strange,
}

/// Notices that wait to be written, each with who waits for it.
#[derive(Default)]
pub(in crate::desk) struct Inbox {
    waiting: Mutex<Vec<(CloseEvent, oneshot::Sender<bool>)>>,
    /// Whoever has it writes for all.
    turn: tokio::sync::Mutex<()>,
}

/// The most notices that are written together.
const TOGETHER: usize = 500;

impl Desk {
    /// Takes a delivery in. `signature` and `timestamp` are the headers `close-sig-hash` and `close-sig-timestamp`, `body`
    /// is what came, byte for byte. `Err(Ok(_))`: it is not Close's, and nothing was done.
    pub async fn receive(
        &self,
        signature: Option<&str>,
        timestamp: Option<&str>,
        body: &[u8],
    ) -> Result<Received, Result<Forged, Error>> {
        let outcome = self.take_in(signature, timestamp, body).await;
        let word = match &outcome {
            Ok(Received::New) => "new",
            Ok(Received::Repeated) => "repeated",
            Ok(Received::Strange) => "strange",
            Err(Ok(forged)) => forged.word(),
            Err(Err(_)) => "failed",
        };
        metrics::counter!(WEBHOOKS_RECEIVED_TOTAL, "outcome" => word).increment(1);
        outcome
    }

    async fn take_in(
        &self,
        signature: Option<&str>,
        timestamp: Option<&str>,
        body: &[u8],
    ) -> Result<Received, Result<Forged, Error>> {
        let (keys, now) = (self.webhook_keys(), self.now());
        let tolerance = self.0.settings.webhook_tolerance;
        if let Err(forged) = webhook::verify(&keys, signature, timestamp, body, now, tolerance) {
            if matches!(forged, Forged::WrongSignature | Forged::NoKey) {
                self.doubt_keys();
            }
            return Err(Ok(forged));
        }
        // What is strange is acknowledged: Close gives up on who refuses it, and takes nothing back.
        let Some(notice) = webhook::delivery(body) else {
            tracing::warn!("Close delivered something that is no event");
            return Ok(Received::Strange);
        };
        if notice.object().is_none() {
            return Ok(Received::Strange);
        }
        if let Some(updated) = notice.updated {
            metrics::histogram!(WEBHOOK_LAG_SECONDS).record(now.since(updated).as_secs_f64());
        }
        let it = self.clone();
        let fresh = self.outlive(async move { it.write_down(notice).await }).await;
        Ok(if fresh.map_err(Err)? {
            Received::New
        } else {
            Received::Repeated
        })
    }

    /// Writes the notice down, with all others that wait, and wakes who acts on it; whether it is new.
    async fn write_down(&self, notice: CloseEvent) -> Result<bool, Error> {
        let inbox = &self.0.inbox;
        let (told, mut answer) = oneshot::channel();
        inbox.waiting().push((notice, told));
        let _turn = inbox.turn.lock().await;
        loop {
            // Whoever had the turn before may have written it, or failed to.
            match answer.try_recv() {
                Ok(fresh) => return Ok(fresh),
                Err(TryRecvError::Closed) => {
                    return Err(Error::StoreUnavailable(
                        "what came at the same moment could not be written".into(),
                    ));
                }
                Err(TryRecvError::Empty) => {}
            }
            // The oldest first; with very many, this one may be in none of the first batches.
            let batch: Vec<_> = {
                let mut waiting = inbox.waiting();
                let count = waiting.len().min(TOGETHER);
                waiting.drain(..count).collect()
            };
            let (notices, told): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            let fresh = self.note(&notices).await?;
            for (told, fresh) in told.into_iter().zip(fresh) {
                // Its sender may have hung up.
                let _ = told.send(fresh);
            }
        }
    }

    /// Takes notices in from wherever they come, and wakes who acts on them; which of them are new.
    pub(in crate::desk) async fn note(&self, notices: &[CloseEvent]) -> Result<Vec<bool>, Error> {
        let now = self.now();
        let fresh = self.0.store.ingest(notices, now).await?;
        let new: Vec<_> = notices.iter().zip(&fresh).filter(|(_, fresh)| **fresh).collect();
        if !new.is_empty() {
            self.0.wakes.told.notify_one();
        }
        // A number that is new may be the one that an order in doubt is waiting for.
        let mut countries: Vec<_> = new
            .iter()
            .filter(|(notice, _)| notice.new_number())
            .map(|(notice, _)| notice.country)
            .collect();
        countries.dedup();
        for country in countries {
            if self.0.store.make_unverified_due(country, now).await? > 0 {
                self.0.wakes.doubt.notify_one();
            }
        }
        Ok(fresh)
    }
}

impl Inbox {
    fn waiting(&self) -> MutexGuard<'_, Vec<(CloseEvent, oneshot::Sender<bool>)>> {
        self.waiting.lock()
    }
}

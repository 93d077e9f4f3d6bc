//! Accepts Close's webhooks: verifies the signature, and writes the notice before Close gets its response.
//!
//! The content of a webhook is not trusted: it only names the object to refetch. Notices that arrive at the same time are
//! written in one transaction.

use parking_lot::MutexGuard;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use crate::close::{Forged, webhook};
use crate::desk::sync::{Inbox, InventorySync};
use crate::domain::close_event::CloseEvent;
use crate::error::Error;
use crate::telemetry::metrics::{WEBHOOK_LAG_SECONDS, WEBHOOKS_RECEIVED_TOTAL};

/// The result of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ingested {
    /// It is written, and its object will be refetched.
    New,
    /// It was written before.
    Repeated,
    /// It is from Close, and about nothing that the desk follows.
    Ignored,
    /// It is not from Close, so nothing was done.
    Forged(Forged),
}

/// The most notices that are written together.
const BATCH: usize = 500;

impl InventorySync {
    /// Accepts a delivery.
    ///
    /// `signature` and `timestamp` are the headers `close-sig-hash` and `close-sig-timestamp`. `body` is the body, byte for
    /// byte.
    pub async fn ingest(
        &self,
        signature: Option<&str>,
        timestamp: Option<&str>,
        body: &[u8],
    ) -> Result<Ingested, Error> {
        let result = self.verify_and_enqueue(signature, timestamp, body).await;
        let outcome = match &result {
            Ok(Ingested::New) => "new",
            Ok(Ingested::Repeated) => "repeated",
            Ok(Ingested::Ignored) => "strange",
            Ok(Ingested::Forged(forged)) => forged.word(),
            Err(_) => "failed",
        };
        metrics::counter!(WEBHOOKS_RECEIVED_TOTAL, "outcome" => outcome).increment(1);
        result
    }

    async fn verify_and_enqueue(
        &self,
        signature: Option<&str>,
        timestamp: Option<&str>,
        body: &[u8],
    ) -> Result<Ingested, Error> {
        let (keys, now) = (self.subscription.keys(), self.core.now());
        let tolerance = self.core.settings.webhook_tolerance;
        if let Err(forged) = webhook::verify(&keys, signature, timestamp, body, now, tolerance) {
            if matches!(forged, Forged::WrongSignature | Forged::NoKey) {
                self.subscription.recheck_keys();
            }
            return Ok(Ingested::Forged(forged));
        }
        // An unknown event is acknowledged: after too many refusals Close would pause the subscription.
        let Some(notice) = webhook::delivery(body) else {
            tracing::warn!("webhook from Close ignored: it has no event");
            return Ok(Ingested::Ignored);
        };
        if notice.object().is_none() {
            return Ok(Ingested::Ignored);
        }
        if let Some(updated) = notice.updated {
            metrics::histogram!(WEBHOOK_LAG_SECONDS).record(now.since(updated).as_secs_f64());
        }
        let sync = self.clone();
        let new = self
            .core
            .spawn_detached(async move { sync.enqueue_together(notice).await })
            .await?;
        Ok(if new { Ingested::New } else { Ingested::Repeated })
    }

    /// Writes the notice, together with all others that wait. `true`: it is new.
    async fn enqueue_together(&self, notice: CloseEvent) -> Result<bool, Error> {
        let (sender, mut result) = oneshot::channel();
        self.inbox.waiting().push((notice, sender));
        let _writer = self.inbox.writer.lock().await;
        loop {
            // The previous writer may have written it, or failed to.
            match result.try_recv() {
                Ok(new) => return Ok(new),
                Err(TryRecvError::Closed) => {
                    return Err(Error::StoreUnavailable(
                        "the notices that arrived at the same time could not be written".into(),
                    ));
                }
                Err(TryRecvError::Empty) => {}
            }
            // The oldest come first, so with very many waiting this notice may not be in the first batches.
            let batch: Vec<_> = {
                let mut waiting = self.inbox.waiting();
                let count = waiting.len().min(BATCH);
                waiting.drain(..count).collect()
            };
            let (notices, senders): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            let new = self.enqueue(&notices).await?;
            for (sender, new) in senders.into_iter().zip(new) {
                // The request may be gone.
                let _ = sender.send(new);
            }
        }
    }

    /// Writes notices from a webhook or from the event log, and wakes the workers that act on them.
    ///
    /// Returns for each notice whether it is new.
    pub(in crate::desk::sync) async fn enqueue(&self, notices: &[CloseEvent]) -> Result<Vec<bool>, Error> {
        let now = self.core.now();
        let fresh = self.core.store.ingest(notices, now).await?;
        let new: Vec<_> = notices.iter().zip(&fresh).filter(|(_, fresh)| **fresh).collect();
        if !new.is_empty() {
            self.core.signals.webhook.notify_one();
        }
        // A new number may be the one that an unverified order waits for.
        let mut countries: Vec<_> = new
            .iter()
            .filter(|(notice, _)| notice.new_number())
            .map(|(notice, _)| notice.country)
            .collect();
        countries.dedup();
        for country in countries {
            if self.core.store.make_unverified_due(country, now).await? > 0 {
                self.core.signals.unverified.notify_one();
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

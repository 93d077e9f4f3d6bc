//! Accepts Close's webhooks: verifies the signature, and stores the event before Close gets a response.
//!
//! Anybody can send a webhook, so each step costs no more than what the previous one has shown: first the headers,
//! then the body, and only a delivery of Close reaches the database.
//!
//! The content of a webhook is not trusted: it only names the object to refetch. Events that arrive at the same time
//! are stored in one transaction.

use parking_lot::MutexGuard;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use crate::close::{Forged, Signature};
use crate::desk::sync::{Inbox, InventorySync};
use crate::domain::close_event::CloseEvent;
use crate::domain::odd_record::{OddKind, OddRecord};
use crate::error::Error;
use crate::telemetry::metrics::{WEBHOOK_LAG_SECONDS, WEBHOOKS_RECEIVED_TOTAL};

/// The result of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ingested {
    /// The event is stored, and its object will be refetched.
    New,
    /// The event was stored before.
    Repeated,
    /// The delivery is from Close, but the service does not follow its object.
    Ignored,
    /// The delivery is not from Close, so nothing was done.
    Forged(Forged),
}

/// The most events that are stored in one transaction.
const BATCH: usize = 500;

/// A delivery whose signature was verified.
#[derive(Debug, Clone, Copy)]
pub struct Genuine<'a> {
    body: &'a [u8],
}

impl InventorySync {
    /// Accepts a delivery in one step.
    ///
    /// `signature` and `timestamp` are the headers `close-sig-hash` and `close-sig-timestamp`. `body` is the unchanged
    /// body.
    pub async fn ingest(
        &self,
        signature: Option<&str>,
        timestamp: Option<&str>,
        body: &[u8],
    ) -> Result<Ingested, Error> {
        let signature = self.signature(signature, timestamp);
        match signature.and_then(|signature| self.verify(&signature, body)) {
            Ok(genuine) => self.accept(genuine).await,
            Err(forged) => Ok(Ingested::Forged(forged)),
        }
    }

    /// Checks the headers of a delivery, before its body has arrived.
    pub fn signature(&self, signature: Option<&str>, timestamp: Option<&str>) -> Result<Signature, Forged> {
        let tolerance = self.core.settings.webhook_tolerance;
        let read = Signature::from_headers(signature, timestamp, self.core.now(), tolerance);
        let signature = match read {
            Ok(_) if self.subscription.keys().is_empty() => Err(Forged::NoKey),
            read => read,
        };
        signature.map_err(|forged| self.refused(forged))
    }

    /// Verifies that Close signed the body.
    pub fn verify<'a>(&self, signature: &Signature, body: &'a [u8]) -> Result<Genuine<'a>, Forged> {
        let verified = signature.verify(&self.subscription.keys(), body);
        verified
            .map(|()| Genuine { body })
            .map_err(|forged| self.refused(forged))
    }

    /// Stores the event of a delivery.
    pub async fn accept(&self, delivery: Genuine<'_>) -> Result<Ingested, Error> {
        let result = self.read_and_enqueue(delivery.body).await;
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

    fn refused(&self, forged: Forged) -> Forged {
        metrics::counter!(WEBHOOKS_RECEIVED_TOTAL, "outcome" => forged.word()).increment(1);
        if matches!(forged, Forged::WrongSignature | Forged::NoKey) {
            self.subscription.recheck_keys();
        }
        forged
    }

    async fn read_and_enqueue(&self, body: &[u8]) -> Result<Ingested, Error> {
        // An unknown event is acknowledged: after too many refusals Close would pause the subscription.
        let Some(event) = self.core.close.delivery(body) else {
            tracing::warn!("webhook from Close ignored: the body has no event");
            self.note_odd_event("webhook", "the body of a webhook has no event")
                .await;
            return Ok(Ingested::Ignored);
        };
        if event.object().is_none() {
            if matches!(event.object_type.as_str(), "phone_number" | "group") {
                let id = event.event_id.as_deref().unwrap_or("webhook");
                self.note_odd_event(id, "its `object_id` is missing, or has an unexpected form")
                    .await;
            }
            return Ok(Ingested::Ignored);
        }
        if let Some(updated) = event.updated {
            metrics::histogram!(WEBHOOK_LAG_SECONDS).record(self.core.now().since(updated).as_secs_f64());
        }
        let sync = self.clone();
        let new = self
            .core
            .spawn_detached(async move { sync.enqueue_together(event).await })
            .await?;
        Ok(if new { Ingested::New } else { Ingested::Repeated })
    }

    /// Notes an event that can't be read. Close gets no error if that fails: it would repeat the webhook for nothing.
    async fn note_odd_event(&self, name: &str, fault: &str) {
        let record = OddRecord::new(OddKind::Event, name, fault);
        if let Err(error) = self.account.note_odd(&[record]).await {
            tracing::warn!(%error, fault, "odd webhook from Close not noted");
        }
    }

    /// Stores the event, together with all others that wait. Returns whether the event is new.
    async fn enqueue_together(&self, event: CloseEvent) -> Result<bool, Error> {
        let (sender, mut result) = oneshot::channel();
        self.inbox.waiting().push((event, sender));
        let _writer = self.inbox.writer.lock().await;
        loop {
            // The previous writer may have stored this event, or failed.
            match result.try_recv() {
                Ok(new) => return Ok(new),
                Err(TryRecvError::Closed) => {
                    return Err(Error::StoreUnavailable(
                        "the webhooks that arrived at the same time could not be stored".into(),
                    ));
                }
                Err(TryRecvError::Empty) => {}
            }
            // The oldest come first, so if very many wait, this event may not be in the first batches.
            let batch: Vec<_> = {
                let mut waiting = self.inbox.waiting();
                let count = waiting.len().min(BATCH);
                waiting.drain(..count).collect()
            };
            let (events, senders): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            let new = self.enqueue(&events).await?;
            for (sender, new) in senders.into_iter().zip(new) {
                // An error means that the request has ended.
                let _ = sender.send(new);
            }
        }
    }

    /// Stores events of webhooks or of Close's event log, and wakes the workers that act on them.
    ///
    /// Returns for each event whether it is new.
    pub(in crate::desk::sync) async fn enqueue(&self, events: &[CloseEvent]) -> Result<Vec<bool>, Error> {
        let now = self.core.now();
        let fresh = self.core.store.ingest(events, now).await?;
        let new: Vec<_> = events.iter().zip(&fresh).filter(|(_, fresh)| **fresh).collect();
        if !new.is_empty() {
            self.core.signals.webhook.notify_one();
        }
        // A new number may be the one that an unverified order waits for.
        let mut countries: Vec<_> = new
            .iter()
            .filter(|(event, _)| event.new_number())
            .map(|(event, _)| event.country)
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

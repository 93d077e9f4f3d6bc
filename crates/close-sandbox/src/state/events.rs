//! Writing events, and queueing their webhook deliveries.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::State;
use crate::events::{Actor, Change, Event};
use crate::time::has_elapsed;
use crate::webhooks::queue::{DeliveryTarget, QueuedEvent};

impl State {
    /// Writes an event and queues its webhook deliveries.
    ///
    /// An update shortly after another one of the same object is merged into it, as in Close.
    pub(crate) fn emit(&mut self, actor: &Actor, change: Change) {
        let now = Timestamp::from_millisecond(self.now().as_millisecond()).unwrap_or(Timestamp::UNIX_EPOCH);
        let window = self.settings.consolidation_window;
        let last = self
            .events
            .iter_mut()
            .rev()
            .find(|event| event.change.object_id == change.object_id);
        if let Some(last) = last
            && last.change.action == "updated"
            && change.action == "updated"
            && !has_elapsed(last.created, window, now)
        {
            last.absorb(actor, change, now);
            return;
        }
        let event = Event {
            id: self.ephemeral.id("ev_", 22),
            seq: self.events.last().map_or(0, |last| last.seq + 1),
            created: now,
            updated: now,
            actor: actor.clone(),
            change,
            shown: Map::new(),
        };
        let wait = if event.change.action == "created" {
            Duration::ZERO
        } else {
            window
        };
        let targets = self.queue_deliveries(&event.change.object_type, &event.change.action);
        if !targets.is_empty() {
            let queued = QueuedEvent {
                event_id: event.id.clone(),
                nth: event.seq,
                wait,
                targets,
            };
            // Fails only while the simulation stops; then no delivery is expected.
            let _ = self.outbox.send(queued);
        }
        self.events.push(event);
    }

    /// Writes an event about the creation of an object that does not exist. Clients see these members of it.
    pub(crate) fn emit_odd(&mut self, shown: Map<String, Value>) {
        let (actor, id) = (self.person(), self.ephemeral.id("phon_", 22));
        self.emit(&actor, Change::created("phone_number", id, Value::Null));
        if let Some(event) = self.events.last_mut() {
            event.shown = shown;
        }
    }

    /// Adds a delivery to the queue of every subscription that selects this kind of event.
    fn queue_deliveries(&mut self, object_type: &str, action: &str) -> Vec<DeliveryTarget> {
        let settings = &self.settings.delivery;
        if !settings.enabled {
            return Vec::new();
        }
        let mut targets = Vec::new();
        for subscription in self
            .subscriptions
            .iter_mut()
            .filter(|subscription| subscription.active)
        {
            if !subscription.selects(object_type, action) {
                continue;
            }
            for _ in 0..=settings.duplicates {
                subscription.pending += 1;
                targets.push(DeliveryTarget {
                    subscription_id: subscription.id.clone(),
                    generation: subscription.generation,
                });
            }
            if subscription.pending >= settings.backlog_cap {
                subscription.pause("backlog");
            }
        }
        targets
    }
}

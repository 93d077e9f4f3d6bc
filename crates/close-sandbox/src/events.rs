//! What happened in the organization, written down as Close does it, and handed to the webhooks. Knows no reader.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::json::naive;
use crate::numbers::number::has_passed;
use crate::state::{Actor, World};
use crate::webhooks::delivery::Emitted;

/// One entry of the log.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) seq: u64,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    pub(crate) actor: Actor,
    pub(crate) change: Change,
}

/// What happened to one object.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) object_type: &'static str,
    pub(crate) action: &'static str,
    pub(crate) object_id: String,
    changed_fields: Vec<String>,
    data: Option<Value>,
    previous_data: Map<String, Value>,
}

impl Change {
    pub(crate) fn created(object_type: &'static str, object_id: String, data: Value) -> Self {
        let (changed_fields, previous_data) = (Vec::new(), Map::new());
        Self {
            object_type,
            action: "created",
            object_id,
            changed_fields,
            data: Some(data),
            previous_data,
        }
    }

    pub(crate) fn updated(
        object_type: &'static str,
        object_id: String,
        before: &Value,
        after: Value,
    ) -> Self {
        let mut previous_data = Map::new();
        for (name, value) in after.as_object().into_iter().flatten() {
            let old = before.get(name).unwrap_or(&Value::Null);
            if old != value {
                previous_data.insert(name.clone(), old.clone());
            }
        }
        let changed_fields = previous_data.keys().cloned().collect();
        Self {
            object_type,
            action: "updated",
            object_id,
            changed_fields,
            data: Some(after),
            previous_data,
        }
    }

    pub(crate) fn deleted(object_type: &'static str, object_id: String, before: Value) -> Self {
        let previous_data = match before {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        Self {
            object_type,
            action: "deleted",
            object_id,
            changed_fields: Vec::new(),
            data: None,
            previous_data,
        }
    }
}

impl Event {
    pub(crate) fn view(&self, organization_id: &str) -> Value {
        let meta = match &self.actor.request {
            Some((method, path)) => json!({ "request_method": method, "request_path": path }),
            None => json!({}),
        };
        json!({
            "id": self.id,
            "date_created": naive(self.created),
            "date_updated": naive(self.updated),
            "organization_id": organization_id,
            "user_id": self.actor.user_id,
            "request_id": self.actor.request_id,
            "api_key_id": self.actor.api_key_id,
            "lead_id": null,
            "object_type": self.change.object_type,
            "object_id": self.change.object_id,
            "action": self.change.action,
            "changed_fields": self.change.changed_fields,
            "data": self.change.data,
            "previous_data": self.change.previous_data,
            "meta": meta,
        })
    }

    /// Takes a later update of the same object in: newest state, oldest previous values.
    fn absorb(&mut self, actor: &Actor, change: Change, now: Timestamp) {
        self.updated = now;
        self.actor = actor.clone();
        self.change.data = change.data;
        for (name, old) in change.previous_data {
            self.change.previous_data.entry(name).or_insert(old);
        }
        self.change.changed_fields = self.change.previous_data.keys().cloned().collect();
    }
}

impl World {
    /// Writes an event and hands it to the webhooks; an update soon after another one joins it.
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
            && !has_passed(last.created, window, now)
        {
            last.absorb(actor, change, now);
            return;
        }
        let event = Event {
            id: self.noise.id("ev_", 22),
            seq: self.events.last().map_or(0, |last| last.seq + 1),
            created: now,
            updated: now,
            actor: actor.clone(),
            change,
        };
        let wait = if event.change.action == "created" {
            std::time::Duration::ZERO
        } else {
            window
        };
        let targets = self.enqueue(event.change.object_type, event.change.action);
        if !targets.is_empty() {
            let emitted = Emitted {
                event_id: event.id.clone(),
                nth: event.seq,
                wait,
                targets,
            };
            // Fails only when the simulator is going down, and then nobody waits for it.
            let _ = self.outbox.send(emitted);
        }
        self.events.push(event);
    }
}

//! Events: what happened to an object of the organization, and who caused it.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::time::naive;

/// One entry of the event log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) seq: u64,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    pub(crate) actor: Actor,
    pub(crate) change: Change,
    /// Members that clients see instead of the real ones, of any type.
    #[serde(default)]
    pub(crate) shown: Map<String, Value>,
}

/// Who caused an event.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Actor {
    pub(crate) user_id: Option<String>,
    pub(crate) api_key_id: Option<String>,
    pub(crate) request_id: Option<String>,
    /// Method and path of the API request, if there was one.
    pub(crate) request: Option<(String, String)>,
}

/// What happened to one object.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) object_type: Cow<'static, str>,
    pub(crate) action: Cow<'static, str>,
    pub(crate) object_id: String,
    changed_fields: Vec<String>,
    data: Option<Value>,
    previous_data: Map<String, Value>,
}

impl Change {
    pub(crate) fn created(object_type: &'static str, object_id: String, data: Value) -> Self {
        let (changed_fields, previous_data) = (Vec::new(), Map::new());
        Self {
            object_type: object_type.into(),
            action: "created".into(),
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
            object_type: object_type.into(),
            action: "updated".into(),
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
            object_type: object_type.into(),
            action: "deleted".into(),
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
        let mut view = json!({
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
        });
        let fields = view.as_object_mut().expect("it is an object");
        fields.extend(self.shown.clone());
        view
    }

    /// Merges a later update of the same object: newest data, oldest previous values.
    pub(crate) fn absorb(&mut self, actor: &Actor, change: Change, now: Timestamp) {
        self.updated = now;
        self.actor = actor.clone();
        self.change.data = change.data;
        for (name, old) in change.previous_data {
            self.change.previous_data.entry(name).or_insert(old);
        }
        self.change.changed_fields = self.change.previous_data.keys().cloned().collect();
    }
}

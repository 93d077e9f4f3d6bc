//! Webhook subscriptions: who wants to hear of what, and how it goes. Sends nothing itself.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::json::naive;
use crate::request::Call;
use crate::response::{Answer, Outcome};
use crate::state::{World, next_generation};
use crate::validation::Fields;
use crate::webhooks::delivery::Target;
use crate::webhooks::filter;

/// Subscriptions that one organization may have.
const MOST: usize = 40;

/// One subscription with its state of health.
pub(crate) struct Subscription {
    pub(crate) id: String,
    pub(crate) url: String,
    events: Vec<Value>,
    pub(crate) verify_ssl: bool,
    pub(crate) signature_key: String,
    pub(crate) active: bool,
    pause_reason: Option<&'static str>,
    /// Renewed when the queue is cleared: deliveries of an older one are forgotten.
    pub(crate) generation: u64,
    pub(crate) pending: usize,
    pub(crate) delivered: u64,
    pub(crate) failed: u64,
    pub(crate) failing_since: Option<Timestamp>,
    pub(crate) failed_in_a_row: u64,
    pub(crate) latest_error: Option<String>,
    created: Timestamp,
    updated: Timestamp,
}

impl Subscription {
    /// The selectors of this subscription that name the event.
    pub(crate) fn wants(&self, event: &Value) -> bool {
        self.events.iter().any(|selector| {
            selector["object_type"] == event["object_type"]
                && selector["action"] == event["action"]
                && match &selector["extra_filter"] {
                    Value::Null => true,
                    extra => filter::passes(extra, event),
                }
        })
    }

    /// Stops it and clears its queue.
    pub(crate) fn pause(&mut self, reason: &'static str) {
        self.active = false;
        self.pause_reason = Some(reason);
        self.generation = next_generation();
        self.pending = 0;
    }

    fn resume(&mut self) {
        self.active = true;
        self.pause_reason = None;
        self.failing_since = None;
        self.failed_in_a_row = 0;
    }

    fn view(&self, owner: &str) -> Value {
        json!({
            "id": self.id,
            "url": self.url,
            "events": self.events,
            "status": if self.active { "active" } else { "paused" },
            "verify_ssl": self.verify_ssl,
            "signature_key": self.signature_key,
            "created_by": owner,
            "updated_by": owner,
            "date_created": naive(self.created),
            "date_updated": naive(self.updated),
            "health_status": if self.failed_in_a_row == 0 { "healthy" } else { "unhealthy" },
            "latest_error": self.latest_error,
            "pause_reason": self.pause_reason,
            "counters": { "delivered": self.delivered, "failed": self.failed, "pending": self.pending },
            "recent_consecutive_fail_buckets_cnt": self.failed_in_a_row,
        })
    }
}

impl World {
    /// Puts a delivery into the queue of everyone who subscribed to this kind of event.
    pub(crate) fn enqueue(&mut self, object_type: &str, action: &str) -> Vec<Target> {
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
            let asked = subscription
                .events
                .iter()
                .any(|selector| selector["object_type"] == object_type && selector["action"] == action);
            if !asked {
                continue;
            }
            for _ in 0..=settings.duplicates {
                subscription.pending += 1;
                targets.push(Target {
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

/// `GET /webhook/`
pub(crate) fn list(world: &World, call: &Call) -> Outcome {
    let all = world
        .subscriptions
        .iter()
        .map(|subscription| subscription.view(&world.key.owner));
    call.page(all.collect(), world.settings.page_cap)
}

/// `GET /webhook/{id}/`
pub(crate) fn read(world: &World, call: &Call, id: &str) -> Outcome {
    let index = find(world, id)?;
    Ok(Answer::json(
        200,
        &call.select(world.subscriptions[index].view(&world.key.owner)),
    ))
}

/// `POST /webhook/`: 201 with a `signature_key` of 64 hex characters.
pub(crate) fn create(world: &mut World, call: &Call) -> Outcome {
    let mut fields = Fields::new(call.object()?);
    let url = read_url(&mut fields);
    let events = read_events(&mut fields);
    if url.is_none() {
        fields.fault("url", "Field required");
    }
    if events.is_none() {
        fields.fault("events", "Field required");
    }
    let verify_ssl = fields.flag("verify_ssl").unwrap_or(true);
    fields.finish(world.settings.reject_unknown_fields)?;
    if world.subscriptions.len() >= MOST {
        return Err(Answer::invalid(&format!(
            "You can only have {MOST} webhook subscriptions."
        )));
    }
    let now = world.now();
    let subscription = Subscription {
        id: world.random.id("whsub_", 22),
        url: url.unwrap_or_default(),
        events: events.unwrap_or_default(),
        verify_ssl,
        signature_key: world.random.hex(32),
        active: true,
        pause_reason: None,
        generation: next_generation(),
        pending: 0,
        delivered: 0,
        failed: 0,
        failing_since: None,
        failed_in_a_row: 0,
        latest_error: None,
        created: now,
        updated: now,
    };
    let answer = Answer::json(201, &subscription.view(&world.key.owner));
    world.subscriptions.push(subscription);
    Ok(answer)
}

/// `PUT /webhook/{id}/`: `status` pauses (clearing the queue) and resumes; the key stays.
pub(crate) fn update(world: &mut World, call: &Call, id: &str) -> Outcome {
    let index = find(world, id)?;
    let mut fields = Fields::new(call.object()?);
    let url = read_url(&mut fields);
    let events = read_events(&mut fields);
    let verify_ssl = fields.flag("verify_ssl");
    let status = fields.text("status");
    if status
        .as_deref()
        .is_some_and(|status| status != "active" && status != "paused")
    {
        fields.fault("status", "Input should be 'active' or 'paused'");
    }
    fields.finish(world.settings.reject_unknown_fields)?;
    let now = world.now();
    let subscription = &mut world.subscriptions[index];
    if let Some(url) = url {
        subscription.url = url;
    }
    if let Some(events) = events {
        subscription.events = events;
    }
    if let Some(verify_ssl) = verify_ssl {
        subscription.verify_ssl = verify_ssl;
    }
    match status.as_deref() {
        Some("paused") if subscription.active => subscription.pause("api"),
        Some("active") if !subscription.active => subscription.resume(),
        _ => {}
    }
    subscription.updated = now;
    Ok(Answer::json(200, &subscription.view(&world.key.owner)))
}

/// `DELETE /webhook/{id}/`
pub(crate) fn delete(world: &mut World, id: &str) -> Outcome {
    let index = find(world, id)?;
    world.subscriptions.remove(index);
    Ok(Answer::json(200, &json!({})))
}

fn find(world: &World, id: &str) -> Result<usize, Answer> {
    let position = world
        .subscriptions
        .iter()
        .position(|subscription| subscription.id == id);
    position.ok_or_else(|| Answer::unknown("WebhookSubscription"))
}

fn read_url(fields: &mut Fields) -> Option<String> {
    let text = fields.text("url")?;
    let parsed = url::Url::parse(&text).ok();
    if parsed.is_none_or(|url| !matches!(url.scheme(), "http" | "https")) {
        fields.fault("url", "Input should be a valid URL");
    }
    Some(text)
}

fn read_events(fields: &mut Fields) -> Option<Vec<Value>> {
    let value = fields.take("events").filter(|value| !value.is_null())?;
    let Value::Array(selectors) = value else {
        fields.fault("events", "Input should be a valid list");
        return Some(Vec::new());
    };
    for selector in &selectors {
        let named = selector["object_type"].is_string() && selector["action"].is_string();
        let extra = &selector["extra_filter"];
        if !named {
            fields.fault("events", "Each event needs an object_type and an action");
        } else if !extra.is_null() && !filter::is_well_formed(extra) {
            fields.fault("events", "Invalid extra_filter");
        }
    }
    Some(selectors)
}

//! The state of the simulated organization.

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;

mod events;
mod numbers;
mod saved;

use crate::events::{Actor, Event};
use crate::faults::fault::ArmedFault;
use crate::numbers::number::Number;
use crate::options::Options;
use crate::organization::{Group, Key, User};
use crate::random::Random;
use crate::rate_limit::RateLimiter;
use crate::request_log::RequestLog;
use crate::settings::Settings;
use crate::webhooks::queue::{DeliveryAttempt, QueuedEvent};
use crate::webhooks::subscription::Subscription;

/// Everything that the simulation remembers.
pub(crate) struct State {
    pub(crate) settings: Settings,
    pub(crate) organization_id: String,
    pub(crate) key: Key,
    pub(crate) users: Vec<User>,
    pub(crate) groups: Vec<Group>,
    pub(crate) numbers: Vec<Number>,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) events: Vec<Event>,
    pub(crate) faults: Vec<ArmedFault>,
    pub(crate) requests: RequestLog,
    pub(crate) attempts: Vec<DeliveryAttempt>,
    pub(crate) rate_limiter: RateLimiter,
    /// The source of numbers, users and keys: the same rents in the same order give the same numbers.
    pub(crate) random: Random,
    /// The source of request and event ids and of shuffled lists, so that these do not influence `random`.
    pub(crate) ephemeral: Random,
    pub(crate) outbox: UnboundedSender<QueuedEvent>,
    pub(crate) options: Options,
}

impl State {
    /// The time in the simulation, `clock_shift` included.
    pub(crate) fn now(&self) -> Timestamp {
        let now = self.options.clock.now();
        now.checked_add(self.settings.clock_shift).unwrap_or(now)
    }

    pub(crate) fn user(&self, id: &str) -> Option<&User> {
        self.users.iter().find(|user| user.id == id)
    }

    /// The owner of the key, acting in the Close application instead of through the API.
    pub(crate) fn person(&mut self) -> Actor {
        Actor {
            user_id: Some(self.key.owner.clone()),
            request_id: Some(self.ephemeral.id("req_", 22)),
            ..Actor::default()
        }
    }

    /// The ids and credentials that tests need.
    pub(crate) fn describe(&self) -> Value {
        let users: Vec<Value> = self
            .users
            .iter()
            .map(|user| json!({"id": user.id, "name": user.name(), "email": user.email, "can_call": user.can_call}))
            .collect();
        let groups: Vec<Value> = self
            .groups
            .iter()
            .map(|group| json!({"id": group.id, "name": group.name, "members": group.members}))
            .collect();
        json!({
            "organization_id": self.organization_id,
            "api_key": self.key.text,
            "api_key_id": self.key.id,
            "oauth_token": self.key.oauth_token,
            "owner": self.key.owner,
            "users": users,
            "groups": groups,
        })
    }
}

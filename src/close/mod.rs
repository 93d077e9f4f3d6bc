//! Close, as far as the desk needs it: rent, list, read, change and release numbers, who the key belongs to, and what
//! Close tells of by itself: webhook subscriptions, their deliveries and the event log.
//! The only code that holds the API key or names Close's JSON. It does not know orders, teams or policy.

mod breaker;
mod client;
mod endpoint;
mod event_json;
mod events;
mod json;
mod numbers;
mod rate_limit;
mod rent;
mod response;
mod retry;
mod subscriptions;
mod users;
pub mod webhook;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Map, Value};
use url::Url;

pub use self::events::{Change, Creation};
pub use self::numbers::ReleaseAnswer;
pub use self::rent::RentAnswer;
pub use self::subscriptions::Subscription;
pub use self::webhook::{Forged, SignatureKey};
use crate::domain::id::UserId;
use crate::domain::time::{Clock, Timestamp};

/// Where Close is and how long it may take.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Such as `https://api.close.com/api/v1`; http or https, without user, query and fragment.
    pub base_url: Url,
    /// How long one call may take from its first byte to its last, retries and waiting included.
    pub timeout: Duration,
}

/// The way to Close. Clones share key, connections and what is known of the rate limits.
#[derive(Clone)]
pub struct Close(Arc<client::Client>);

impl Close {
    /// Prepares everything and calls nobody. Fails when the base URL cannot be one, or TLS cannot be set up.
    pub fn new(settings: Settings, key: SecretString, clock: Clock) -> anyhow::Result<Self> {
        Ok(Self(Arc::new(client::Client::new(settings, key, clock)?)))
    }

    /// How far Close's clock is ahead of ours, in microseconds, to a second or two, by its last answer; negative when it
    /// is behind, `None` before an answer said.
    pub fn ahead(&self) -> Option<i64> {
        self.0.ahead()
    }

    /// Whether Close has stopped answering and is left alone for a while.
    pub fn is_away(&self) -> bool {
        self.0.breaker.is_open(self.0.clock.now())
    }

    /// Uses another key from the next call on; calls under way end with the old one.
    pub fn replace_key(&self, key: SecretString) {
        self.0.replace_key(key);
    }

    /// Whether this is the key in use.
    pub fn uses(&self, key: &SecretString) -> bool {
        self.0.uses(key)
    }

    /// The same way with another key; shares nothing.
    pub fn with_key(&self, key: SecretString) -> anyhow::Result<Self> {
        let settings = Settings {
            base_url: self.0.base.clone(),
            timeout: self.0.timeout,
        };
        Self::new(settings, key, self.0.clock.clone())
    }

    /// The key in use, to be recognized later.
    pub fn key(&self) -> KeyInUse {
        KeyInUse(self.0.key())
    }

    /// Whether every call since then was made with that key.
    pub fn still_uses(&self, key: &KeyInUse) -> bool {
        Arc::ptr_eq(&key.0, &self.0.key())
    }
}

/// A key that is or was in use. Tells nothing of it.
pub struct KeyInUse(Arc<SecretString>);

impl fmt::Debug for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Close").finish_non_exhaustive()
    }
}

/// The user whose key the desk holds: for Close, everything the desk does is done by them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// The user.
    pub user_id: UserId,
    /// The organizations the key sees, `orga_…`, each once. A key belongs to one.
    pub organization_ids: Vec<String>,
    /// What the user may do, in Close's words, such as `manage_group_numbers`.
    pub permissions: BTreeSet<String>,
}

/// Why a call that spends nothing brought no result. No text in it names a URL, the key or an answer's body,
/// except for the words that Close meant for people.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Trouble {
    /// Close said no.
    #[error("close refused with {status} ({close_status})")]
    Refused {
        /// The HTTP status, 400 to 499.
        status: u16,
        /// Close's word; `error` when it names none.
        close_status: String,
        /// Close's message, at most 1,000 characters.
        reason: Option<String>,
        /// Close's field errors, by field.
        close_errors: Option<Map<String, Value>>,
    },
    /// It does not exist in Close, in Close's own words.
    #[error("not found in close")]
    NotFound,
    /// The rate limit is used up, and the wait does not fit into the deadline.
    #[error("close's rate limit is used up until {until}")]
    RateLimited {
        /// When it resets.
        until: Timestamp,
    },
    /// Close does not accept the key.
    #[error("close does not accept the API key")]
    Unauthorized,
    /// No answer, or none that makes sense.
    #[error("close is unavailable: {reason}")]
    Unavailable {
        /// What happened instead of an answer.
        reason: String,
    },
}

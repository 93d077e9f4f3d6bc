//! The only code that knows Close's API: rent, list, read, change and release numbers; users, webhooks and event log.
//!
//! It alone holds the API key and names Close's paths and JSON. It does not know orders, teams or policy.
//! [`CloseClient`] makes the calls, through one `transport`; the rest reads responses and webhooks.

mod breaker;
mod client;
mod connection;
mod drifts;
mod endpoint;
mod error;
mod event_json;
mod events;
mod json;
mod last_call;
mod numbers;
mod odd;
mod organization;
mod pace;
mod radar;
mod rate_limit;
mod redact;
mod rent;
mod response;
mod retry;
mod seal;
mod server_clock;
mod shape;
mod sharing;
mod subscriptions;
mod transport;
mod users;
pub mod webhook;

pub use self::client::{CloseClient, KeyInUse};
pub use self::connection::Settings;
pub use self::endpoint::Change;
pub use self::error::Error;
pub use self::events::{Creation, Creations};
pub use self::json::Me;
pub use self::last_call::CallFailure;
pub use self::numbers::{ReleaseOutcome, Shown};
pub use self::odd::Listed;
pub use self::organization::KeyOrganization;
pub use self::pace::RentPermit;
pub use self::rent::{RentHold, RentOutcome};
pub use self::seal::is_sealed;
pub use self::server_clock::CloseTime;
pub use self::subscriptions::{Subscription, Subscriptions};
pub use self::webhook::{Forged, Signature, SignatureKey};

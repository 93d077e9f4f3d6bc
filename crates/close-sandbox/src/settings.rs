//! The settings of the simulation and their defaults.

use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::duration::{optional_duration, positive_duration, signed_duration};

/// A version of Close's API, named by the month of the change; each one includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Epoch {
    /// `sharing` is required; no `inbound_ring_duration`, no `participant_user_id`.
    #[serde(rename = "2026-06")]
    June2026,
    /// `sharing` is optional, `participant_user_id` filters lists.
    #[serde(rename = "2026-07")]
    July2026,
    /// Adds `assign_to` and `inbound_ring_duration`.
    #[serde(rename = "2026-09a")]
    September2026,
    /// Adds `participant_groups`.
    #[serde(rename = "2026-09b")]
    LateSeptember2026,
    /// The announced changes: no `sharing`, `user_id` and `is_group_number`.
    ///
    /// The permission covers all numbers. Without it, the only member of a number may change its label, greeting and
    /// forwarding.
    #[serde(rename = "future")]
    Future,
}

/// The settings, which `POST /_control/settings` changes with a JSON merge patch.
///
/// Durations are text such as `"250ms"`, `"3s"`, `"72h"`, or a number of seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches that are set by name"
)]
pub struct Settings {
    /// The version of Close's API.
    pub epoch: Epoch,
    /// Whether the API key is valid; if not, every request with it gets 401.
    pub key_valid: bool,
    /// A second API key of the same user, valid independently of `key_valid`.
    pub other_key: Option<String>,
    /// Another organization of which the owner of the key is a member; `/me/` lists it first.
    pub first_membership: Option<String>,
    /// Whether the owner of the key has the permission `manage_group_numbers`.
    pub manage_group_numbers: bool,
    /// Whether that permission also covers the personal numbers of others.
    ///
    /// Close documented until 2026 that only their owner may change or release them. `future` does not use this setting.
    pub others_personal_numbers_writable: bool,
    /// Whether unknown fields in a rent or an update get 400.
    pub reject_unknown_fields: bool,
    /// The largest `_limit` of lists; more gets 400.
    pub page_cap: usize,
    /// Whether every list of numbers has another order.
    pub list_shuffled: bool,
    /// How long lists miss a rented number, and still show a released one.
    #[serde(with = "positive_duration")]
    pub listing_lag: Duration,
    /// How long a read by id misses a rented number, and still shows a released one.
    #[serde(with = "positive_duration")]
    pub read_lag: Duration,
    /// How long the event log misses a new event.
    #[serde(with = "positive_duration")]
    pub event_lag: Duration,
    /// Duration of every request.
    #[serde(with = "positive_duration")]
    pub latency: Duration,
    /// Additional duration of a rent. The number exists afterwards, even if the client disconnected.
    #[serde(with = "positive_duration")]
    pub rent_latency: Duration,
    /// Whether rents wait until this is false again.
    ///
    /// A rent that waits has no effect yet. Its number exists afterwards, even if the client disconnected.
    pub rents_held: bool,
    /// How long after the rent `last_billed_price` and `next_billing_on` are set; null: never.
    #[serde(with = "optional_duration")]
    pub billing_delay: Option<Duration>,
    /// Whether billing writes an `updated` event.
    pub billing_emits_event: bool,
    /// The monthly price of all numbers in USD above which a rent is refused with `billing-error`; null: no limit.
    pub budget: Option<f64>,
    /// Countries where a rent without `bundle_id` is refused with `needs-more-info`.
    pub needs_more_info: Vec<String>,
    /// How long updates of one object are merged into one event. Webhooks for updates and deletions wait that long.
    #[serde(with = "positive_duration")]
    pub consolidation_window: Duration,
    /// How far Close's clock is ahead of the system clock; negative: behind.
    #[serde(with = "signed_duration")]
    pub clock_shift: SignedDuration,
    /// Rate limits.
    pub rate_limit: RateLimit,
    /// Webhook deliveries.
    pub delivery: DeliverySettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            epoch: Epoch::LateSeptember2026,
            key_valid: true,
            other_key: None,
            first_membership: None,
            manage_group_numbers: true,
            others_personal_numbers_writable: false,
            reject_unknown_fields: true,
            page_cap: 100,
            list_shuffled: false,
            listing_lag: Duration::ZERO,
            read_lag: Duration::ZERO,
            event_lag: Duration::ZERO,
            latency: Duration::ZERO,
            rent_latency: Duration::ZERO,
            rents_held: false,
            billing_delay: Some(Duration::from_secs(5)),
            billing_emits_event: false,
            budget: None,
            needs_more_info: vec!["BR".into(), "JP".into()],
            consolidation_window: Duration::from_secs(5),
            clock_shift: SignedDuration::ZERO,
            rate_limit: RateLimit::default(),
            delivery: DeliverySettings::default(),
        }
    }
}

/// Rate limits per endpoint group, that is, per method and first segment of the path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimit {
    /// How many requests of an endpoint group one window allows.
    pub limit: u32,
    /// Length of a window.
    #[serde(with = "positive_duration")]
    pub window: Duration,
    /// How many requests other keys of the organization send in every window.
    ///
    /// All keys together have three times the limit.
    pub used_by_other_keys: u32,
    /// A separate limit for rents; null: a rent counts like any other POST.
    pub rent_limit: Option<u32>,
    /// Length of the window of `rent_limit`.
    #[serde(with = "positive_duration")]
    pub rent_window: Duration,
    /// Whether responses have a `RateLimit` header.
    pub header: bool,
    /// Whether a 429 has a `retry-after` header.
    pub retry_after: bool,
    /// The body of a 429.
    pub body: LimitBody,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self {
            limit: 320,
            window: Duration::from_secs(8),
            used_by_other_keys: 0,
            rent_limit: None,
            rent_window: Duration::from_secs(8),
            header: true,
            retry_after: true,
            body: LimitBody::Empty,
        }
    }
}

/// The bodies of a 429 that Close has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitBody {
    /// No body.
    Empty,
    /// The former JSON object.
    Legacy,
    /// The former JSON object inside `error`.
    LegacyWrapped,
    /// An HTML page of the load balancer.
    Html,
}

/// How webhooks are delivered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliverySettings {
    /// Whether webhooks are delivered at all.
    pub enabled: bool,
    /// How many additional times each event is delivered.
    pub duplicates: u32,
    /// Delays every other delivery, so that it arrives after its successor; null: in order.
    #[serde(with = "optional_duration")]
    pub reorder: Option<Duration>,
    /// Delays every delivery.
    #[serde(with = "positive_duration")]
    pub late: Duration,
    /// Whether a retry has a new timestamp and signature, or repeats the first.
    pub sign_again: bool,
    /// Whether signatures are valid; if not, they are made with the hex text of the key.
    pub signature_valid: bool,
    /// Delay of the first retry; every further one doubles it.
    #[serde(with = "positive_duration")]
    pub backoff: Duration,
    /// The longest delay between retries.
    #[serde(with = "positive_duration")]
    pub backoff_cap: Duration,
    /// How old a delivery gets before it is dropped.
    #[serde(with = "positive_duration")]
    pub life: Duration,
    /// How long a subscription may fail without a success before it is paused.
    #[serde(with = "positive_duration")]
    pub pause_after: Duration,
    /// How many pending deliveries pause a subscription.
    pub backlog_cap: usize,
    /// How long the subscriber may take to respond.
    #[serde(with = "positive_duration")]
    pub timeout: Duration,
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self {
            enabled: true,
            duplicates: 0,
            reorder: None,
            late: Duration::ZERO,
            sign_again: true,
            signature_valid: true,
            backoff: Duration::from_secs(1),
            backoff_cap: Duration::from_mins(20),
            life: Duration::from_hours(72),
            pause_after: Duration::from_hours(72),
            backlog_cap: 100_000,
            timeout: Duration::from_secs(10),
        }
    }
}

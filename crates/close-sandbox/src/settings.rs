//! What can be turned while the simulated Close runs, with the defaults. Knows no behaviour.

use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::json::{duration, optional_duration, signed_duration};

/// Which state of Close's API is shown; each one includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Epoch {
    /// `sharing` must be sent, no `inbound_ring_duration`, no `participant_user_id`.
    #[serde(rename = "2026-06")]
    June2026,
    /// `sharing` is optional, `participant_user_id` filters lists.
    #[serde(rename = "2026-07")]
    July2026,
    /// `assign_to` and `inbound_ring_duration`.
    #[serde(rename = "2026-09a")]
    September2026,
    /// `participant_groups`.
    #[serde(rename = "2026-09b")]
    LateSeptember2026,
    /// What has been announced: `sharing`, `user_id` and `is_group_number` are gone.
    #[serde(rename = "future")]
    Future,
}

/// Everything that `POST /_control/settings` takes, as a JSON merge patch. Durations are texts such as
/// `"250ms"`, `"3s"`, `"72h"`, or a number of seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches that are set by name"
)]
pub struct Settings {
    /// Which state of Close's API is shown.
    pub epoch: Epoch,
    /// Off: every request with the key is answered 401.
    pub key_valid: bool,
    /// Another API key of the same user, which is good whatever `key_valid` says; none.
    pub other_key: Option<String>,
    /// Whether the owner of the key has the permission `manage_group_numbers`.
    pub manage_group_numbers: bool,
    /// Whether that permission also opens the personal numbers of others. Close's documentation says that only
    /// their owner may change or release them.
    pub others_personal_numbers_writable: bool,
    /// Whether a field that Close does not know is 400 in a rent or an update.
    pub reject_unknown_fields: bool,
    /// Largest `_limit` of lists; more is 400.
    pub page_cap: usize,
    /// Whether each listing of numbers comes in another order.
    pub list_shuffled: bool,
    /// How long after it was rented or released a number appears in, or stays in, lists.
    #[serde(with = "duration")]
    pub listing_lag: Duration,
    /// The same for reading one number by its id.
    #[serde(with = "duration")]
    pub read_lag: Duration,
    /// How long after it happened an event appears in the event log.
    #[serde(with = "duration")]
    pub event_lag: Duration,
    /// How long every request takes.
    #[serde(with = "duration")]
    pub latency: Duration,
    /// How much longer a rent takes; the number exists at the end of it, also when the client has left.
    #[serde(with = "duration")]
    pub rent_latency: Duration,
    /// How long after the rent `last_billed_price` and `next_billing_on` are filled; null: never by itself.
    #[serde(with = "optional_duration")]
    pub billing_delay: Option<Duration>,
    /// Whether that is an `updated` event.
    pub billing_emits_event: bool,
    /// Monthly price of all numbers, in USD, above which a rent is refused with `billing-error`.
    pub budget: Option<f64>,
    /// Countries where a rent without `bundle_id` is refused with `needs-more-info`.
    pub needs_more_info: Vec<String>,
    /// Time within which several updates of one object become one event, and after which webhooks for updates
    /// and deletions go out.
    #[serde(with = "duration")]
    pub consolidation_window: Duration,
    /// How far Close's clock is ahead of the machine's; negative: behind.
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

/// Limits are counted per endpoint group, which is the method and the first segment of the path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimit {
    /// Requests of one endpoint group in one window.
    pub limit: u32,
    /// Length of a window.
    #[serde(with = "duration")]
    pub window: Duration,
    /// Requests that other keys of the organization are taken to send in every window; all keys together have
    /// three times the limit.
    pub used_by_other_keys: u32,
    /// A bucket of its own for renting; null: it counts as any POST.
    pub rent_limit: Option<u32>,
    /// Length of the window of that bucket.
    #[serde(with = "duration")]
    pub rent_window: Duration,
    /// Whether answers carry `RateLimit`.
    pub header: bool,
    /// Whether a 429 carries `retry-after`.
    pub retry_after: bool,
    /// What stands in a 429.
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

/// The bodies of a 429 that have been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitBody {
    /// Nothing.
    Empty,
    /// The old JSON object.
    Legacy,
    /// The old JSON object inside `error`.
    LegacyWrapped,
    /// A page of the ingress.
    Html,
}

/// How webhook deliveries are made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliverySettings {
    /// Off: nothing is delivered, as if lost.
    pub enabled: bool,
    /// How many more times each event is delivered.
    pub duplicates: u32,
    /// Every other delivery waits this long, so that it arrives after its successor; null: in order.
    #[serde(with = "optional_duration")]
    pub reorder: Option<Duration>,
    /// Every delivery comes this much later.
    #[serde(with = "duration")]
    pub late: Duration,
    /// Whether a retry is signed anew with its own time, or repeats the first signature.
    pub sign_again: bool,
    /// Off: signatures are made with the key's text, a forgery.
    pub signature_valid: bool,
    /// Wait before the first retry; it doubles from there.
    #[serde(with = "duration")]
    pub backoff: Duration,
    /// Longest wait between retries.
    #[serde(with = "duration")]
    pub backoff_cap: Duration,
    /// Age at which a delivery is given up.
    #[serde(with = "duration")]
    pub life: Duration,
    /// How long a subscription may fail without a single success before it is paused.
    #[serde(with = "duration")]
    pub pause_after: Duration,
    /// Waiting deliveries at which a subscription is paused.
    pub backlog_cap: usize,
    /// How long a receiver may take to answer.
    #[serde(with = "duration")]
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

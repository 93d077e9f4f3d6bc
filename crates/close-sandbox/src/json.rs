//! Close's JSON as this simulator writes it: phone numbers, times, durations of its own settings.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A phone number with every field of the newest API; what a client gets is a view of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "Close's object has these fields")]
pub(crate) struct PhoneNumber {
    pub(crate) id: String,
    pub(crate) organization_id: String,
    pub(crate) number: String,
    pub(crate) number_formatted: String,
    pub(crate) country: Option<String>,
    pub(crate) label: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) carrier: Option<String>,
    pub(crate) carrier_type: Option<String>,
    pub(crate) address_id: Option<String>,
    pub(crate) bundle_id: Option<String>,
    pub(crate) is_premium: bool,
    pub(crate) is_verified: bool,
    pub(crate) was_ported: bool,
    pub(crate) sms_enabled: bool,
    pub(crate) mms_enabled: bool,
    pub(crate) supports_sms_to_countries: Vec<String>,
    pub(crate) supports_mms_to_countries: Vec<String>,
    pub(crate) last_billed_price: Option<f64>,
    pub(crate) next_billing_on: Option<String>,
    pub(crate) forward_to: Option<String>,
    pub(crate) forward_to_enabled: bool,
    pub(crate) forward_to_formatted: Option<String>,
    pub(crate) inbound_ring_duration: Option<u32>,
    pub(crate) press_1_to_accept: bool,
    pub(crate) voicemail_greeting_url: Option<String>,
    pub(crate) participants: Vec<String>,
    pub(crate) participant_groups: Vec<String>,
    pub(crate) phone_numbers: Vec<String>,
    pub(crate) phone_numbers_formatted: Vec<String>,
    pub(crate) is_group_number: bool,
    pub(crate) user_id: Option<String>,
    pub(crate) date_created: String,
    pub(crate) date_updated: String,
    /// Fields that this simulator does not know, set through the control route.
    #[serde(flatten)]
    pub(crate) more: Map<String, Value>,
}

/// `2026-11-23T10:00:00.123456+00:00`, as objects carry it when they are read.
pub(crate) fn with_offset(at: Timestamp) -> String {
    format!("{}+00:00", naive(at))
}

/// `2026-11-23T10:00:00.123456`, meaning UTC, as a fresh number, a subscription and an event carry it.
pub(crate) fn naive(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6f").to_string()
}

/// Both shapes, and a plain `Z`.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    let spaced = text.replace(' ', "+");
    spaced.parse().or_else(|_| format!("{spaced}Z").parse()).ok()
}

/// A duration as friendly text, read from text or a number of seconds.
pub(crate) mod duration {
    use std::time::Duration;

    use serde::de::Error as _;
    use serde::{Deserializer, Serializer};

    use super::signed_duration;

    pub(crate) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        let signed = jiff::SignedDuration::try_from(*value).unwrap_or(jiff::SignedDuration::MAX);
        signed_duration::serialize(&signed, serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let signed = signed_duration::deserialize(deserializer)?;
        Duration::try_from(signed).map_err(|_| D::Error::custom("a duration that is not negative is needed"))
    }
}

/// The same, or null.
pub(crate) mod optional_duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "serde hands the field over as it is")]
    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::duration::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        #[derive(Deserialize)]
        struct Present(#[serde(with = "super::duration")] Duration);
        Ok(Option::<Present>::deserialize(deserializer)?.map(|Present(value)| value))
    }
}

/// The same, before or after.
pub(crate) mod signed_duration {
    use jiff::SignedDuration;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &SignedDuration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{value:#}"))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SignedDuration, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Seconds(f64),
            Text(String),
            Other(serde_json::Value),
        }
        let wrong = |given: &dyn std::fmt::Display| {
            D::Error::custom(format!(
                "`{given}` is no duration: write \"250ms\", \"3s\", \"72h\" or seconds"
            ))
        };
        match Either::deserialize(deserializer)? {
            Either::Seconds(seconds) => {
                SignedDuration::try_from_secs_f64(seconds).map_err(|_| wrong(&seconds))
            }
            Either::Text(text) => text.parse().map_err(|_| wrong(&text)),
            Either::Other(other) => Err(wrong(&other)),
        }
    }
}

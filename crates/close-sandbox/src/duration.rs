//! Serde formats of durations: text such as `250ms`, or a number of seconds.

/// A duration that is not negative.
pub(crate) mod positive_duration {
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
        Duration::try_from(signed).map_err(|_| D::Error::custom("the duration must not be negative"))
    }
}

/// A duration that is not negative, or null.
pub(crate) mod optional_duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::positive_duration::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        #[derive(Deserialize)]
        struct Present(#[serde(with = "super::positive_duration")] Duration);
        Ok(Option::<Present>::deserialize(deserializer)?.map(|Present(value)| value))
    }
}

/// A duration that may be negative.
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
                "`{given}` is not a duration: write \"250ms\", \"3s\", \"72h\" or a number of seconds"
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

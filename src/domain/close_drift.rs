//! Differences between Close's API and the one that this version of the service knows.
//!
//! Close changes its API without a version and without notice. Every difference that the client meets is kept, named
//! by kind, call and field, never by value: a value may be personal or secret.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::string_enum::string_enum;
use crate::domain::time::Timestamp;

/// The most differences that are kept.
pub const MOST: usize = 100;
/// The shortest time between two reports to administrators.
const REPORT_EVERY: Duration = Duration::from_hours(24);
/// How old the stored time of the last sighting may get, so that a lasting difference is not written every minute.
const SIGHTING: Duration = Duration::from_hours(1);
/// How long a difference that Close no longer shows is kept.
const KEEP: Duration = Duration::from_hours(7 * 24);

string_enum! {
    /// The kind of a difference.
    DriftKind: open {
        /// Close's answer has a field that is not known.
        UnknownField = "unknown_field",
        /// A documented field is missing.
        MissingField = "missing_field",
        /// A field has a value that is not among the documented ones.
        UnknownWord = "unknown_word",
        /// A refusal has a status word that is not known.
        UnknownStatus = "unknown_status",
        /// A value has another JSON type.
        ChangedType = "changed_type",
        /// Close does not accept a field of the request any more; the service leaves it out.
        RetiredField = "retired_field",
        /// The answer has the header `Deprecation`.
        DeprecationHeader = "deprecation_header",
        /// The answer has the header `Sunset`.
        SunsetHeader = "sunset_header",
        /// The answer has the header `Warning`.
        WarningHeader = "warning_header",
    }
}

/// One difference between Close's API and the known one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[schema(as = CloseDrift)]
pub struct Drift {
    /// The kind of difference.
    pub kind: DriftKind,
    /// The call to Close, as the metrics name it, or `webhook` for a delivery.
    #[schema(example = "list")]
    pub operation: String,
    /// The object and its field, or the header.
    #[schema(example = "phone_number.ring_order")]
    pub path: String,
}

/// A difference that was met, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// The difference.
    #[serde(flatten)]
    pub drift: Drift,
    /// When it was seen first.
    pub first_seen_at: Timestamp,
    /// When it was seen last, to the hour.
    pub last_seen_at: Timestamp,
    /// Whether an event has reported it to administrators.
    pub reported: bool,
}

/// All differences that the replicas have seen in the last week.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriftRecord {
    /// When the last event reported differences to administrators.
    pub reported_at: Option<Timestamp>,
    /// The differences.
    pub sightings: Vec<Sighting>,
}

impl DriftRecord {
    /// Adds the differences that were seen, removes old ones, and returns those to report now.
    ///
    /// Each difference is reported once. All new ones are reported together, at most once a day.
    pub fn update(&mut self, seen: &BTreeSet<Drift>, now: Timestamp) -> Vec<Drift> {
        self.sightings
            .retain(|known| now.since(known.last_seen_at) < KEEP || seen.contains(&known.drift));
        for drift in seen {
            let room = self.sightings.len() < MOST;
            let known = self.sightings.iter_mut().find(|known| known.drift == *drift);
            if let Some(known) = known {
                if now.since(known.last_seen_at) >= SIGHTING {
                    known.last_seen_at = now;
                }
            } else if room {
                self.sightings.push(Sighting {
                    drift: drift.clone(),
                    first_seen_at: now,
                    last_seen_at: now,
                    reported: false,
                });
            }
        }
        let due = self
            .reported_at
            .is_none_or(|last| now.since(last) >= REPORT_EVERY);
        let new = self.sightings.iter_mut().filter(|known| due && !known.reported);
        let to_report: Vec<Drift> = new
            .map(|known| {
                known.reported = true;
                known.drift.clone()
            })
            .collect();
        if !to_report.is_empty() {
            self.reported_at = Some(now);
        }
        to_report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drift(path: &str) -> Drift {
        Drift {
            kind: DriftKind::UnknownField,
            operation: "list".to_owned(),
            path: path.to_owned(),
        }
    }

    fn drifts(paths: &[&str]) -> BTreeSet<Drift> {
        paths.iter().map(|path| drift(path)).collect()
    }

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

    #[test]
    fn each_difference_is_reported_once_and_all_at_most_once_a_day() {
        let mut record = DriftRecord::default();
        assert_eq!(
            record.update(&drifts(&["a.x", "a.y"]), NOW),
            [drift("a.x"), drift("a.y")]
        );
        let later = |hours: u64| NOW.plus(Duration::from_hours(hours));
        assert!(record.update(&drifts(&["a.x", "a.z"]), later(1)).is_empty());
        assert_eq!(record.update(&drifts(&["a.x"]), later(24)), [drift("a.z")]);
        assert!(
            record.update(&drifts(&["a.x"]), later(48)).is_empty(),
            "nothing is new"
        );
    }

    #[test]
    fn a_difference_that_lasts_is_kept_and_one_that_is_gone_is_forgotten_after_a_week() {
        let mut record = DriftRecord::default();
        record.update(&drifts(&["a.x", "a.y"]), NOW);
        let before = record.clone();
        record.update(&drifts(&["a.x"]), NOW.plus(Duration::from_mins(59)));
        assert_eq!(record, before, "a sighting within the hour changes nothing");
        for hours in (0..=24 * 7).step_by(12) {
            record.update(&drifts(&["a.x"]), NOW.plus(Duration::from_hours(hours)));
        }
        let kept: Vec<_> = record
            .sightings
            .iter()
            .map(|known| known.drift.path.as_str())
            .collect();
        assert_eq!(kept, ["a.x"]);
        let many: BTreeSet<_> = (0..MOST * 2).map(|n| drift(&format!("b.{n}"))).collect();
        record.update(&many, NOW);
        assert_eq!(record.sightings.len(), MOST);
    }
}

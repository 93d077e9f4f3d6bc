//! A phone number of the organization, and how each API version shows it.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::plan;
use crate::organization::Group;
use crate::settings::Epoch;
use crate::time::with_offset;

/// A phone number with every field of the newest API version.
///
/// Clients get a view of it that depends on the [`Epoch`](crate::settings::Epoch).
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
    /// Fields that the simulation does not know; a control route sets them.
    #[serde(flatten)]
    pub(crate) more: Map<String, Value>,
}

/// A number, rented or already released.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Number {
    pub(crate) data: PhoneNumber,
    /// USD per month; clients see it once the number is billed.
    pub(crate) price: f64,
    pub(crate) rented_at: Timestamp,
    pub(crate) released_at: Option<Timestamp>,
    /// Who rented it: `api` or `person`.
    pub(crate) made_by: Cow<'static, str>,
    pub(crate) billed: bool,
    /// Members that clients see instead of the real ones, of any type.
    #[serde(default)]
    pub(crate) shown: Map<String, Value>,
}

impl Number {
    /// The number as clients read it.
    pub(crate) fn view(&self, epoch: Epoch) -> Value {
        let mut shown = self.data.clone();
        if shown.is_group_number && epoch >= Epoch::July2026 && shown.participant_groups.is_empty() {
            shown.user_id = match shown.participants.as_slice() {
                [only] => Some(only.clone()),
                _ => None,
            };
        }
        if epoch == Epoch::Future && shown.participants.is_empty() {
            // Without `user_id`, the participants are all that tells who has the number.
            shown.participants.extend(shown.user_id.clone());
        }
        let mut view = serde_json::to_value(shown).expect("a phone number has string keys only");
        let fields = view.as_object_mut().expect("a struct becomes an object");
        for (since, name) in [
            (Epoch::September2026, "inbound_ring_duration"),
            (Epoch::LateSeptember2026, "participant_groups"),
        ] {
            if epoch < since {
                fields.shift_remove(name);
            }
        }
        if epoch == Epoch::Future {
            fields.shift_remove("user_id");
            fields.shift_remove("is_group_number");
        }
        fields.extend(self.shown.clone());
        view
    }

    /// The number in the response to its rent: carrier and billing are still unknown, times have no offset.
    pub(crate) fn fresh_view(&self, epoch: Epoch) -> Value {
        let mut view = self.view(epoch);
        let fields = view.as_object_mut().expect("a view is an object");
        for absent in [
            "participants",
            "phone_numbers",
            "phone_numbers_formatted",
            "was_ported",
        ] {
            fields.shift_remove(absent);
        }
        for unknown in [
            "label",
            "carrier",
            "carrier_type",
            "last_billed_price",
            "next_billing_on",
        ] {
            fields.insert(unknown.into(), Value::Null);
        }
        for time in ["date_created", "date_updated"] {
            let text = self.data.date_created.trim_end_matches("+00:00");
            fields.insert(time.into(), text.into());
        }
        view
    }

    /// Whether the user has the number: as its owner, as a participant or through a group.
    pub(crate) fn has_participant(&self, user_id: &str, groups: &[Group]) -> bool {
        let named = |ids: &[String]| ids.iter().any(|id| id == user_id);
        let in_group = |group_id: &String| {
            groups
                .iter()
                .any(|group| group.id == *group_id && named(&group.members))
        };
        named(&self.data.participants)
            || (!self.data.is_group_number && self.data.user_id.as_deref() == Some(user_id))
            || self.data.participant_groups.iter().any(in_group)
    }

    /// Whether this user is the only one who has the number.
    pub(crate) fn is_only_member(&self, user_id: &str) -> bool {
        let data = &self.data;
        let only = match data.participants.as_slice() {
            [] => data.user_id.as_deref(),
            [only] => Some(only.as_str()),
            _ => None,
        };
        data.participant_groups.is_empty() && only == Some(user_id)
    }

    /// The newest view plus what clients never see, for the control routes.
    pub(crate) fn describe(&self) -> Value {
        let mut view = serde_json::to_value(&self.data).expect("a phone number has string keys only");
        view["_control"] = json!({
            "state": if self.released_at.is_some() { "released" } else { "rented" },
            "made_by": self.made_by,
            "price": self.price,
            "rented_at": with_offset(self.rented_at),
            "released_at": self.released_at.map(with_offset),
        });
        view
    }
}

/// Applies a JSON merge patch to a number, unknown fields included.
pub(crate) fn apply_patch(
    data: &PhoneNumber,
    patch: Map<String, Value>,
) -> Result<PhoneNumber, serde_json::Error> {
    let mut value = serde_json::to_value(data)?;
    if let Some(fields) = value.as_object_mut() {
        fields.extend(patch);
    }
    let mut changed: PhoneNumber = serde_json::from_value(value)?;
    changed.forward_to_formatted = changed
        .forward_to
        .as_deref()
        .filter(|number| !number.is_empty())
        .map(plan::format);
    changed.phone_numbers_formatted = changed
        .phone_numbers
        .iter()
        .map(|number| plan::format(number))
        .collect();
    Ok(changed)
}

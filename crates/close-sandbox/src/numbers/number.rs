//! A rented number with what Close knows beside it, and the views that clients get. Knows no endpoint.

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use serde_json::{Map, Value, json};

use crate::events::Change;
use crate::json::{self, PhoneNumber};
use crate::settings::Epoch;
use crate::state::{Actor, World};

/// A number, rented or already released.
pub(crate) struct Number {
    pub(crate) wire: PhoneNumber,
    /// Monthly, in USD; shown once it is billed.
    pub(crate) price: f64,
    pub(crate) rented_at: Timestamp,
    pub(crate) released_at: Option<Timestamp>,
    /// `api` or `person`.
    pub(crate) made_by: &'static str,
    pub(crate) billed: bool,
}

impl Number {
    /// As the API shows it when it is read.
    pub(crate) fn view(&self, epoch: Epoch) -> Value {
        let mut shown = self.wire.clone();
        if shown.is_group_number && epoch >= Epoch::July2026 && shown.participant_groups.is_empty() {
            shown.user_id = match shown.participants.as_slice() {
                [only] => Some(only.clone()),
                _ => None,
            };
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
        view
    }

    /// As the rent answers it: nothing settled yet, and times without an offset.
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
        for unsettled in [
            "label",
            "carrier",
            "carrier_type",
            "last_billed_price",
            "next_billing_on",
        ] {
            fields.insert(unsettled.into(), Value::Null);
        }
        for time in ["date_created", "date_updated"] {
            let text = self.wire.date_created.trim_end_matches("+00:00");
            fields.insert(time.into(), text.into());
        }
        view
    }

    pub(crate) fn has_participant(&self, user_id: &str, world: &World) -> bool {
        let named = |ids: &[String]| ids.iter().any(|id| id == user_id);
        let in_group = |group_id: &String| {
            world
                .groups
                .iter()
                .any(|group| group.id == *group_id && named(&group.members))
        };
        named(&self.wire.participants)
            || (!self.wire.is_group_number && self.wire.user_id.as_deref() == Some(user_id))
            || self.wire.participant_groups.iter().any(in_group)
    }

    /// For the control route: the newest view and what clients never see.
    pub(crate) fn describe(&self) -> Value {
        let mut view = serde_json::to_value(&self.wire).expect("a phone number has string keys only");
        view["_control"] = json!({
            "state": if self.released_at.is_some() { "released" } else { "rented" },
            "made_by": self.made_by,
            "price": self.price,
            "rented_at": json::with_offset(self.rented_at),
            "released_at": self.released_at.map(json::with_offset),
        });
        view
    }
}

impl World {
    pub(crate) fn rented(&self, id: &str) -> Option<&Number> {
        self.numbers
            .iter()
            .find(|number| number.wire.id == id && number.released_at.is_none())
    }

    /// Puts a number into the organization, with its event unless nobody is to hear of it.
    pub(crate) fn add_number(&mut self, number: Number, actor: Option<&Actor>) {
        let id = number.wire.id.clone();
        let view = number.view(self.settings.epoch);
        self.numbers.push(number);
        if let Some(actor) = actor {
            self.emit(actor, Change::created("phone_number", id, view));
        }
    }

    /// Changes a rented number; an event tells what became different, unless nothing did or nobody is to hear.
    pub(crate) fn change_number(
        &mut self,
        id: &str,
        actor: Option<&Actor>,
        change: impl FnOnce(&mut PhoneNumber),
    ) {
        let (epoch, now) = (self.settings.epoch, self.now());
        let found = self
            .numbers
            .iter_mut()
            .find(|number| number.wire.id == id && number.released_at.is_none());
        let Some(number) = found else { return };
        let (before, untouched) = (number.view(epoch), number.wire.clone());
        change(&mut number.wire);
        if number.wire == untouched {
            return;
        }
        if let Some(actor) = actor {
            number.wire.date_updated = json::with_offset(now);
            let after = number.view(epoch);
            self.emit(
                actor,
                Change::updated("phone_number", id.to_owned(), &before, after),
            );
        }
    }

    /// Gives a rented number back.
    pub(crate) fn release_number(&mut self, id: &str, actor: Option<&Actor>) {
        let (epoch, now) = (self.settings.epoch, self.now());
        let found = self
            .numbers
            .iter_mut()
            .find(|number| number.wire.id == id && number.released_at.is_none());
        let Some(number) = found else { return };
        number.released_at = Some(now);
        let before = number.view(epoch);
        if let Some(actor) = actor {
            self.emit(actor, Change::deleted("phone_number", id.to_owned(), before));
        }
    }

    /// Fills in price and next billing of numbers whose time has come.
    pub(crate) fn bill(&mut self) {
        let Some(delay) = self.settings.billing_delay else {
            return;
        };
        let now = self.now();
        let due: Vec<(String, f64, Timestamp)> = self
            .numbers
            .iter_mut()
            .filter(|number| {
                !number.billed && number.released_at.is_none() && has_passed(number.rented_at, delay, now)
            })
            .map(|number| {
                number.billed = true;
                (number.wire.id.clone(), number.price, number.rented_at)
            })
            .collect();
        for (id, price, rented_at) in due {
            let actor = self.settings.billing_emits_event.then(Actor::default);
            self.change_number(&id, actor.as_ref(), |wire| {
                wire.last_billed_price = wire.last_billed_price.or(Some(price));
                wire.next_billing_on = wire
                    .next_billing_on
                    .take()
                    .or_else(|| Some(month_after(rented_at)));
            });
        }
    }
}

/// Whether so much time has gone by since then.
pub(crate) fn has_passed(since: Timestamp, delay: std::time::Duration, now: Timestamp) -> bool {
    delay.is_zero() || now.duration_since(since).unsigned_abs() >= delay && now >= since
}

/// Midnight UTC a month later.
fn month_after(at: Timestamp) -> String {
    let date = TimeZone::UTC.to_datetime(at).date();
    let next = date.checked_add(1.month()).unwrap_or(date);
    format!("{next}T00:00:00+00:00")
}

/// Lays a patch over a number, fields that nobody knows included.
pub(crate) fn overlay(
    wire: &PhoneNumber,
    patch: Map<String, Value>,
) -> Result<PhoneNumber, serde_json::Error> {
    let mut value = serde_json::to_value(wire)?;
    if let Some(fields) = value.as_object_mut() {
        fields.extend(patch);
    }
    let mut changed: PhoneNumber = serde_json::from_value(value)?;
    changed.forward_to_formatted = changed
        .forward_to
        .as_deref()
        .filter(|number| !number.is_empty())
        .map(crate::numbers::plan::format);
    changed.phone_numbers_formatted = changed
        .phone_numbers
        .iter()
        .map(|number| crate::numbers::plan::format(number))
        .collect();
    Ok(changed)
}

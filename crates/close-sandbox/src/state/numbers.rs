//! Changes to the organization's phone numbers, with their events.

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use serde_json::{Map, Value};

use super::State;
use crate::events::{Actor, Change};
use crate::numbers::number::{Number, PhoneNumber};
use crate::time::{has_elapsed, with_offset};

impl State {
    /// The number with this id, unless it was released.
    pub(crate) fn rented(&self, id: &str) -> Option<&Number> {
        self.numbers
            .iter()
            .find(|number| number.data.id == id && number.released_at.is_none())
    }

    /// Adds a number. Writes a `created` event if there is an actor.
    pub(crate) fn add_number(&mut self, number: Number, actor: Option<&Actor>) {
        let id = number.data.id.clone();
        let view = number.view(self.settings.epoch);
        self.numbers.push(number);
        if let Some(actor) = actor {
            self.emit(actor, Change::created("phone_number", id, view));
        }
    }

    /// Changes a rented number. Writes an `updated` event if there is an actor and something changed.
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
            .find(|number| number.data.id == id && number.released_at.is_none());
        let Some(number) = found else { return };
        let (before, untouched) = (number.view(epoch), number.data.clone());
        change(&mut number.data);
        if number.data == untouched {
            return;
        }
        if let Some(actor) = actor {
            number.data.date_updated = with_offset(now);
            let after = number.view(epoch);
            self.emit(
                actor,
                Change::updated("phone_number", id.to_owned(), &before, after),
            );
        }
    }

    /// Makes clients see these members of a number instead of the real ones.
    pub(crate) fn show_number_as(&mut self, id: &str, shown: &Map<String, Value>) {
        for number in self.numbers.iter_mut().filter(|number| number.data.id == id) {
            number.shown.clone_from(shown);
        }
    }

    /// Releases a rented number. Writes a `deleted` event if there is an actor.
    pub(crate) fn release_number(&mut self, id: &str, actor: Option<&Actor>) {
        let (epoch, now) = (self.settings.epoch, self.now());
        let found = self
            .numbers
            .iter_mut()
            .find(|number| number.data.id == id && number.released_at.is_none());
        let Some(number) = found else { return };
        number.released_at = Some(now);
        let before = number.view(epoch);
        if let Some(actor) = actor {
            self.emit(actor, Change::deleted("phone_number", id.to_owned(), before));
        }
    }

    /// Sets price and next billing date of the numbers whose billing delay has elapsed.
    pub(crate) fn bill(&mut self) {
        let Some(delay) = self.settings.billing_delay else {
            return;
        };
        let now = self.now();
        let due: Vec<(String, f64, Timestamp)> = self
            .numbers
            .iter_mut()
            .filter(|number| {
                !number.billed && number.released_at.is_none() && has_elapsed(number.rented_at, delay, now)
            })
            .map(|number| {
                number.billed = true;
                (number.data.id.clone(), number.price, number.rented_at)
            })
            .collect();
        for (id, price, rented_at) in due {
            let actor = self.settings.billing_emits_event.then(Actor::default);
            self.change_number(&id, actor.as_ref(), |data| {
                data.last_billed_price = data.last_billed_price.or(Some(price));
                data.next_billing_on = data
                    .next_billing_on
                    .take()
                    .or_else(|| Some(month_after(rented_at)));
            });
        }
    }
}

/// Midnight UTC of the same day one month later.
fn month_after(at: Timestamp) -> String {
    let date = TimeZone::UTC.to_datetime(at).date();
    let next = date.checked_add(1.month()).unwrap_or(date);
    format!("{next}T00:00:00+00:00")
}

//! Finds out what a queued order waits for, and its position in the queue.
//!
//! The service computes this whenever it reads a queued order. The database knows unknown outcomes and planned
//! attempts, so every replica names them, also after a restart. An open circuit breaker and a rejected API key come
//! second: only this process knows them, and they are true for the orders that it would send.

use std::time::Duration;

use crate::desk::orders::Orders;
use crate::desk::orders::order_with_number::{OrderWithNumber, QueueStatus};
use crate::domain::country::Country;
use crate::domain::order::{Order, State};
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::CountryStatus;

/// Why this process sends no order now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    /// Close does not accept the API key.
    KeyRefused,
    /// Close does not respond.
    CloseSilent,
}

impl Orders {
    /// Adds the queue status to the orders that are queued. Costs two queries if there is one.
    pub(in crate::desk::orders) async fn add_queue_status(
        &self,
        rows: &mut [OrderWithNumber],
    ) -> Result<(), Error> {
        let queued: Vec<&Order> = rows
            .iter()
            .map(|row| &row.order)
            .filter(|order| order.state == State::Queued)
            .collect();
        if queued.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = queued.iter().map(|order| &order.id).collect();
        let mut countries: Vec<Country> = queued.iter().map(|order| order.request.country).collect();
        countries.sort_unstable();
        countries.dedup();
        let now = self.core.now();
        let positions = self.core.store.queue_positions(&ids, &countries).await?;
        let countries = self.core.store.country_status(&countries, now).await?;
        let pause = self.pause_of_sending();
        let hold = self.holds.reason().await?;
        for row in rows.iter_mut().filter(|row| row.order.state == State::Queued) {
            let order = &row.order;
            let country = countries.get(&order.request.country);
            row.queue = Some(QueueStatus {
                reason: hold.as_ref().map_or_else(
                    || reason(order, country, pause, self.core.settings.settle_after, now),
                    |hold| format!("all orders are on hold until a person ends the hold: {hold}"),
                ),
                position: positions.get(&order.id).copied(),
            });
        }
        Ok(())
    }

    fn pause_of_sending(&self) -> Option<Pause> {
        if self.key_refused.is_active(self.core.clock.steady()) {
            Some(Pause::KeyRefused)
        } else if self.core.close.circuit_open() {
            Some(Pause::CloseSilent)
        } else {
            None
        }
    }
}

/// Returns what the order waits for; of several reasons, the one that usually lasts longest.
fn reason(
    order: &Order,
    country: Option<&CountryStatus>,
    pause: Option<Pause>,
    settle_after: Duration,
    now: Timestamp,
) -> String {
    let name = order.request.country;
    if let Some(held) = country.filter(|country| !country.unverified.is_empty()) {
        let until = expected_end(&held.unverified, settle_after, now).map_or_else(String::new, |end| {
            format!(", which is expected at about {}", end.in_words())
        });
        return format!(
            "the outcome of an earlier order in {name} is unknown, and Numberdesk sends no other order of this \
             country until it knows the outcome{until}"
        );
    }
    let again = order.not_before.filter(|time| *time > now);
    let is_occupied = country.is_some_and(|country| {
        let own = order.shape();
        country.sending.iter().any(|shape| *shape != own)
    });
    match (&order.reason, again, pause) {
        (Some(last), Some(again), _) => {
            format!(
                "{last}; Numberdesk sends the order again at about {}",
                again.in_words()
            )
        }
        (_, _, Some(Pause::KeyRefused)) => {
            "Close does not accept the API key of the service; Numberdesk sends the order once it does"
                .to_owned()
        }
        (_, _, Some(Pause::CloseSilent)) => {
            "Close does not respond; Numberdesk sends the order once it does".to_owned()
        }
        _ if is_occupied => {
            format!("its turn: Numberdesk is sending a different order in {name}, and this one after it")
        }
        (Some(last), None, None) => format!("{last}; Numberdesk is about to send the order again"),
        _ => "its turn".to_owned(),
    }
}

/// The time when all unknown outcomes are expected to be known; `None` if that cannot be estimated.
///
/// Close must show no number for `settle_after` before an order counts as not rented. A number is found sooner.
fn expected_end(
    unverified: &[Option<Timestamp>],
    settle_after: Duration,
    now: Timestamp,
) -> Option<Timestamp> {
    let ends: Option<Vec<Timestamp>> = unverified
        .iter()
        .map(|since| since.map(|since| since.plus(settle_after)))
        .collect();
    ends?.into_iter().max().filter(|end| *end > now)
}

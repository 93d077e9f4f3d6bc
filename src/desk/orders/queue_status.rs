//! Finds out what a queued order waits for, and its position in the queue.
//!
//! The service computes this whenever it reads a queued order. The database knows unknown outcomes and planned
//! attempts, so every replica names them, also after a restart. An open circuit breaker, a rejected API key and
//! a rate limit that is used up come second: only this process knows them, and they are true for the orders that it
//! would send.

use std::time::Duration;

use crate::desk::orders::Orders;
use crate::desk::orders::order_with_number::{OrderWithNumber, QueueStatus};
use crate::domain::country::Country;
use crate::domain::order::overlap::Footprint;
use crate::domain::order::turn::{Open, Progress, Wait, blocked_by};
use crate::domain::order::{Order, State};
use crate::domain::phone::sharing_calling_code;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::UnsettledOrder;

/// Why this process sends no order now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    /// Close does not accept the API key.
    KeyRefused,
    /// Close does not respond.
    CloseSilent,
    /// Close's rate limit is used up until then.
    Limited(Timestamp),
    /// Close's event log was not searched yet for calls that the database does not know.
    NotSearched,
}

/// The durations that tell until when an order waits.
#[derive(Debug, Clone, Copy)]
struct Times {
    now: Timestamp,
    settle_after: Duration,
    deadline: Duration,
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
        // Close may list a number of one country in another one with the same calling code.
        let mut sharing: Vec<Country> = countries.into_iter().flat_map(sharing_calling_code).collect();
        sharing.sort_unstable();
        sharing.dedup();
        let unsettled = self.core.store.unsettled_orders(&sharing).await?;
        let open: Vec<(&UnsettledOrder, Open)> = unsettled
            .iter()
            .filter_map(|order| Some((order, order.as_open(now)?)))
            .collect();
        let times = Times {
            now,
            settle_after: self.core.settings.settle_after,
            deadline: self.core.settings.deadline,
        };
        let pause = self.pause_of_sending();
        let hold = self.holds.reason().await?;
        for row in rows.iter_mut().filter(|row| row.order.state == State::Queued) {
            row.queue = Some(QueueStatus {
                reason: hold.as_ref().map_or_else(
                    || reason(&row.order, &open, pause, times),
                    |hold| format!("all orders are on hold until a person ends the hold: {hold}"),
                ),
                position: positions.get(&row.order.id).copied(),
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
            let limited = self.core.close.rent_limited_until().map(Pause::Limited);
            limited.or_else(|| self.holds.awaits_search().then_some(Pause::NotSearched))
        }
    }
}

/// Returns what the order waits for; of several reasons, the one that usually lasts longest.
fn reason(order: &Order, open: &[(&UnsettledOrder, Open)], pause: Option<Pause>, times: Times) -> String {
    let name = order.request.country;
    let footprint = Footprint::of(order);
    let all: Vec<Open> = open.iter().map(|(_, open)| open.clone()).collect();
    let wait = blocked_by(&footprint, &all);
    let overlapping = || {
        open.iter()
            .filter(|(_, other)| other.footprint.overlaps(&footprint))
    };
    if wait == Some(Wait::Doubts) {
        let in_doubt: Vec<&Order> = overlapping()
            .filter(|(_, other)| other.progress != Progress::Sending)
            .map(|(unsettled, _)| &unsettled.order)
            .collect();
        let until = expected_end(&in_doubt, times).map_or_else(String::new, |end| {
            format!(", which is expected at about {}", end.in_words())
        });
        return format!(
            "the outcomes of {} earlier orders in {name} are unknown, and Numberdesk sends no other order that could \
             get the same number until at most one outcome is unknown{until}",
            in_doubt.len()
        );
    }
    let again = order.not_before.filter(|time| *time > times.now);
    match (&order.reason, again, pause, wait) {
        (Some(last), Some(again), _, _) => {
            format!(
                "{last}; Numberdesk sends the order again at about {}",
                again.in_words()
            )
        }
        (_, _, Some(Pause::KeyRefused), _) => {
            "Close does not accept the API key of the service; Numberdesk sends the order once it does"
                .to_owned()
        }
        (_, _, Some(Pause::CloseSilent), _) => {
            "Close does not respond; Numberdesk sends the order once it does".to_owned()
        }
        (_, _, Some(Pause::Limited(until)), _) => format!(
            "Close's rate limit is used up; Numberdesk sends orders again at about {}",
            until.in_words()
        ),
        (None, _, Some(Pause::NotSearched), _) => {
            "Numberdesk has just started, and sends orders once it has read Close's event log".to_owned()
        }
        (_, _, _, Some(Wait::Look)) => format!(
            "its turn: Numberdesk is finding out the outcome of an earlier order in {name}, and sends this one after \
             that, at about {}",
            times.now.plus(LOOK).in_words()
        ),
        (_, _, _, Some(Wait::Calls | Wait::Turn | Wait::Doubts)) => {
            let sending = open
                .iter()
                .filter(|(_, other)| other.progress == Progress::Sending);
            let began = sending.filter_map(|(unsettled, _)| unsettled.order.sent_at).max();
            let until = began.unwrap_or(times.now).plus(times.deadline).max(times.now);
            format!(
                "its turn: Numberdesk is sending a different order in {name}, which ends at about {} at the latest, and \
                 this one after it",
                until.in_words()
            )
        }
        (Some(last), None, None | Some(Pause::NotSearched), None) => {
            format!("{last}; Numberdesk is about to send the order again")
        }
        _ => {
            "its turn: Numberdesk sends it as soon as earlier orders and Close's rate limit allow".to_owned()
        }
    }
}

/// How long a look usually takes.
const LOOK: Duration = Duration::from_secs(10);

/// The time when at most one outcome is expected to be unknown; `None` if that cannot be estimated.
///
/// Close must show no number for `settle_after` before an order counts as not rented. A number is found sooner.
fn expected_end(in_doubt: &[&Order], times: Times) -> Option<Timestamp> {
    let mut ends: Vec<Timestamp> = in_doubt
        .iter()
        .filter_map(|order| Some(order.absent_since?.plus(times.settle_after)))
        .collect();
    ends.sort_unstable();
    let needed = in_doubt.len().checked_sub(2)?;
    ends.get(needed).copied().filter(|end| *end > times.now)
}

//! Dispatches an order: claims it, makes the one paid call, and interprets Close's answer.
//!
//! The claim is durable before the call, with a lease that outlasts the call's deadline. If the process dies before it
//! writes the outcome, the lease lapses and [`recover`](super::recover) marks the order as unverified. So no order is
//! sent twice.

use std::time::Duration;

use crate::close::{RentHold, RentOutcome, RentPermit};
use crate::desk::orders::Orders;
use crate::desk::orders::settle::WRITE_BACKOFF;
use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::backoff::Backoff;
use crate::domain::id::OrderId;
use crate::domain::order::transition::Settlement;
use crate::domain::order::{Evidence, Order};
use crate::domain::team::Team;
use crate::domain::time::Timestamp;
use crate::error::{Error, chain};
use crate::failpoint;
use crate::store::{Claim, Observation, SendTime};
use crate::telemetry::context;
use crate::telemetry::metrics::{CLOSE_FORBIDDEN_TOTAL, CLOSE_UNAUTHORIZED_TOTAL};

/// How long no order is sent after Close refused the API key, because Close counts refused calls too.
const KEY_PAUSE: Duration = Duration::from_secs(15);

/// The time within which refused orders count.
const REFUSALS: Duration = Duration::from_hours(1);

/// Pauses between attempts to send an order that Close did not execute.
const SEND_BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(1));

impl Orders {
    /// Starts dispatching on a task of its own, which outlives the request.
    ///
    /// Does nothing once the process is stopping: the order is safe in the queue.
    pub(in crate::desk::orders) fn start_dispatch(&self, id: OrderId, team: Team) {
        if self.core.tasks.stop.is_cancelled() {
            return;
        }
        let Some(in_flight) = self.changes.in_flight.begin(&id) else {
            return;
        };
        let orders = self.clone();
        self.core.tasks.tracker.spawn(context::inherit(async move {
            if let Err(error) = Box::pin(orders.dispatch(&id, &team)).await {
                tracing::warn!(order_id = %id, %team, error = chain(&error), "order dispatch failed");
            }
            drop(in_flight);
        }));
    }

    /// Sends a queued order to Close, once.
    ///
    /// Does nothing if the order is no longer queued, or must wait for other orders.
    async fn dispatch(&self, id: &OrderId, team: &Team) -> Result<(), Error> {
        // The task waits before the claim, so that no lease runs meanwhile.
        let Some(slot) = self.queue.acquire(team).await else {
            return Ok(());
        };
        if !self.holds.permits_calls().await? {
            return Ok(());
        }
        let Some(permit) = self.admit().await else {
            return Ok(());
        };
        let (now, began) = (self.core.now(), self.core.clock.elapsed());
        if self.postpone_after_refusals(id, team, now).await? {
            return Ok(());
        }
        let lease = self.core.settings.deadline + self.core.settings.lease_margin;
        let row = AuditRow::new(now, Actor::desk(), Action::OrderSend, "renting").order(id);
        // Unique to this claim, so that reverting it cannot touch another one.
        let holder = format!("{}/{}", self.core.tasks.process, row.id);
        let at = SendTime {
            now,
            close_after: Some(self.account.close_not_before()),
        };
        let claimed = match self.core.store.claim_order(id, &holder, at, lease, &row).await {
            Ok(claimed) => claimed,
            Err(error) => {
                self.revert_claim(id, &holder).await;
                return Err(error);
            }
        };
        let order = match claimed {
            Claim::Claimed(order) => order,
            Claim::Unavailable => return Ok(()),
            Claim::Waiting(wait) => {
                tracing::debug!(order_id = %id, ?wait, "order dispatch deferred: the order waits for others");
                return Ok(());
            }
            Claim::NotAsApproved(order) => return self.cancel_altered(order).await,
        };
        failpoint::reached("claim.done");
        // The claim is durable. If writing it took so long that the lease could end during the call, nothing is sent.
        let took = self.core.clock.elapsed().saturating_sub(began);
        let lease_at_risk = took > self.core.settings.lease_margin / 2;
        let (settlement, found) = if lease_at_risk {
            let reason = "the database was too slow, so the order was not sent yet".to_owned();
            (
                Settlement::Requeued {
                    not_before: self.core.now(),
                    reason,
                },
                None,
            )
        } else {
            if let Some(field) = self.core.close.retired_field(&order.request) {
                tracing::info!(order_id = %id, field, "order sent without a field that Close has retired");
            }
            let answer = self.core.close.rent(&order.request, &order.terms).await;
            drop(permit);
            failpoint::reached("send.answered");
            self.interpret(&order, answer)
        };
        let settled = self.record_outcome(&order, settlement, found).await;
        // The next order does not wait for the label of this one.
        drop(slot);
        if let Some(settled) = settled {
            self.announce_settled(&settled).await;
        }
        Ok(())
    }

    /// Permits one paid call, if the service may make one now. Asked before the claim: an order that could not be sent
    /// is not claimed.
    async fn admit(&self) -> Option<RentPermit> {
        if self.core.tasks.stop.is_cancelled() || self.key_refused.is_active(self.core.clock.steady()) {
            return None;
        }
        match self.core.close.admit_rent().await {
            Ok(permit) => Some(permit),
            Err(RentHold::Limited(until)) => {
                self.wake_queue_at(until);
                None
            }
            // The queue is looked at again when a call ends, and every second.
            Err(RentHold::CallsInProgress | RentHold::CircuitOpen) => None,
        }
    }

    /// Postpones an order that was accepted before too many orders of its team were refused.
    async fn postpone_after_refusals(
        &self,
        id: &OrderId,
        team: &Team,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let Some(max) = self.core.policy.load().caps(team).max_refused_per_hour else {
            return Ok(false);
        };
        let (refused, first) = self.core.store.refused_last_hour(team, now).await?;
        let Some(first) = first.filter(|_| refused >= max) else {
            return Ok(false);
        };
        let reason =
            format!("{refused} orders of the team were refused within an hour, and the limit is {max}");
        let until = first.plus(REFUSALS);
        self.core.store.postpone_order(id, until, &reason).await?;
        tracing::warn!(order_id = %id, %team, reason, "order postponed");
        self.changes.notify(id);
        Ok(true)
    }

    /// Wakes the queue at the reset of a rate limit.
    pub(in crate::desk::orders) fn wake_queue_at(&self, until: Timestamp) {
        let now = self.core.now();
        if self.wake.is_active(now) {
            return;
        }
        self.wake.start(until);
        let core = self.core.clone();
        // Not tracked: it loses nothing when the process stops.
        tokio::spawn(async move {
            tokio::select! {
                () = core.tasks.stop.cancelled() => {}
                () = tokio::time::sleep(until.since(now)) => core.signals.queue.notify_one(),
            }
        });
    }

    /// Puts the order back into the queue after a failed claim, which the database may have committed.
    ///
    /// Nothing was sent under this claim.
    async fn revert_claim(&self, id: &OrderId, holder: &str) {
        let mut backoff = WRITE_BACKOFF;
        loop {
            let row = AuditRow::new(self.core.now(), Actor::desk(), Action::OrderSend, "queued").order(id);
            match self.core.store.unclaim_order(id, holder, &row).await {
                Ok(_) | Err(Error::Internal(_)) => return,
                Err(_) => tokio::time::sleep(backoff.next_pause()).await,
            }
        }
    }

    /// Converts Close's answer to the settlement of the order, and to the number if Close rented one.
    fn interpret(&self, order: &Order, answer: RentOutcome) -> (Settlement, Option<Observation>) {
        match answer {
            RentOutcome::Rented(facts) => {
                let phone_number_id = facts.id.clone();
                let mut seen = self.core.observation(*facts, self.core.now());
                seen.estimate = Some(order.terms.monthly);
                self.account.set_status("ok");
                (
                    Settlement::Fulfilled {
                        phone_number_id,
                        evidence: Evidence::Close201,
                    },
                    Some(seen),
                )
            }
            RentOutcome::Refused {
                close_status,
                reason,
                close_errors,
                forbidden,
            } => {
                if forbidden {
                    tracing::error!(
                        order_id = %order.id,
                        "order refused: the API key's user lacks Close's permission to rent"
                    );
                    metrics::counter!(CLOSE_FORBIDDEN_TOTAL).increment(1);
                    self.account
                        .set_status("renting is forbidden: the API key's user lacks a permission");
                }
                // Close sends no status word with field errors.
                let close_status = Some(close_status.unwrap_or_else(|| "error".to_owned()));
                let evidence = Evidence::CloseRefusal;
                (
                    Settlement::Refused {
                        close_status,
                        reason,
                        close_errors,
                        evidence,
                    },
                    None,
                )
            }
            // Close executed nothing, and the next call differs. It has a claim of its own, as each paid call does.
            RentOutcome::OtherFields { reason } => {
                tracing::warn!(order_id = %order.id, reason, "order requeued; it is sent again with other fields");
                (
                    Settlement::Requeued {
                        not_before: self.core.now(),
                        reason: format!("{reason}; the order is sent again with other fields"),
                    },
                    None,
                )
            }
            RentOutcome::NotSent { reason } => {
                let reason = format!("Close could not be reached: {reason}");
                (self.retry_later(order, reason), None)
            }
            RentOutcome::RateLimited { until } => (
                Settlement::Requeued {
                    not_before: until,
                    reason: "Close's rate limit is used up".into(),
                },
                None,
            ),
            RentOutcome::Unauthorized => {
                tracing::error!(order_id = %order.id, "order requeued: Close does not accept the API key");
                metrics::counter!(CLOSE_UNAUTHORIZED_TOTAL).increment(1);
                self.account.set_status("the API key is not accepted");
                self.key_refused.start(self.core.clock.steady().plus(KEY_PAUSE));
                (
                    self.retry_later(order, "Close does not accept the API key of the service".into()),
                    None,
                )
            }
            RentOutcome::Unknown { reason } => {
                tracing::warn!(
                    order_id = %order.id,
                    reason,
                    "order unverified: it is unknown whether Close rented a number"
                );
                (Settlement::Unverified { reason }, None)
            }
        }
    }

    fn retry_later(&self, order: &Order, reason: String) -> Settlement {
        let attempts = u32::try_from(order.attempt.max(1)).unwrap_or(u32::MAX);
        Settlement::Requeued {
            not_before: self.core.now().plus(SEND_BACKOFF.pause_after(attempts)),
            reason,
        }
    }
}

//! Sending an order: claim it, make the one paid call, and write down what is known of its outcome.

use std::time::Duration;

use serde_json::json;

use crate::close::RentAnswer;
use crate::desk::Desk;
use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::backoff::Backoff;
use crate::domain::caller::{Scope, Team};
use crate::domain::id::{OrderId, RequestId};
use crate::domain::order::transition::Settlement;
use crate::domain::order::{Evidence, Order, State};
use crate::error::{Error, chain};
use crate::failpoint;
use crate::store::{Claim, Observation};
use crate::telemetry::context;
use crate::telemetry::metrics::{CLOSE_FORBIDDEN_TOTAL, CLOSE_UNAUTHORIZED_TOTAL, ORDERS_SETTLED_TOTAL};

/// After Close refused the key, no order is sent for so long: it counts refusals, too.
const KEY_PAUSE: Duration = Duration::from_secs(15);
/// Pauses between attempts to send an order that Close did not execute.
const SEND_BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(1));
/// Pauses between attempts to write an outcome to a database that does not answer.
const WRITE_BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));

impl Desk {
    /// Begins the send on a task of its own, which outlives the request. Not once the process is to stop: the order
    /// is safe in the queue.
    pub(in crate::desk) fn start(&self, id: OrderId, team: Team) {
        if self.0.stop.is_cancelled() {
            return;
        }
        let Some(turn) = self.0.turns.take(&id) else {
            return;
        };
        let desk = self.clone();
        self.0.tracker.spawn(context::inherit(async move {
            if let Err(error) = desk.send(&id, &team).await {
                tracing::warn!(order = %id, error = chain(&error), "the order could not be sent yet");
            }
            drop(turn);
        }));
    }

    /// Sends a queued order to Close, once. Nothing happens when it is not queued any more, or must wait because
    /// another order of its country is unverified.
    async fn send(&self, id: &OrderId, team: &Team) -> Result<(), Error> {
        // Waited for before the claim, so that no lease runs meanwhile.
        let Some(_share) = self.0.sends.take(team).await else {
            return Ok(());
        };
        if self.0.stop.is_cancelled() || self.0.key_refused.hold(self.now()) || self.0.close.is_away() {
            return Ok(());
        }
        let now = self.now();
        let lease = self.0.settings.deadline + self.0.settings.lease_margin;
        let row = AuditRow::new(now, Actor::desk(), Action::OrderSend, "renting").order(id);
        // This claim's alone, so that it can be taken back without touching another one.
        let holder = format!("{}/{}", self.0.holder, row.id);
        let claimed = match self.0.store.claim_order(id, &holder, now, lease, &row).await {
            Ok(claimed) => claimed,
            Err(error) => {
                self.unclaim(id, &holder).await;
                return Err(error);
            }
        };
        let order = match claimed {
            Claim::Claimed(order) => order,
            Claim::Unavailable => return Ok(()),
            Claim::Occupied => {
                tracing::debug!(order = %id, "the order waits: others of its country are being sent");
                return Ok(());
            }
            Claim::Frozen => {
                tracing::info!(order = %id, "the order waits: another one of its country is unverified");
                return Ok(());
            }
            Claim::NotAsApproved(order) => return self.call_off(order).await,
        };
        failpoint::reached("claim.done");
        // The claim is on disk. If writing it took so long that the lease could end during the call, nothing is sent.
        let late = self.now().since(now) > self.0.settings.lease_margin / 2;
        let (settlement, found) = if late {
            let reason = "the database was slow to confirm the claim".to_owned();
            (
                Settlement::Requeued {
                    not_before: self.now(),
                    reason,
                },
                None,
            )
        } else {
            let answer = self.0.close.rent(&order.request, &order.terms).await;
            failpoint::reached("send.answered");
            self.understand(&order, answer)
        };
        self.settle(&order, settlement, found).await;
        Ok(())
    }

    /// The claim may or may not have been written; for certain nothing was sent under it.
    async fn unclaim(&self, id: &OrderId, holder: &str) {
        let mut backoff = WRITE_BACKOFF;
        loop {
            let row = AuditRow::new(self.now(), Actor::desk(), Action::OrderSend, "queued").order(id);
            match self.0.store.unclaim_order(id, holder, &row).await {
                Ok(_) | Err(Error::Internal(_)) => return,
                Err(_) => tokio::time::sleep(backoff.next_pause()).await,
            }
        }
    }

    /// Writes the outcome down, however long that takes: Close has acted already. Dying meanwhile leaves a lapsed
    /// lease, which is found again.
    async fn settle(&self, order: &Order, settlement: Settlement, found: Option<Observation>) {
        let mut backoff = WRITE_BACKOFF;
        loop {
            let error = match self
                .settle_answer(order, settlement.clone(), found.as_ref())
                .await
            {
                Ok(()) => return,
                Err(error) => error,
            };
            // Books that contradict themselves do so again: the lease lapses, the order becomes unverified, and its
            // reservation stays.
            if matches!(error, Error::Internal(_)) {
                tracing::error!(order = %order.id, ?settlement, error = chain(&error), "the outcome can't be written");
                return;
            }
            tracing::error!(order = %order.id, ?settlement, error = chain(&error), "the outcome is not written yet");
            tokio::time::sleep(backoff.next_pause()).await;
        }
    }

    async fn settle_answer(
        &self,
        order: &Order,
        settlement: Settlement,
        found: Option<&Observation>,
    ) -> Result<(), Error> {
        let row = self.settlement_row(order, Actor::desk(), None);
        if self.settle_once(order, settlement.clone(), found, row).await? {
            return Ok(());
        }
        self.compare_notes(order, &settlement, found).await
    }

    /// The audit row of a settlement, but for what it says of the outcome.
    pub(in crate::desk) fn settlement_row(
        &self,
        order: &Order,
        who: Actor,
        request: Option<&RequestId>,
    ) -> AuditRow {
        AuditRow::new(self.now(), who, Action::OrderSettle, "")
            .team(Some(&order.team))
            .order(&order.id)
            .request(request)
    }

    /// Writes the outcome down once, and tells who waits for it. `false`: it was settled before, or its number is
    /// another order's.
    pub(in crate::desk) async fn settle_once(
        &self,
        order: &Order,
        settlement: Settlement,
        found: Option<&Observation>,
        row: AuditRow,
    ) -> Result<bool, Error> {
        let order = order
            .clone()
            .settled(settlement, row.at)
            .map_err(|wrong| Error::Internal(wrong.into()))?;
        let detail =
            json!({ "evidence": order.evidence, "close_status": order.close_status, "reason": order.reason });
        let mut row = row.then(row.at, order.state.as_str()).detail(detail);
        if let Some(number) = &order.phone_number_id {
            row = row.number(number);
        }
        if !self.0.store.settle_order(&order, found, &row).await? {
            return Ok(false);
        }
        let country = order.request.country.to_string();
        metrics::counter!(ORDERS_SETTLED_TOTAL, "state" => order.state.as_str(), "country" => country)
            .increment(1);
        tracing::info!(order = %order.id, team = %order.team, state = order.state.as_str(), "order settled");
        if order.state == State::Unverified {
            self.0.wakes.doubt.notify_one();
        } else {
            // Its country may be free for others now.
            self.0.wakes.queue.notify_one();
        }
        if order.phone_number_id.is_some() && order.request.label.is_some() {
            // Close is usually quick, so the first answer can carry the label; if not, it is set later.
            let _ = tokio::time::timeout(Duration::from_secs(3), self.label(&order)).await;
        }
        let _ = self.0.changed.send(order.id);
        Ok(true)
    }

    /// The answer came to an order that was settled before: by this very outcome, whose commit was not confirmed; by
    /// whoever took its lapsed lease for a dead sender's; or its number went to an order that is interchangeable.
    async fn compare_notes(
        &self,
        order: &Order,
        settlement: &Settlement,
        found: Option<&Observation>,
    ) -> Result<(), Error> {
        let scope = Scope::Teams(vec![order.team.clone()]);
        let written = self.0.store.order(&scope, &order.id).await?;
        let Settlement::Fulfilled { phone_number_id, .. } = settlement else {
            tracing::warn!(order = %order.id, ?settlement, "the order was settled otherwise before this answer came");
            return Ok(());
        };
        if written.is_some_and(|written| written.phone_number_id.as_ref() == Some(phone_number_id)) {
            return Ok(());
        }
        tracing::error!(order = %order.id, number = %phone_number_id, "the order was settled otherwise before its number came");
        if let Some(found) = found {
            self.0
                .store
                .insert_if_unknown(std::slice::from_ref(found))
                .await?;
        }
        self.name_late(phone_number_id, order, None).await.map(drop)
    }

    /// What Close's answer means for the order, and the number if there is one.
    fn understand(&self, order: &Order, answer: RentAnswer) -> (Settlement, Option<Observation>) {
        match answer {
            RentAnswer::Rented(facts) => {
                let phone_number_id = facts.id.clone();
                let mut seen = self.observation(*facts, self.now());
                seen.estimate = Some(order.terms.monthly);
                self.close_is("ok");
                (
                    Settlement::Fulfilled {
                        phone_number_id,
                        evidence: Evidence::Close201,
                    },
                    Some(seen),
                )
            }
            RentAnswer::Refused {
                close_status,
                reason,
                close_errors,
                forbidden,
            } => {
                if forbidden {
                    tracing::error!(order = %order.id, "Close forbids renting: the API key's user lacks a permission");
                    metrics::counter!(CLOSE_FORBIDDEN_TOTAL).increment(1);
                    self.close_is("renting is forbidden: the API key's user lacks a permission");
                }
                let close_status = Some(close_status.unwrap_or_else(crate::desk::no_word));
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
            RentAnswer::NotSent { reason } => (self.again(order, reason), None),
            RentAnswer::RateLimited { until } => (
                Settlement::Requeued {
                    not_before: until,
                    reason: "Close's rate limit is used up".into(),
                },
                None,
            ),
            RentAnswer::Unauthorized => {
                tracing::error!(order = %order.id, "Close does not accept the API key; orders wait");
                metrics::counter!(CLOSE_UNAUTHORIZED_TOTAL).increment(1);
                self.close_is("the API key is not accepted");
                self.0.key_refused.until(self.now().plus(KEY_PAUSE));
                (
                    self.again(order, "Close does not accept the desk's API key".into()),
                    None,
                )
            }
            RentAnswer::Unknown { reason } => {
                tracing::warn!(order = %order.id, reason, "nobody knows whether Close rented a number");
                (Settlement::Unverified { reason }, None)
            }
        }
    }

    fn again(&self, order: &Order, reason: String) -> Settlement {
        let attempts = u32::try_from(order.attempt.max(1)).unwrap_or(u32::MAX);
        Settlement::Requeued {
            not_before: self.now().plus(SEND_BACKOFF.pause_after(attempts)),
            reason,
        }
    }
}

//! Sending an order: claim it, make the one paid call, and write down what is known of its outcome.

use std::time::Duration;

use serde_json::json;

use super::Desk;
use crate::close::RentAnswer;
use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::caller::Scope;
use crate::domain::id::OrderId;
use crate::domain::order::{Evidence, Order, Settlement};
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::{Claim, Observation};

/// How much longer than the call's deadline the claim holds: time to write the outcome down.
const MARGIN: Duration = Duration::from_secs(30);

/// After Close refused the key, no order is sent for so long: it counts refusals, too.
const KEY_PAUSE: Duration = Duration::from_secs(15);

impl Desk {
    /// Begins the send on a task of its own, which outlives the request. Not once the process is to stop: the order
    /// is safe in the queue.
    pub(super) fn start(&self, id: OrderId) {
        if self.0.stop.is_cancelled() {
            return;
        }
        let desk = self.clone();
        self.0.tracker.spawn(async move {
            if let Err(error) = desk.send(&id).await {
                tracing::warn!(order = %id, error = &error as &dyn std::error::Error, "the order could not be sent yet");
            }
        });
    }

    /// Sends a queued order to Close, once. Nothing happens when it is not queued any more, or must wait because
    /// another order of its country is unverified.
    async fn send(&self, id: &OrderId) -> Result<(), Error> {
        let _turn = self.0.sends.acquire().await;
        if self.0.stop.is_cancelled() || self.0.key_refused.hold(self.now()) {
            return Ok(());
        }
        let now = self.now();
        let lease = self.0.settings.deadline + MARGIN;
        let row = AuditRow::new(now, Actor::desk(), Action::OrderSend, "renting").order(id);
        let order = match self.0.store.claim(id, &self.0.holder, now, lease, &row).await? {
            Claim::Claimed(order) => order,
            Claim::Elsewhere => return Ok(()),
            Claim::Frozen => {
                tracing::info!(order = %id, "the order waits: another one of its country is unverified");
                return Ok(());
            }
            Claim::Altered(order) => return self.call_off(order).await,
        };
        // The claim is on disk. If writing it took so long that the lease could end during the call, nothing is sent.
        let late = self.now().since(now) > MARGIN / 2;
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
            self.understand(&order, answer)
        };
        self.settle(&order, settlement, found).await;
        Ok(())
    }

    /// Writes the outcome down, however long that takes: Close has acted already. Dying meanwhile leaves a lapsed
    /// lease, which is found again.
    async fn settle(&self, order: &Order, settlement: Settlement, found: Option<Observation>) {
        let mut pause = Duration::from_millis(100);
        while let Err(error) = self.settle_once(order, settlement.clone(), found.as_ref()).await {
            // Books that contradict themselves do so again: the lease lapses, the order becomes unverified, and its
            // reservation stays.
            if matches!(error, Error::Internal(_)) {
                tracing::error!(order = %order.id, ?settlement, error = &error as &dyn std::error::Error, "the outcome can't be written");
                return;
            }
            tracing::error!(order = %order.id, ?settlement, error = &error as &dyn std::error::Error, "the outcome is not written yet");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }

    /// Writes the outcome down once, and tells who waits for it.
    pub(super) async fn settle_once(
        &self,
        order: &Order,
        settlement: Settlement,
        found: Option<&Observation>,
    ) -> Result<(), Error> {
        let now = self.now();
        let order = order
            .clone()
            .settled(settlement, now)
            .map_err(|wrong| Error::Internal(wrong.into()))?;
        let mut row = AuditRow::new(now, Actor::desk(), Action::OrderSettle, order.state.as_str())
            .team(Some(&order.team))
            .order(&order.id)
            .detail(json!({ "evidence": order.evidence, "close_status": order.close_status, "reason": order.reason }));
        if let Some(number) = &order.phone_number_id {
            row = row.number(number);
        }
        if !self.0.store.settle(&order, found, &row).await? {
            return self.compare_notes(&order).await;
        }
        metrics::counter!("numberdesk_orders_settled_total", "state" => order.state.as_str()).increment(1);
        tracing::info!(order = %order.id, team = %order.team, state = order.state.as_str(), "order settled");
        if order.phone_number_id.is_some() && order.request.label.is_some() {
            // Close is usually quick, so the first answer can carry the label; if not, it is set later.
            let _ = tokio::time::timeout(Duration::from_secs(3), self.label(&order)).await;
        }
        let _ = self.0.changed.send(order.id);
        Ok(())
    }

    /// The order was settled before: by this very outcome, whose commit was not confirmed, or by someone else.
    async fn compare_notes(&self, ours: &Order) -> Result<(), Error> {
        let written = self
            .0
            .store
            .order(&Scope::Teams(vec![ours.team.clone()]), &ours.id)
            .await?;
        let agrees = written.is_some_and(|written| {
            written.state == ours.state && written.phone_number_id == ours.phone_number_id
        });
        if !agrees {
            let number = ours.phone_number_id.as_ref().map(tracing::field::display);
            tracing::error!(order = %ours.id, state = ours.state.as_str(), number, "the order was settled otherwise before");
        }
        Ok(())
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
                    metrics::counter!("numberdesk_close_forbidden_total").increment(1);
                    self.close_is("renting is forbidden: the API key's user lacks a permission");
                }
                let close_status = Some(close_status.unwrap_or_else(super::no_word));
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
                metrics::counter!("numberdesk_close_unauthorized_total").increment(1);
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
        Settlement::Requeued {
            not_before: backoff(self.now(), order.attempt),
            reason,
        }
    }
}

/// One second after the first attempt, twice as long after each further one, a minute at most.
fn backoff(now: Timestamp, attempt: i64) -> Timestamp {
    let doublings = u32::try_from(attempt.clamp(1, 7) - 1).unwrap_or(0);
    now.plus(Duration::from_secs(1 << doublings).min(Duration::from_mins(1)))
}

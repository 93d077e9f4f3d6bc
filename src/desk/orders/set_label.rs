//! Sets the label that an order requested on its number.
//!
//! The service retries a failed update. A failure never changes the order.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::close::Error as CloseError;
use crate::desk::each::{CALLS, each};
use crate::desk::orders::Orders;
use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::id::{OrderId, PhoneNumberId};
use crate::domain::order::Order;
use crate::error::{Error, chain};

/// Labels set in one step.
const BATCH: u32 = 16;
/// How long no other replica sets a label after one has begun to set it.
const LEASE: Duration = Duration::from_mins(1);
/// The pause after a failure.
const RETRY: Duration = Duration::from_mins(5);

impl Orders {
    /// Labels the number of a fulfilled order. After a failure, [`Orders::set_labels`] tries again.
    pub(in crate::desk::orders) async fn label_new_number(&self, order: &Order) {
        if let (Some(number), Some(label)) = (&order.phone_number_id, &order.request.label)
            && let Err(error) = self.set_label(&order.id, number, label).await
        {
            tracing::debug!(
                order_id = %order.id,
                number_id = %number,
                error = chain(&error),
                "label update failed; a worker retries"
            );
        }
    }

    /// One step: labels every number that still lacks the label that its order requested.
    pub async fn set_labels(&self) -> Result<(), Error> {
        let due = self.core.store.labels_due(self.core.now(), BATCH).await?;
        each(due, CALLS, |(order, number, label)| async move {
            self.set_label(&order, &number, &label).await
        })
        .await
    }

    /// Sets the label on a task of its own: the claim of the number must outlast the call, even if nobody waits for it.
    async fn set_label(&self, order: &OrderId, number: &PhoneNumberId, label: &str) -> Result<(), Error> {
        let (orders, order, number, label) = (self.clone(), order.clone(), number.clone(), label.to_owned());
        let work = async move {
            // A change of the number is under way. It may set another label, which then replaces this one.
            let Some(claim) = orders.claims.try_claim(&number).await? else {
                return Ok(());
            };
            let done = orders.set_label_claimed(&order, &number, &label).await;
            claim.release().await;
            done
        };
        self.core.spawn_detached(work).await
    }

    /// Sets the label, if it is still to be set. The caller holds the claim of the number.
    async fn set_label_claimed(
        &self,
        order: &OrderId,
        number: &PhoneNumberId,
        label: &str,
    ) -> Result<(), Error> {
        let due_again = self.core.now().plus(LEASE);
        if !self.core.store.retry_label(order, due_again).await? {
            return Ok(());
        }
        let changes = Map::from_iter([("label".to_owned(), Value::from(label))]);
        let answer = self.core.close.update(number, &changes).await;
        let now = self.core.now();
        let row = |outcome: &str, detail: Value| {
            AuditRow::new(now, Actor::desk(), Action::NumberUpdate, outcome)
                .order(order)
                .number(number)
                .detail(detail)
        };
        match answer {
            Ok(facts) => {
                let row = row("updated", json!({ "changes": changes }));
                self.core
                    .store
                    .observe_change(&self.core.observation(facts, now), &row)
                    .await?;
                self.core.store.finish_label(order).await
            }
            Err(CloseError::NotFound) => self.core.store.finish_label(order).await,
            // Close would refuse the label again, so a person has to set one.
            Err(failure @ CloseError::Refused { .. }) => {
                tracing::warn!(
                    order_id = %order,
                    number_id = %number,
                    error = %failure,
                    "label update refused by Close"
                );
                let detail = json!({ "changes": changes, "close": failure.to_string() });
                self.core.store.record_audit(&row("refused", detail)).await?;
                self.core.store.finish_label(order).await
            }
            Err(failure) => {
                tracing::warn!(
                    order_id = %order,
                    number_id = %number,
                    error = %failure,
                    "label update failed; retrying in 5 minutes"
                );
                self.core
                    .store
                    .retry_label(order, now.plus(RETRY))
                    .await
                    .map(drop)
            }
        }
    }
}

//! Giving a rented number the label its order asked for. Trouble with it is tried again and never changes the order.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::close::Trouble;
use crate::desk::Desk;
use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::id::{OrderId, PhoneNumberId};
use crate::domain::order::Order;
use crate::error::{Error, chain};

/// Labels set in one step.
const BATCH: u32 = 16;

impl Desk {
    /// Labels the number of a fulfilled order; what goes wrong is left to [`Desk::set_labels`].
    pub(in crate::desk) async fn label(&self, order: &Order) {
        if let (Some(number), Some(label)) = (&order.phone_number_id, &order.request.label)
            && let Err(error) = self.set_label(&order.id, number, label).await
        {
            tracing::debug!(order = %order.id, error = chain(&error), "the label is set later");
        }
    }

    /// One step: labels every number that still lacks the one its order asked for.
    pub async fn set_labels(&self) -> Result<(), Error> {
        for (order, number, label) in self.0.store.labels_due(self.now(), BATCH).await? {
            self.set_label(&order, &number, &label).await?;
        }
        Ok(())
    }

    async fn set_label(&self, order: &OrderId, number: &PhoneNumberId, label: &str) -> Result<(), Error> {
        // Whoever else looks for labels to set leaves this one alone meanwhile.
        self.0
            .store
            .retry_label(order, self.now().plus(Duration::from_mins(1)))
            .await?;
        let changes = Map::from_iter([("label".to_owned(), Value::from(label))]);
        let answer = self.0.close.update(number, &changes).await;
        let now = self.now();
        let row = |outcome: &str, detail: Value| {
            AuditRow::new(now, Actor::desk(), Action::NumberUpdate, outcome)
                .order(order)
                .number(number)
                .detail(detail)
        };
        match answer {
            Ok(facts) => {
                let row = row("updated", json!({ "changes": changes }));
                self.0
                    .store
                    .observe_change(&self.observation(facts, now), &row)
                    .await?;
                self.0.store.finish_label(order).await
            }
            Err(Trouble::NotFound) => self.0.store.finish_label(order).await,
            // Close will not change its mind: someone else has to label it.
            Err(trouble @ Trouble::Refused { .. }) => {
                tracing::warn!(%order, %number, %trouble, "Close refuses the label");
                self.0
                    .store
                    .record_audit(&row(
                        "refused",
                        json!({ "changes": changes, "close": trouble.to_string() }),
                    ))
                    .await?;
                self.0.store.finish_label(order).await
            }
            Err(trouble) => {
                tracing::warn!(%order, %number, %trouble, "the label could not be set; trying again in 5 minutes");
                self.0
                    .store
                    .retry_label(order, now.plus(Duration::from_mins(5)))
                    .await
            }
        }
    }
}

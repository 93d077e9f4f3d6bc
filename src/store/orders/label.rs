//! Labels that the service still has to set on the numbers of fulfilled orders.

use std::time::Duration;

use crate::domain::id::{OrderId, PhoneNumberId};
use crate::domain::order::Request;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::due_times::{due, latest};
use crate::store::handle::Store;
use crate::store::sql::db::{Statement, sql};
use crate::store::sql::error::corrupt;

/// The longest pause before a label is tried again.
const LONGEST_WAIT: Duration = Duration::from_mins(5);

impl Store {
    /// Fulfilled orders whose label is due, longest due first.
    pub async fn labels_due(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<(OrderId, PhoneNumberId, String)>, Error> {
        let rows = self
            .db
            .rows(sql!(
                format!(
                    "SELECT o.id, o.phone_number_id, o.request FROM orders o \
                        JOIN numbers n ON n.id = o.phone_number_id AND n.gone_at IS NULL AND n.team = o.team \
                     WHERE o.label_due_at IS NOT NULL AND {} ORDER BY o.label_due_at, o.id LIMIT $2",
                    due("o.label_due_at", "$1", "$3")
                ),
                now,
                i64::from(limit),
                latest(now, LONGEST_WAIT)
            ))
            .await?;
        rows.iter()
            .map(|row| {
                let request: Request = row.json("request")?;
                let label = request
                    .label
                    .ok_or_else(|| corrupt("an order without a label has `label_due_at`", None))?;
                Ok((row.parsed("id")?, row.parsed("phone_number_id")?, label))
            })
            .collect()
    }

    /// Records that the label is set, or that it can't be set.
    pub async fn finish_label(&self, id: &OrderId) -> Result<(), Error> {
        self.update_label(sql!(
            "UPDATE orders SET label_due_at = NULL WHERE id = $1",
            id.as_str()
        ))
        .await
        .map(drop)
    }

    /// Makes the label due again at `at`. Returns `false`, and changes nothing, when it was set meanwhile.
    pub async fn retry_label(&self, id: &OrderId, at: Timestamp) -> Result<bool, Error> {
        self.update_label(sql!(
            "UPDATE orders SET label_due_at = $2 WHERE id = $1 AND label_due_at IS NOT NULL",
            id.as_str(),
            at
        ))
        .await
    }

    async fn update_label(&self, statement: Statement) -> Result<bool, Error> {
        let mut tx = self.db.begin().await?;
        let changed = tx.execute(statement).await?;
        tx.commit().await?;
        Ok(changed > 0)
    }
}

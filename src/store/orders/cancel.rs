//! Cancels orders that were not sent yet.

use crate::domain::audit::AuditRow;
use crate::domain::order::Order;
use crate::domain::order::transition::Step;
use crate::error::Error;
use crate::store::audit::rows;
use crate::store::events::write;
use crate::store::handle::Store;
use crate::store::ledger::{self, Entry, Kind};
use crate::store::orders::row::allows;
use crate::store::sql::db::sql;

impl Store {
    /// Writes an order after [`Order::cancelled`] and frees its reservation.
    ///
    /// Returns `false`, and changes nothing, when the order is being sent or has ended.
    pub async fn cancel_order(&self, order: &Order, audit: &AuditRow) -> Result<bool, Error> {
        let mut tx = self.db.begin().await?;
        // The attempt and the approval do not matter: since the caller read the order, it may have been sent without
        // effect and queued again.
        let row = tx
            .row(sql!(
                format!(
                    "UPDATE orders SET state = $2, reason = $3, updated_at = $4, finished_at = $5 \
                     WHERE id = $1 AND {} RETURNING team, monthly",
                    allows(Step::Cancel)
                ),
                order.id.as_str(),
                Step::Cancel.to_state().as_str(),
                order.reason.as_deref(),
                order.updated_at,
                order.finished_at,
            ))
            .await?;
        let Some(row) = row else { return Ok(false) };
        let entry = Entry::new(order.updated_at, &row.parsed("team")?, Kind::GiveBack)
            .order(&order.id)
            .reserved(-1, -row.int("monthly")?);
        ledger::enter(&mut tx, vec![entry]).await?;
        rows::write(&mut tx, audit).await?;
        write::order(&mut tx, order).await?;
        tx.commit().await?;
        Ok(true)
    }
}

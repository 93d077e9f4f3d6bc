//! Writes the verdicts on orders that need an approval, and selects those whose deadline has passed.

use crate::domain::audit::AuditRow;
use crate::domain::order::transition::Step;
use crate::domain::order::{Evidence, Order, State};
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::audit::rows;
use crate::store::events::write;
use crate::store::handle::Store;
use crate::store::ledger::{self, Entry, Kind};
use crate::store::orders::row::{allows, approval_json, read, select_order};
use crate::store::sql::db::sql;
use crate::store::sql::error::corrupt;

impl Store {
    /// Writes an order after [`Order::approved`], [`Order::rejected`] or [`Order::expired`].
    ///
    /// Of several concurrent verdicts, one wins. When the order will not be sent, its reservation is freed. Returns
    /// `false`, and changes nothing, when the order no longer awaits approval.
    pub async fn decide_approval(&self, order: &Order, audit: &AuditRow) -> Result<bool, Error> {
        let step = match order.state {
            State::Queued => Step::Approve,
            State::Refused => Step::Reject,
            State::Cancelled => Step::Expire,
            state => return Err(corrupt(format!("a verdict can't lead to {state}"), None)),
        };
        let mut tx = self.db.begin().await?;
        let row = tx
            .row(sql!(
                format!(
                    "UPDATE orders SET state = $2, approval = $3, reason = $4, evidence = $5, updated_at = $6, \
                        finished_at = $7 \
                     WHERE id = $1 AND {} RETURNING team, monthly",
                    allows(step)
                ),
                order.id.as_str(),
                order.state.as_str(),
                approval_json(order)?,
                order.reason.as_deref(),
                order.evidence.map(Evidence::as_str),
                order.updated_at,
                order.finished_at,
            ))
            .await?;
        let Some(row) = row else { return Ok(false) };
        if !order.state.reserves() {
            let entry = Entry::new(order.updated_at, &row.parsed("team")?, Kind::GiveBack)
                .order(&order.id)
                .reserved(-1, -row.int("monthly")?);
            ledger::enter(&mut tx, vec![entry]).await?;
        }
        rows::write(&mut tx, audit).await?;
        write::order(&mut tx, order).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Orders whose approval deadline has passed, longest overdue first.
    pub async fn overdue_approvals(&self, now: Timestamp, limit: u32) -> Result<Vec<Order>, Error> {
        let text = format!(
            "{} WHERE {} AND approve_by <= $1 ORDER BY approve_by, id LIMIT $2",
            select_order!(""),
            allows(Step::Expire)
        );
        let rows = self.db.rows(sql!(text, now, i64::from(limit))).await?;
        rows.iter().map(read).collect()
    }
}

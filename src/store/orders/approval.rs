//! What a second person says about an order, written once, and the orders that nobody approved in time.
//! It does not know who may say so.

use crate::domain::audit::AuditRow;
use crate::domain::order::approval::Approval;
use crate::domain::order::{Evidence, Order};
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::Store;
use crate::store::audit::rows;
use crate::store::events::feed;
use crate::store::ledger::{self, Entry, Kind};
use crate::store::orders::list::{read as order, select_order};
use crate::store::sql::db::sql;
use crate::store::sql::row::{Row, json};

impl Store {
    /// Writes an order after [`Order::approved`], [`Order::rejected`] or [`Order::expired`]: of many at once, one.
    /// When nothing is left to be sent, the reservation is given back. `false`: it no longer awaits approval, and
    /// nothing changed.
    pub async fn decide_approval(&self, order: &Order, audit: &AuditRow) -> Result<bool, Error> {
        let mut tx = self.db.begin().await?;
        let row = tx
            .row(sql!(
                "UPDATE orders SET state = $2, approval = $3, reason = $4, evidence = $5, updated_at = $6, \
                    finished_at = $7 \
                 WHERE id = $1 AND state = 'awaiting_approval' RETURNING team, monthly",
                order.id.as_str(),
                order.state.as_str(),
                written(order)?,
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
        feed::order(&mut tx, order).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Orders that nobody approved in time, those that waited longest first.
    pub async fn overdue_approvals(&self, now: Timestamp, limit: u32) -> Result<Vec<Order>, Error> {
        let rows = self
            .db
            .rows(sql!(
                select_order!(
                    " WHERE state = 'awaiting_approval' AND approve_by <= $1 ORDER BY approve_by, id LIMIT $2"
                ),
                now,
                i64::from(limit)
            ))
            .await?;
        rows.iter().map(order).collect()
    }
}

/// The column `approval` of an order.
pub(in crate::store) fn written(order: &Order) -> Result<Option<String>, Error> {
    order.approval.as_ref().map(json).transpose()
}

/// The approval in an order's row.
pub(in crate::store) fn read(row: &Row) -> Result<Option<Approval>, Error> {
    let Some(approval) = row.json_opt("approval")? else {
        return Ok(None);
    };
    Ok(Some(Approval {
        expires_at: row.time("approve_by")?,
        ..approval
    }))
}

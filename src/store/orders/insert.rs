//! Inserts a new order: its idempotency key, reservation, audit row and event in one transaction.

use crate::domain::audit::AuditRow;
use crate::domain::decision::{Caps, Refusal, Usage};
use crate::domain::order::Order;
use crate::error::Error;
use crate::failpoint;
use crate::store::audit::rows;
use crate::store::events::write;
use crate::store::handle::Store;
use crate::store::ledger::{self, Cap, Entered, Entry, Kind};
use crate::store::orders::row::{approval_json, by_key, read};
use crate::store::sql::db::{Tx, sql};
use crate::store::sql::error::corrupt;
use crate::store::sql::row::json;

/// The result of inserting an order.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is matched where it is returned and kept nowhere"
)]
pub enum Inserted {
    /// The order is stored, and its share of quota and budget is reserved.
    New,
    /// The team has used the key before; nothing changed.
    Existing {
        /// The order with the key, in its current state.
        order: Order,
        /// The fingerprint of that order's request.
        fingerprint: String,
    },
    /// The order would exceed a cap; nothing changed.
    Capped {
        /// The kind of refusal.
        refusal: Refusal,
        /// The cap.
        cap: Cap,
        /// The team's usage without this order.
        usage: Usage,
    },
}

impl Store {
    /// Inserts a new order and reserves its share of quota and budget.
    ///
    /// Inserts nothing if the team has used the key before, or if the order would exceed a cap.
    ///
    /// It is exact under any number of concurrent calls: the key is unique, and one conditional update of the team's
    /// usage row enforces the caps. It reserves `order.terms.monthly` of the budget, and counts the orders of the 24
    /// hours before `order.created_at`. The audit row is written only with a new order.
    pub async fn insert_order(
        &self,
        order: &Order,
        fingerprint: &str,
        caps: &Caps,
        audit: &AuditRow,
    ) -> Result<Inserted, Error> {
        if !order.state.reserves() {
            return Err(corrupt(format!("an order can't begin as {}", order.state), None));
        }
        let mut tx = self.db.begin().await?;
        // On PostgreSQL this waits for a concurrent transaction that inserts the same key.
        if !insert(&mut tx, order, fingerprint).await? {
            let row = tx
                .row(by_key(&order.team, &order.idempotency_key))
                .await?
                .ok_or_else(|| corrupt("the order with the key is missing", None))?;
            return Ok(Inserted::Existing {
                order: read(&row)?,
                fingerprint: row.text("fingerprint")?,
            });
        }
        let usage = ledger::lock(&mut tx, &order.team, order.created_at, Some(&order.id)).await?;
        let reserved = if caps
            .max_orders_per_day
            .is_some_and(|max| usage.orders_last_day >= max)
        {
            Entered::Capped(Cap::OrdersPerDay)
        } else {
            let entry = Entry::new(order.created_at, &order.team, Kind::Reserve)
                .order(&order.id)
                .reserved(1, order.terms.monthly.cents());
            ledger::enter_within(&mut tx, entry, caps, &usage).await?
        };
        if let Entered::Capped(cap) = reserved {
            tx.rollback().await?;
            let refusal = cap.refusal();
            return Ok(Inserted::Capped { refusal, cap, usage });
        }
        rows::write(&mut tx, audit).await?;
        write::order(&mut tx, order).await?;
        failpoint::reached("accept.commit");
        tx.commit().await?;
        failpoint::reached("accept.done");
        Ok(Inserted::New)
    }
}

async fn insert(tx: &mut Tx, order: &Order, fingerprint: &str) -> Result<bool, Error> {
    let inserted = tx
        .execute(sql!(
            "INSERT INTO orders (id, team, issuer, created_by, idempotency_key, fingerprint, shape, country, \
                request, terms, monthly, approval, approve_by, state, attempt, not_before, reason, created_at, \
                updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) \
             ON CONFLICT (team, idempotency_key) DO NOTHING",
            order.id.as_str(),
            order.team.as_str(),
            order.issuer.as_str(),
            order.created_by.as_str(),
            order.idempotency_key.as_str(),
            fingerprint,
            order.shape(),
            order.request.country.as_str(),
            json(&order.request)?,
            json(&order.terms)?,
            order.terms.monthly,
            approval_json(order)?,
            order.approval.as_ref().map(|approval| approval.expires_at),
            order.state.as_str(),
            order.attempt,
            order.not_before,
            order.reason.as_deref(),
            order.created_at,
            order.updated_at,
        ))
        .await?;
    Ok(inserted == 1)
}

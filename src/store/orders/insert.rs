//! Accepting an order: its key, its reservation and its audit row in one transaction, or none of them.

use crate::domain::audit::AuditRow;
use crate::domain::decision::{Caps, Refusal, Usage};
use crate::domain::order::Order;
use crate::error::Error;
use crate::failpoint;
use crate::store::Store;
use crate::store::audit::rows;
use crate::store::events::feed;
use crate::store::ledger::{self, Cap, Entry, Kind};
use crate::store::orders::approval;
use crate::store::orders::list::{by_key, read};
use crate::store::sql::db::{Tx, sql};
use crate::store::sql::error::corrupt;
use crate::store::sql::row::json;

/// What became of an order that came in.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is matched where it is returned and kept nowhere"
)]
pub enum Inserted {
    /// It is stored, and its share of quota and budget is reserved.
    New,
    /// The team used the key before; nothing changed.
    Existing {
        /// The order that has the key, as it stands.
        order: Order,
        /// The fingerprint of the request it came with.
        fingerprint: String,
    },
    /// A cap is in the way; nothing changed.
    Capped {
        /// The family of rule.
        refusal: Refusal,
        /// Which cap.
        cap: Cap,
        /// What the team has, without this order.
        usage: Usage,
    },
}

impl Store {
    /// Stores a new order and reserves its share, unless the team used the key before or a cap is in the way.
    ///
    /// Exact under any number of concurrent calls: the key is unique, and the caps are enforced by one conditional
    /// update of the team's usage row. `order.terms.monthly` is reserved of the budget; the orders of the last 24
    /// hours are counted up to `order.created_at`. The audit row is written only with a new order.
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
        // On PostgreSQL this waits for whoever is about to use the same key.
        if !insert(&mut tx, order, fingerprint).await? {
            let row = tx
                .row(by_key(&order.team, &order.idempotency_key))
                .await?
                .ok_or_else(|| corrupt("the order that has the key is gone", None))?;
            return Ok(Inserted::Existing {
                order: read(&row)?,
                fingerprint: row.text("fingerprint")?,
            });
        }
        let usage = ledger::lock(&mut tx, &order.team, order.created_at, Some(&order.id)).await?;
        let room = if caps
            .max_orders_per_day
            .is_some_and(|max| usage.orders_last_day >= max)
        {
            Err(Cap::OrdersPerDay)
        } else {
            let entry = Entry::new(order.created_at, &order.team, Kind::Reserve)
                .order(&order.id)
                .reserved(1, order.terms.monthly.cents());
            ledger::enter_within(&mut tx, entry, caps, &usage).await?
        };
        if let Err(cap) = room {
            tx.rollback().await?;
            let refusal = cap.refusal();
            return Ok(Inserted::Capped { refusal, cap, usage });
        }
        rows::write(&mut tx, audit).await?;
        feed::order(&mut tx, order).await?;
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
            approval::written(order)?,
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

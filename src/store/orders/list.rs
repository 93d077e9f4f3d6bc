//! Orders as rows: read by team, listed newest first, withdrawn, and the labels that wait to be set.
//! How they come in is `accept`, how they are sent and settled is `send`.

use crate::domain::audit::AuditRow;
use crate::domain::caller::{Scope, Team};
use crate::domain::id::{OrderId, PhoneNumberId};
use crate::domain::order::{IdempotencyKey, Order, Request, State};
use crate::domain::page::{Limit, Page};
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::Store;
use crate::store::audit::rows;
use crate::store::events::feed;
use crate::store::ledger::{self, Entry, Kind};
use crate::store::orders::approval;
use crate::store::sql::db::{Statement, sql};
use crate::store::sql::error::corrupt;
use crate::store::sql::row::Row;
use crate::store::sql::select::Select;

/// Which orders; what is `None` does not matter. The team comes by the scope.
#[derive(Debug, Clone, Default)]
pub struct OrderFilter {
    /// Where they stand.
    pub state: Option<State>,
    /// The key they were sent under.
    pub idempotency_key: Option<IdempotencyKey>,
}

/// `SELECT` with all that makes an order, to go on with `WHERE`.
macro_rules! select_order {
    ($rest:literal) => {
        concat!(
            "SELECT id, team, issuer, created_by, idempotency_key, fingerprint, request, terms, approval, \
                approve_by, state, attempt, sent_at, absent_since, not_before, phone_number_id, close_status, \
                reason, close_errors, evidence, created_at, updated_at, finished_at FROM orders",
            $rest
        )
    };
}
pub(in crate::store) use select_order;

impl Store {
    /// The order that has the team's key, and the fingerprint of the request that it came with.
    pub async fn order_by_key(
        &self,
        team: &Team,
        key: &IdempotencyKey,
    ) -> Result<Option<(Order, String)>, Error> {
        let row = self.db.row(by_key(team, key)).await?;
        row.map(|row| Ok((read(&row)?, row.text("fingerprint")?)))
            .transpose()
    }

    /// The order, if it is there for this scope.
    pub async fn order(&self, scope: &Scope, id: &OrderId) -> Result<Option<Order>, Error> {
        let mut select = Select::within(scope, select_order!(""));
        select.and("id = ?", id.as_str());
        let row = self.db.row(select.statement()).await?;
        row.as_ref().map(read).transpose()
    }

    /// A page of orders, newest first.
    pub async fn orders(
        &self,
        scope: &Scope,
        filter: &OrderFilter,
        limit: Limit,
        after: Option<&str>,
    ) -> Result<Page<Order>, Error> {
        let mut select = Select::within(scope, select_order!(""));
        select.and_some("state = ?", filter.state.map(State::as_str));
        select.and_some(
            "idempotency_key = ?",
            filter.idempotency_key.as_ref().map(IdempotencyKey::as_str),
        );
        select.page(&self.db, limit, after, read).await
    }

    /// Writes an order after [`Order::cancelled`] and gives its reservation back. `false`: it is being sent, or has
    /// ended, and nothing changed.
    pub async fn cancel_order(&self, order: &Order, audit: &AuditRow) -> Result<bool, Error> {
        let mut tx = self.db.begin().await?;
        // Whatever its attempt, and approved or not: it may have been sent in vain and queued again since it was read.
        let row = tx
            .row(sql!(
                "UPDATE orders SET state = 'cancelled', reason = $4, updated_at = $2, finished_at = $3 \
                 WHERE id = $1 AND state IN ('queued', 'awaiting_approval') RETURNING team, monthly",
                order.id.as_str(),
                order.updated_at,
                order.finished_at,
                order.reason.as_deref(),
            ))
            .await?;
        let Some(row) = row else { return Ok(false) };
        let entry = Entry::new(order.updated_at, &row.parsed("team")?, Kind::GiveBack)
            .order(&order.id)
            .reserved(-1, -row.int("monthly")?);
        ledger::enter(&mut tx, vec![entry]).await?;
        rows::write(&mut tx, audit).await?;
        feed::order(&mut tx, order).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Fulfilled orders whose label is still to be set on the number, those that wait longest first.
    pub async fn labels_due(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<(OrderId, PhoneNumberId, String)>, Error> {
        let rows = self
            .db
            .rows(sql!(
                "SELECT o.id, o.phone_number_id, o.request FROM orders o \
                    JOIN numbers n ON n.id = o.phone_number_id AND n.gone_at IS NULL AND n.team = o.team \
                 WHERE o.label_due_at IS NOT NULL AND o.label_due_at <= $1 ORDER BY o.label_due_at, o.id LIMIT $2",
                now,
                i64::from(limit)
            ))
            .await?;
        rows.iter()
            .map(|row| {
                let request: Request = row.json("request")?;
                let label = request
                    .label
                    .ok_or_else(|| corrupt("an order without a label waits for it to be set", None))?;
                Ok((row.parsed("id")?, row.parsed("phone_number_id")?, label))
            })
            .collect()
    }

    /// The label is set, or nobody can set it.
    pub async fn finish_label(&self, id: &OrderId) -> Result<(), Error> {
        self.label(sql!(
            "UPDATE orders SET label_due_at = NULL WHERE id = $1",
            id.as_str()
        ))
        .await
    }

    /// The label is to be tried again at `at`; nothing changes when it was set meanwhile.
    pub async fn retry_label(&self, id: &OrderId, at: Timestamp) -> Result<(), Error> {
        self.label(sql!(
            "UPDATE orders SET label_due_at = $2 WHERE id = $1 AND label_due_at IS NOT NULL",
            id.as_str(),
            at
        ))
        .await
    }

    async fn label(&self, statement: Statement) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        tx.execute(statement).await?;
        tx.commit().await
    }
}

pub(in crate::store) fn by_key(team: &Team, key: &IdempotencyKey) -> Statement {
    sql!(
        select_order!(" WHERE team = $1 AND idempotency_key = $2"),
        team.as_str(),
        key.as_str()
    )
}

/// An order from its row.
pub(in crate::store) fn read(row: &Row) -> Result<Order, Error> {
    Ok(Order {
        id: row.parsed("id")?,
        team: row.parsed("team")?,
        issuer: row.text("issuer")?,
        created_by: row.text("created_by")?,
        idempotency_key: row.parsed("idempotency_key")?,
        request: row.json("request")?,
        terms: row.json("terms")?,
        approval: approval::read(row)?,
        state: row.parsed("state")?,
        attempt: row.int("attempt")?,
        sent_at: row.time_opt("sent_at")?,
        absent_since: row.time_opt("absent_since")?,
        not_before: row.time_opt("not_before")?,
        phone_number_id: row.parsed_opt("phone_number_id")?,
        close_status: row.text_opt("close_status")?,
        reason: row.text_opt("reason")?,
        close_errors: row.json_opt("close_errors")?,
        evidence: row.parsed_opt("evidence")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        finished_at: row.time_opt("finished_at")?,
    })
}

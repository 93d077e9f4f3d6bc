//! Deliveries as their team sees them, sent again when it asks, and forgotten when they are old.

use crate::domain::audit::AuditRow;
use crate::domain::caller::Scope;
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::id::{DeliveryId, EndpointId};
use crate::domain::page::{Limit, Page};
use crate::domain::time::Timestamp;
use crate::domain::webhook::Endpoint;
use crate::error::Error;
use crate::store::Store;
use crate::store::audit::rows;
use crate::store::events::feed::{self, select_event};
use crate::store::sql::db::{Tx, sql};
use crate::store::sql::select::Select;
use crate::store::webhooks::deliveries::{delivery_columns, queue, read};

macro_rules! select_delivery {
    ($rest:literal) => {
        concat!("SELECT ", delivery_columns!(), " FROM webhook_deliveries", $rest)
    };
}

impl Store {
    /// A page of an endpoint's deliveries, newest first, of one state if one is named.
    pub async fn deliveries(
        &self,
        scope: &Scope,
        endpoint: &EndpointId,
        state: Option<DeliveryState>,
        limit: Limit,
        after: Option<&str>,
    ) -> Result<Page<Delivery>, Error> {
        let mut select = Select::within(scope, select_delivery!(""));
        select.and("endpoint_id = ?", endpoint.as_str());
        select.and_some("state = ?", state.map(DeliveryState::as_str));
        select.page(&self.db, limit, after, read).await
    }

    /// One delivery of an endpoint.
    pub async fn delivery(
        &self,
        scope: &Scope,
        endpoint: &EndpointId,
        id: &DeliveryId,
    ) -> Result<Option<Delivery>, Error> {
        let mut select = Select::within(scope, select_delivery!(""));
        select.and("endpoint_id = ?", endpoint.as_str());
        select.and("id = ?", id.as_str());
        let row = self.db.row(select.statement()).await?;
        row.as_ref().map(read).transpose()
    }

    /// Queues a delivery, for the first time or again.
    pub async fn queue_delivery(&self, delivery: &Delivery, audit: &AuditRow) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        hold(&mut tx, &delivery.endpoint_id).await?;
        queue(&mut tx, std::slice::from_ref(delivery)).await?;
        rows::write(&mut tx, audit).await?;
        tx.commit().await
    }

    /// Queues what an endpoint wants of its team's events from `since` and before `until`. `None`: there are more than
    /// `most` of them, and nothing is queued; else how many are, without those that were on their way anyway. `audit`
    /// makes the row of that.
    pub async fn queue_events(
        &self,
        endpoint: &Endpoint,
        (since, until): (Timestamp, Timestamp),
        most: u32,
        now: Timestamp,
        audit: impl FnOnce(u64) -> AuditRow,
    ) -> Result<Option<u64>, Error> {
        let rows = self
            .db
            .rows(sql!(
                select_event!(
                    " WHERE team = $1 AND at >= $2 AND at < $3 AND seq IS NOT NULL ORDER BY at, id LIMIT $4"
                ),
                endpoint.team.as_str(),
                since,
                until,
                i64::from(most) + 1
            ))
            .await?;
        if rows.len() > most as usize {
            return Ok(None);
        }
        let mut deliveries = Vec::new();
        for row in &rows {
            let event = feed::read(row)?;
            if endpoint.types.wants(&event.kind) {
                deliveries.push(Delivery::new(&event, endpoint, now));
            }
        }
        let mut tx = self.db.begin().await?;
        hold(&mut tx, &endpoint.id).await?;
        let queued = queue(&mut tx, &deliveries).await?;
        rows::write(&mut tx, &audit(queued)).await?;
        tx.commit().await?;
        Ok(Some(queued))
    }

    /// Forgets deliveries that were queued before, whatever became of them; how many, `limit` at most.
    pub async fn delete_deliveries(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        let mut tx = self.db.begin().await?;
        let gone = tx
            .execute(sql!(
                "DELETE FROM webhook_deliveries WHERE id IN \
                    (SELECT id FROM webhook_deliveries WHERE queued_at < $1 ORDER BY queued_at LIMIT $2)",
                before,
                i64::from(limit)
            ))
            .await?;
        tx.commit().await?;
        Ok(gone)
    }

    /// How many deliveries active endpoints wait for, and since when the one that waits longest.
    pub async fn pending_deliveries(&self) -> Result<(u32, Option<Timestamp>), Error> {
        let row = self
            .db
            .row(sql!(
                "SELECT COUNT(*) AS n, MIN(d.queued_at) AS oldest FROM webhook_deliveries d \
                    JOIN webhook_endpoints e ON e.id = d.endpoint_id \
                 WHERE d.state = 'pending' AND e.disabled IS NULL"
            ))
            .await?;
        match row {
            Some(row) => {
                let pending = u32::try_from(row.int("n")?).unwrap_or(u32::MAX);
                Ok((pending, row.time_opt("oldest")?))
            }
            None => Ok((0, None)),
        }
    }
}

/// Keeps claims away for as long as this takes: they lock the same rows in another order.
async fn hold(tx: &mut Tx, endpoint: &EndpointId) -> Result<(), Error> {
    tx.lock(sql!(
        "SELECT id FROM webhook_endpoints WHERE id = $1",
        endpoint.as_str()
    ))
    .await
    .map(drop)
}

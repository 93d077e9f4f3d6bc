//! Lists deliveries, queues them again on request, and deletes old ones.

use crate::domain::audit::AuditRow;
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::id::{DeliveryId, EndpointId};
use crate::domain::page::{Limit, Page};
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::domain::webhook::Endpoint;
use crate::error::Error;
use crate::store::audit::rows;
use crate::store::events::row::{self, select_event};
use crate::store::handle::Store;
use crate::store::sql::db::sql;
use crate::store::sql::select::Select;
use crate::store::webhooks::queue::{lock_endpoint, queue};
use crate::store::webhooks::row::{delivery_columns, read_delivery};

macro_rules! select_delivery {
    ($rest:literal) => {
        concat!("SELECT ", delivery_columns!(), " FROM webhook_deliveries", $rest)
    };
}

impl Store {
    /// A page of an endpoint's deliveries, newest first; only in `state`, if given.
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
        match state {
            // Not as a parameter, for the sake of the index of dead deliveries.
            Some(DeliveryState::Dead) => select.and_just("state = 'dead'"),
            state => select.and_some("state = ?", state.map(DeliveryState::as_str)),
        }
        select.page(&self.db, limit, after, read_delivery).await
    }

    /// The delivery of this endpoint, if it exists in this scope.
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
        row.as_ref().map(read_delivery).transpose()
    }

    /// Queues one delivery, for the first time or again.
    pub async fn queue_delivery(&self, delivery: &Delivery, audit: &AuditRow) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        lock_endpoint(&mut tx, &delivery.endpoint_id).await?;
        queue(&mut tx, std::slice::from_ref(delivery)).await?;
        rows::write(&mut tx, audit).await?;
        tx.commit().await
    }

    /// Queues the team's events from `since` to before `until` that the endpoint subscribes to.
    ///
    /// Returns how many it queued, without those that were pending already; `None`, and queues nothing, when the period
    /// has more than `most` events. `audit` makes the audit row from the count.
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
            let event = row::read(row)?;
            if endpoint.types.wants(&event.kind) {
                deliveries.push(Delivery::new(&event, endpoint, now));
            }
        }
        let mut tx = self.db.begin().await?;
        lock_endpoint(&mut tx, &endpoint.id).await?;
        let queued = queue(&mut tx, &deliveries).await?;
        rows::write(&mut tx, &audit(queued)).await?;
        tx.commit().await?;
        Ok(Some(queued))
    }

    /// Deletes up to `limit` deliveries that were queued before `before`, in any state; returns how many.
    pub async fn delete_deliveries(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        let mut tx = self.db.begin().await?;
        let deleted = tx
            .execute(sql!(
                "DELETE FROM webhook_deliveries WHERE id IN \
                    (SELECT id FROM webhook_deliveries WHERE queued_at < $1 ORDER BY queued_at LIMIT $2)",
                before,
                i64::from(limit)
            ))
            .await?;
        tx.commit().await?;
        Ok(deleted)
    }

    /// The number of pending deliveries to active endpoints, and when the oldest of them was queued.
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

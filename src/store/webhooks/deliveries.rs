//! Claims due deliveries for one sender at a time, and records the result of each attempt.
//!
//! Only the holder of a claim records the result. If a sender dies, its claim lapses. Endpoints are locked before
//! deliveries.

use std::time::Duration;

use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::id::EndpointId;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;
use crate::domain::webhook::Endpoint;
use crate::error::Error;
use crate::failpoint;
use crate::store::due_times::latest;
use crate::store::handle::Store;
use crate::store::sql::db::sql;
use crate::store::sql::error::corrupt;
use crate::store::webhooks::endpoints::{self, DisableEndpoint};
use crate::store::webhooks::row::{delivery_columns, read_delivery, read_endpoint, select_endpoint};

/// Concurrent deliveries to one endpoint by all replicas, so that a slow endpoint delays no other.
///
/// An endpoint whose last attempt failed gets one delivery at a time.
macro_rules! at_once {
    () => {
        "CAST(CASE WHEN failing = 0 THEN 4 ELSE 1 END AS BIGINT)"
    };
}

/// The result of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum AttemptResult {
    /// The receiver accepted the delivery.
    Delivered,
    /// The attempt failed; the next one is at this time.
    RetryAt(Timestamp),
    /// The attempt failed, and no other follows.
    Dead,
}

impl Store {
    /// Active endpoints with a due delivery that may be sent now.
    ///
    /// First comes the endpoint of each team that is longest due, then the second one of each team, and so on. So the
    /// endpoints of one team, however many wait, keep no other team out of the first rows.
    pub async fn due_endpoints(&self, now: Timestamp, limit: u32) -> Result<Vec<(EndpointId, Team)>, Error> {
        let rows = self
            .db
            .rows(sql!(
                concat!(
                    "SELECT id, team FROM (SELECT id, team, since, \
                        ROW_NUMBER() OVER (PARTITION BY team ORDER BY since, id) AS nth FROM (\
                        SELECT e.id, e.team, e.failing, (SELECT MIN(d.due_at) FROM webhook_deliveries d \
                            WHERE d.endpoint_id = e.id AND d.state = 'pending') AS since, \
                            (SELECT COUNT(*) FROM webhook_deliveries d WHERE d.endpoint_id = e.id \
                                AND d.holder IS NOT NULL AND d.due_at > $1) AS under_way \
                        FROM webhook_endpoints e WHERE e.disabled IS NULL) AS waiting \
                        WHERE since <= $1 AND under_way < ",
                    at_once!(),
                    ") AS due ORDER BY nth, since, id LIMIT $2"
                ),
                now,
                i64::from(limit)
            ))
            .await?;
        rows.iter()
            .map(|row| Ok((row.parsed("id")?, row.parsed("team")?)))
            .collect()
    }

    /// Claims up to `limit` due deliveries of an endpoint for `holder`, until `lease` is over.
    ///
    /// `holder` must be unique to the claim. At most four deliveries to one endpoint are claimed at the same time, and
    /// one if the last attempt failed.
    /// Returns `None` while another replica is claiming, when nothing can be claimed, or when the endpoint is disabled.
    pub async fn claim_deliveries(
        &self,
        id: &EndpointId,
        holder: &str,
        now: Timestamp,
        lease: Duration,
        limit: usize,
    ) -> Result<Option<(Endpoint, Vec<Delivery>)>, Error> {
        let mut tx = self.db.begin().await?;
        let found = tx
            .lock_if_free(sql!(
                select_endpoint!(" WHERE id = $1 AND disabled IS NULL"),
                id.as_str()
            ))
            .await?;
        let Some(row) = found else { return Ok(None) };
        let endpoint = read_endpoint(&row)?;
        let row = tx
            .row(sql!(
                concat!(
                    "SELECT ",
                    at_once!(),
                    " AS at_once, (SELECT COUNT(*) FROM webhook_deliveries WHERE endpoint_id = $1 \
                        AND holder IS NOT NULL AND due_at > $2) AS under_way \
                     FROM webhook_endpoints WHERE id = $1"
                ),
                id.as_str(),
                now
            ))
            .await?
            .ok_or_else(|| corrupt("the row of a locked endpoint is missing", None))?;
        let free = row.int("at_once")? - row.int("under_way")?;
        let free = i64::try_from(limit).unwrap_or(free).min(free);
        if free <= 0 {
            return Ok(None);
        }
        let rows = tx
            .rows(sql!(
                concat!(
                    "UPDATE webhook_deliveries SET holder = $3, due_at = $4, attempts = attempts + 1, \
                        attempted_at = $2, began_at = COALESCE(began_at, $2) \
                     WHERE id IN (SELECT id FROM webhook_deliveries WHERE endpoint_id = $1 AND state = 'pending' \
                        AND due_at <= $2 ORDER BY due_at, id LIMIT $5) AND state = 'pending' AND due_at <= $2 \
                     RETURNING ",
                    delivery_columns!()
                ),
                id.as_str(),
                now,
                holder,
                now.plus(lease),
                free,
            ))
            .await?;
        let deliveries = rows.iter().map(read_delivery).collect::<Result<Vec<_>, _>>()?;
        tx.commit().await?;
        Ok((!deliveries.is_empty()).then_some((endpoint, deliveries)))
    }

    /// Makes deliveries due now that wait for a time which lies too far ahead; returns how many.
    ///
    /// A replica whose clock was ahead has written it. No pause between attempts is longer than `longest`, and no claim
    /// than `lease`. A delivery without an attempt does not wait.
    pub async fn correct_due_times(
        &self,
        now: Timestamp,
        longest: Duration,
        lease: Duration,
    ) -> Result<u64, Error> {
        let mut tx = self.db.begin().await?;
        let corrected = tx
            .execute(sql!(
                "UPDATE webhook_deliveries SET due_at = $1 WHERE state = 'pending' AND (due_at > $2 \
                    OR (due_at > $3 AND (attempts = 0 OR holder IS NOT NULL)))",
                now,
                latest(now, longest),
                latest(now, lease)
            ))
            .await?;
        tx.effects().deliveries |= corrected > 0;
        tx.commit().await?;
        Ok(corrected)
    }

    /// Records the result of a claimed attempt, and disables the endpoint if `disabling` is given.
    ///
    /// Returns `false`, and changes nothing, when `holder` no longer holds the claim.
    pub async fn record_attempt(
        &self,
        delivery: &Delivery,
        holder: &str,
        result: &AttemptResult,
        outcome: &str,
        now: Timestamp,
        disabling: Option<&DisableEndpoint>,
    ) -> Result<bool, Error> {
        let (state, due_at, finished_at) = match result {
            AttemptResult::Delivered => (DeliveryState::Delivered, now, Some(now)),
            AttemptResult::RetryAt(at) => (DeliveryState::Pending, *at, None),
            AttemptResult::Dead => (DeliveryState::Dead, now, Some(now)),
        };
        let mut tx = self.db.begin().await?;
        if let Some(disabling) = disabling {
            endpoints::disable(&mut tx, &delivery.endpoint_id, disabling, now).await?;
        }
        let failing = !matches!(result, AttemptResult::Delivered);
        tx.execute(sql!(
            "UPDATE webhook_endpoints SET failing = $2 WHERE id = $1 AND failing <> $2",
            delivery.endpoint_id.as_str(),
            failing
        ))
        .await?;
        let written = tx
            .execute(sql!(
                "UPDATE webhook_deliveries SET state = $3, due_at = $4, finished_at = $5, outcome = $6, holder = NULL \
                 WHERE id = $1 AND holder = $2 AND state = 'pending'",
                delivery.id.as_str(),
                holder,
                state.as_str(),
                due_at,
                finished_at,
                outcome,
            ))
            .await?;
        if written == 0 {
            return Ok(false);
        }
        tx.effects().deliveries = true;
        failpoint::reached("delivery.commit");
        tx.commit().await?;
        Ok(true)
    }

    /// Whether a delivery to the endpoint has succeeded at `since` or later.
    pub async fn delivered_since(&self, endpoint: &EndpointId, since: Timestamp) -> Result<bool, Error> {
        let row = self
            .db
            .row(sql!(
                "SELECT id FROM webhook_deliveries WHERE endpoint_id = $1 AND state = 'delivered' \
                    AND finished_at >= $2 LIMIT 1",
                endpoint.as_str(),
                since
            ))
            .await?;
        Ok(row.is_some())
    }
}

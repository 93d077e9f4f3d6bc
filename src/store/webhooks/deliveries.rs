//! Events on their way to endpoints: made in the transaction that gives the events their places, claimed by one sender
//! at a time, and settled by the claim's holder alone. A sender that dies leaves a claim that ends by itself.
//!
//! Endpoints are locked before deliveries.

use std::collections::BTreeSet;
use std::time::Duration;

use url::Url;

use crate::domain::audit::AuditRow;
use crate::domain::caller::Team;
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::event::Event;
use crate::domain::id::EndpointId;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{DisabledReason, Endpoint};
use crate::error::Error;
use crate::failpoint;
use crate::store::Store;
use crate::store::sql::db::{Statement, Tx, sql};
use crate::store::sql::error::corrupt;
use crate::store::sql::param::Param;
use crate::store::sql::row::Row;
use crate::store::webhooks::endpoints::{self, read as read_endpoint, select_endpoint};

/// Deliveries under way to one endpoint at once, by all replicas: a slow one holds no more of them up.
const AT_ONCE: i64 = 4;
/// Rows written by one statement.
const ROWS: usize = 500;

macro_rules! delivery_columns {
    () => {
        "id, endpoint_id, team, event_id, kind, body, state, attempts, queued_at, began_at, due_at, attempted_at, \
            outcome, finished_at"
    };
}
pub(in crate::store) use delivery_columns;

/// How an attempt is written down.
#[derive(Debug, Clone, PartialEq)]
pub enum AttemptResult {
    /// The receiver has it.
    Delivered,
    /// It failed, and is tried again at this time.
    RetryAt(Timestamp),
    /// It failed, and is given up.
    Dead,
}

/// An endpoint that is no longer told of events, with what tells of that.
#[derive(Debug)]
pub struct DisableEndpoint {
    /// Where it was when it failed: one that has moved since is left alone.
    pub url: Url,
    /// Why.
    pub reason: DisabledReason,
    /// What its team is told.
    pub event: Event,
    /// What is written down.
    pub audit: AuditRow,
}

impl Store {
    /// Active endpoints to which something is due, those first that wait longest.
    pub async fn due_endpoints(&self, now: Timestamp, limit: u32) -> Result<Vec<EndpointId>, Error> {
        let rows = self
            .db
            .rows(sql!(
                "SELECT id FROM (SELECT e.id, (SELECT MIN(d.due_at) FROM webhook_deliveries d \
                    WHERE d.endpoint_id = e.id AND d.state = 'pending') AS since \
                    FROM webhook_endpoints e WHERE e.disabled IS NULL) AS waiting \
                 WHERE since <= $1 ORDER BY since, id LIMIT $2",
                now,
                i64::from(limit)
            ))
            .await?;
        rows.iter().map(|row| row.parsed("id")).collect()
    }

    /// Takes deliveries that are due to an endpoint, `limit` at most and no more than may be under way to it: they are
    /// `holder`'s to send until `lease` is over, which name must be this claim's alone. None while somebody else is
    /// claiming, or when the endpoint is no longer active.
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
        let under_way = tx
            .row(sql!(
                "SELECT COUNT(*) AS n FROM webhook_deliveries WHERE endpoint_id = $1 AND holder IS NOT NULL \
                    AND due_at > $2",
                id.as_str(),
                now
            ))
            .await?
            .ok_or_else(|| corrupt("a count has no row", None))?
            .int("n")?;
        let room = i64::try_from(limit).unwrap_or(AT_ONCE).min(AT_ONCE - under_way);
        if room <= 0 {
            return Ok(None);
        }
        let rows = tx
            .rows(sql!(
                concat!(
                    "UPDATE webhook_deliveries SET holder = $3, due_at = $4, attempts = attempts + 1, attempted_at = $2, \
                        began_at = COALESCE(began_at, $2) \
                     WHERE id IN (SELECT id FROM webhook_deliveries WHERE endpoint_id = $1 AND state = 'pending' \
                        AND due_at <= $2 ORDER BY due_at, id LIMIT $5) AND state = 'pending' AND due_at <= $2 \
                     RETURNING ",
                    delivery_columns!()
                ),
                id.as_str(),
                now,
                holder,
                now.plus(lease),
                room,
            ))
            .await?;
        let deliveries = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        tx.commit().await?;
        Ok((!deliveries.is_empty()).then_some((endpoint, deliveries)))
    }

    /// Writes down how the attempt of a claim ended, and disables the endpoint if it is to be. `false`: the claim is no
    /// longer `holder`'s, and nothing changed.
    pub async fn record_attempt(
        &self,
        delivery: &Delivery,
        holder: &str,
        settled: &AttemptResult,
        outcome: &str,
        now: Timestamp,
        disabling: Option<&DisableEndpoint>,
    ) -> Result<bool, Error> {
        let (state, due_at, finished_at) = match settled {
            AttemptResult::Delivered => (DeliveryState::Delivered, now, Some(now)),
            AttemptResult::RetryAt(at) => (DeliveryState::Pending, *at, None),
            AttemptResult::Dead => (DeliveryState::Dead, now, Some(now)),
        };
        let mut tx = self.db.begin().await?;
        if let Some(it) = disabling {
            endpoints::disable(&mut tx, &delivery.endpoint_id, it, now).await?;
        }
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

    /// Whether the endpoint has got anything since.
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

/// Makes the deliveries of these events, in the transaction that gives them their places: one for each active endpoint
/// of an event's team that wants it.
pub(in crate::store) async fn fan_out(tx: &mut Tx, events: &[Event]) -> Result<(), Error> {
    let teams: BTreeSet<&Team> = events.iter().filter_map(|event| event.team.as_ref()).collect();
    if teams.is_empty() {
        return Ok(());
    }
    let places: Vec<String> = (1..=teams.len()).map(|place| format!("${place}")).collect();
    let endpoints = tx
        .rows(Statement {
            text: format!(
                "{} WHERE disabled IS NULL AND team IN ({}) ORDER BY id",
                select_endpoint!(""),
                places.join(", ")
            ),
            args: teams.iter().map(|team| team.as_str().into()).collect(),
        })
        .await?
        .iter()
        .map(read_endpoint)
        .collect::<Result<Vec<_>, _>>()?;
    let wanted = events.iter().flat_map(|event| {
        endpoints
            .iter()
            .filter(|endpoint| {
                event.team.as_ref() == Some(&endpoint.team) && endpoint.types.wants(&event.kind)
            })
            // Due since it happened. How long it is tried is counted from its first attempt.
            .map(|endpoint| Delivery::new(event, endpoint, event.at))
    });
    queue(tx, &wanted.collect::<Vec<_>>()).await.map(drop)
}

/// Queues deliveries. One that was queued before is sent again, unless it is on its way; how many are queued by this.
pub(in crate::store) async fn queue(tx: &mut Tx, deliveries: &[Delivery]) -> Result<u64, Error> {
    let mut queued = 0;
    for some in deliveries.chunks(ROWS) {
        let mut args: Vec<Param> = Vec::with_capacity(some.len() * 8);
        let mut rows = Vec::with_capacity(some.len());
        for it in some {
            let first = args.len() + 1;
            let places: Vec<String> = (first..first + 8).map(|place| format!("${place}")).collect();
            rows.push(format!("({}, 'pending', 0)", places.join(", ")));
            args.extend([
                it.id.as_str().into(),
                it.endpoint_id.as_str().into(),
                it.team.as_str().into(),
                it.event_id.as_str().into(),
                it.kind.as_str().into(),
                it.body.as_str().into(),
                it.queued_at.into(),
                it.due_at.into(),
            ]);
        }
        queued += tx
            .execute(Statement {
                text: format!(
                    "INSERT INTO webhook_deliveries (id, endpoint_id, team, event_id, kind, body, queued_at, due_at, \
                        state, attempts) VALUES {} \
                     ON CONFLICT (endpoint_id, event_id) DO UPDATE SET state = 'pending', attempts = 0, \
                        queued_at = excluded.queued_at, began_at = NULL, due_at = excluded.due_at, finished_at = NULL \
                        WHERE webhook_deliveries.state <> 'pending'",
                    rows.join(", ")
                ),
                args,
            })
            .await?;
    }
    tx.effects().deliveries |= queued > 0;
    Ok(queued)
}

/// A delivery in its row.
pub(in crate::store) fn read(row: &Row) -> Result<Delivery, Error> {
    Ok(Delivery {
        id: row.parsed("id")?,
        endpoint_id: row.parsed("endpoint_id")?,
        team: row.parsed("team")?,
        event_id: row.parsed("event_id")?,
        kind: row.text("kind")?,
        body: row.text("body")?,
        state: row.parsed("state")?,
        attempts: row.int("attempts")?,
        queued_at: row.time("queued_at")?,
        began_at: row.time_opt("began_at")?,
        due_at: row.time("due_at")?,
        attempted_at: row.time_opt("attempted_at")?,
        outcome: row.text_opt("outcome")?,
        finished_at: row.time_opt("finished_at")?,
    })
}

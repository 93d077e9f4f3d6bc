//! Queues webhook deliveries: new ones for sequenced events, and repeated ones.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::domain::delivery::{Delivery, MAX_RETRY_AFTER};
use crate::domain::event::Event;
use crate::domain::id::EndpointId;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::due_times::latest;
use crate::store::handle::Store;
use crate::store::sql::db::{Statement, Tx, sql};
use crate::store::sql::param::Param;
use crate::store::webhooks::row::{read_endpoint, select_endpoint};

/// Rows in one statement.
const ROWS: usize = 500;

/// The condition that a pending delivery has a time of a wrong clock: `$1` is in the future, `$2` further away than any
/// pause.
macro_rules! wrong {
    () => {
        "state = 'pending' AND due_at > $1 AND (due_at > $2 OR attempts = 0 OR attempted_at > $1)"
    };
}

impl Store {
    /// Makes pending deliveries due whose times only a replica with a wrong clock can have stored; returns how many.
    ///
    /// Such a time is further away than the longest pause, or belongs to an attempt or to an event of the future. The
    /// claim of such a replica lapses by this, too. Nothing is lost: a delivery that is sent early, or twice, has the
    /// same id.
    pub async fn correct_delivery_times(&self, now: Timestamp) -> Result<u64, Error> {
        let (future, absurd) = (latest(now, Duration::ZERO), latest(now, MAX_RETRY_AFTER));
        let rows = self
            .db
            .rows(sql!(
                concat!(
                    "SELECT DISTINCT endpoint_id FROM webhook_deliveries WHERE ",
                    wrong!()
                ),
                future,
                absurd
            ))
            .await?;
        let mut corrected = 0;
        for row in &rows {
            let endpoint: EndpointId = row.parsed("endpoint_id")?;
            let mut tx = self.db.begin().await?;
            lock_endpoint(&mut tx, &endpoint).await?;
            corrected += tx
                .execute(sql!(
                    concat!(
                        "UPDATE webhook_deliveries SET due_at = $3, \
                            began_at = CASE WHEN began_at <= $1 THEN began_at END \
                         WHERE endpoint_id = $4 AND ",
                        wrong!()
                    ),
                    future,
                    absurd,
                    now,
                    endpoint.as_str()
                ))
                .await?;
            tx.effects().deliveries |= corrected > 0;
            tx.commit().await?;
        }
        Ok(corrected)
    }
}

/// Locks the endpoint, so that no claim runs at the same time: claims lock deliveries in another order.
pub(in crate::store) async fn lock_endpoint(tx: &mut Tx, endpoint: &EndpointId) -> Result<(), Error> {
    tx.lock(sql!(
        "SELECT id FROM webhook_endpoints WHERE id = $1",
        endpoint.as_str()
    ))
    .await
    .map(drop)
}

/// Queues one delivery per event and active endpoint of its team that subscribes to its type.
///
/// It runs in the transaction that sequences the events.
pub(in crate::store) async fn fan_out(tx: &mut Tx, events: &[Event]) -> Result<(), Error> {
    let teams: BTreeSet<&Team> = events.iter().filter_map(|event| event.team.as_ref()).collect();
    if teams.is_empty() {
        return Ok(());
    }
    let placeholders: Vec<String> = (1..=teams.len()).map(|nth| format!("${nth}")).collect();
    let endpoints = tx
        .rows(Statement {
            text: format!(
                "{} WHERE disabled IS NULL AND team IN ({}) ORDER BY id",
                select_endpoint!(""),
                placeholders.join(", ")
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
            // The delivery is due since the event. Its retry period begins with the first attempt.
            .map(|endpoint| Delivery::new(event, endpoint, event.at))
    });
    queue(tx, &wanted.collect::<Vec<_>>()).await.map(drop)
}

/// Queues deliveries, and queues finished ones again; returns how many it queued.
///
/// A delivery that is already pending stays as it is.
pub(in crate::store) async fn queue(tx: &mut Tx, deliveries: &[Delivery]) -> Result<u64, Error> {
    let mut queued = 0;
    for batch in deliveries.chunks(ROWS) {
        let mut args: Vec<Param> = Vec::with_capacity(batch.len() * 8);
        let mut rows = Vec::with_capacity(batch.len());
        for delivery in batch {
            let first = args.len() + 1;
            let placeholders: Vec<String> = (first..first + 8).map(|nth| format!("${nth}")).collect();
            rows.push(format!("({}, 'pending', 0)", placeholders.join(", ")));
            args.extend([
                delivery.id.as_str().into(),
                delivery.endpoint_id.as_str().into(),
                delivery.team.as_str().into(),
                delivery.event_id.as_str().into(),
                delivery.kind.as_str().into(),
                delivery.body.as_str().into(),
                delivery.queued_at.into(),
                delivery.due_at.into(),
            ]);
        }
        queued += tx
            .execute(Statement {
                text: format!(
                    "INSERT INTO webhook_deliveries (id, endpoint_id, team, event_id, kind, body, queued_at, due_at, \
                        state, attempts) VALUES {} \
                     ON CONFLICT (endpoint_id, event_id) DO UPDATE SET state = 'pending', attempts = 0, \
                        queued_at = excluded.queued_at, began_at = NULL, due_at = excluded.due_at, finished_at = NULL \
                        WHERE webhook_deliveries.state IN ('delivered', 'dead')",
                    rows.join(", ")
                ),
                args,
            })
            .await?;
    }
    tx.effects().deliveries |= queued > 0;
    Ok(queued)
}

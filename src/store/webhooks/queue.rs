//! Queues webhook deliveries: new ones for sequenced events, and repeated ones.

use std::collections::BTreeSet;

use crate::domain::delivery::Delivery;
use crate::domain::event::Event;
use crate::domain::team::Team;
use crate::error::Error;
use crate::store::sql::db::{Statement, Tx};
use crate::store::sql::param::Param;
use crate::store::webhooks::row::{read_endpoint, select_endpoint};

/// Rows in one statement.
const ROWS: usize = 500;

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

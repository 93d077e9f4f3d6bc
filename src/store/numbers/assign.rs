//! Assigns a number to a team inside a transaction, for transfers and fulfilled orders.

use crate::domain::event_kind::EventKind;
use crate::domain::id::{OrderId, PhoneNumberId};
use crate::domain::number::Facts;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::events::write;
use crate::store::numbers::row::lock;
use crate::store::sql::db::{Tx, sql};

/// The number before it was assigned.
pub(in crate::store) struct Before {
    /// The team that had it, if any.
    pub(in crate::store) team: Option<Team>,
    /// The monthly price in cents.
    pub(in crate::store) monthly: i64,
    /// Whether the row is a tombstone.
    pub(in crate::store) gone: bool,
    /// Whether another order was fulfilled with the number.
    pub(in crate::store) taken: bool,
    /// The time of the scheduled release that the assignment cancelled, if any.
    ///
    /// A schedule does not follow the number to another team.
    pub(in crate::store) called_off: Option<Timestamp>,
}

/// Assigns a number to a team, and to the order that rented it, if there is one.
///
/// Returns `None` when the number is unknown.
pub(in crate::store) async fn assign(
    tx: &mut Tx,
    at: Timestamp,
    id: &PhoneNumberId,
    team: &Team,
    order: Option<&OrderId>,
) -> Result<Option<Before>, Error> {
    let Some(row) = lock(tx, id).await? else {
        return Ok(None);
    };
    let taken = tx
        .row(sql!(
            "SELECT id FROM orders WHERE phone_number_id = $1 AND id <> $2",
            id.as_str(),
            order.map_or("", OrderId::as_str)
        ))
        .await?;
    tx.execute(sql!(
        "UPDATE numbers SET team = $2, order_id = COALESCE($3, order_id) WHERE id = $1",
        id.as_str(),
        team.as_str(),
        order.map(OrderId::as_str)
    ))
    .await?;
    let before: Option<Team> = row.parsed_opt("team")?;
    let gone = row.int_opt("gone_at")?.is_some();
    tx.effects().numbers.insert(id.clone());
    if before.as_ref() != Some(team) && !gone {
        let facts: Facts = row.json("facts")?;
        if let Some(before) = &before {
            write::number(tx, at, EventKind::NumberUnassigned, Some(before), &facts).await?;
        }
        write::number(tx, at, EventKind::NumberAssigned, Some(team), &facts).await?;
    }
    let mut called_off = row.time_opt("release_at")?;
    if before.as_ref() == Some(team) {
        called_off = None;
    } else if called_off.is_some() {
        call_off(tx, id).await?;
    }
    Ok(Some(Before {
        team: before,
        monthly: row.int("monthly")?,
        gone,
        taken: taken.is_some(),
        called_off,
    }))
}

/// Removes the schedule of a release.
///
/// The mark of a release in progress stays, because Close was already called.
async fn call_off(tx: &mut Tx, id: &PhoneNumberId) -> Result<(), Error> {
    tx.execute(sql!(
        "UPDATE numbers SET release_at = NULL, release_try_at = NULL WHERE id = $1",
        id.as_str()
    ))
    .await
    .map(drop)
}

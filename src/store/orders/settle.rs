//! Settles orders: writes the outcome of a paid call once, with reservation, number and events.

use crate::domain::audit::AuditRow;
use crate::domain::order::transition::Step;
use crate::domain::order::{Evidence, Order, State};
use crate::domain::team::Team;
use crate::error::Error;
use crate::failpoint;
use crate::store::audit::rows;
use crate::store::events::write;
use crate::store::handle::Store;
use crate::store::ledger::{self, Entry, Kind};
use crate::store::numbers::assign;
use crate::store::numbers::upsert::{self, Observation};
use crate::store::orders::open::FIRST_LOOK;
use crate::store::orders::row::allows;
use crate::store::sql::db::{Tx, sql};
use crate::store::sql::error::corrupt;
use crate::store::sql::row::{Row, json};

impl Store {
    /// Writes an order after `Order::settled`, once.
    ///
    /// The row must have the order's attempt, and a state that the outcome can follow. A clear answer counts even if
    /// the lease lapsed before the answer was written. Returns `false`, and changes nothing, when the order was already
    /// settled, or when its number belongs to another order.
    ///
    /// When the order is fulfilled, its reservation becomes a holding, and the number gets its team and order, even if
    /// another team adopted the number meanwhile. `found` describes the number; a listing may have inserted it first.
    /// When the order is refused, the reservation is freed. Otherwise the reservation stays.
    ///
    /// Fails with [`Error::Internal`] when a fulfilled order has no number.
    pub async fn settle_order(
        &self,
        order: &Order,
        found: Option<&Observation>,
        audit: &AuditRow,
    ) -> Result<bool, Error> {
        let step = step_to(order.state)?;
        let mut tx = self.db.begin().await?;
        let Some(row) = update(&mut tx, order, step).await? else {
            return Ok(false);
        };
        let team: Team = row.parsed("team")?;
        let reserved = row.int("monthly")?;
        let entries = match step {
            Step::Fulfil => match fulfil(&mut tx, order, &team, reserved, found).await? {
                Some(entries) => entries,
                None => return Ok(false),
            },
            Step::Refuse => vec![
                Entry::new(order.updated_at, &team, Kind::GiveBack)
                    .order(&order.id)
                    .reserved(-1, -reserved),
            ],
            _ => Vec::new(),
        };
        ledger::enter(&mut tx, entries).await?;
        rows::write(&mut tx, audit).await?;
        write::order(&mut tx, order).await?;
        failpoint::reached("settle.commit");
        tx.commit().await?;
        failpoint::reached("settle.done");
        Ok(true)
    }
}

/// The step that ends a send, or its reconciliation, in this state.
fn step_to(state: State) -> Result<Step, Error> {
    match state {
        State::Fulfilled => Ok(Step::Fulfil),
        State::Refused => Ok(Step::Refuse),
        State::Unverified => Ok(Step::MarkUnverified),
        State::NeedsReview => Ok(Step::Review),
        State::Queued => Ok(Step::Requeue),
        State::AwaitingApproval | State::Renting | State::Cancelled | State::Later(_) => {
            Err(corrupt(format!("a send can't end as {state}"), None))
        }
    }
}

/// Updates the order's row if attempt and state allow the step; returns its team and reserved price.
async fn update(tx: &mut Tx, order: &Order, step: Step) -> Result<Option<Row>, Error> {
    // `fulfil` writes the number, once it is certain that no other order has it.
    let label_due_at =
        (order.state == State::Fulfilled && order.request.label.is_some()).then_some(order.updated_at);
    tx.row(sql!(
        format!(
            "UPDATE orders SET state = $3, holder = NULL, lease_until = NULL, not_before = $4, close_status = $5, \
                reason = $6, close_errors = $7, evidence = $8, label_due_at = $9, updated_at = $10, \
                finished_at = $11, look_at = $12, absent_since = NULL, quiet_until = $13 \
             WHERE id = $1 AND attempt = $2 AND {} RETURNING team, monthly",
            allows(step)
        ),
        order.id.as_str(),
        order.attempt,
        order.state.as_str(),
        order.not_before,
        order.close_status.as_deref(),
        order.reason.as_deref(),
        order.close_errors.as_ref().map(json).transpose()?,
        order.evidence.map(Evidence::as_str),
        label_due_at,
        order.updated_at,
        order.finished_at,
        (order.state == State::Unverified).then_some(order.updated_at),
        (order.state == State::Unverified).then(|| order.updated_at.plus(FIRST_LOOK)),
    ))
    .await
}

/// Assigns the number to the order and returns the ledger entries; `None` if another order has it.
async fn fulfil(
    tx: &mut Tx,
    order: &Order,
    team: &Team,
    reserved: i64,
    found: Option<&Observation>,
) -> Result<Option<Vec<Entry>>, Error> {
    let id = order
        .phone_number_id
        .as_ref()
        .ok_or_else(|| corrupt("a fulfilled order names no number", None))?;
    let mut entries = Vec::new();
    if let Some(seen) = found {
        if seen.facts.id != *id {
            return Err(corrupt("the order was fulfilled with another number", None));
        }
        entries.extend(upsert::upsert(tx, seen).await?.entry);
    }
    let before = assign::assign(tx, order.updated_at, id, team, Some(&order.id))
        .await?
        .ok_or_else(|| corrupt("the number of a fulfilled order is unknown", None))?;
    if before.taken {
        return Ok(None);
    }
    tx.execute(sql!(
        "UPDATE orders SET phone_number_id = $2 WHERE id = $1",
        order.id.as_str(),
        id.as_str()
    ))
    .await?;
    let entry = |team: &Team, kind| {
        Entry::new(order.updated_at, team, kind)
            .order(&order.id)
            .number(id)
    };
    if before.gone || before.team.as_ref() == Some(team) {
        // The number is gone again, or the same team adopted it: the order adds no holding.
        entries.push(entry(team, Kind::GiveBack).reserved(-1, -reserved));
    } else {
        entries.push(
            entry(team, Kind::Hold)
                .held(1, before.monthly)
                .reserved(-1, -reserved),
        );
        if let Some(adopter) = &before.team {
            entries.push(entry(adopter, Kind::Correction).held(-1, -before.monthly));
        }
    }
    Ok(Some(entries))
}

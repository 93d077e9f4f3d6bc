//! Ends the hold that unknown calls caused, after a person has confirmed them.
//!
//! Nothing that may have happened already happens again: orders that an unknown rent matches go to review, and scheduled
//! releases are called off. The numbers become orphans that name the likely order.

use crate::domain::audit::{Action, AuditRow};
use crate::domain::event::Event;
use crate::domain::event_data::PhoneNumberData;
use crate::domain::event_kind::EventKind;
use crate::domain::hold::{CallKind, HoldCause, UnknownCall};
use crate::domain::id::{OrderId, PhoneNumberId};
use crate::domain::number::Facts;
use crate::domain::order::Order;
use crate::domain::order::transition::Step;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::audit::rows;
use crate::store::events::write;
use crate::store::handle::Store;
use crate::store::hold;
use crate::store::numbers::row::{read as read_number, select_number};
use crate::store::numbers::upsert::{self, Observation};
use crate::store::orders::row::{allows, read as read_order, select_order};
use crate::store::sql::db::{Tx, sql};
use crate::store::sql::error::corrupt;

/// The result of a confirmation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Confirmed {
    /// The calls, each rent with the likely order.
    pub calls: Vec<UnknownCall>,
    /// The orders that went to review.
    pub in_review: Vec<OrderId>,
    /// The numbers whose scheduled release was called off.
    pub kept: Vec<PhoneNumberId>,
}

impl Store {
    /// Confirms all unknown calls and ends their hold, in one transaction. `None`: there is no such hold.
    ///
    /// `audit` is the row of the end of the hold. All other rows have its actor, request and grant.
    pub async fn confirm_unknown_calls(&self, audit: &AuditRow) -> Result<Option<Confirmed>, Error> {
        let mut tx = self.db.begin().await?;
        // First, so that the calls which are read next are all that caused the hold: a new call waits for this
        // transaction, and starts the hold again.
        if !hold::end(&mut tx, HoldCause::UnknownCalls).await? {
            return Ok(None);
        }
        let mut calls = hold::unknown_calls(&mut tx).await?;
        let mut confirmed = Confirmed::default();
        for order in unsent_orders(&mut tx).await? {
            let Some(first) = name_order(&mut calls, &order) else {
                continue;
            };
            let reason = format!(
                "this database is older than Close, which shows a number that may have been rented for the order: {first}"
            );
            if let Some(id) = suspect(&mut tx, order, reason, audit).await? {
                confirmed.in_review.push(id);
            }
        }
        let now = audit.at;
        // In the order in which all transactions lock numbers.
        calls.sort_by(|one, other| one.number_id.cmp(&other.number_id));
        for call in &calls {
            if let (CallKind::Rent, Some(facts)) = (call.kind, &call.facts) {
                orphan(&mut tx, facts, call.order_id.as_ref(), now).await?;
            }
            tx.execute(sql!(
                "UPDATE unknown_calls SET confirmed_at = $3, order_id = $4 WHERE kind = $1 AND number_id = $2",
                call.kind.as_str(),
                call.number_id.as_str(),
                now,
                call.order_id.as_ref().map(OrderId::as_str)
            ))
            .await?;
        }
        confirmed.kept = call_off_releases(&mut tx, audit).await?;
        let numbers: Vec<_> = calls.iter().map(|call| call.number_id.as_str()).collect();
        let row = audit.clone().detail(serde_json::json!({ "numbers": numbers }));
        rows::write(&mut tx, &row).await?;
        tx.commit().await?;
        calls.sort_by_key(|call| call.at);
        confirmed.calls = calls;
        Ok(Some(confirmed))
    }
}

/// Names the order in the first matching rent that names none. Returns the number of the first matching rent.
///
/// One number names one order. The other matching orders go to review, too, because the number may belong to any of them.
fn name_order(calls: &mut [UnknownCall], order: &Order) -> Option<PhoneNumberId> {
    let mut matching = calls
        .iter_mut()
        .filter(|call| is_rent_for(call, order))
        .peekable();
    let first = matching.peek()?.number_id.clone();
    if let Some(call) = matching.find(|call| call.order_id.is_none()) {
        call.order_id = Some(order.id.clone());
    }
    Some(first)
}

/// Whether the call may have rented its number for the order.
fn is_rent_for(call: &UnknownCall, order: &Order) -> bool {
    let fits = |facts| order.matches(facts);
    // Without the number, nothing speaks against any order.
    call.kind == CallKind::Rent && call.facts.as_ref().is_none_or(fits)
}

async fn unsent_orders(tx: &mut Tx) -> Result<Vec<Order>, Error> {
    let text = format!(
        "{} WHERE {} ORDER BY id",
        select_order!(""),
        allows(Step::Suspect)
    );
    let rows = tx.rows(sql!(text)).await?;
    rows.iter().map(read_order).collect()
}

/// Moves an order that was not sent, as far as the database knows, to review.
///
/// Returns `None`, and writes nothing, if it has changed meanwhile, such as by a cancellation.
async fn suspect(
    tx: &mut Tx,
    order: Order,
    reason: String,
    audit: &AuditRow,
) -> Result<Option<OrderId>, Error> {
    let now = audit.at;
    let order = order
        .suspected(reason, now)
        .map_err(|wrong| corrupt("an unsent order can't go to review", Some(wrong.into())))?;
    let moved = tx
        .execute(sql!(
            format!(
                "UPDATE orders SET state = $2, reason = $3, not_before = NULL, updated_at = $4 WHERE id = $1 AND {}",
                allows(Step::Suspect)
            ),
            order.id.as_str(),
            order.state.as_str(),
            order.reason.as_deref(),
            now
        ))
        .await?;
    if moved == 0 {
        return Ok(None);
    }
    let row = row_beside(audit, Action::OrderSettle, order.state.as_str())
        .team(Some(&order.team))
        .order(&order.id)
        .detail(serde_json::json!({ "reason": order.reason }));
    rows::write(tx, &row).await?;
    write::order(tx, &order).await?;
    Ok(Some(order.id))
}

/// Returns a row about another action of the same person and request.
fn row_beside(audit: &AuditRow, action: Action, outcome: &str) -> AuditRow {
    AuditRow {
        action,
        ..audit.then(audit.at, outcome)
    }
}

/// Adds the number to the inventory, unless it is known, and names the likely order.
async fn orphan(tx: &mut Tx, facts: &Facts, order: Option<&OrderId>, now: Timestamp) -> Result<(), Error> {
    let seen = Observation {
        facts: facts.clone(),
        as_of: now,
        estimate: None,
    };
    upsert::insert_if_unknown(tx, &seen).await?;
    let Some(order) = order else { return Ok(()) };
    let named = tx
        .execute(sql!(
            "UPDATE numbers SET order_id = $2 WHERE id = $1 AND team IS NULL AND order_id IS NULL",
            facts.id.as_str(),
            order.as_str()
        ))
        .await?;
    if named == 1 {
        let data = PhoneNumberData {
            order_id: Some(order),
            ..PhoneNumberData::new(facts)
        };
        write::event(tx, &Event::of_number(now, EventKind::NumberUpdated, None, &data)).await?;
    }
    Ok(())
}

/// Calls off every scheduled release: somebody may have called it off already, after the backup.
async fn call_off_releases(tx: &mut Tx, audit: &AuditRow) -> Result<Vec<PhoneNumberId>, Error> {
    let rows = tx
        .rows(sql!(select_number!(
            "",
            " WHERE release_try_at IS NOT NULL AND releasing_at IS NULL AND gone_at IS NULL ORDER BY id"
        )))
        .await?;
    let mut kept = Vec::new();
    for row in &rows {
        let number = read_number(row)?;
        let id = &number.facts.id;
        let called_off = tx
            .execute(sql!(
                "UPDATE numbers SET release_at = NULL, release_try_at = NULL, release_issuer = NULL, \
                    release_subject = NULL \
                 WHERE id = $1 AND release_try_at IS NOT NULL AND releasing_at IS NULL AND gone_at IS NULL",
                id.as_str()
            ))
            .await?;
        if called_off == 0 {
            continue;
        }
        let row = row_beside(audit, Action::NumberKeep, "kept")
            .team(number.team.as_ref())
            .number(id)
            .detail(serde_json::json!({ "release_at": number.release_at }));
        rows::write(tx, &row).await?;
        write::number(
            tx,
            audit.at,
            EventKind::NumberReleaseCalledOff,
            number.team.as_ref(),
            &number.facts,
        )
        .await?;
        kept.push(id.clone());
    }
    Ok(kept)
}

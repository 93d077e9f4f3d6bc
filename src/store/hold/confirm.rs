//! Ends the hold that unknown calls caused, after a person has confirmed them.
//!
//! Nothing that may have happened already happens again: orders that an unknown rent matches go to review, and scheduled
//! releases are called off. The numbers become orphans that name the likely order.

use crate::domain::audit::{Action, Actor, AuditRow};
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
    /// Confirms all unknown calls and ends their hold, in one transaction.
    pub async fn confirm_unknown_calls(&self, actor: &Actor, now: Timestamp) -> Result<Confirmed, Error> {
        let mut calls = self.unknown_calls().await?;
        let mut tx = self.db.begin().await?;
        let mut confirmed = Confirmed::default();
        for order in unsent_orders(&mut tx).await? {
            let mut matching = calls
                .iter_mut()
                .filter(|call| is_rent_for(call, &order))
                .peekable();
            let Some(first) = matching.peek().map(|call| call.number_id.clone()) else {
                continue;
            };
            // One number names one order. The others go to review all the same: any of them may be the one.
            if let Some(call) = matching.find(|call| call.order_id.is_none()) {
                call.order_id = Some(order.id.clone());
            }
            let reason = format!(
                "this database is older than Close, which shows a number that may have been rented for the order: {first}"
            );
            suspect(&mut tx, order, reason, actor, now)
                .await
                .map(|id| confirmed.in_review.push(id))?;
        }
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
        confirmed.kept = call_off_releases(&mut tx, actor, now).await?;
        hold::end(&mut tx, HoldCause::UnknownCalls).await?;
        let row = AuditRow::new(
            now,
            actor.clone(),
            Action::HoldEnd,
            HoldCause::UnknownCalls.as_str(),
        );
        let numbers: Vec<_> = calls.iter().map(|call| call.number_id.as_str()).collect();
        rows::write(&mut tx, &row.detail(serde_json::json!({ "numbers": numbers }))).await?;
        tx.commit().await?;
        confirmed.calls = calls;
        Ok(confirmed)
    }
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
async fn suspect(
    tx: &mut Tx,
    order: Order,
    reason: String,
    actor: &Actor,
    now: Timestamp,
) -> Result<OrderId, Error> {
    let order = order
        .suspected(reason, now)
        .map_err(|wrong| corrupt("an unsent order can't go to review", Some(wrong.into())))?;
    tx.execute(sql!(
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
    let row = AuditRow::new(now, actor.clone(), Action::OrderSettle, order.state.as_str())
        .team(Some(&order.team))
        .order(&order.id)
        .detail(serde_json::json!({ "reason": order.reason }));
    rows::write(tx, &row).await?;
    write::order(tx, &order).await?;
    Ok(order.id)
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
async fn call_off_releases(tx: &mut Tx, actor: &Actor, now: Timestamp) -> Result<Vec<PhoneNumberId>, Error> {
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
        tx.execute(sql!(
            "UPDATE numbers SET release_at = NULL, release_try_at = NULL, release_issuer = NULL, \
                release_subject = NULL WHERE id = $1",
            id.as_str()
        ))
        .await?;
        let row = AuditRow::new(now, actor.clone(), Action::NumberKeep, "kept")
            .team(number.team.as_ref())
            .number(id)
            .detail(serde_json::json!({ "release_at": number.release_at }));
        rows::write(tx, &row).await?;
        write::number(
            tx,
            now,
            EventKind::NumberReleaseCalledOff,
            number.team.as_ref(),
            &number.facts,
        )
        .await?;
        kept.push(id.clone());
    }
    Ok(kept)
}

//! The paid call's two ends: claiming an order before a byte leaves, and settling it once.

use std::time::Duration;

use crate::domain::audit::AuditRow;
use crate::domain::caller::Team;
use crate::domain::country::Country;
use crate::domain::id::{OrderId, PhoneNumberId};
use crate::domain::order::{Evidence, Order, State};
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::db::{Tx, sql};
use crate::store::fault::nonsense;
use crate::store::inventory::{self, Observation};
use crate::store::ledger::{self, Entry, Kind};
use crate::store::order::{read, select_order};
use crate::store::row::{Row, json};
use crate::store::{Store, audit};

/// What became of a claim.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// The order is the caller's to send until its lease lapses.
    Claimed(Order),
    /// Somebody else has it, it is not queued, or not yet.
    Elsewhere,
    /// Another order of its country is in doubt; it stays queued.
    Frozen,
    /// It is not what a second person approved; it stays queued.
    Altered(Order),
}

impl Store {
    /// Queued orders whose time has come and whose country is not frozen, oldest first.
    pub async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<OrderId>, Error> {
        let rows = self
            .db
            .rows(sql!(
                // A frozen country must not crowd out the others.
                "SELECT id FROM orders o WHERE o.state = 'queued' AND (o.not_before IS NULL OR o.not_before <= $1) \
                    AND NOT EXISTS (SELECT 1 FROM orders d WHERE d.country = o.country \
                        AND d.state IN ('renting', 'unverified') \
                        AND (d.state = 'unverified' OR d.lease_until <= $1)) \
                 ORDER BY id LIMIT $2",
                now,
                i64::from(limit)
            ))
            .await?;
        rows.iter().map(|row| row.parsed("id")).collect()
    }

    /// Makes a queued order `renting`, held by `holder` for `lease`: at most one claim of many wins. On disk when
    /// this returns.
    ///
    /// An order of the country that is `unverified`, or whose sender died (`renting` with a lapsed lease), freezes
    /// the country: what the two rent could not be told apart.
    pub async fn claim(
        &self,
        id: &OrderId,
        holder: &str,
        now: Timestamp,
        lease: Duration,
        audit: &AuditRow,
    ) -> Result<Claim, Error> {
        let mut tx = self.db.begin().await?;
        let row = tx
            .lock(sql!(
                select_order!(
                    " WHERE id = $1 AND state = 'queued' AND (not_before IS NULL OR not_before <= $2)"
                ),
                id.as_str(),
                now
            ))
            .await?;
        let Some(row) = row else {
            return Ok(Claim::Elsewhere);
        };
        let order = read(&row)?;
        if !order.is_as_approved() {
            return Ok(Claim::Altered(order));
        }
        if frozen(&mut tx, order.request.country, now).await? {
            return Ok(Claim::Frozen);
        }
        let order = order
            .claimed(now)
            .map_err(|wrong| nonsense("a queued order can't be claimed", Some(wrong.into())))?;
        let won = tx
            .execute(sql!(
                "UPDATE orders SET state = 'renting', attempt = $2, sent_at = $3, not_before = NULL, reason = NULL, \
                    updated_at = $3, holder = $4, lease_until = $5 \
                 WHERE id = $1 AND state = 'queued' AND attempt = $2 - 1",
                id.as_str(),
                order.attempt,
                now,
                holder,
                now.plus(lease),
            ))
            .await?;
        if won == 0 {
            return Ok(Claim::Elsewhere);
        }
        audit::write(&mut tx, &audit.clone().team(Some(&order.team))).await?;
        tx.commit().await?;
        Ok(Claim::Claimed(order))
    }

    /// Orders whose send was begun and whose lease has lapsed: nobody is on them any more.
    pub async fn lapsed(&self, now: Timestamp, limit: u32) -> Result<Vec<Order>, Error> {
        let rows = self
            .db
            .rows(sql!(
                select_order!(" WHERE state = 'renting' AND lease_until <= $1 ORDER BY id LIMIT $2"),
                now,
                i64::from(limit)
            ))
            .await?;
        rows.iter().map(read).collect()
    }

    /// Writes an order after [`Order::settled`], once: its attempt must be the row's, whose state must be renting, or
    /// unverified when the lease lapsed before an answer that is certain could be written.
    /// `false`: it is not ours any more, and nothing changed.
    ///
    /// Fulfilled, the reservation becomes a holding and the number (`found`; a listing may have seen it first) gets
    /// its team and order, whoever adopted it meanwhile. Refused, the reservation is given back. Otherwise it stays.
    ///
    /// [`Error::Internal`] when a fulfilled order comes without its number, or with one that another order has.
    pub async fn settle(
        &self,
        order: &Order,
        found: Option<&Observation>,
        audit: &AuditRow,
    ) -> Result<bool, Error> {
        let mut tx = self.db.begin().await?;
        let Some(row) = write(&mut tx, order).await? else {
            return Ok(false);
        };
        let team: Team = row.parsed("team")?;
        let reserved = row.int("monthly")?;
        let entries = match order.state {
            State::Fulfilled => fulfil(&mut tx, order, &team, reserved, found).await?,
            State::Refused => vec![
                Entry::new(order.updated_at, &team, Kind::GiveBack)
                    .order(&order.id)
                    .reserved(-1, -reserved),
            ],
            State::Unverified | State::Queued => Vec::new(),
            state @ (State::AwaitingApproval | State::Renting | State::NeedsReview | State::Cancelled) => {
                return Err(nonsense(format!("a send can't end as {state}"), None));
            }
        };
        ledger::enter(&mut tx, entries).await?;
        audit::write(&mut tx, audit).await?;
        tx.commit().await?;
        Ok(true)
    }
}

async fn frozen(tx: &mut Tx, country: Country, now: Timestamp) -> Result<bool, Error> {
    let doubtful = tx
        .row(sql!(
            "SELECT id FROM orders WHERE country = $1 AND state IN ('renting', 'unverified') \
                AND (state = 'unverified' OR lease_until <= $2) LIMIT 1",
            country.as_str(),
            now
        ))
        .await?;
    Ok(doubtful.is_some())
}

/// Writes how the send ended, if the row is still renting with the same attempt: its team and what it reserves.
async fn write(tx: &mut Tx, order: &Order) -> Result<Option<Row>, Error> {
    let label_due_at =
        (order.state == State::Fulfilled && order.request.label.is_some()).then_some(order.updated_at);
    tx.row(sql!(
        "UPDATE orders SET state = $3, holder = NULL, lease_until = NULL, not_before = $4, phone_number_id = $5, \
            close_status = $6, reason = $7, close_errors = $8, evidence = $9, label_due_at = $10, \
            updated_at = $11, finished_at = $12 \
         WHERE id = $1 AND attempt = $2 AND (state = 'renting' OR (state = 'unverified' AND $3 <> 'unverified')) \
         RETURNING team, monthly",
        order.id.as_str(),
        order.attempt,
        order.state.as_str(),
        order.not_before,
        order.phone_number_id.as_ref().map(PhoneNumberId::as_str),
        order.close_status.as_deref(),
        order.reason.as_deref(),
        order.close_errors.as_ref().map(json).transpose()?,
        order.evidence.map(Evidence::as_str),
        label_due_at,
        order.updated_at,
        order.finished_at,
    ))
    .await
}

/// Gives the number to the order; what that does to the books.
async fn fulfil(
    tx: &mut Tx,
    order: &Order,
    team: &Team,
    reserved: i64,
    found: Option<&Observation>,
) -> Result<Vec<Entry>, Error> {
    let id = order
        .phone_number_id
        .as_ref()
        .ok_or_else(|| nonsense("a fulfilled order names no number", None))?;
    let mut entries = Vec::new();
    if let Some(seen) = found {
        if seen.facts.id != *id {
            return Err(nonsense("the order was fulfilled with another number", None));
        }
        entries.extend(inventory::see(tx, seen).await?.entry);
    }
    let held = inventory::give(tx, id, team, Some(&order.id))
        .await?
        .ok_or_else(|| nonsense("the number of a fulfilled order is not known", None))?;
    let entry = |team: &Team, kind| {
        Entry::new(order.updated_at, team, kind)
            .order(&order.id)
            .number(id)
    };
    if held.gone || held.team.as_ref() == Some(team) {
        // Gone again already, or adopted by the same team: there is nothing more to hold.
        entries.push(entry(team, Kind::GiveBack).reserved(-1, -reserved));
    } else {
        entries.push(
            entry(team, Kind::Hold)
                .held(1, held.monthly)
                .reserved(-1, -reserved),
        );
        if let Some(adopter) = &held.team {
            entries.push(entry(adopter, Kind::Correction).held(-1, -held.monthly));
        }
    }
    Ok(entries)
}

//! The paid call's two ends: claiming an order before a byte leaves, and settling it once.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::audit::AuditRow;
use crate::domain::caller::Team;
use crate::domain::country::Country;
use crate::domain::event::Event;
use crate::domain::id::OrderId;
use crate::domain::order::{Evidence, Order, State};
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::failpoint;
use crate::store::Store;
use crate::store::audit::rows;
use crate::store::events::feed;
use crate::store::ledger::{self, Entry, Kind};
use crate::store::numbers::upsert::{self, Observation};
use crate::store::orders::list::{read, select_order};
use crate::store::sql::db::{Tx, sql};
use crate::store::sql::error::corrupt;
use crate::store::sql::row::{Row, json};

/// What became of a claim.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// The order is the caller's to send until its lease lapses.
    Claimed(Order),
    /// Somebody else has it, it is not queued, or not yet.
    Elsewhere,
    /// Another order of its country is in doubt; it stays queued.
    Frozen,
    /// An order of another shape is being sent in its country; it stays queued.
    Occupied,
    /// It is not what a second person approved; it stays queued.
    Altered(Order),
}

impl Store {
    /// Queued orders whose time has come and whose country lets them be sent now, with their teams: of each team the
    /// oldest first, and the teams in turn. Of one country only those that may be sent side by side.
    pub async fn due_orders(&self, now: Timestamp, limit: u32) -> Result<Vec<(OrderId, Team)>, Error> {
        let rows = self
            .db
            .rows(sql!(
                // A country that is frozen or occupied must not crowd out the others.
                "SELECT id, team, country, shape FROM orders o \
                 WHERE o.state = 'queued' AND (o.not_before IS NULL OR o.not_before <= $1) \
                    AND NOT EXISTS (SELECT 1 FROM orders d WHERE d.country = o.country \
                        AND d.state IN ('renting', 'unverified') \
                        AND (d.state = 'unverified' OR d.lease_until <= $1 OR d.shape <> o.shape)) \
                 ORDER BY ROW_NUMBER() OVER (PARTITION BY team ORDER BY id), id LIMIT $2",
                now,
                i64::from(limit)
            ))
            .await?;
        let mut shapes = BTreeMap::new();
        let mut due = Vec::new();
        for row in rows {
            let shape = row.text("shape")?;
            if *shapes
                .entry(row.text("country")?)
                .or_insert_with(|| shape.clone())
                == shape
            {
                due.push((row.parsed("id")?, row.parsed("team")?));
            }
        }
        Ok(due)
    }

    /// Makes a queued order `renting`, held by `holder` for `lease`: at most one claim of many wins. On disk when
    /// this returns.
    ///
    /// In one country, what is under way at the same time is of one shape, so that numbers of unknown outcomes can
    /// always be told apart, or need not be; and nothing new is sent while an order is `unverified`, or its sender
    /// died (`renting` with a lapsed lease).
    pub async fn claim_order(
        &self,
        id: &OrderId,
        holder: &str,
        now: Timestamp,
        lease: Duration,
        audit: &AuditRow,
    ) -> Result<Claim, Error> {
        let mut tx = self.db.begin().await?;
        let row = tx
            .lock_if_free(sql!(
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
        let country = order.request.country;
        lock_country(&mut tx, country).await?;
        match in_the_way(&mut tx, id, country, now).await? {
            None => {}
            Some(true) => return Ok(Claim::Frozen),
            Some(false) => return Ok(Claim::Occupied),
        }
        let order = order
            .claimed(now)
            .map_err(|wrong| corrupt("a queued order can't be claimed", Some(wrong.into())))?;
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
        rows::write(&mut tx, &audit.clone().team(Some(&order.team))).await?;
        feed::order(&mut tx, &order).await?;
        failpoint::reached("claim.commit");
        tx.commit().await?;
        Ok(Claim::Claimed(order))
    }

    /// Takes a claim back of which it is certain that nothing was sent under it: `holder` must be this claim's alone.
    /// `false`: there is no such claim, and nothing changed.
    pub async fn unclaim_order(&self, id: &OrderId, holder: &str, audit: &AuditRow) -> Result<bool, Error> {
        let mut tx = self.db.begin().await?;
        let row = tx
            .row(sql!(
                "UPDATE orders SET state = 'queued', holder = NULL, lease_until = NULL, updated_at = $3 \
                 WHERE id = $1 AND state = 'renting' AND holder = $2 RETURNING team",
                id.as_str(),
                holder,
                audit.at,
            ))
            .await?;
        let Some(row) = row else { return Ok(false) };
        let team: Team = row.parsed("team")?;
        rows::write(&mut tx, &audit.clone().team(Some(&team))).await?;
        feed::write(
            &mut tx,
            &Event::of_order(audit.at, &team, id, State::Queued, None),
        )
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Orders whose send was begun and whose lease has lapsed: nobody is on them any more.
    pub async fn lapsed_orders(&self, now: Timestamp, limit: u32) -> Result<Vec<Order>, Error> {
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

    /// Writes an order after [`Order::settled`], once: its attempt must be the row's, and its state one that this
    /// outcome may follow. An answer that is certain is taken even when the lease lapsed before it could be written.
    /// `false`: it is not ours any more, or its number is another order's, and nothing changed.
    ///
    /// Fulfilled, the reservation becomes a holding and the number (`found`; a listing may have seen it first) gets
    /// its team and order, whoever adopted it meanwhile. Refused, the reservation is given back. Otherwise it stays.
    ///
    /// [`Error::Internal`] when a fulfilled order comes without its number.
    pub async fn settle_order(
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
            State::Fulfilled => match fulfil(&mut tx, order, &team, reserved, found).await? {
                Some(entries) => entries,
                None => return Ok(false),
            },
            State::Refused => vec![
                Entry::new(order.updated_at, &team, Kind::GiveBack)
                    .order(&order.id)
                    .reserved(-1, -reserved),
            ],
            State::Unverified | State::NeedsReview | State::Queued => Vec::new(),
            state @ (State::AwaitingApproval | State::Renting | State::Cancelled) => {
                return Err(corrupt(format!("a send can't end as {state}"), None));
            }
        };
        ledger::enter(&mut tx, entries).await?;
        rows::write(&mut tx, audit).await?;
        feed::order(&mut tx, order).await?;
        failpoint::reached("settle.commit");
        tx.commit().await?;
        failpoint::reached("settle.done");
        Ok(true)
    }
}

/// Lets one claim a time look at what is under way in the country, and begin.
async fn lock_country(tx: &mut Tx, country: Country) -> Result<(), Error> {
    tx.execute(sql!(
        "INSERT INTO lanes (country) VALUES ($1) ON CONFLICT (country) DO NOTHING",
        country.as_str()
    ))
    .await?;
    tx.lock(sql!(
        "SELECT country FROM lanes WHERE country = $1",
        country.as_str()
    ))
    .await
    .map(drop)
}

/// What keeps the order from being sent: one in doubt (`true`), or one of another shape (`false`).
async fn in_the_way(
    tx: &mut Tx,
    id: &OrderId,
    country: Country,
    now: Timestamp,
) -> Result<Option<bool>, Error> {
    let row = tx
        .row(sql!(
            "SELECT CAST(CASE WHEN state = 'unverified' OR lease_until <= $2 THEN 1 ELSE 0 END AS BIGINT) AS doubtful FROM orders \
             WHERE country = $1 AND state IN ('renting', 'unverified') \
                AND (state = 'unverified' OR lease_until <= $2 \
                    OR shape <> (SELECT o.shape FROM orders o WHERE o.id = $3)) \
             ORDER BY doubtful DESC LIMIT 1",
            country.as_str(),
            now,
            id.as_str()
        ))
        .await?;
    row.map(|row| Ok(row.int("doubtful")? == 1)).transpose()
}

/// Writes how the send ended, if the row has the same attempt and stands where that outcome may come from: its team
/// and what it reserves.
async fn write(tx: &mut Tx, order: &Order) -> Result<Option<Row>, Error> {
    // The number is written once it is certain that no other order has it.
    let label_due_at =
        (order.state == State::Fulfilled && order.request.label.is_some()).then_some(order.updated_at);
    tx.row(sql!(
        "UPDATE orders SET state = $3, holder = NULL, lease_until = NULL, not_before = $4, close_status = $5, \
            reason = $6, close_errors = $7, evidence = $8, label_due_at = $9, updated_at = $10, finished_at = $11, \
            look_at = $12, absent_since = NULL \
         WHERE id = $1 AND attempt = $2 AND ((state = 'renting' AND $3 <> 'needs_review') \
            OR (state = 'unverified' AND $3 <> 'unverified') \
            OR (state = 'needs_review' AND $3 IN ('fulfilled', 'refused'))) \
         RETURNING team, monthly",
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
    ))
    .await
}

/// Gives the number to the order; what that does to the books. `None`: another order has it.
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
    let held = upsert::assign(tx, order.updated_at, id, team, Some(&order.id))
        .await?
        .ok_or_else(|| corrupt("the number of a fulfilled order is not known", None))?;
    if held.taken {
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
    Ok(Some(entries))
}

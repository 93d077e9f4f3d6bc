//! Claims orders before the paid call, so that one replica sends each attempt.
//!
//! Whether an order may be sent beside the orders whose outcome is open is decided by [`turn`], in the transaction of
//! the claim. The claims of a lane, which is all countries that share a calling code, are serialized by its row in
//! `lanes` and counted there: by its turn, an order is known to be sent before or after a number was seen.
//!
//! [`turn`]: crate::domain::order::turn

use std::time::Duration;

use crate::domain::audit::AuditRow;
use crate::domain::event::Event;
use crate::domain::id::OrderId;
use crate::domain::order::Order;
use crate::domain::order::overlap::Footprint;
use crate::domain::order::transition::Step;
use crate::domain::order::turn::{Open, Wait, waits};
use crate::domain::phone::{main_country, sharing_calling_code};
use crate::domain::team::Team;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::failpoint;
use crate::store::audit::rows;
use crate::store::due_times::{due, latest};
use crate::store::events::write;
use crate::store::handle::Store;
use crate::store::orders::open::{LONGEST_PAUSE, UnsettledOrder, open_in, queue_in};
use crate::store::orders::row::{allows, read, select_order};
use crate::store::sql::db::{Tx, sql};
use crate::store::sql::error::corrupt;

/// When a send begins.
#[derive(Debug, Clone, Copy)]
pub struct SendTime {
    /// By our clock.
    pub now: Timestamp,
    /// The earliest time by Close's clock.
    pub close_after: Option<Timestamp>,
}

impl From<Timestamp> for SendTime {
    fn from(now: Timestamp) -> Self {
        Self {
            now,
            close_after: None,
        }
    }
}

/// The result of a claim.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// The caller may send the order until the lease lapses.
    Claimed(Order),
    /// The order is not queued, not due yet, of a later version, or another replica is claiming it.
    Unavailable,
    /// The order must wait for others; it stays queued.
    Waiting(Wait),
    /// The order differs from the approved one; it stays queued.
    NotAsApproved(Order),
}

impl Store {
    /// Queued orders that may be sent now, with their teams: teams in turn, the oldest order of each first.
    pub async fn due_orders(&self, now: Timestamp, limit: u32) -> Result<Vec<(OrderId, Team)>, Error> {
        let queue = self.queue(now).await?;
        if queue.orders.is_empty() {
            return Ok(Vec::new());
        }
        let open = as_open(&self.unsettled_orders(&[]).await?, now);
        let mut due = Vec::new();
        for (countries, lane) in queue.by_lane() {
            let queued = lane.in_turn(&countries);
            let footprints: Vec<Footprint> = queued.iter().map(Footprint::of).collect();
            let waits = waits(&footprints, &open);
            let free = queued.into_iter().zip(waits).filter(|(_, wait)| wait.is_none());
            due.extend(free.enumerate().map(|(nth, (order, _))| (nth, order)));
        }
        // Lanes in turn too, so that a limited step leaves none out.
        due.sort_by_key(|(nth, _)| *nth);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(due
            .into_iter()
            .take(limit)
            .map(|(_, order)| (order.id, order.team))
            .collect())
    }

    /// Moves a queued order to `renting`, with a lease for `holder`.
    ///
    /// Of many concurrent claims at most one wins. The claim is on disk when this returns.
    pub async fn claim_order(
        &self,
        id: &OrderId,
        holder: &str,
        at: impl Into<SendTime>,
        lease: Duration,
        audit: &AuditRow,
    ) -> Result<Claim, Error> {
        let SendTime { now, close_after } = at.into();
        let mut tx = self.db.begin().await?;
        let text = format!(
            "{} WHERE id = $1 AND {} AND (not_before IS NULL OR {})",
            select_order!(""),
            allows(Step::Claim),
            due("not_before", "$2", "$3")
        );
        let by = latest(now, LONGEST_PAUSE);
        let row = tx.lock_if_free(sql!(text, id.as_str(), now, by)).await?;
        let Some(row) = row else {
            return Ok(Claim::Unavailable);
        };
        let order = read(&row)?;
        if order.is_later() {
            return Ok(Claim::Unavailable);
        }
        if !order.is_as_approved() {
            return Ok(Claim::NotAsApproved(order));
        }
        let turn = lock_lane(&mut tx, &order).await?;
        if let Some(wait) = wait_of(&mut tx, &order, now).await? {
            return Ok(Claim::Waiting(wait));
        }
        let mut order = order
            .claimed(now)
            .map_err(|wrong| corrupt("a queued order can't be claimed", Some(wrong.into())))?;
        order.close_sent_after = close_after;
        let won = tx
            .execute(sql!(
                format!(
                    "UPDATE orders SET state = $2, attempt = $3, sent_at = $4, not_before = NULL, reason = NULL, \
                        updated_at = $4, holder = $5, lease_until = $6, close_sent_after = $7, turn = $8, \
                        quiet_until = NULL \
                     WHERE id = $1 AND {} AND attempt = $3 - 1",
                    allows(Step::Claim)
                ),
                id.as_str(),
                order.state.as_str(),
                order.attempt,
                now,
                holder,
                now.plus(lease),
                close_after,
                turn,
            ))
            .await?;
        if won == 0 {
            return Ok(Claim::Unavailable);
        }
        take_turn(&mut tx, &order, turn).await?;
        rows::write(&mut tx, &audit.clone().team(Some(&order.team))).await?;
        write::order(&mut tx, &order).await?;
        failpoint::reached("claim.commit");
        tx.commit().await?;
        Ok(Claim::Claimed(order))
    }

    /// Postpones a queued order, which is not due before `until`.
    pub async fn postpone_order(&self, id: &OrderId, until: Timestamp, reason: &str) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        let text = format!(
            "UPDATE orders SET not_before = $2, reason = $3 WHERE id = $1 AND {}",
            allows(Step::Claim)
        );
        tx.execute(sql!(text, id.as_str(), until, reason)).await?;
        tx.commit().await
    }

    /// Returns a claimed order to the queue, if certainly nothing was sent under the claim.
    ///
    /// `holder` must be unique to the claim. Returns `false`, and changes nothing, when there is no such claim.
    pub async fn unclaim_order(&self, id: &OrderId, holder: &str, audit: &AuditRow) -> Result<bool, Error> {
        let mut tx = self.db.begin().await?;
        let state = Step::Unclaim.to_state();
        let row = tx
            .row(sql!(
                format!(
                    "UPDATE orders SET state = $4, holder = NULL, lease_until = NULL, updated_at = $3 \
                     WHERE id = $1 AND {} AND holder = $2 RETURNING team",
                    allows(Step::Unclaim)
                ),
                id.as_str(),
                holder,
                audit.at,
                state.as_str(),
            ))
            .await?;
        let Some(row) = row else { return Ok(false) };
        let team: Team = row.parsed("team")?;
        rows::write(&mut tx, &audit.clone().team(Some(&team))).await?;
        write::event(&mut tx, &Event::of_order(audit.at, &team, id, state, None)).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Orders in `renting` whose lease has lapsed: their sender died, or lost the database.
    ///
    /// No lease is longer than `lease`. An order that is still being sent may be among them, if clocks are wrong. Its
    /// answer counts all the same.
    pub async fn lapsed_orders(
        &self,
        now: Timestamp,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<Order>, Error> {
        let text = format!(
            "{} WHERE state = 'renting' AND {} ORDER BY id LIMIT $2",
            select_order!(""),
            due("lease_until", "$1", "$3")
        );
        let rows = self
            .db
            .rows(sql!(text, now, i64::from(limit), latest(now, lease)))
            .await?;
        rows.iter().map(read).collect()
    }
}

/// Locks the lane of the order, so that only one claim at a time checks it, and returns the next turn.
async fn lock_lane(tx: &mut Tx, order: &Order) -> Result<i64, Error> {
    let lane = main_country(order.request.country);
    tx.execute(sql!(
        "INSERT INTO lanes (country) VALUES ($1) ON CONFLICT (country) DO NOTHING",
        lane.as_str()
    ))
    .await?;
    let row = tx
        .lock(sql!("SELECT turn FROM lanes WHERE country = $1", lane.as_str()))
        .await?
        .ok_or_else(|| corrupt("the lane of an order is missing", None))?;
    Ok(row.int("turn")? + 1)
}

/// Records the turn of a claim, for the lane and for the team.
async fn take_turn(tx: &mut Tx, order: &Order, turn: i64) -> Result<(), Error> {
    let country = order.request.country;
    tx.execute(sql!(
        "UPDATE lanes SET turn = $2 WHERE country = $1",
        main_country(country).as_str(),
        turn
    ))
    .await?;
    tx.execute(sql!(
        "INSERT INTO team_turns (country, team, turn) VALUES ($1, $2, $3) \
         ON CONFLICT (country, team) DO UPDATE SET turn = excluded.turn",
        country.as_str(),
        order.team.as_str(),
        turn
    ))
    .await
    .map(drop)
}

/// What the order waits for, by all that the store knows while the lane is locked.
async fn wait_of(tx: &mut Tx, order: &Order, now: Timestamp) -> Result<Option<Wait>, Error> {
    let countries = sharing_calling_code(order.request.country);
    let open = as_open(&open_in(tx, &countries).await?, now);
    let mut queued = queue_in(tx, &countries, now).await?.in_turn(&countries);
    // An order beyond the part of the queue that is read comes last.
    if queued.iter().all(|other| other.id != order.id) {
        queued.push(order.clone());
    }
    let until = queued
        .iter()
        .position(|other| other.id == order.id)
        .unwrap_or_default();
    let footprints: Vec<Footprint> = queued.iter().take(until + 1).map(Footprint::of).collect();
    Ok(waits(&footprints, &open).pop().flatten())
}

fn as_open(orders: &[UnsettledOrder], now: Timestamp) -> Vec<Open> {
    orders.iter().filter_map(|open| open.as_open(now)).collect()
}

//! Claims orders before the paid call, so that one replica sends each attempt.
//!
//! All orders in progress in one country have the same shape. So a number that Close rented for an unknown outcome can
//! be assigned to any of them. The outcome of an order is unknown while it is `unverified`, or after its sender died
//! (`renting` with a lapsed lease). Nothing new is sent in a country with such an order.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::audit::AuditRow;
use crate::domain::country::Country;
use crate::domain::event::Event;
use crate::domain::id::OrderId;
use crate::domain::order::Order;
use crate::domain::order::transition::Step;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::failpoint;
use crate::store::audit::rows;
use crate::store::due_times::{due, latest};
use crate::store::events::write;
use crate::store::handle::Store;
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
    /// The order is not queued, not due yet, or another replica is claiming it.
    Unavailable,
    /// The outcome of another order of its country is unknown; the order stays queued.
    Frozen,
    /// An order of another shape is being sent in its country; the order stays queued.
    Occupied,
    /// The order differs from the approved one; it stays queued.
    NotAsApproved(Order),
}

/// The longest pause before an order is sent again: the longest reset of a rate limit that counts.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// Why a country accepts no new send now.
enum Blocked {
    /// The outcome of an order there is unknown.
    ByUnknownOutcome,
    /// An order of another shape is being sent there.
    ByOtherShape,
}

impl Store {
    /// Queued orders that may be sent now, with their teams: teams in turn, the oldest order of each first.
    ///
    /// For each country, it returns only orders of one shape, and none while the country is blocked.
    pub async fn due_orders(&self, now: Timestamp, limit: u32) -> Result<Vec<(OrderId, Team)>, Error> {
        let rows = self
            .db
            .rows(sql!(
                // Orders of a blocked country must not crowd out the others.
                format!(
                    "SELECT id, team, country, shape FROM orders o \
                     WHERE o.{} AND (o.not_before IS NULL OR {}) \
                        AND NOT EXISTS (SELECT 1 FROM orders d WHERE d.country = o.country \
                            AND d.state IN ('renting', 'unverified') \
                            AND (d.state = 'unverified' OR d.lease_until <= $1 OR d.shape <> o.shape)) \
                     ORDER BY ROW_NUMBER() OVER (PARTITION BY team ORDER BY id), id LIMIT $2",
                    allows(Step::Claim),
                    due("o.not_before", "$1", "$3")
                ),
                now,
                i64::from(limit),
                latest(now, LONGEST_PAUSE)
            ))
            .await?;
        let mut shapes = BTreeMap::new();
        let mut due = Vec::new();
        for row in rows {
            let shape = row.text("shape")?;
            let first = shapes
                .entry(row.text("country")?)
                .or_insert_with(|| shape.clone());
            if *first == shape {
                due.push((row.parsed("id")?, row.parsed("team")?));
            }
        }
        Ok(due)
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
        if !order.is_as_approved() {
            return Ok(Claim::NotAsApproved(order));
        }
        let country = order.request.country;
        lock_country(&mut tx, country).await?;
        match blocked(&mut tx, id, country, now).await? {
            None => {}
            Some(Blocked::ByUnknownOutcome) => return Ok(Claim::Frozen),
            Some(Blocked::ByOtherShape) => return Ok(Claim::Occupied),
        }
        let mut order = order
            .claimed(now)
            .map_err(|wrong| corrupt("a queued order can't be claimed", Some(wrong.into())))?;
        order.close_sent_after = close_after;
        let won = tx
            .execute(sql!(
                format!(
                    "UPDATE orders SET state = $2, attempt = $3, sent_at = $4, not_before = NULL, reason = NULL, \
                        updated_at = $4, holder = $5, lease_until = $6, close_sent_after = $7 \
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
            ))
            .await?;
        if won == 0 {
            return Ok(Claim::Unavailable);
        }
        rows::write(&mut tx, &audit.clone().team(Some(&order.team))).await?;
        write::order(&mut tx, &order).await?;
        failpoint::reached("claim.commit");
        tx.commit().await?;
        Ok(Claim::Claimed(order))
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

/// Locks the country's row in `lanes`, so that only one claim at a time checks the country.
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

/// Why the order `id` can't be sent in its country now; an unknown outcome comes before another shape.
async fn blocked(
    tx: &mut Tx,
    id: &OrderId,
    country: Country,
    now: Timestamp,
) -> Result<Option<Blocked>, Error> {
    let row = tx
        .row(sql!(
            "SELECT CAST(CASE WHEN state = 'unverified' OR lease_until <= $2 THEN 1 ELSE 0 END AS BIGINT) \
                AS doubtful FROM orders \
             WHERE country = $1 AND state IN ('renting', 'unverified') \
                AND (state = 'unverified' OR lease_until <= $2 \
                    OR shape <> (SELECT o.shape FROM orders o WHERE o.id = $3)) \
             ORDER BY doubtful DESC LIMIT 1",
            country.as_str(),
            now,
            id.as_str()
        ))
        .await?;
    row.map(|row| {
        Ok(if row.int("doubtful")? == 1 {
            Blocked::ByUnknownOutcome
        } else {
            Blocked::ByOtherShape
        })
    })
    .transpose()
}

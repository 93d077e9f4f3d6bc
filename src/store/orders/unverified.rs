//! Orders in doubt: whose turn it is to be looked at, what a look found, and numbers that nobody accounts for. It does
//! not know how one looks.

use std::time::Duration;

use serde_json::json;

use crate::domain::audit::AuditRow;
use crate::domain::country::Country;
use crate::domain::event::{Event, EventKind};
use crate::domain::id::{OrderId, PhoneNumberId};
use crate::domain::number::{Number, Provenance};
use crate::domain::order::Order;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::Store;
use crate::store::audit::rows;
use crate::store::events::feed;
use crate::store::numbers::assign::{self, select_number};
use crate::store::numbers::upsert::{self, Observation};
use crate::store::orders::list::{read, select_order};
use crate::store::sql::db::sql;
use crate::store::sql::row;

/// Orders in doubt that are looked at in one step.
const BATCH: i64 = 64;
/// So long after its send, a number that turns up may still be an order's: as long as Close keeps its event log.
const MEMORY: Duration = Duration::from_hours(30 * 24);

/// A number that no order accounts for.
#[derive(Debug, Clone, PartialEq)]
pub struct UnassignedNumber {
    /// What is known of it.
    pub number: Number,
    /// When the desk first saw it.
    pub seen_at: Timestamp,
}

impl Store {
    /// Orders in doubt whose turn it is, taken by whoever comes first: the next turn is `pause` later, given for each
    /// order. Not while a call is under way in the country: what it rents could be taken for theirs.
    pub async fn take_due_unverified(
        &self,
        now: Timestamp,
        pause: impl Fn(&Order) -> Duration,
    ) -> Result<Vec<Order>, Error> {
        let rows = self
            .db
            .rows(sql!(
                select_order!(
                    " WHERE state = 'unverified' AND look_at <= $1 AND NOT EXISTS (SELECT 1 FROM orders r \
                        WHERE r.country = orders.country AND r.state = 'renting') ORDER BY id LIMIT $2"
                ),
                now,
                BATCH
            ))
            .await?;
        let mut taken = Vec::new();
        for row in &rows {
            let order = read(row)?;
            let mut tx = self.db.begin().await?;
            let ours = tx
                .execute(sql!(
                    "UPDATE orders SET look_at = $2 WHERE id = $1 AND state = 'unverified' AND look_at <= $3",
                    order.id.as_str(),
                    now.plus(pause(&order)),
                    now
                ))
                .await?;
            tx.commit().await?;
            if ours == 1 {
                taken.push(order);
            }
        }
        Ok(taken)
    }

    /// Makes it the turn of all orders in doubt of a country, or of any: Close has told of something new; how many.
    pub async fn make_unverified_due(&self, country: Option<Country>, now: Timestamp) -> Result<u64, Error> {
        let mut tx = self.db.begin().await?;
        let country = country.as_ref().map(Country::as_str);
        let turned = tx
            .execute(sql!(
                "UPDATE orders SET look_at = $2 WHERE state = 'unverified' AND look_at > $2 \
                    AND country = COALESCE($1, country)",
                country,
                now
            ))
            .await?;
        tx.commit().await?;
        Ok(turned)
    }

    /// All orders of a country that are in doubt, oldest first.
    pub async fn unverified_orders(&self, country: Country) -> Result<Vec<Order>, Error> {
        let rows = self
            .db
            .rows(sql!(
                select_order!(" WHERE country = $1 AND state = 'unverified' ORDER BY id"),
                country.as_str()
            ))
            .await?;
        rows.iter().map(read).collect()
    }

    /// Since when Close has shown nothing that fits an order in doubt; `None` when it shows something again.
    pub async fn set_absent_since(&self, order: &Order, since: Option<Timestamp>) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        tx.execute(sql!(
            "UPDATE orders SET absent_since = $3 WHERE id = $1 AND attempt = $2 AND state = 'unverified' \
                AND ($3 IS NULL OR absent_since IS NULL)",
            order.id.as_str(),
            order.attempt,
            since,
        ))
        .await?;
        tx.commit().await
    }

    /// Rented numbers of a country, or of none that Close names, that belong to no order, first seen at `since` or
    /// later. Those that are gone again count, and those that a team adopted: they were rented all the same.
    pub async fn unassigned_numbers(
        &self,
        country: Country,
        since: Timestamp,
    ) -> Result<Vec<UnassignedNumber>, Error> {
        let rows = self
            .db
            .rows(sql!(
                select_number!(
                    ", seen_at",
                    " WHERE order_id IS NULL AND kind = 'internal' \
                        AND (country = $1 OR country IS NULL) AND seen_at >= $2 ORDER BY id"
                ),
                country.as_str(),
                since
            ))
            .await?;
        rows.iter()
            .map(|row| {
                Ok(UnassignedNumber {
                    number: assign::read(row)?,
                    seen_at: row.time("seen_at")?,
                })
            })
            .collect()
    }

    /// Numbers of nobody of which nobody has asked where they come from, newest id last.
    pub async fn numbers_without_provenance(&self, limit: u32) -> Result<Vec<Number>, Error> {
        let rows = self
            .db
            .rows(sql!(
                select_number!(
                    "",
                    " WHERE origin IS NULL AND team IS NULL AND order_id IS NULL AND gone_at IS NULL \
                      ORDER BY id LIMIT $1"
                ),
                i64::from(limit)
            ))
            .await?;
        rows.iter().map(assign::read).collect()
    }

    /// Writes down where a number of nobody comes from, once.
    pub async fn set_provenance(
        &self,
        id: &PhoneNumberId,
        provenance: &Provenance,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        let row = tx
            .row(sql!(
                "UPDATE numbers SET origin = $2 WHERE id = $1 AND origin IS NULL AND team IS NULL \
                    AND gone_at IS NULL RETURNING facts",
                id.as_str(),
                row::json(provenance)?
            ))
            .await?;
        if let Some(row) = row {
            let event = Event::of_number(now, EventKind::NumberUpdated, None, &row.json("facts")?);
            feed::write(&mut tx, &event.with("provenance", json!(provenance))).await?;
        }
        tx.commit().await
    }

    /// Takes in numbers that are told of by other means than a listing, as far as they are not known yet: what is
    /// known, or known to be gone, stays as it is.
    pub async fn insert_if_unknown(&self, seen: &[Observation]) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        for one in seen {
            upsert::insert_if_unknown(&mut tx, one).await?;
        }
        tx.commit().await
    }

    /// Those of the numbers that Close itself named as the answer to an order of ours.
    pub async fn confirmed_by_response(&self, ids: &[PhoneNumberId]) -> Result<Vec<PhoneNumberId>, Error> {
        let mut ours = Vec::new();
        for id in ids {
            let row = self
                .db
                .row(sql!(
                    "SELECT id FROM orders WHERE phone_number_id = $1 AND evidence = 'close-201'",
                    id.as_str()
                ))
                .await?;
            if row.is_some() {
                ours.push(id.clone());
            }
        }
        Ok(ours)
    }

    /// Orders of the last thirty days that ended without a number because Close showed none, and that none has been
    /// named for since; latest send first.
    pub async fn given_up_orders(&self, now: Timestamp) -> Result<Vec<Order>, Error> {
        let rows = self
            .db
            .rows(sql!(
                select_order!(
                    " WHERE state = 'refused' AND evidence IN ('absent-after-reconciliation', 'settled-by-person') \
                        AND sent_at >= $1 AND NOT EXISTS (SELECT 1 FROM numbers n WHERE n.order_id = orders.id) \
                      ORDER BY sent_at DESC"
                ),
                now.minus(MEMORY)
            ))
            .await?;
        rows.iter().map(read).collect()
    }

    /// Writes on a number of nobody the order that it came too late for. `quiet`: only while no other order of that
    /// country is under way, in doubt or in review, as the number may be that one's. `false`: it is somebody's, has
    /// such a name already, or may be another one's, and nothing changed.
    pub async fn record_late_arrival(
        &self,
        id: &PhoneNumberId,
        order: &OrderId,
        quiet: Option<Country>,
        audit: &AuditRow,
    ) -> Result<bool, Error> {
        let mut tx = self.db.begin().await?;
        let named = tx
            .row(sql!(
                "UPDATE numbers SET order_id = $2 WHERE id = $1 AND team IS NULL AND order_id IS NULL \
                    AND NOT EXISTS (SELECT 1 FROM orders WHERE country = $3 \
                        AND state IN ('renting', 'unverified', 'needs_review')) RETURNING facts",
                id.as_str(),
                order.as_str(),
                quiet.as_ref().map(Country::as_str)
            ))
            .await?;
        let Some(row) = named else {
            return Ok(false);
        };
        rows::write(&mut tx, audit).await?;
        let event = Event::of_number(audit.at, EventKind::NumberUpdated, None, &row.json("facts")?);
        feed::write(&mut tx, &event.with("order_id", json!(order))).await?;
        tx.commit().await?;
        Ok(true)
    }
}

//! Unverified orders: the next ones for reconciliation to check, and the result of the last check.

use std::time::Duration;

use crate::domain::country::Country;
use crate::domain::id::PhoneNumberId;
use crate::domain::order::Order;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::due_times::{due, latest};
use crate::store::handle::Store;
use crate::store::orders::open::{FIRST_LOOK, QUIET};
use crate::store::orders::row::{read, select_order};
use crate::store::sql::db::sql;

/// Unverified orders that one step checks.
const BATCH: i64 = 64;
/// How long after its send an order can get a late number: as long as Close keeps its event log.
const MEMORY: Duration = Duration::from_hours(30 * 24);

impl Store {
    /// Takes the unverified orders that are due for a check, and schedules the next check after `pause`.
    ///
    /// No pause is longer than `longest`.
    ///
    /// Only one replica takes each order. An order whose last look was [kept from proving](Self::keep_quiet) anything
    /// by a call in progress is taken once no call is in progress in its country, or when that takes too long.
    pub async fn take_due_unverified(
        &self,
        now: Timestamp,
        longest: Duration,
        pause: impl Fn(&Order) -> Duration,
    ) -> Result<Vec<Order>, Error> {
        let by = latest(now, longest);
        let text = format!(
            // The quiet of the first look does not delay the look itself.
            "{} WHERE state = 'unverified' AND {} AND (quiet_until IS NULL OR {} OR quiet_until <= updated_at + $5 \
                OR NOT EXISTS (SELECT 1 FROM orders r WHERE r.country = orders.country AND r.state = 'renting')) \
             ORDER BY look_at, id LIMIT $2",
            select_order!(""),
            due("look_at", "$1", "$3"),
            due("quiet_until", "$1", "$4")
        );
        let rows = self
            .db
            .rows(sql!(
                text,
                now,
                BATCH,
                by,
                latest(now, QUIET),
                i64::try_from(FIRST_LOOK.as_micros()).unwrap_or(i64::MAX)
            ))
            .await?;
        let mut taken = Vec::new();
        for row in &rows {
            let order = read(row)?;
            // A replica of the later version looks for its number.
            if order.is_later() {
                continue;
            }
            let mut tx = self.db.begin().await?;
            let updated = tx
                .execute(sql!(
                    format!(
                        "UPDATE orders SET look_at = $2 WHERE id = $1 AND state = 'unverified' AND {}",
                        due("look_at", "$3", "$4")
                    ),
                    order.id.as_str(),
                    now.plus(pause(&order)),
                    now,
                    by
                ))
                .await?;
            tx.commit().await?;
            if updated == 1 {
                taken.push(order);
            }
        }
        Ok(taken)
    }

    /// Makes the unverified orders of one or all countries due for a check now; returns how many.
    pub async fn make_unverified_due(&self, country: Option<Country>, now: Timestamp) -> Result<u64, Error> {
        let mut tx = self.db.begin().await?;
        let country = country.as_ref().map(Country::as_str);
        // By id, as all transactions lock orders.
        let locked = if tx.on_postgres() { " FOR UPDATE" } else { "" };
        let changed = tx
            .execute(sql!(
                format!(
                    "UPDATE orders SET look_at = $2 WHERE id IN (SELECT id FROM orders WHERE state = 'unverified' \
                        AND look_at > $2 AND country = COALESCE($1, country) ORDER BY id{locked})"
                ),
                country,
                now
            ))
            .await?;
        tx.commit().await?;
        Ok(changed)
    }

    /// Keeps overlapping calls from beginning until the next look at these orders, which is due now.
    ///
    /// A call in progress kept the last look from proving anything: the number that it found may belong to the call.
    pub async fn keep_quiet(&self, orders: &[&Order], now: Timestamp) -> Result<(), Error> {
        if orders.is_empty() {
            return Ok(());
        }
        let mut tx = self.db.begin().await?;
        for order in by_id(orders) {
            tx.execute(sql!(
                "UPDATE orders SET look_at = $3, quiet_until = $4 \
                 WHERE id = $1 AND attempt = $2 AND state = 'unverified'",
                order.id.as_str(),
                order.attempt,
                now,
                now.plus(QUIET)
            ))
            .await?;
        }
        tx.commit().await
    }

    /// Lets overlapping calls begin again, after a look that proved something.
    pub async fn end_quiet(&self, orders: &[&Order]) -> Result<(), Error> {
        if orders.is_empty() {
            return Ok(());
        }
        let mut tx = self.db.begin().await?;
        for order in by_id(orders) {
            tx.execute(sql!(
                "UPDATE orders SET quiet_until = NULL WHERE id = $1 AND quiet_until IS NOT NULL",
                order.id.as_str()
            ))
            .await?;
        }
        tx.commit().await
    }

    /// Records since when Close has shown no matching number; `None` when it shows one again.
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

    /// Selects the numbers that Close named in its response to a paid call.
    ///
    /// For reconciliation only, which must see the orders of every team.
    pub async fn confirmed_by_response(&self, ids: &[PhoneNumberId]) -> Result<Vec<PhoneNumberId>, Error> {
        let mut confirmed = Vec::new();
        for id in ids {
            let row = self
                .db
                .row(sql!(
                    "SELECT id FROM orders WHERE phone_number_id = $1 AND evidence = 'close-201'",
                    id.as_str()
                ))
                .await?;
            if row.is_some() {
                confirmed.push(id.clone());
            }
        }
        Ok(confirmed)
    }

    /// Orders of the last thirty days that were refused because Close showed no number, latest send first.
    ///
    /// Orders that already have a late number are left out.
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
}

/// Sorts orders by id, as all transactions lock them.
fn by_id<'a>(orders: &[&'a Order]) -> Vec<&'a Order> {
    let mut orders = orders.to_vec();
    orders.sort_by(|one, other| one.id.cmp(&other.id));
    orders
}

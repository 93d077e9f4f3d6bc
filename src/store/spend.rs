//! The cost of each month, as sums over the ledger that are kept up to date.
//!
//! The ledger grows forever, so a report must not read all of it. Each entry of a number is counted once: the number's
//! shares of all months are then calculated again from all its entries, so that late entries are right, too.

use std::collections::BTreeMap;

use crate::domain::month::Month;
use crate::domain::scope::Scope;
use crate::domain::spend::{Booking, GroupBy, MonthlyShare, Sum, monthly_shares};
use crate::error::Error;
use crate::store::handle::Store;
use crate::store::sql::db::{Statement, Tx, sql};
use crate::store::sql::error::corrupt;
use crate::store::sql::param::Param;
use crate::store::sql::row::Row;
use crate::store::sql::select::Select;

/// Serializes counting: an arbitrary number that no other lock of this database uses.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7126083515430213)";
/// The last month of a number that is still held.
const HELD: i64 = 1_000_000;
/// Rows in one statement.
const ROWS: usize = 2_000;

impl Store {
    /// Counts the entries of up to `numbers` numbers that were not counted yet; returns how many numbers.
    ///
    /// Only one process counts at a time.
    pub async fn count_spend(&self, numbers: u32) -> Result<u32, Error> {
        if self.db.row(uncounted(1)).await?.is_none() {
            return Ok(0);
        }
        let _turn = self.db.long_turn().await?;
        let mut tx = self.db.begin().await?;
        if tx.on_postgres() {
            tx.execute(sql!(LOCK)).await?;
        }
        let rows = tx.rows(uncounted(numbers)).await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let ids: Vec<String> = rows
            .iter()
            .map(|row| row.text("phone_number_id"))
            .collect::<Result<_, _>>()?;
        let mut bookings: BTreeMap<String, Vec<Booking>> = BTreeMap::new();
        let mut counted = Vec::new();
        let select = "SELECT id, phone_number_id, at, team, numbers_held, monthly_held, counted FROM ledger";
        for row in tx
            .rows(of_numbers(select, &ids, " ORDER BY phone_number_id, id"))
            .await?
        {
            if row.int_opt("counted")?.is_none() {
                counted.push(row.text("id")?);
            }
            let of_number = bookings.entry(row.text("phone_number_id")?).or_default();
            of_number.push(booking(&row)?);
        }
        tx.execute(of_numbers("DELETE FROM spend_shares", &ids, ""))
            .await?;
        let shares = bookings.iter().flat_map(|(number, bookings)| {
            let shares = monthly_shares(bookings).into_iter();
            shares.map(move |share| (number.as_str(), share))
        });
        insert(&mut tx, &shares.collect::<Vec<_>>()).await?;
        for ids in counted.chunks(ROWS) {
            tx.execute(Statement {
                text: format!(
                    "UPDATE ledger SET counted = 1 WHERE id IN ({})",
                    placeholders(ids.len())
                ),
                args: ids.iter().map(|id| id.as_str().into()).collect(),
            })
            .await?;
        }
        tx.commit().await?;
        u32::try_from(ids.len()).map_err(|error| corrupt("too many numbers", Some(error.into())))
    }

    /// The cost of a month in scope, by group. All entries must have been counted.
    pub async fn spend(
        &self,
        scope: &Scope,
        month: Month,
        by: GroupBy,
    ) -> Result<BTreeMap<Option<String>, Sum>, Error> {
        let rows = self.db.long_rows(sums(scope, month, by)).await?;
        rows.iter()
            .map(|row| {
                let sum = Sum {
                    numbers: u64::try_from(row.int("numbers")?)
                        .map_err(|error| corrupt("a count is negative", Some(error.into())))?,
                    amount: row.money("amount")?,
                };
                Ok((row.text_opt("name")?, sum))
            })
            .collect()
    }
}

/// Numbers with entries that were not counted yet.
fn uncounted(limit: u32) -> Statement {
    sql!(
        "SELECT DISTINCT phone_number_id FROM ledger WHERE counted IS NULL AND phone_number_id IS NOT NULL \
         ORDER BY phone_number_id LIMIT $1",
        i64::from(limit)
    )
}

fn sums(scope: &Scope, month: Month, by: GroupBy) -> Statement {
    let mut select = match by {
        GroupBy::Team => Select::within_by(
            scope,
            "SELECT s.team AS name, COUNT(*) AS numbers, CAST(SUM(s.monthly) AS BIGINT) AS amount \
             FROM spend_shares s",
            "s.team IN (?)",
        ),
        GroupBy::Country => Select::within_by(
            scope,
            "SELECT n.country AS name, COUNT(*) AS numbers, CAST(SUM(s.monthly) AS BIGINT) AS amount \
             FROM spend_shares s LEFT JOIN numbers n ON n.id = s.phone_number_id",
            "s.team IN (?)",
        ),
        // A user of another team is not shown.
        GroupBy::User if scope.teams().is_some() => Select::within_by(
            scope,
            "SELECT CASE WHEN o.team IN (?) THEN o.created_by END AS name, COUNT(*) AS numbers, \
                CAST(SUM(s.monthly) AS BIGINT) AS amount \
             FROM spend_shares s LEFT JOIN orders o ON o.phone_number_id = s.phone_number_id",
            "s.team IN (?)",
        ),
        GroupBy::User => Select::within_by(
            scope,
            "SELECT o.created_by AS name, COUNT(*) AS numbers, CAST(SUM(s.monthly) AS BIGINT) AS amount \
             FROM spend_shares s LEFT JOIN orders o ON o.phone_number_id = s.phone_number_id",
            "s.team IN (?)",
        ),
    };
    select.and("s.until_month >= ?", month.number());
    select.and("s.from_month <= ?", month.number());
    select.grouped("1")
}

async fn insert(tx: &mut Tx, shares: &[(&str, MonthlyShare)]) -> Result<(), Error> {
    for batch in shares.chunks(ROWS) {
        let mut args: Vec<Param> = Vec::with_capacity(batch.len() * 5);
        let mut rows = Vec::with_capacity(batch.len());
        for (number, share) in batch {
            let first = args.len() + 1;
            let [from, until, team, monthly] = [first + 1, first + 2, first + 3, first + 4];
            rows.push(format!("(${first}, ${from}, ${until}, ${team}, ${monthly})"));
            args.extend([
                (*number).into(),
                share.from.number().into(),
                share.until.map_or(HELD, Month::number).into(),
                share.share.team.as_str().into(),
                share.share.monthly.cents().into(),
            ]);
        }
        tx.execute(Statement {
            text: format!(
                "INSERT INTO spend_shares (phone_number_id, from_month, until_month, team, monthly) VALUES {}",
                rows.join(", ")
            ),
            args,
        })
        .await?;
    }
    Ok(())
}

/// A statement about these numbers, of which there is at least one.
fn of_numbers(start: &str, numbers: &[String], end: &str) -> Statement {
    Statement {
        text: format!(
            "{start} WHERE phone_number_id IN ({}){end}",
            placeholders(numbers.len())
        ),
        args: numbers.iter().map(|id| id.as_str().into()).collect(),
    }
}

fn placeholders(count: usize) -> String {
    let placeholders: Vec<String> = (1..=count).map(|nth| format!("${nth}")).collect();
    placeholders.join(", ")
}

fn booking(row: &Row) -> Result<Booking, Error> {
    Ok(Booking {
        at: row.time("at")?,
        team: row.parsed("team")?,
        numbers: row.int("numbers_held")?,
        monthly: row.money("monthly_held")?,
    })
}

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

/// Serializes counting: an arbitrary number that no other lock of this database uses.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7126083515430213)";
/// Makes PostgreSQL plan each statement of the transaction for the tables as they are.
///
/// It would keep the plan of the first statements, which were executed while `spend_shares` was empty: to read all of it.
const FRESH_PLANS: &str = "SELECT set_config('plan_cache_mode', 'force_custom_plan', true)";
/// The last month of a number that is still held.
const HELD: i64 = 1_000_000;
/// Rows in one statement.
const ROWS: usize = 2_000;

impl Store {
    /// Counts the entries of the next `numbers` numbers, by id, that were not counted yet; returns the last number.
    ///
    /// It begins after the number `after`, which the call before has returned, so that it does not search again where
    /// nothing is left. `None`: no number after that one has entries to be counted. Only one process counts at a time.
    pub async fn count_spend(&self, after: Option<&str>, numbers: u32) -> Result<Option<String>, Error> {
        let after = after.unwrap_or_default();
        if self.db.row(uncounted(after, 1)).await?.is_none() {
            return Ok(None);
        }
        let _turn = self.db.long_turn().await?;
        let mut tx = self.db.begin().await?;
        if tx.on_postgres() {
            tx.execute(sql!(LOCK)).await?;
            tx.execute(sql!(FRESH_PLANS)).await?;
        }
        let rows = tx.rows(uncounted(after, numbers)).await?;
        let ids: Vec<String> = rows
            .iter()
            .map(|row| row.text("phone_number_id"))
            .collect::<Result<_, _>>()?;
        let Some(last) = ids.last() else {
            return Ok(None);
        };
        // Marked before they are read: an entry that is committed in between is read now, and counted again later.
        tx.execute(of_numbers(
            "UPDATE ledger SET counted = 1 WHERE counted IS NULL AND",
            &ids,
            "",
        ))
        .await?;
        let select = "SELECT phone_number_id, at, team, numbers_held, monthly_held FROM ledger WHERE";
        let mut bookings: BTreeMap<String, Vec<Booking>> = BTreeMap::new();
        for row in tx
            .rows(of_numbers(select, &ids, " ORDER BY phone_number_id, id"))
            .await?
        {
            let of_number = bookings.entry(row.text("phone_number_id")?).or_default();
            of_number.push(booking(&row)?);
        }
        tx.execute(of_numbers("DELETE FROM spend_shares WHERE", &ids, ""))
            .await?;
        let shares = bookings.iter().flat_map(|(number, bookings)| {
            let shares = monthly_shares(bookings).into_iter();
            shares.map(move |share| (number.as_str(), share))
        });
        insert(&mut tx, &shares.collect::<Vec<_>>()).await?;
        tx.commit().await?;
        Ok(Some(last.clone()))
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

/// Numbers after the number `after` with entries that were not counted yet.
fn uncounted(after: &str, limit: u32) -> Statement {
    sql!(
        "SELECT DISTINCT phone_number_id FROM ledger WHERE counted IS NULL AND phone_number_id > $1 \
         ORDER BY phone_number_id LIMIT $2",
        after,
        i64::from(limit)
    )
}

/// The ranges of months that have the month `$1`: those that end in its year, those of numbers that are held, and those
/// beyond the end of their year, which earlier versions wrote. Ranges that end in later years are not read.
const RANGES: [&str; 3] = [
    "s.until_month BETWEEN $1 AND $1 / 12 * 12 + 11",
    "s.until_month = 1000000",
    "s.until_month / 12 <> s.from_month / 12 AND s.until_month < 1000000 AND s.until_month > $1 / 12 * 12 + 11",
];

fn sums(scope: &Scope, month: Month, by: GroupBy) -> Statement {
    let mut args: Vec<Param> = vec![month.number().into()];
    let teams = scope.teams().map(|teams| {
        let names = teams.iter().map(|team| {
            args.push(team.as_str().into());
            format!("${}", args.len())
        });
        match names.collect::<Vec<_>>().join(", ") {
            none if none.is_empty() => "NULL".to_owned(),
            names => names,
        }
    });
    let of_teams = teams
        .as_ref()
        .map_or_else(String::new, |teams| format!("s.team IN ({teams}) AND "));
    let shares = RANGES.map(|range| {
        format!(
            "SELECT s.phone_number_id, s.team, s.monthly FROM spend_shares s \
             WHERE {of_teams}s.from_month <= $1 AND {range}"
        )
    });
    let (name, join) = match (by, &teams) {
        (GroupBy::Team, _) => ("s.team".to_owned(), ""),
        (GroupBy::Country, _) => (
            "n.country".to_owned(),
            " LEFT JOIN numbers n ON n.id = s.phone_number_id",
        ),
        (GroupBy::User, teams) => (
            // A user of another team is not shown.
            teams.as_ref().map_or_else(
                || "o.created_by".to_owned(),
                |teams| format!("CASE WHEN o.team IN ({teams}) THEN o.created_by END"),
            ),
            " LEFT JOIN orders o ON o.phone_number_id = s.phone_number_id",
        ),
    };
    Statement {
        text: format!(
            "SELECT {name} AS name, COUNT(*) AS numbers, CAST(SUM(s.monthly) AS BIGINT) AS amount \
             FROM ({}) s{join} GROUP BY 1",
            shares.join(" UNION ALL ")
        ),
        args,
    }
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
            "{start} phone_number_id IN ({}){end}",
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

//! The ledger read number by number, for whoever adds up what months cost. It adds up nothing itself.

use crate::domain::caller::{Scope, Team};
use crate::domain::country::Country;
use crate::domain::spend::Booking;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::Store;
use crate::store::sql::row::Row;
use crate::store::sql::select::Select;

/// An entry of the ledger about a number, and what is known of the number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// The entry's id.
    pub id: String,
    /// The number.
    pub number: String,
    /// What it says.
    pub booking: Booking,
    /// Where the number is.
    pub country: Option<Country>,
    /// The team whose order rented the number, and who ordered; `None` for a number that was adopted.
    pub ordered: Option<(Team, String)>,
}

impl Store {
    /// The next entries about numbers that a team in scope ever held, number by number in the order they were made,
    /// after the one of this number with this id: all entries, also those of other teams, for only with them can be
    /// told who held it first. None from `until` on.
    pub async fn ledger_entries(
        &self,
        scope: &Scope,
        until: Timestamp,
        after: Option<(&str, &str)>,
        limit: u32,
    ) -> Result<Vec<LedgerRow>, Error> {
        let (number, id) = after.unwrap_or_default();
        let mut select = Select::within_by(
            scope,
            // Looked up row by row: a join would begin at the first number on every page.
            "SELECT ledger.id, ledger.phone_number_id, ledger.at, ledger.team, ledger.numbers_held, ledger.monthly_held, \
                (SELECT country FROM numbers WHERE numbers.id = ledger.phone_number_id) AS country, \
                (SELECT team FROM orders WHERE orders.phone_number_id = ledger.phone_number_id) AS order_team, \
                (SELECT created_by FROM orders WHERE orders.phone_number_id = ledger.phone_number_id) AS created_by \
             FROM ledger",
            "EXISTS (SELECT 1 FROM ledger AS own WHERE own.phone_number_id = ledger.phone_number_id AND own.team IN (?))",
        );
        select.and_just("ledger.phone_number_id IS NOT NULL");
        select.and_both("(ledger.phone_number_id, ledger.id) > (?, ?)", number, id);
        select.and("ledger.at < ?", until);
        let rows = self
            .db
            .rows(select.first("ledger.phone_number_id, ledger.id", limit))
            .await?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &Row) -> Result<LedgerRow, Error> {
    let ordered = row.parsed_opt("order_team")?.zip(row.text_opt("created_by")?);
    Ok(LedgerRow {
        id: row.text("id")?,
        number: row.text("phone_number_id")?,
        booking: Booking {
            at: row.time("at")?,
            team: row.parsed("team")?,
            numbers: row.int("numbers_held")?,
            monthly: row.money("monthly_held")?,
        },
        country: row.parsed_opt("country")?,
        ordered,
    })
}

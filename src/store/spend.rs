//! Reads the ledger number by number, for the monthly spend. The caller calculates the sums.

use crate::domain::country::Country;
use crate::domain::scope::Scope;
use crate::domain::spend::Booking;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::handle::Store;
use crate::store::sql::row::Row;
use crate::store::sql::select::Select;

/// A ledger entry of a number, with the number's country and order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// The id of the entry.
    pub id: String,
    /// The number.
    pub number: String,
    /// The change that the entry books.
    pub booking: Booking,
    /// The country of the number.
    pub country: Option<Country>,
    /// The team and creator of the order that rented the number; `None` for an adopted number.
    pub ordered: Option<(Team, String)>,
}

impl Store {
    /// The next entries of numbers that a team in scope ever held, before `until`, by number and id.
    ///
    /// `after` is the number and id of the last entry read. Entries of other teams are included, because the first
    /// holder of a number follows only from all of them.
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
            // Subqueries for each row, because a join would read from the first number again for every page.
            "SELECT ledger.id, ledger.phone_number_id, ledger.at, ledger.team, \
                ledger.numbers_held, ledger.monthly_held, \
                (SELECT country FROM numbers WHERE numbers.id = ledger.phone_number_id) AS country, \
                (SELECT team FROM orders WHERE orders.phone_number_id = ledger.phone_number_id) AS order_team, \
                (SELECT created_by FROM orders WHERE orders.phone_number_id = ledger.phone_number_id) AS created_by \
             FROM ledger",
            "EXISTS (SELECT 1 FROM ledger AS own WHERE own.phone_number_id = ledger.phone_number_id \
                AND own.team IN (?))",
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

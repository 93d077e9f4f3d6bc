//! Counts for metrics: open orders and the usage of all teams. Indexes keep these reads cheap.

use crate::domain::country::Country;
use crate::domain::decision::Usage;
use crate::domain::order::State;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::handle::Store;
use crate::store::orders::row::state_in;
use crate::store::sql::db::sql;

/// The orders of one country in one state that is not final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOrders {
    /// The state.
    pub state: State,
    /// The country.
    pub country: Country,
    /// The number of orders.
    pub count: i64,
    /// When the oldest of them was accepted.
    pub oldest: Timestamp,
}

impl Store {
    /// All orders that are not in a final state, by state and country.
    pub async fn open_orders(&self) -> Result<Vec<OpenOrders>, Error> {
        let rows = self
            .db
            .rows(sql!(format!(
                "SELECT state, country, COUNT(*) AS orders, MIN(created_at) AS oldest FROM orders \
                 WHERE {} GROUP BY state, country",
                state_in(State::ALL.iter().copied().filter(|state| !state.is_final()))
            )))
            .await?;
        rows.iter()
            .map(|row| {
                Ok(OpenOrders {
                    state: row.word("state")?,
                    country: row.parsed("country")?,
                    count: row.int("orders")?,
                    oldest: row.time("oldest")?,
                })
            })
            .collect()
    }

    /// The usage of every team that ever had a ledger entry, without the orders of the last day.
    pub async fn usages(&self) -> Result<Vec<(Team, Usage)>, Error> {
        let rows = self
            .db
            .rows(sql!(
                "SELECT team, numbers_held, numbers_reserved, monthly_held, monthly_reserved FROM usage"
            ))
            .await?;
        rows.iter()
            .map(|row| {
                let usage = Usage {
                    numbers_held: row.int("numbers_held")?,
                    numbers_reserved: row.int("numbers_reserved")?,
                    monthly_held: row.money("monthly_held")?,
                    monthly_reserved: row.money("monthly_reserved")?,
                    orders_last_day: 0,
                    refused_last_hour: 0,
                    refused_wait_seconds: 0,
                };
                Ok((row.parsed("team")?, usage))
            })
            .collect()
    }
}

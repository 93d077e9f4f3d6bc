//! The database counted: open orders and the usage of all teams, for metrics. Cheap by the indices; it changes nothing.

use crate::domain::caller::Team;
use crate::domain::country::Country;
use crate::domain::decision::Usage;
use crate::domain::order::State;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::Store;
use crate::store::sql::db::sql;

/// Orders of one country in one state that is not final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOrders {
    /// The state.
    pub state: State,
    /// The country.
    pub country: Country,
    /// How many.
    pub count: i64,
    /// When the oldest of them was accepted.
    pub oldest: Timestamp,
}

impl Store {
    /// All orders whose end is not known yet, by state and country.
    pub async fn open_orders(&self) -> Result<Vec<OpenOrders>, Error> {
        let rows = self
            .db
            .rows(sql!(
                "SELECT state, country, COUNT(*) AS orders, MIN(created_at) AS oldest FROM orders \
                 WHERE state IN ('awaiting_approval', 'queued', 'renting', 'unverified', 'needs_review') \
                 GROUP BY state, country"
            ))
            .await?;
        rows.iter()
            .map(|row| {
                Ok(OpenOrders {
                    state: row.parsed("state")?,
                    country: row.parsed("country")?,
                    count: row.int("orders")?,
                    oldest: row.time("oldest")?,
                })
            })
            .collect()
    }

    /// What every team that ever had something holds and reserves; orders of the last day are not counted.
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
                };
                Ok((row.parsed("team")?, usage))
            })
            .collect()
    }
}

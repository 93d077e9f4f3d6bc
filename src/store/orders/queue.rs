//! Reads the positions of queued orders.

use std::collections::BTreeMap;

use crate::domain::country::Country;
use crate::domain::id::OrderId;
use crate::domain::scope::Scope;
use crate::error::Error;
use crate::store::handle::Store;
use crate::store::sql::error::corrupt;
use crate::store::sql::select::Select;

/// The queued orders with their positions: in each country, the teams in turn, the oldest order of each team first.
const POSITIONS: &str = "SELECT id, position FROM (\
        SELECT id, country, ROW_NUMBER() OVER (PARTITION BY country ORDER BY round, turn, id) AS position FROM (\
            SELECT o.id, o.country, COALESCE(t.turn, 0) AS turn, \
                ROW_NUMBER() OVER (PARTITION BY o.country, o.team ORDER BY o.id) AS round \
            FROM orders o LEFT JOIN team_turns t ON t.country = o.country AND t.team = o.team \
            WHERE o.state = 'queued'\
        ) AS rounds\
    ) AS positions";

impl Store {
    /// The positions of these orders among the queued orders of their countries, counted from 1.
    ///
    /// Orders that are not queued are missing. All teams count: they take turns. `countries` are those of the orders;
    /// neither list may be empty.
    pub async fn queue_positions(
        &self,
        ids: &[&OrderId],
        countries: &[Country],
    ) -> Result<BTreeMap<OrderId, u32>, Error> {
        let mut select = Select::within(&Scope::system("queue positions"), POSITIONS);
        // Both databases apply this condition before they count, so they read the queues of these countries only.
        select.and_one_of("country IN (?)", countries.iter().map(Country::as_str));
        select.and_one_of("id IN (?)", ids.iter().map(|id| id.as_str()));
        let rows = self.db.rows(select.statement()).await?;
        rows.iter()
            .map(|row| {
                let position = u32::try_from(row.int("position")?)
                    .map_err(|error| corrupt("a position in the queue is no count", Some(error.into())))?;
                Ok((row.parsed("id")?, position))
            })
            .collect()
    }
}

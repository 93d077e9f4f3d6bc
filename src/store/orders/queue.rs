//! Reads what the queued orders of a country wait for: their positions, and the orders in progress there.

use std::collections::BTreeMap;

use crate::domain::country::Country;
use crate::domain::id::OrderId;
use crate::domain::order::State;
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::handle::Store;
use crate::store::sql::error::corrupt;
use crate::store::sql::select::Select;

/// The queued orders with their positions: in each country, the teams in turn, the oldest order of each team first.
const POSITIONS: &str = "SELECT id, position FROM (\
        SELECT id, country, ROW_NUMBER() OVER (PARTITION BY country ORDER BY round, id) AS position FROM (\
            SELECT id, country, ROW_NUMBER() OVER (PARTITION BY country, team ORDER BY id) AS round \
            FROM orders WHERE state = 'queued'\
        ) AS rounds\
    ) AS positions";

/// The orders of a country that keep others from being sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CountryStatus {
    /// One entry for each order with an unknown outcome: since when Close has shown no matching number.
    ///
    /// `None`: no complete answer of Close has shown that yet.
    pub unverified: Vec<Option<Timestamp>>,
    /// The shapes of the orders that are being sent.
    pub sending: Vec<String>,
}

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

    /// The status of these countries, of which there must be at least one, at `now`.
    ///
    /// Countries in which nothing is in progress are missing.
    pub async fn country_status(
        &self,
        countries: &[Country],
        now: Timestamp,
    ) -> Result<BTreeMap<Country, CountryStatus>, Error> {
        let text = "SELECT country, state, absent_since, lease_until, shape FROM orders";
        let mut select = Select::within(&Scope::system("country status"), text);
        select.and_just("state IN ('renting', 'unverified')");
        select.and_one_of("country IN (?)", countries.iter().map(Country::as_str));
        let mut found: BTreeMap<Country, CountryStatus> = BTreeMap::new();
        for row in self.db.rows(select.statement()).await? {
            let status = found.entry(row.parsed("country")?).or_default();
            let lapsed = row.time_opt("lease_until")?.is_some_and(|until| until <= now);
            if row.word::<State>("state")? == State::Unverified || lapsed {
                status.unverified.push(row.time_opt("absent_since")?);
            } else {
                status.sending.push(row.text("shape")?);
            }
        }
        Ok(found)
    }
}

//! Gauges of orders, numbers and teams.
//!
//! Every replica reports the same values: aggregate them with `max`, not `sum`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::desk::core::Core;
use crate::desk::database::Database;
use crate::desk::number_cache::NumberCache;
use crate::domain::decision::Usage;
use crate::domain::hold::HoldCause;
use crate::domain::money::Money;
use crate::domain::odd_record::{KnownOddRecord, OddKind};
use crate::domain::order::State;
use crate::error::Error;
use crate::telemetry::metrics::{
    CLOSE_ODD_RECORDS, ORDERS_HELD, ORDERS_OLDEST_AGE_SECONDS, ORDERS_OPEN, ORPHANS, REQUESTS_LIMITED_TOTAL,
    TEAM_MONTHLY_BUDGET_DOLLARS, TEAM_MONTHLY_SPEND_DOLLARS, TEAM_NUMBERS, TEAM_RESERVATIONS,
};

/// The label of all teams that the policy does not name.
///
/// Team names from tokens could create an unlimited number of time series.
const OTHER: &str = "other";

/// Sets the gauges of orders, numbers and teams.
#[derive(Clone)]
pub struct Gauges {
    core: Core,
    cache: NumberCache,
    database: Database,
    last: Arc<LastReported>,
}

/// Label sets reported last time, so that series that disappear are set to zero.
#[derive(Default)]
struct LastReported {
    /// Counts of open orders by state and country.
    orders: Mutex<BTreeMap<(&'static str, String), i64>>,
    teams: Mutex<BTreeSet<String>>,
    /// The records of Close that can't be read.
    odd: Mutex<Vec<KnownOddRecord>>,
}

impl Gauges {
    pub(in crate::desk) fn new(core: Core, cache: NumberCache, database: Database) -> Self {
        Self {
            core,
            cache,
            database,
            last: Arc::default(),
        }
    }

    /// One step: sets all gauges, and tests whether the database accepts writes.
    pub async fn record(&self) -> Result<(), Error> {
        let read = self.record_from_store().await;
        let written = self.core.store.probe_write(self.core.now()).await;
        self.database.record_write(&written);
        read.and(written)
    }

    async fn record_from_store(&self) -> Result<(), Error> {
        let mut open = BTreeMap::new();
        let states = State::ALL.iter().filter(|state| !state.is_final());
        let mut oldest: BTreeMap<_, f64> = states.map(|state| (state.as_str(), 0.0)).collect();
        for orders in self.core.store.open_orders().await? {
            let state = orders.state.as_str();
            let age = self.core.now().since(orders.oldest).as_secs_f64();
            oldest.entry(state).and_modify(|known| *known = known.max(age));
            open.insert((state, orders.country.to_string()), orders.count);
        }
        for (state, age) in oldest {
            metrics::gauge!(ORDERS_OLDEST_AGE_SECONDS, "state" => state).set(age);
        }
        self.record_open(&open);
        let holds = self.core.store.holds().await?;
        for cause in HoldCause::ALL {
            let held = holds.iter().any(|hold| hold.cause == *cause);
            metrics::gauge!(ORDERS_HELD, "cause" => cause.as_str()).set(f64::from(u8::from(held)));
        }
        metrics::gauge!(ORPHANS).set(real(self.cache.orphans()));
        self.record_odd().await?;
        self.record_teams().await
    }

    async fn record_odd(&self) -> Result<(), Error> {
        let odd = self.core.store.known_odd_records().await?;
        for kind in OddKind::ALL {
            let count = odd.iter().filter(|record| record.kind == *kind).count();
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            metrics::gauge!(CLOSE_ODD_RECORDS, "kind" => kind.as_str()).set(count);
        }
        *self.last.odd.lock() = odd;
        Ok(())
    }

    /// The records of Close that can't be read, as last recorded.
    pub fn odd_records(&self) -> Vec<KnownOddRecord> {
        self.last.odd.lock().clone()
    }

    fn record_open(&self, open: &BTreeMap<(&'static str, String), i64>) {
        let mut reported = self.last.orders.lock();
        for count in reported.values_mut() {
            *count = 0;
        }
        reported.extend(open.clone());
        for ((state, country), count) in &*reported {
            metrics::gauge!(ORDERS_OPEN, "state" => *state, "country" => country.clone()).set(real(*count));
        }
    }

    /// Counts of open orders by state, as last recorded.
    pub fn open_orders(&self) -> BTreeMap<&'static str, i64> {
        let mut counts = BTreeMap::new();
        for ((state, _), count) in &*self.last.orders.lock() {
            *counts.entry(*state).or_default() += count;
        }
        counts
    }

    async fn record_teams(&self) -> Result<(), Error> {
        let policy = self.core.policy.load_full();
        let mut usages: BTreeMap<String, Usage> = policy
            .teams()
            .map(|team| (team.to_string(), Usage::default()))
            .collect();
        for (team, used) in self.core.store.usages().await? {
            let name = if usages.contains_key(team.as_str()) {
                team.as_str()
            } else {
                OTHER
            };
            let usage = usages.entry(name.to_owned()).or_default();
            usage.numbers_held += used.numbers_held;
            usage.numbers_reserved += used.numbers_reserved;
            usage.monthly_held = usage.monthly_held.plus(used.monthly_held);
            usage.monthly_reserved = usage.monthly_reserved.plus(used.monthly_reserved);
        }
        let mut reported = self.last.teams.lock();
        reported.extend(usages.keys().cloned());
        for name in &*reported {
            let usage = usages.remove(name).unwrap_or_default();
            let label = [("team", name.clone())];
            // At 0 before the first refusal, so that rates count it.
            metrics::counter!(REQUESTS_LIMITED_TOTAL, &label).increment(0);
            metrics::gauge!(TEAM_NUMBERS, &label).set(real(usage.numbers_held));
            metrics::gauge!(TEAM_RESERVATIONS, &label).set(real(usage.numbers_reserved));
            let spend = usage.monthly_held.plus(usage.monthly_reserved);
            metrics::gauge!(TEAM_MONTHLY_SPEND_DOLLARS, &label).set(dollars(spend));
            let budget = policy.teams().find(|team| team.as_str() == name);
            let budget = budget.and_then(|team| policy.caps(&team).monthly_budget);
            metrics::gauge!(TEAM_MONTHLY_BUDGET_DOLLARS, &label).set(budget.map_or(f64::INFINITY, dollars));
        }
        Ok(())
    }
}

fn dollars(amount: Money) -> f64 {
    real(amount.cents()) / 100.0
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a metric is a float, and no count here comes near 2^53"
)]
fn real(count: i64) -> f64 {
    count as f64
}

//! Facts of the business as metrics: how orders, numbers and teams stand. Every replica tells the same, so whoever adds
//! up takes the largest and not the sum.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;

use crate::desk::Desk;
use crate::domain::decision::Usage;
use crate::domain::money::Money;
use crate::domain::order::State;
use crate::error::Error;
use crate::telemetry::metrics::{
    ORDERS_OLDEST_AGE_SECONDS, ORDERS_OPEN, ORPHANS, STORE_UP, TEAM_MONTHLY_BUDGET_DOLLARS,
    TEAM_MONTHLY_SPEND_DOLLARS, TEAM_NUMBERS, TEAM_RESERVATIONS,
};

/// Teams that the policy does not name are told together, so that tokens can't make metrics without end.
const OTHER: &str = "other";

/// What was told of before: what is no more must be told to be none.
#[derive(Default)]
pub(super) struct Told {
    /// States and countries of orders, and how many there were.
    orders: Mutex<BTreeMap<(&'static str, String), i64>>,
    teams: Mutex<BTreeSet<String>>,
}

impl Desk {
    /// One step: looks how things stand and tells it; also that the database can't be asked, or takes nothing: a full
    /// disk, or a standby, answers questions.
    pub async fn measure(&self) -> Result<(), Error> {
        let told = self.measure_store().await;
        let taken = self.0.store.probe_write(self.now()).await;
        let up = told.is_ok() && taken.is_ok();
        metrics::gauge!(STORE_UP).set(f64::from(u8::from(up)));
        told.and(taken)
    }

    async fn measure_store(&self) -> Result<(), Error> {
        let mut open = BTreeMap::new();
        let states = State::ALL.iter().filter(|state| !state.is_final());
        let mut oldest: BTreeMap<_, f64> = states.map(|state| (state.as_str(), 0.0)).collect();
        for orders in self.0.store.open_orders().await? {
            let state = orders.state.as_str();
            let age = self.now().since(orders.oldest).as_secs_f64();
            oldest.entry(state).and_modify(|known| *known = known.max(age));
            open.insert((state, orders.country.to_string()), orders.count);
        }
        for (state, age) in oldest {
            metrics::gauge!(ORDERS_OLDEST_AGE_SECONDS, "state" => state).set(age);
        }
        self.tell_open(&open);
        metrics::gauge!(ORPHANS).set(real(self.0.inventory.orphans()));
        self.tell_teams().await
    }

    fn tell_open(&self, open: &BTreeMap<(&'static str, String), i64>) {
        let mut told = self.0.measured.orders.lock();
        for count in told.values_mut() {
            *count = 0;
        }
        told.extend(open.clone());
        for ((state, country), count) in &*told {
            metrics::gauge!(ORDERS_OPEN, "state" => *state, "country" => country.clone()).set(real(*count));
        }
    }

    /// Orders whose end is not known yet, by state, as they were last counted.
    pub fn open_orders(&self) -> BTreeMap<&'static str, i64> {
        let mut counts = BTreeMap::new();
        for ((state, _), count) in &*self.0.measured.orders.lock() {
            *counts.entry(*state).or_default() += count;
        }
        counts
    }

    async fn tell_teams(&self) -> Result<(), Error> {
        let policy = self.0.policy.load_full();
        let mut usages: BTreeMap<String, Usage> = policy
            .teams()
            .map(|team| (team.to_string(), Usage::default()))
            .collect();
        for (team, used) in self.0.store.usages().await? {
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
        let mut told = self.0.measured.teams.lock();
        told.extend(usages.keys().cloned());
        for name in &*told {
            let usage = usages.remove(name).unwrap_or_default();
            let label = [("team", name.clone())];
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

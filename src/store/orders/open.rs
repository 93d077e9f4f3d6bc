//! Reads what decides about the next sends: the orders whose outcome is open, and the queued orders by turns.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::country::Country;
use crate::domain::order::overlap::Footprint;
use crate::domain::order::transition::Step;
use crate::domain::order::turn::{Open, Progress, in_turn};
use crate::domain::order::{Order, State};
use crate::domain::phone::sharing_calling_code;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::due_times::{due, latest};
use crate::store::handle::Store;
use crate::store::orders::row::{allows, read, select_order};
use crate::store::sql::db::{Statement, Tx};
use crate::store::sql::param::Param;
use crate::store::sql::row::Row;

/// Equal orders of one team that one decision considers. More are never sent side by side.
const OF_A_SHAPE: i64 = 16;
/// Queued orders that one decision considers, teams in turn.
const CONSIDERED: i64 = 1_024;
/// How long the first look at an order in doubt keeps overlapping calls from beginning.
///
/// It usually finds the number at once. A call that began before could not be told from the order in doubt.
pub(in crate::store) const FIRST_LOOK: Duration = Duration::from_secs(5);
/// How long the next look at an order keeps overlapping calls from beginning.
///
/// A later stored time comes from another clock, and counts as over.
pub(in crate::store) const QUIET: Duration = Duration::from_secs(20);

/// The longest pause before an order is sent again: the longest reset of a rate limit that counts.
pub(in crate::store) const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// An order whose outcome is open, with what only the store knows about it.
#[derive(Debug, Clone, PartialEq)]
pub struct UnsettledOrder {
    /// The order: `renting`, `unverified` or `needs_review`.
    pub order: Order,
    /// The turn of its claim; a number that was seen before that turn is not its result.
    pub turn: Option<i64>,
    /// When the lease of its sender ends, while it is `renting`.
    pub lease_until: Option<Timestamp>,
    /// Until when no overlapping call begins.
    quiet_until: Option<Timestamp>,
}

impl UnsettledOrder {
    /// Whether its call is in progress at `now`, as far as the store knows.
    pub fn is_sending(&self, now: Timestamp) -> bool {
        self.order.state == State::Renting && self.lease_until.is_some_and(|until| until > now)
    }

    /// What the rules of turns need to know about it; `None` while a person decides about it.
    pub fn as_open(&self, now: Timestamp) -> Option<Open> {
        let progress = match self.order.state {
            State::NeedsReview => return None,
            _ if self.is_sending(now) => Progress::Sending,
            _ => Progress::InDoubt {
                looking: self
                    .quiet_until
                    .is_some_and(|until| until > now && until <= now.plus(QUIET)),
            },
        };
        Some(Open {
            footprint: Footprint::of(&self.order),
            progress,
        })
    }

    fn read(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            order: read(row)?,
            turn: row.int_opt("turn")?,
            lease_until: row.time_opt("lease_until")?,
            quiet_until: row.time_opt("quiet_until")?,
        })
    }
}

/// The queued orders that are due, and the last turns of teams, by country.
pub(in crate::store) struct Queue {
    /// Teams in turn as far as one statement knows; within a team, oldest first.
    pub(in crate::store) orders: Vec<Order>,
    turns: Vec<(Country, Team, i64)>,
}

impl Queue {
    /// The orders of one lane by turns.
    pub(in crate::store) fn in_turn(self, countries: &[Country]) -> Vec<Order> {
        let mut turns: BTreeMap<Team, i64> = BTreeMap::new();
        for (country, team, turn) in self.turns {
            if countries.contains(&country) {
                let last = turns.entry(team).or_default();
                *last = turn.max(*last);
            }
        }
        let mut orders = self.orders;
        orders.sort_by(|one, two| one.id.cmp(&two.id));
        in_turn(orders, |order| &order.team, &turns)
    }

    /// The queue of each lane. The first country of a lane's list stands for it.
    pub(in crate::store) fn by_lane(self) -> Vec<(Vec<Country>, Self)> {
        let mut lanes: Vec<(Vec<Country>, Self)> = Vec::new();
        for order in self.orders {
            let country = order.request.country;
            let known = lanes
                .iter_mut()
                .find(|(countries, _)| countries.contains(&country));
            if let Some((_, lane)) = known {
                lane.orders.push(order);
            } else {
                let lane = Self {
                    orders: vec![order],
                    turns: self.turns.clone(),
                };
                lanes.push((sharing_calling_code(country), lane));
            }
        }
        lanes
    }
}

impl Store {
    /// The orders of these countries whose outcome is open, oldest first.
    ///
    /// For decisions about sends and outcomes only, which must see the orders of every team.
    pub async fn unsettled_orders(&self, countries: &[Country]) -> Result<Vec<UnsettledOrder>, Error> {
        let rows = self.db.rows(select_open(countries)).await?;
        rows.iter().map(UnsettledOrder::read).collect()
    }

    pub(in crate::store) async fn queue(&self, now: Timestamp) -> Result<Queue, Error> {
        let rows = self.db.rows(select_queue(&[], now)).await?;
        let turns = self.db.rows(select_turns(&[])).await?;
        read_queue(&rows, &turns)
    }
}

/// The orders of these countries whose outcome is open, inside the transaction of a claim.
pub(in crate::store) async fn open_in(
    tx: &mut Tx,
    countries: &[Country],
) -> Result<Vec<UnsettledOrder>, Error> {
    let rows = tx.rows(select_open(countries)).await?;
    rows.iter().map(UnsettledOrder::read).collect()
}

/// The queue of these countries, inside the transaction of a claim.
pub(in crate::store) async fn queue_in(
    tx: &mut Tx,
    countries: &[Country],
    now: Timestamp,
) -> Result<Queue, Error> {
    let rows = tx.rows(select_queue(countries, now)).await?;
    let turns = tx.rows(select_turns(countries)).await?;
    read_queue(&rows, &turns)
}

fn read_queue(rows: &[Row], turns: &[Row]) -> Result<Queue, Error> {
    let turn = |row: &Row| Ok((row.parsed("country")?, row.parsed("team")?, row.int("turn")?));
    // An order of a later version waits for a replica of that version. Nothing has been sent for it, so others need not
    // wait for it.
    let mut orders = rows.iter().map(read).collect::<Result<Vec<_>, Error>>()?;
    orders.retain(|order| !order.is_later());
    Ok(Queue {
        orders,
        turns: turns.iter().map(turn).collect::<Result<_, Error>>()?,
    })
}

/// The condition that a column is one of these countries, from parameter `$first` on; no country: no condition.
fn in_countries(countries: &[Country], first: usize) -> (String, Vec<Param>) {
    if countries.is_empty() {
        return (String::new(), Vec::new());
    }
    let names: Vec<String> = (first..)
        .take(countries.len())
        .map(|nth| format!("${nth}"))
        .collect();
    let args = countries.iter().map(|country| country.as_str().into()).collect();
    (format!(" AND country IN ({})", names.join(", ")), args)
}

fn select_open(countries: &[Country]) -> Statement {
    let (condition, args) = in_countries(countries, 1);
    let columns = select_order!(" WHERE state IN ('renting', 'unverified', 'needs_review')").replacen(
        "SELECT ",
        "SELECT turn, lease_until, quiet_until, ",
        1,
    );
    Statement {
        text: format!("{columns}{condition} ORDER BY id"),
        args,
    }
}

fn select_queue(countries: &[Country], now: Timestamp) -> Statement {
    let (condition, mut args) = in_countries(countries, 2);
    args.insert(0, now.into());
    args.push(latest(now, LONGEST_PAUSE).into());
    let not_before = due("not_before", "$1", &format!("${}", args.len()));
    Statement {
        text: format!(
            "{} JOIN (SELECT id AS due, ROW_NUMBER() OVER (PARTITION BY shape ORDER BY id) AS nth, \
                    ROW_NUMBER() OVER (PARTITION BY team ORDER BY id) AS round FROM orders \
                WHERE {} AND (not_before IS NULL OR {not_before}){condition}) AS queue ON due = id \
             WHERE nth <= {OF_A_SHAPE} ORDER BY round, id LIMIT {CONSIDERED}",
            select_order!(""),
            allows(Step::Claim)
        ),
        args,
    }
}

fn select_turns(countries: &[Country]) -> Statement {
    let (condition, args) = in_countries(countries, 1);
    Statement {
        text: format!("SELECT country, team, turn FROM team_turns WHERE 1 = 1{condition}"),
        args,
    }
}

//! The ledger: every change of a team's holdings and reservations, and the usage row with their sum.
//!
//! The caps are enforced on the usage row. Only this file writes to the tables `usage` and `ledger`, so the row always
//! equals the sum of its entries.

use std::time::Duration;

use crate::domain::decision::{Caps, Refusal, Usage};
use crate::domain::id::{LedgerId, OrderId, PhoneNumberId};
use crate::domain::money::Money;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::handle::Store;
use crate::store::sql::db::{Statement, Tx, sql};
use crate::store::sql::error::corrupt;
use crate::store::sql::row::Row;

/// A cap that a change would exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cap {
    /// `max_numbers`.
    Numbers,
    /// `max_orders_per_day`.
    OrdersPerDay,
    /// `monthly_budget`.
    Budget,
}

impl Cap {
    /// The kind of refusal that the cap causes.
    pub const fn refusal(self) -> Refusal {
        match self {
            Self::Numbers | Self::OrdersPerDay => Refusal::Quota,
            Self::Budget => Refusal::Budget,
        }
    }
}

/// The reason for a ledger entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An order was accepted.
    Reserve,
    /// A reservation became a number.
    Hold,
    /// A reservation or a number ended.
    GiveBack,
    /// The price of a number changed.
    TrueUp,
    /// A number came from another team, or was unassigned before.
    TransferIn,
    /// A number went to another team.
    TransferOut,
    /// The ledger was wrong: a number belongs to another team, or exists again.
    Correction,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Reserve => "reserve",
            Self::Hold => "hold",
            Self::GiveBack => "give_back",
            Self::TrueUp => "true_up",
            Self::TransferIn => "transfer_in",
            Self::TransferOut => "transfer_out",
            Self::Correction => "correction",
        }
    }
}

/// One entry: a change of one team's usage row.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) at: Timestamp,
    pub(super) team: Team,
    pub(super) order_id: Option<OrderId>,
    pub(super) phone_number_id: Option<PhoneNumberId>,
    pub(super) kind: Kind,
    pub(super) numbers_held: i64,
    pub(super) numbers_reserved: i64,
    pub(super) monthly_held: i64,
    pub(super) monthly_reserved: i64,
}

impl Entry {
    /// An entry that changes nothing yet.
    pub(super) fn new(at: Timestamp, team: &Team, kind: Kind) -> Self {
        Self {
            at,
            team: team.clone(),
            order_id: None,
            phone_number_id: None,
            kind,
            numbers_held: 0,
            numbers_reserved: 0,
            monthly_held: 0,
            monthly_reserved: 0,
        }
    }
    /// Names the order that caused the entry.
    pub(super) fn order(mut self, id: &OrderId) -> Self {
        self.order_id = Some(id.clone());
        self
    }
    /// Names the number that caused the entry.
    pub(super) fn number(mut self, id: &PhoneNumberId) -> Self {
        self.phone_number_id = Some(id.clone());
        self
    }
    /// Adds `count` numbers held, and their monthly price in cents.
    pub(super) fn held(mut self, count: i64, monthly: i64) -> Self {
        self.numbers_held = count;
        self.monthly_held = monthly;
        self
    }
    /// Adds `count` numbers reserved, and their monthly price in cents.
    pub(super) fn reserved(mut self, count: i64, monthly: i64) -> Self {
        self.numbers_reserved = count;
        self.monthly_reserved = monthly;
        self
    }
}

/// The outcome of entering a change that a cap can prevent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entered {
    /// The entry is written.
    Done,
    /// The change would exceed the cap; nothing is written.
    Capped(Cap),
}

/// Locks the team's usage row until the transaction ends, and creates it if it is missing.
///
/// The result includes the orders of the last 24 hours, without `except`.
pub(super) async fn lock(
    tx: &mut Tx,
    team: &Team,
    now: Timestamp,
    except: Option<&OrderId>,
) -> Result<Usage, Error> {
    create_usage(tx, team).await?;
    let locked = tx
        .lock(sql!(
            "SELECT numbers_held, numbers_reserved, monthly_held, monthly_reserved FROM usage WHERE team = $1",
            team.as_str()
        ))
        .await?
        .ok_or_else(|| corrupt("a usage row is missing", None))?;
    // A separate statement: on PostgreSQL it sees the orders committed while the first one waited for the lock.
    let counted = tx.row(orders_last_day(team, now, except)).await?;
    read(Some(&locked), counted.as_ref())
}

/// Enters a change with one conditional update, if it exceeds no cap.
///
/// `used` is the locked row; it shows which cap the change would exceed.
pub(super) async fn enter_within(
    tx: &mut Tx,
    entry: Entry,
    caps: &Caps,
    used: &Usage,
) -> Result<Entered, Error> {
    let updated = tx
        .execute(sql!(
            "UPDATE usage SET numbers_held = numbers_held + $2, numbers_reserved = numbers_reserved + $3, \
                monthly_held = monthly_held + $4, monthly_reserved = monthly_reserved + $5 \
             WHERE team = $1 AND numbers_held + numbers_reserved + $2 + $3 <= $6 \
                AND monthly_held + monthly_reserved + $4 + $5 <= $7",
            entry.team.as_str(),
            entry.numbers_held,
            entry.numbers_reserved,
            entry.monthly_held,
            entry.monthly_reserved,
            caps.max_numbers.unwrap_or(i64::MAX),
            caps.monthly_budget.map_or(i64::MAX, Money::cents),
        ))
        .await?;
    if updated == 1 {
        write(tx, entry).await?;
        return Ok(Entered::Done);
    }
    let numbers = used.numbers_held + used.numbers_reserved + entry.numbers_held + entry.numbers_reserved;
    let cap = if caps.max_numbers.is_some_and(|max| numbers > max) {
        Cap::Numbers
    } else {
        Cap::Budget
    };
    Ok(Entered::Capped(cap))
}

/// Enters changes that no cap limits, in the lock order of all transactions: by team.
pub(super) async fn enter(tx: &mut Tx, mut entries: Vec<Entry>) -> Result<(), Error> {
    entries.sort_by(|a, b| a.team.cmp(&b.team));
    for entry in entries {
        create_usage(tx, &entry.team).await?;
        tx.execute(sql!(
            "UPDATE usage SET numbers_held = numbers_held + $2, numbers_reserved = numbers_reserved + $3, \
                monthly_held = monthly_held + $4, monthly_reserved = monthly_reserved + $5 WHERE team = $1",
            entry.team.as_str(),
            entry.numbers_held,
            entry.numbers_reserved,
            entry.monthly_held,
            entry.monthly_reserved,
        ))
        .await?;
        write(tx, entry).await?;
    }
    Ok(())
}

async fn create_usage(tx: &mut Tx, team: &Team) -> Result<(), Error> {
    tx.execute(sql!(
        "INSERT INTO usage (team, numbers_held, numbers_reserved, monthly_held, monthly_reserved) \
         VALUES ($1, 0, 0, 0, 0) ON CONFLICT (team) DO NOTHING",
        team.as_str()
    ))
    .await
    .map(drop)
}

async fn write(tx: &mut Tx, entry: Entry) -> Result<(), Error> {
    tx.execute(sql!(
        "INSERT INTO ledger (id, at, team, order_id, phone_number_id, kind, numbers_held, numbers_reserved, \
            monthly_held, monthly_reserved) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        LedgerId::generate(entry.at).as_str(),
        entry.at,
        entry.team.as_str(),
        entry.order_id.as_ref().map(OrderId::as_str),
        entry.phone_number_id.as_ref().map(PhoneNumberId::as_str),
        entry.kind.as_str(),
        entry.numbers_held,
        entry.numbers_reserved,
        entry.monthly_held,
        entry.monthly_reserved,
    ))
    .await
    .map(drop)
}

fn orders_last_day(team: &Team, now: Timestamp, except: Option<&OrderId>) -> Statement {
    sql!(
        "SELECT COUNT(*) AS orders FROM orders WHERE team = $1 AND created_at > $2 \
            AND state NOT IN ('refused', 'cancelled') AND id <> $3",
        team.as_str(),
        now.minus(Duration::from_hours(24)),
        except.map_or("", OrderId::as_str),
    )
}

/// The orders that ended without a number after their send, within the last hour.
fn refused_last_hour(team: &Team, now: Timestamp) -> Statement {
    sql!(
        "SELECT COUNT(*) AS refused, MIN(finished_at) AS first FROM orders WHERE team = $1 AND state = 'refused' \
            AND finished_at > $2 AND finished_at <= $3 \
            AND evidence IN ('close-refusal', 'absent-after-reconciliation')",
        team.as_str(),
        now.minus(HOUR),
        now.plus(CLOCKS)
    )
}

const HOUR: Duration = Duration::from_hours(1);

/// How far the clocks of two replicas may differ. A time that lies further ahead is no fact about the last hour.
const CLOCKS: Duration = Duration::from_mins(1);

fn read(row: Option<&Row>, orders: Option<&Row>) -> Result<Usage, Error> {
    let mut usage = Usage::default();
    if let Some(row) = row {
        usage.numbers_held = row.int("numbers_held")?;
        usage.numbers_reserved = row.int("numbers_reserved")?;
        usage.monthly_held = row.money("monthly_held")?;
        usage.monthly_reserved = row.money("monthly_reserved")?;
    }
    if let Some(orders) = orders {
        usage.orders_last_day = orders.int("orders")?;
    }
    Ok(usage)
}

impl Store {
    /// The team's current holdings and reservations; zeros for a team without entries.
    pub async fn usage(&self, team: &Team, now: Timestamp) -> Result<Usage, Error> {
        let row = self
            .db
            .row(sql!(
                "SELECT numbers_held, numbers_reserved, monthly_held, monthly_reserved FROM usage WHERE team = $1",
                team.as_str()
            ))
            .await?;
        let orders = self.db.row(orders_last_day(team, now, None)).await?;
        let mut usage = read(row.as_ref(), orders.as_ref())?;
        let (refused, first) = self.refused_last_hour(team, now).await?;
        usage.refused_last_hour = refused;
        usage.refused_wait_seconds = first.map_or(0, |first| first.plus(HOUR).since(now).as_secs() + 1);
        Ok(usage)
    }

    /// How many orders of the team were refused within the last hour, and when the first of them was.
    pub async fn refused_last_hour(
        &self,
        team: &Team,
        now: Timestamp,
    ) -> Result<(i64, Option<Timestamp>), Error> {
        let row = self.db.row(refused_last_hour(team, now)).await?;
        let row = row.ok_or_else(|| corrupt("a count has no row", None))?;
        Ok((row.int("refused")?, row.time_opt("first")?))
    }
}

//! What Close says of numbers, taken in: later beats earlier, and nothing said here changes who has a number.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::domain::audit::AuditRow;
use crate::domain::caller::Team;
use crate::domain::country::Country;
use crate::domain::event::{Event, EventKind};
use crate::domain::id::{OrderId, PhoneNumberId};
use crate::domain::money::Money;
use crate::domain::number::Facts;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::Store;
use crate::store::audit::rows;
use crate::store::events::feed;
use crate::store::ledger::{self, Entry, Kind};
use crate::store::numbers::release;
use crate::store::sql::db::{Tx, sql};
use crate::store::sql::error::corrupt;
use crate::store::sql::row::{Row, json};

/// What Close said of one number, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// What it said.
    pub facts: Facts,
    /// When it was asked.
    pub as_of: Timestamp,
    /// What it is reckoned with a month until Close has billed one; `None` keeps what was reckoned with before.
    pub estimate: Option<Money>,
}

impl Observation {
    /// In cents; `known` when Close has billed nothing and nobody has an estimate.
    fn monthly(&self, known: i64) -> i64 {
        // A price is never negative, whatever Close writes.
        self.facts
            .billed
            .or(self.estimate)
            .map_or(known, |price| price.cents().max(0))
    }
}

/// For this long after a release, a listing that still shows the number is taken for an old one.
const LISTINGS_LAG: Duration = Duration::from_mins(10);
/// Numbers a transaction: long enough to be quick, short enough to let others in between.
const BATCH: usize = 100;

impl Store {
    /// Takes in what Close says of some numbers; how many are new or have changed.
    ///
    /// Never changes team or order. A row that knows something later stays as it is; a number that is marked gone
    /// comes back only if it was seen more than ten minutes afterwards. When the monthly price of a team's number
    /// changes, its holding follows.
    pub async fn observe(&self, seen: &[Observation]) -> Result<u64, Error> {
        // By id, the order in which all transactions lock; the latest word on each.
        let mut latest: BTreeMap<&PhoneNumberId, &Observation> = BTreeMap::new();
        for one in seen {
            let known = latest.entry(&one.facts.id).or_insert(one);
            if one.as_of >= known.as_of {
                *known = one;
            }
        }
        let latest: Vec<&Observation> = latest.into_values().collect();
        let mut changed = 0;
        for batch in latest.chunks(BATCH) {
            let mut tx = self.db.begin().await?;
            let mut entries = Vec::new();
            for one in batch {
                let upserted = upsert(&mut tx, one).await?;
                changed += u64::from(upserted.changed);
                entries.extend(upserted.entry);
            }
            ledger::enter(&mut tx, entries).await?;
            tx.commit().await?;
        }
        Ok(changed)
    }

    /// Takes in what Close says of one number after it was changed, with the audit row of the change.
    pub async fn observe_change(&self, seen: &Observation, audit: &AuditRow) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        let upserted = upsert(&mut tx, seen).await?;
        ledger::enter(&mut tx, upserted.entry.into_iter().collect()).await?;
        // Also when it reads as before: it is known to be so as of now.
        tx.effects().numbers.insert(seen.facts.id.clone());
        let mut audit = audit.clone();
        if audit.team.is_none() {
            let row = lock(&mut tx, &seen.facts.id).await?;
            audit.team = row
                .and_then(|row| row.parsed_opt("team").transpose())
                .transpose()?;
        }
        rows::write(&mut tx, &audit).await?;
        tx.commit().await
    }

    /// The ids of all numbers that are not gone, without those that an order brought after `settled`: Close may not
    /// show them everywhere yet.
    pub async fn known_number_ids(&self, settled: Timestamp) -> Result<Vec<PhoneNumberId>, Error> {
        let rows = self
            .db
            .rows(sql!(
                "SELECT id FROM numbers WHERE gone_at IS NULL AND NOT EXISTS \
                    (SELECT 1 FROM orders WHERE orders.id = numbers.order_id AND orders.finished_at > $1) ORDER BY id",
                settled
            ))
            .await?;
        rows.iter().map(|row| row.parsed("id")).collect()
    }
}

/// What an observation did.
pub(in crate::store) struct Upserted {
    /// The number is new, is back, or reads otherwise than before.
    pub(in crate::store) changed: bool,
    /// What that does to the books of its team; to be entered once all numbers of the transaction are locked.
    pub(in crate::store) entry: Option<Entry>,
}

/// Takes in one observation.
pub(in crate::store) async fn upsert(tx: &mut Tx, seen: &Observation) -> Result<Upserted, Error> {
    let Some(row) = lock(tx, &seen.facts.id).await? else {
        if insert(tx, seen).await? {
            return Ok(Upserted {
                changed: true,
                entry: None,
            });
        }
        // Somebody else saw it at the same moment.
        let row = lock(tx, &seen.facts.id)
            .await?
            .ok_or_else(|| corrupt("a number is gone from the inventory", None))?;
        return refresh(tx, seen, &row).await;
    };
    refresh(tx, seen, &row).await
}

/// Takes in a number only if it was never seen.
pub(in crate::store) async fn insert_if_unknown(tx: &mut Tx, seen: &Observation) -> Result<(), Error> {
    insert(tx, seen).await.map(drop)
}

/// Whose the number was, before it was given away.
pub(in crate::store) struct Assigned {
    /// The team that had it.
    pub(in crate::store) team: Option<Team>,
    /// What it costs a month, in cents.
    pub(in crate::store) monthly: i64,
    /// Whether it is a tombstone.
    pub(in crate::store) gone: bool,
    /// Whether another order was fulfilled with it.
    pub(in crate::store) taken: bool,
    /// When it would have been released: what one team schedules does not follow a number to another.
    pub(in crate::store) called_off: Option<Timestamp>,
}

/// Gives a number to a team, and to the order it was rented for if there is one. `None`: it is not known.
pub(in crate::store) async fn assign(
    tx: &mut Tx,
    at: Timestamp,
    id: &PhoneNumberId,
    team: &Team,
    order: Option<&OrderId>,
) -> Result<Option<Assigned>, Error> {
    let Some(row) = lock(tx, id).await? else {
        return Ok(None);
    };
    let taken = tx
        .row(sql!(
            "SELECT id FROM orders WHERE phone_number_id = $1 AND id <> $2",
            id.as_str(),
            order.map_or("", OrderId::as_str)
        ))
        .await?;
    tx.execute(sql!(
        "UPDATE numbers SET team = $2, order_id = COALESCE($3, order_id) WHERE id = $1",
        id.as_str(),
        team.as_str(),
        order.map(OrderId::as_str)
    ))
    .await?;
    let before: Option<Team> = row.parsed_opt("team")?;
    let gone = row.int_opt("gone_at")?.is_some();
    tx.effects().numbers.insert(id.clone());
    if before.as_ref() != Some(team) && !gone {
        let facts: Facts = row.json("facts")?;
        if let Some(before) = &before {
            feed::number(tx, at, EventKind::NumberUnassigned, Some(before), &facts).await?;
        }
        feed::number(tx, at, EventKind::NumberAssigned, Some(team), &facts).await?;
    }
    let mut called_off = row.time_opt("release_at")?;
    if before.as_ref() == Some(team) {
        called_off = None;
    } else if called_off.is_some() {
        release::call_off(tx, id).await?;
    }
    Ok(Some(Assigned {
        team: before,
        monthly: row.int("monthly")?,
        gone,
        taken: taken.is_some(),
        called_off,
    }))
}

async fn lock(tx: &mut Tx, id: &PhoneNumberId) -> Result<Option<Row>, Error> {
    tx.lock(sql!(
        "SELECT facts, team, monthly, as_of, gone_at, release_at FROM numbers WHERE id = $1",
        id.as_str()
    ))
    .await
}

async fn refresh(tx: &mut Tx, seen: &Observation, row: &Row) -> Result<Upserted, Error> {
    let unchanged = Upserted {
        changed: false,
        entry: None,
    };
    if row.time("as_of")? > seen.as_of {
        return Ok(unchanged);
    }
    let gone_at = row.time_opt("gone_at")?;
    if gone_at.is_some_and(|gone_at| seen.as_of <= gone_at.plus(LISTINGS_LAG)) {
        return Ok(unchanged);
    }
    let known: Facts = row.json("facts")?;
    let monthly_before = row.int("monthly")?;
    let monthly = seen.monthly(monthly_before);
    let facts = json(&seen.facts)?;
    // A float may read back as its neighbour; its text is the same each time.
    let same = row.text("facts")? == facts || known == seen.facts;
    if same && monthly == monthly_before && gone_at.is_none() {
        tx.execute(sql!(
            "UPDATE numbers SET as_of = $2 WHERE id = $1",
            seen.facts.id.as_str(),
            seen.as_of
        ))
        .await?;
        return Ok(unchanged);
    }
    tx.execute(sql!(
        "UPDATE numbers SET number = $2, country = $3, kind = $4, label_folded = $5, facts = $6, monthly = $7, \
            as_of = $8, gone_at = NULL WHERE id = $1",
        seen.facts.id.as_str(),
        seen.facts.number.as_str(),
        seen.facts.country.as_ref().map(Country::as_str),
        seen.facts.kind.as_str(),
        folded(&seen.facts),
        facts,
        monthly,
        seen.as_of,
    ))
    .await?;
    if known.participants != seen.facts.participants || known.user != seen.facts.user {
        participants(tx, &seen.facts).await?;
    }
    let team: Option<Team> = row.parsed_opt("team")?;
    let kind = match gone_at {
        Some(_) => EventKind::NumberAdded,
        None => EventKind::NumberUpdated,
    };
    let event = Event::of_number(seen.as_of, kind, team.as_ref(), &seen.facts);
    let event = event.with("changed", known.changed(&seen.facts).into());
    feed::write(tx, &event).await?;
    let entry = team.and_then(|team| {
        let entry = |kind| Entry::new(seen.as_of, &team, kind).number(&seen.facts.id);
        if gone_at.is_some() {
            Some(entry(Kind::Correction).held(1, monthly))
        } else if monthly == monthly_before {
            None
        } else {
            Some(entry(Kind::TrueUp).held(0, monthly - monthly_before))
        }
    });
    Ok(Upserted { changed: true, entry })
}

async fn insert(tx: &mut Tx, seen: &Observation) -> Result<bool, Error> {
    let inserted = tx
        .execute(sql!(
            "INSERT INTO numbers (id, number, country, kind, label_folded, facts, monthly, as_of, seen_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8) ON CONFLICT (id) DO NOTHING",
            seen.facts.id.as_str(),
            seen.facts.number.as_str(),
            seen.facts.country.as_ref().map(Country::as_str),
            seen.facts.kind.as_str(),
            folded(&seen.facts),
            json(&seen.facts)?,
            seen.monthly(0),
            seen.as_of,
        ))
        .await?;
    if inserted == 0 {
        return Ok(false);
    }
    participants(tx, &seen.facts).await?;
    feed::number(tx, seen.as_of, EventKind::NumberAdded, None, &seen.facts).await?;
    Ok(true)
}

async fn participants(tx: &mut Tx, facts: &Facts) -> Result<(), Error> {
    tx.execute(sql!(
        "DELETE FROM number_participants WHERE number_id = $1",
        facts.id.as_str()
    ))
    .await?;
    let users: BTreeSet<_> = facts.participants.iter().chain(&facts.user).collect();
    for user in users {
        tx.execute(sql!(
            "INSERT INTO number_participants (user_id, number_id) VALUES ($1, $2)",
            user.as_str(),
            facts.id.as_str()
        ))
        .await?;
    }
    Ok(())
}

fn folded(facts: &Facts) -> String {
    facts.label.as_deref().unwrap_or_default().to_lowercase()
}

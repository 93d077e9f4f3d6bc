//! Upserts numbers as Close shows them.
//!
//! The more recent state wins, by Close's date of the last change, and no observation changes the team of a number.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::domain::audit::AuditRow;
use crate::domain::country::Country;
use crate::domain::event::Event;
use crate::domain::event_data::PhoneNumberData;
use crate::domain::event_kind::EventKind;
use crate::domain::id::PhoneNumberId;
use crate::domain::money::Money;
use crate::domain::number::Facts;
use crate::domain::phone::main_country;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::audit::rows;
use crate::store::due_times::latest;
use crate::store::events::write;
use crate::store::handle::Store;
use crate::store::ledger::{self, Entry, Kind};
use crate::store::numbers::row::lock;
use crate::store::sql::db::{Tx, sql};
use crate::store::sql::error::corrupt;
use crate::store::sql::row::{Row, json};

/// One number as Close showed it, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The number as Close showed it.
    pub facts: Facts,
    /// When the service called Close.
    pub as_of: Timestamp,
    /// The estimated monthly price, used until Close has billed one; `None` keeps the previous estimate.
    pub estimate: Option<Money>,
}

impl Observation {
    /// The monthly price in cents: billed, else estimated, else `known`.
    fn monthly(&self, known: i64) -> i64 {
        // A price is never negative, even if Close sends a negative one.
        self.facts
            .billed
            .or(self.estimate)
            .map_or(known, |price| price.cents().max(0))
    }
}

/// For this long after a release, a listing that still shows the number counts as stale.
const LISTINGS_LAG: Duration = Duration::from_mins(10);
/// Numbers per transaction: enough to be quick, few enough to let other writers in between.
const BATCH: usize = 100;

impl Store {
    /// Upserts observations; returns how many numbers are new or have changed.
    ///
    /// It never changes team or order. A row that is more recent by Close's own date, or with a later observation,
    /// stays as it is. A number that is gone comes back
    /// only if Close showed it more than ten minutes after it was gone. When the monthly price of a team's number
    /// changes, the team's usage follows.
    pub async fn observe(&self, seen: &[Observation]) -> Result<u64, Error> {
        // The latest observation of each number, by id, which is the lock order of all transactions.
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

    /// Upserts the number that Close returned after a change, with the audit row of the change.
    pub async fn observe_change(&self, seen: &Observation, audit: &AuditRow) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        let upserted = upsert(&mut tx, seen).await?;
        ledger::enter(&mut tx, upserted.entry.into_iter().collect()).await?;
        // Even if nothing changed, the cache must read the new `as_of`.
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

    /// When Close last showed the number.
    pub async fn number_as_of(&self, id: &PhoneNumberId) -> Result<Option<Timestamp>, Error> {
        let row = self
            .db
            .row(sql!("SELECT as_of FROM numbers WHERE id = $1", id.as_str()))
            .await?;
        row.map(|row| row.time("as_of")).transpose()
    }

    /// The ids of all numbers that are not gone.
    ///
    /// Numbers of orders that finished within `settle_after` are left out: Close may not show them everywhere yet. An
    /// end that a clock which was ahead has written does not hide a number for longer.
    pub async fn known_number_ids(
        &self,
        now: Timestamp,
        settle_after: Duration,
    ) -> Result<Vec<PhoneNumberId>, Error> {
        let rows = self
            .db
            .rows(sql!(
                "SELECT id FROM numbers WHERE gone_at IS NULL AND NOT EXISTS \
                    (SELECT 1 FROM orders WHERE orders.id = numbers.order_id AND orders.finished_at > $1 \
                        AND orders.finished_at <= $2) ORDER BY id",
                now.minus(settle_after),
                latest(now, Duration::ZERO)
            ))
            .await?;
        rows.iter().map(|row| row.parsed("id")).collect()
    }
}

/// The result of one upsert.
pub(in crate::store) struct Upserted {
    /// Whether the number is new, is back, or has changed.
    pub(in crate::store) changed: bool,
    /// The ledger entry for the number's team. Enter it after all numbers of the transaction are locked.
    pub(in crate::store) entry: Option<Entry>,
}

/// Upserts one observation.
pub(in crate::store) async fn upsert(tx: &mut Tx, seen: &Observation) -> Result<Upserted, Error> {
    let Some(row) = lock(tx, &seen.facts.id).await? else {
        if insert(tx, seen).await? {
            return Ok(Upserted {
                changed: true,
                entry: None,
            });
        }
        // A concurrent transaction inserted it.
        let row = lock(tx, &seen.facts.id)
            .await?
            .ok_or_else(|| corrupt("a number's row is missing", None))?;
        return refresh(tx, seen, &row).await;
    };
    refresh(tx, seen, &row).await
}

/// Inserts a number only if it has no row yet.
pub(in crate::store) async fn insert_if_unknown(tx: &mut Tx, seen: &Observation) -> Result<(), Error> {
    insert(tx, seen).await.map(drop)
}

async fn refresh(tx: &mut Tx, seen: &Observation, row: &Row) -> Result<Upserted, Error> {
    let unchanged = Upserted {
        changed: false,
        entry: None,
    };
    let (known, known_at): (Facts, _) = (row.json("facts")?, row.time("as_of")?);
    if is_stale(seen, &known, known_at) {
        return Ok(unchanged);
    }
    // It never goes back, unless it was absurd.
    let as_of = if is_later(known_at, seen.as_of) {
        known_at
    } else {
        seen.as_of
    };
    let gone_at = row.time_opt("gone_at")?;
    if gone_at.is_some_and(|gone_at| seen.as_of <= gone_at.plus(LISTINGS_LAG)) {
        return Ok(unchanged);
    }
    let monthly_before = row.int("monthly")?;
    let monthly = seen.monthly(monthly_before);
    let facts = json(&seen.facts)?;
    // A float may parse to a neighbouring value; its text is stable.
    let same = row.text("facts")? == facts || known == seen.facts;
    if same && monthly == monthly_before && gone_at.is_none() {
        tx.execute(sql!(
            "UPDATE numbers SET as_of = $2 WHERE id = $1",
            seen.facts.id.as_str(),
            as_of
        ))
        .await?;
        return Ok(unchanged);
    }
    tx.execute(sql!(
        "UPDATE numbers SET number = $2, country = $3, kind = $4, label_folded = $5, facts = $6, monthly = $7, \
            as_of = $8, gone_at = NULL, seen_turn = CASE WHEN country = $3 THEN seen_turn END WHERE id = $1",
        seen.facts.id.as_str(),
        seen.facts.number.as_str(),
        seen.facts.country.as_ref().map(Country::as_str),
        seen.facts.kind.as_str(),
        folded(&seen.facts),
        facts,
        monthly,
        as_of,
    ))
    .await?;
    if known.participants != seen.facts.participants || known.user != seen.facts.user {
        replace_participants(tx, &seen.facts).await?;
    }
    let team: Option<Team> = row.parsed_opt("team")?;
    let kind = match gone_at {
        Some(_) => EventKind::NumberAdded,
        None => EventKind::NumberUpdated,
    };
    let data = PhoneNumberData {
        changed: Some(known.changed(&seen.facts)),
        ..PhoneNumberData::new(&seen.facts)
    };
    write::event(tx, &Event::of_number(seen.as_of, kind, team.as_ref(), &data)).await?;
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

/// Whether Close showed an older state than the known one.
///
/// Its own date decides where both have one, because the clocks of replicas differ. A date that is older all the same
/// after ten minutes is no lag: it counts.
fn is_stale(seen: &Observation, known: &Facts, known_at: Timestamp) -> bool {
    match (seen.facts.updated_at, known.updated_at) {
        (Some(shown), Some(before)) if shown > before => false,
        (Some(shown), Some(before)) if shown < before => seen.as_of <= known_at.plus(LISTINGS_LAG),
        _ => is_later(known_at, seen.as_of),
    }
}

/// Whether the first of two times of observations is later.
///
/// One that is ahead by more than ten minutes was recorded by a wrong clock, and counts as earlier.
pub(in crate::store) fn is_later(one: Timestamp, other: Timestamp) -> bool {
    one > other && one <= other.plus(LISTINGS_LAG)
}

async fn insert(tx: &mut Tx, seen: &Observation) -> Result<bool, Error> {
    let inserted = tx
        .execute(sql!(
            // An order that is claimed after this statement did not rent the number.
            "INSERT INTO numbers (id, number, country, kind, label_folded, facts, monthly, as_of, seen_at, seen_turn) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, \
                CASE WHEN $9 IS NOT NULL THEN COALESCE((SELECT turn FROM lanes WHERE country = $9), 0) END) \
             ON CONFLICT (id) DO NOTHING",
            seen.facts.id.as_str(),
            seen.facts.number.as_str(),
            seen.facts.country.as_ref().map(Country::as_str),
            seen.facts.kind.as_str(),
            folded(&seen.facts),
            json(&seen.facts)?,
            seen.monthly(0),
            seen.as_of,
            seen.facts.country.map(main_country).as_ref().map(Country::as_str),
        ))
        .await?;
    if inserted == 0 {
        return Ok(false);
    }
    replace_participants(tx, &seen.facts).await?;
    write::number(tx, seen.as_of, EventKind::NumberAdded, None, &seen.facts).await?;
    Ok(true)
}

async fn replace_participants(tx: &mut Tx, facts: &Facts) -> Result<(), Error> {
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

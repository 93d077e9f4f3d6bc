//! Records at Close that can't be read, as all replicas together have met them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use crate::domain::odd_record::{KnownOddRecord, OddKind, OddRecord};
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::handle::Store;
use crate::store::sql::db::sql;

/// The most records of one kind that are kept. One that is not kept counts as seen for the first time.
const MOST: usize = 1_000;
/// How old the stored time of the last sighting may get.
const SIGHTING: Duration = Duration::from_hours(1);

impl Store {
    /// Adds odd records; returns those that are new.
    ///
    /// `seen_at` is a time at which Close had already shown them. Writes nothing if all are known.
    pub async fn note_odd_records(
        &self,
        records: &[OddRecord],
        seen_at: Timestamp,
    ) -> Result<Vec<OddRecord>, Error> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let known = self.odd_records().await?;
        let mut counts = BTreeMap::<OddKind, usize>::new();
        for one in &known {
            *counts.entry(one.record.kind).or_default() += 1;
        }
        let known: HashMap<_, _> = known
            .iter()
            .map(|one| ((one.record.kind, one.record.name.as_str()), one))
            .collect();
        let mut tx = self.db.begin().await?;
        let mut new = Vec::new();
        for record in records {
            let changed = if let Some(one) = known.get(&(record.kind, record.name.as_str())) {
                one.record.fault != record.fault || seen_at.since(one.last_seen_at) >= SIGHTING
            } else {
                let count = counts.entry(record.kind).or_default();
                *count += 1;
                if *count <= MOST {
                    new.push(record.clone());
                }
                *count <= MOST
            };
            if changed {
                tx.execute(sql!(
                    "INSERT INTO odd_records (kind, name, fault, first_seen_at, last_seen_at) \
                     VALUES ($1, $2, $3, $4, $4) ON CONFLICT (kind, name) DO UPDATE \
                     SET fault = excluded.fault, last_seen_at = excluded.last_seen_at",
                    record.kind.as_str(),
                    record.name.as_str(),
                    record.fault.as_str(),
                    seen_at
                ))
                .await?;
            }
        }
        tx.commit().await?;
        Ok(new)
    }

    /// Forgets the odd records of this kind that are not among `present`, which a complete listing showed.
    pub async fn forget_odd_records(
        &self,
        kind: OddKind,
        present: &BTreeSet<String>,
    ) -> Result<Vec<String>, Error> {
        let known = self.odd_records().await?;
        let gone: Vec<String> = known
            .into_iter()
            .filter(|one| one.record.kind == kind && !present.contains(&one.record.name))
            .map(|one| one.record.name)
            .collect();
        self.delete_odd_records(kind, &gone).await?;
        Ok(gone)
    }

    /// Forgets the odd records of this kind that were last seen before `before`.
    pub async fn forget_old_odd_records(&self, kind: OddKind, before: Timestamp) -> Result<(), Error> {
        let known = self.odd_records().await?;
        let old: Vec<String> = known
            .into_iter()
            .filter(|one| one.record.kind == kind && one.last_seen_at < before)
            .map(|one| one.record.name)
            .collect();
        self.delete_odd_records(kind, &old).await
    }

    /// The odd records that are known now.
    pub async fn known_odd_records(&self) -> Result<Vec<KnownOddRecord>, Error> {
        let known = self.odd_records().await?;
        Ok(known.into_iter().map(|one| one.record).collect())
    }

    async fn odd_records(&self) -> Result<Vec<Sighting>, Error> {
        let rows = self
            .db
            .rows(sql!(
                "SELECT kind, name, fault, first_seen_at, last_seen_at FROM odd_records ORDER BY kind, name"
            ))
            .await?;
        let mut known = Vec::new();
        for row in rows {
            // A newer version may know more kinds.
            let Ok(kind) = row.text("kind")?.parse() else {
                continue;
            };
            known.push(Sighting {
                record: KnownOddRecord {
                    kind,
                    name: row.text("name")?,
                    fault: row.text("fault")?,
                    first_seen_at: row.time("first_seen_at")?,
                },
                last_seen_at: row.time("last_seen_at")?,
            });
        }
        Ok(known)
    }

    async fn delete_odd_records(&self, kind: OddKind, names: &[String]) -> Result<(), Error> {
        if names.is_empty() {
            return Ok(());
        }
        let mut tx = self.db.begin().await?;
        for name in names {
            tx.execute(sql!(
                "DELETE FROM odd_records WHERE kind = $1 AND name = $2",
                kind.as_str(),
                name.as_str()
            ))
            .await?;
        }
        tx.commit().await
    }
}

/// A stored record, and when it was seen last.
struct Sighting {
    record: KnownOddRecord,
    last_seen_at: Timestamp,
}

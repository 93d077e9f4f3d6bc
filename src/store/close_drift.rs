//! The differences between Close's API and the known one, as all replicas together have met them.

use std::collections::BTreeSet;

use serde::Deserialize as _;
use serde_json::Value;

use crate::domain::close_drift::{Drift, DriftRecord, Sighting};
use crate::domain::event::Event;
use crate::domain::event_data::CloseApiData;
use crate::domain::event_kind::EventKind;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::events::write;
use crate::store::handle::Store;
use crate::store::sql::db::sql;
use crate::store::sql::error::corrupt;
use crate::store::sql::row::{Row, json};

/// The row of the settings that holds the [`DriftRecord`].
const ROW: &str = "close_drift";

impl Store {
    /// The differences that were met in the last week.
    pub async fn close_drifts(&self) -> Result<DriftRecord, Error> {
        let row = self
            .db
            .row(sql!("SELECT value FROM settings WHERE name = $1", ROW))
            .await?;
        row.as_ref().map_or_else(|| Ok(DriftRecord::default()), read)
    }

    /// Adds differences, and writes the event for administrators if it is due.
    ///
    /// All replicas together write one event a day, and only if something is new. Writes nothing if nothing changes.
    pub async fn record_close_drifts(&self, seen: &BTreeSet<Drift>, now: Timestamp) -> Result<(), Error> {
        let known = self.close_drifts().await?;
        let mut changed = known.clone();
        changed.update(seen, now);
        if changed == known {
            return Ok(());
        }
        let mut tx = self.db.begin().await?;
        tx.execute(sql!(
            "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
            ROW,
            json(&DriftRecord::default())?
        ))
        .await?;
        let row = tx
            .lock(sql!("SELECT value FROM settings WHERE name = $1", ROW))
            .await?
            .ok_or_else(|| corrupt("the differences of Close's API are missing", None))?;
        let mut record = read(&row)?;
        let to_report = record.update(seen, now);
        tx.execute(sql!(
            "UPDATE settings SET value = $2 WHERE name = $1",
            ROW,
            json(&record)?
        ))
        .await?;
        if !to_report.is_empty() {
            let event = Event::new(now, EventKind::CloseApiChanged, None);
            write::event(
                &mut tx,
                &event.with(&CloseApiData {
                    differences: &to_report,
                }),
            )
            .await?;
        }
        tx.commit().await
    }
}

/// Reads the record without the differences of a kind that only a newer version knows.
fn read(row: &Row) -> Result<DriftRecord, Error> {
    let mut record: Value = row.json("value")?;
    if let Some(sightings) = record.get_mut("sightings").and_then(Value::as_array_mut) {
        sightings.retain(|sighting| Sighting::deserialize(sighting).is_ok());
    }
    serde_json::from_value(record)
        .map_err(|cause| corrupt("the differences of Close's API can't be read", Some(cause.into())))
}

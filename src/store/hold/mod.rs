//! Holds, and what caused them: calls with the own API key that the database does not know.

pub(super) mod confirm;
pub(super) mod known;

use crate::domain::audit::AuditRow;
use crate::domain::hold::{CallKind, Hold, HoldCause, UnknownCall};
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::audit::rows;
use crate::store::handle::Store;
use crate::store::sql::db::{Tx, sql};
use crate::store::sql::error::corrupt;
use crate::store::sql::row::{Row, json};

macro_rules! select_unknown {
    ($rest:literal) => {
        concat!(
            "SELECT kind, number_id, at, facts, order_id FROM unknown_calls WHERE confirmed_at IS NULL \
             ORDER BY at, number_id",
            $rest
        )
    };
}

impl Store {
    /// The holds that are in force.
    pub async fn holds(&self) -> Result<Vec<Hold>, Error> {
        let rows = self
            .db
            .rows(sql!(
                "SELECT cause, reason, since FROM holds ORDER BY since, cause"
            ))
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Hold {
                    cause: row.word("cause")?,
                    reason: row.text("reason")?,
                    since: row.time("since")?,
                })
            })
            .collect()
    }

    /// Turns a hold on, or changes its reason.
    pub async fn start_hold(&self, hold: &Hold, audit: &AuditRow) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        start(&mut tx, hold).await?;
        rows::write(&mut tx, audit).await?;
        tx.commit().await
    }

    /// Turns a hold off. Returns `false`, and changes nothing, if there is none of this cause.
    pub async fn end_hold(&self, cause: HoldCause, audit: &AuditRow) -> Result<bool, Error> {
        let mut tx = self.db.begin().await?;
        if !end(&mut tx, cause).await? {
            return Ok(false);
        }
        rows::write(&mut tx, audit).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Records unknown calls, and turns the hold on if one of them is new. Returns whether one is.
    pub async fn hold_for_unknown_calls(
        &self,
        calls: &[UnknownCall],
        hold: &Hold,
        audit: &AuditRow,
    ) -> Result<bool, Error> {
        let mut tx = self.db.begin().await?;
        let mut new = 0;
        for call in calls {
            new += tx
                .execute(sql!(
                    "INSERT INTO unknown_calls (kind, number_id, at, facts, found_at) VALUES ($1, $2, $3, $4, $5) \
                     ON CONFLICT (kind, number_id) DO NOTHING",
                    call.kind.as_str(),
                    call.number_id.as_str(),
                    call.at,
                    call.facts.as_ref().map(json).transpose()?,
                    hold.since
                ))
                .await?;
        }
        if new == 0 {
            return Ok(false);
        }
        start(&mut tx, hold).await?;
        rows::write(&mut tx, audit).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The unknown calls that nobody has confirmed yet, oldest first; at most `limit`.
    pub async fn oldest_unknown_calls(&self, limit: u32) -> Result<Vec<UnknownCall>, Error> {
        let rows = self
            .db
            .rows(sql!(select_unknown!(" LIMIT $1"), i64::from(limit)))
            .await?;
        rows.iter().map(read).collect()
    }

    /// How many unknown calls nobody has confirmed yet.
    pub async fn count_unknown_calls(&self) -> Result<u64, Error> {
        let row = self
            .db
            .row(sql!(
                "SELECT COUNT(*) AS n FROM unknown_calls WHERE confirmed_at IS NULL"
            ))
            .await?
            .ok_or_else(|| corrupt("COUNT returned no row", None))?;
        Ok(row.int("n")?.unsigned_abs())
    }

    /// Since when, by Close's clock, the database knows every call with the own key; `since` if it has no time yet.
    ///
    /// Earlier calls were made before the service was in use.
    pub async fn knows_calls_since(&self, since: Timestamp) -> Result<Timestamp, Error> {
        let mut tx = self.db.begin().await?;
        tx.execute(sql!(
            "INSERT INTO settings (name, value) VALUES ('knows_calls_since', $1) ON CONFLICT (name) DO NOTHING",
            since.to_string()
        ))
        .await?;
        tx.commit().await?;
        let known = self.calls_known_since().await?;
        Ok(known.unwrap_or(since))
    }

    /// Since when, by Close's clock, the database knows every call with the own key.
    pub async fn calls_known_since(&self) -> Result<Option<Timestamp>, Error> {
        self.time_setting("knows_calls_since").await
    }

    /// Up to when, by Close's clock, its event log was searched for unknown calls.
    pub async fn calls_checked_to(&self) -> Result<Option<Timestamp>, Error> {
        self.time_setting("calls_checked_to").await
    }

    /// Records that Close's event log was searched for unknown calls up to this time.
    pub async fn set_calls_checked_to(&self, at: Timestamp) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        tx.execute(sql!(
            "INSERT INTO settings (name, value) VALUES ('calls_checked_to', $1) \
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            at.to_string()
        ))
        .await?;
        tx.commit().await
    }

    async fn time_setting(&self, name: &'static str) -> Result<Option<Timestamp>, Error> {
        let row = self
            .db
            .row(sql!("SELECT value FROM settings WHERE name = $1", name))
            .await?;
        row.map(|row| row.parsed("value")).transpose()
    }
}

/// The unknown calls that nobody has confirmed yet, oldest first.
async fn unknown_calls(tx: &mut Tx) -> Result<Vec<UnknownCall>, Error> {
    let rows = tx.rows(sql!(select_unknown!(""))).await?;
    rows.iter().map(read).collect()
}

async fn start(tx: &mut Tx, hold: &Hold) -> Result<(), Error> {
    tx.execute(sql!(
        "INSERT INTO holds (cause, reason, since) VALUES ($1, $2, $3) \
         ON CONFLICT (cause) DO UPDATE SET reason = excluded.reason",
        hold.cause.as_str(),
        hold.reason.as_str(),
        hold.since
    ))
    .await
    .map(drop)
}

/// Deletes the hold; returns whether there was one.
async fn end(tx: &mut Tx, cause: HoldCause) -> Result<bool, Error> {
    let ended = tx
        .execute(sql!("DELETE FROM holds WHERE cause = $1", cause.as_str()))
        .await?;
    Ok(ended == 1)
}

fn read(row: &Row) -> Result<UnknownCall, Error> {
    Ok(UnknownCall {
        kind: row.parsed::<CallKind>("kind")?,
        number_id: row.parsed("number_id")?,
        at: row.time("at")?,
        facts: row.json_opt("facts")?,
        order_id: row.parsed_opt("order_id")?,
    })
}

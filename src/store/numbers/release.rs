//! Releases of numbers: scheduled, cancelled, marked before the call to Close, and finished.
//!
//! A finished release leaves a tombstone. A number counts as held by its team until it is gone.

use std::time::Duration;

use serde_json::Value;

use crate::domain::audit::{Actor, AuditRow, Requester};
use crate::domain::event_kind::EventKind;
use crate::domain::id::PhoneNumberId;
use crate::domain::number::Number;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::audit::rows;
use crate::store::due_times::{due, latest};
use crate::store::events::write;
use crate::store::handle::Store;
use crate::store::ledger::{self, Entry, Kind};
use crate::store::numbers::row::{read, select_number};
use crate::store::numbers::upsert::is_later;
use crate::store::sql::db::{Statement, Tx, sql};
use crate::store::sql::row::Row;

/// `SELECT` with every column that [`read`] and [`requester`] need.
///
/// The audit row of the request has what a number has no columns for.
const SELECT: &str = select_number!(
    ", (SELECT detail FROM audit WHERE audit.phone_number_id = numbers.id AND audit.action = 'number.release' \
        AND audit.outcome IN ('scheduled', 'releasing') ORDER BY audit.id DESC LIMIT 1) AS release_detail",
    ""
);

/// The longest pause before a release is tried again.
const LONGEST_WAIT: Duration = Duration::from_mins(5);
/// The longest time between a mark and its check.
const LONGEST_CALL: Duration = Duration::from_hours(1);

/// Clears every column of a release.
macro_rules! cleared {
    () => {
        "releasing_at = NULL, release_at = NULL, release_try_at = NULL, release_issuer = NULL, \
            release_subject = NULL"
    };
}

impl Store {
    /// Schedules a release for `at`, for the actor of the audit row.
    ///
    /// Returns `false`, and changes nothing, when the number has changed since `known` was read.
    pub async fn schedule_release(
        &self,
        known: &Number,
        at: Timestamp,
        audit: &AuditRow,
    ) -> Result<bool, Error> {
        let change = sql!(
            "UPDATE numbers SET release_at = $2, release_try_at = $2, release_issuer = $3, release_subject = $4 \
             WHERE id = $1",
            known.facts.id.as_str(),
            at,
            audit.actor.issuer.as_str(),
            audit.actor.subject.as_str(),
        );
        self.change_as_known(known, change, EventKind::NumberReleaseScheduled, audit)
            .await
    }

    /// Cancels a scheduled release.
    ///
    /// Returns `false`, and changes nothing, when the number has changed since `known` was read.
    pub async fn cancel_release(&self, known: &Number, audit: &AuditRow) -> Result<bool, Error> {
        let change = sql!(
            concat!("UPDATE numbers SET ", cleared!(), " WHERE id = $1"),
            known.facts.id.as_str()
        );
        self.change_as_known(known, change, EventKind::NumberReleaseCalledOff, audit)
            .await
    }

    /// Marks the number before the call that releases it, with the time and actor of the audit row.
    ///
    /// Of several concurrent calls, one wins. Returns `false`, and changes nothing, when the number has changed since
    /// `known` was read.
    pub async fn mark_releasing(&self, known: &Number, audit: &AuditRow) -> Result<bool, Error> {
        let change = sql!(
            "UPDATE numbers SET releasing_at = $2, release_issuer = $3, release_subject = $4 WHERE id = $1",
            known.facts.id.as_str(),
            audit.at,
            audit.actor.issuer.as_str(),
            audit.actor.subject.as_str(),
        );
        self.change_as_known(known, change, EventKind::NumberReleasing, audit)
            .await
    }

    /// Numbers whose scheduled release is due, with its requester; longest due first.
    pub async fn due_releases(&self, now: Timestamp, limit: u32) -> Result<Vec<(Number, Requester)>, Error> {
        // A retry may be early, the end of the undo window never: the release can't be taken back.
        let text = format!(
            "{SELECT} WHERE release_try_at IS NOT NULL \
                AND (release_try_at <= $1 OR (release_at <= $1 AND {})) AND releasing_at IS NULL \
                AND gone_at IS NULL ORDER BY release_try_at, id LIMIT $2",
            due("release_try_at", "$1", "$3")
        );
        let by = latest(now, LONGEST_WAIT);
        self.with_requester(sql!(text, now, i64::from(limit), by)).await
    }

    /// Numbers marked for release at or before `marked`, whose outcome is unknown; longest marked first.
    ///
    /// Each comes with the requester of the release.
    pub async fn unfinished_releases(
        &self,
        marked: Timestamp,
        limit: u32,
    ) -> Result<Vec<(Number, Requester)>, Error> {
        let text = format!(
            "{SELECT} WHERE {} AND gone_at IS NULL ORDER BY releasing_at, id LIMIT $2",
            due("releasing_at", "$1", "$3")
        );
        let by = latest(marked, LONGEST_CALL);
        self.with_requester(sql!(text, marked, i64::from(limit), by))
            .await
    }

    /// Removes the mark of `marked` and the schedule, because Close keeps the number.
    ///
    /// A later mark stays, because the outcome of that release is unknown.
    pub async fn abort_release(
        &self,
        id: &PhoneNumberId,
        marked: Timestamp,
        audit: &AuditRow,
    ) -> Result<(), Error> {
        let change = sql!(
            concat!(
                "UPDATE numbers SET ",
                cleared!(),
                " WHERE id = $1 AND releasing_at = $2 RETURNING team, facts, release_at"
            ),
            id.as_str(),
            marked
        );
        self.unmark(change, audit).await
    }

    /// Removes the mark of `marked`, because Close did not execute the release.
    ///
    /// A scheduled release stays and is due again at `again`.
    pub async fn postpone_release(
        &self,
        id: &PhoneNumberId,
        marked: Timestamp,
        again: Timestamp,
        audit: &AuditRow,
    ) -> Result<(), Error> {
        let change = sql!(
            "UPDATE numbers SET releasing_at = NULL, \
                release_try_at = CASE WHEN release_at IS NULL THEN NULL ELSE $3 END \
             WHERE id = $1 AND releasing_at = $2 RETURNING team, facts, release_at",
            id.as_str(),
            marked,
            again
        );
        self.unmark(change, audit).await
    }

    /// Turns the row into a tombstone after Close confirmed the release.
    ///
    /// The team then no longer holds the number. Returns `false`, and changes nothing, when the number was gone before.
    pub async fn finish_release(
        &self,
        id: &PhoneNumberId,
        at: Timestamp,
        audit: &AuditRow,
    ) -> Result<bool, Error> {
        let mut tx = self.db.begin().await?;
        let Some(row) = present(&mut tx, id).await? else {
            return Ok(false);
        };
        // A stale listing that was requested later may still have shown the number.
        let gone_at = at.max(row.time("as_of")?);
        tombstone(tx, id, gone_at, &row, EventKind::NumberReleased, audit.clone()).await
    }

    /// Turns the row into a tombstone, because Close had no such number when called at `at`.
    ///
    /// This finishes a release in progress, and the audit row records that release. Returns `false`, and changes
    /// nothing, when the number was gone before or was seen since.
    pub async fn mark_gone(
        &self,
        id: &PhoneNumberId,
        at: Timestamp,
        audit: &AuditRow,
    ) -> Result<bool, Error> {
        let mut tx = self.db.begin().await?;
        let Some(row) = present(&mut tx, id).await? else {
            return Ok(false);
        };
        if is_later(row.time("as_of")?, at) {
            return Ok(false);
        }
        let (mut audit, mut kind) = (audit.clone(), EventKind::NumberVanished);
        if row.time_opt("releasing_at")?.is_some() {
            audit = audit.ends_release(requester(&row)?);
            kind = EventKind::NumberReleased;
        }
        tombstone(tx, id, at, &row, kind, audit).await
    }

    /// Whether the number is known and gone.
    pub async fn is_tombstone(&self, id: &PhoneNumberId) -> Result<bool, Error> {
        let row = self
            .db
            .row(sql!(
                "SELECT id FROM numbers WHERE id = $1 AND gone_at IS NOT NULL",
                id.as_str()
            ))
            .await?;
        Ok(row.is_some())
    }

    async fn with_requester(&self, statement: Statement) -> Result<Vec<(Number, Requester)>, Error> {
        let rows = self.db.rows(statement).await?;
        rows.iter().map(|row| Ok((read(row)?, requester(row)?))).collect()
    }

    /// Makes a change, with its audit row, if team, schedule and mark are still as in `known`.
    async fn change_as_known(
        &self,
        known: &Number,
        change: Statement,
        kind: EventKind,
        audit: &AuditRow,
    ) -> Result<bool, Error> {
        let mut tx = self.db.begin().await?;
        let Some(row) = present(&mut tx, &known.facts.id).await? else {
            return Ok(false);
        };
        let now = read(&row)?;
        if (&now.team, now.release_at, now.releasing) != (&known.team, known.release_at, known.releasing) {
            return Ok(false);
        }
        tx.execute(change).await?;
        // A number that is marked again does not change state.
        if kind != EventKind::NumberReleasing || !now.releasing {
            write::number(&mut tx, audit.at, kind, now.team.as_ref(), &now.facts).await?;
        }
        rows::write(&mut tx, audit).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn unmark(&self, change: Statement, audit: &AuditRow) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        if let Some(row) = tx.row(change).await? {
            let kind = match row.time_opt("release_at")? {
                Some(_) => EventKind::NumberReleaseScheduled,
                None => EventKind::NumberReleaseCalledOff,
            };
            let team: Option<Team> = row.parsed_opt("team")?;
            write::number(&mut tx, audit.at, kind, team.as_ref(), &row.json("facts")?).await?;
        }
        rows::write(&mut tx, audit).await?;
        tx.commit().await
    }
}

/// Reads the requester of the release that is scheduled or under way.
///
/// A row of an earlier version names none, and the audit row of the request may have been deleted since.
fn requester(row: &Row) -> Result<Requester, Error> {
    let (Some(issuer), Some(subject)) = (row.text_opt("release_issuer")?, row.text_opt("release_subject")?)
    else {
        let actor = Actor::desk();
        return Ok(Requester { actor, grant: None });
    };
    let detail: Option<Value> = row.json_opt("release_detail")?;
    let member = |name: &str| Some(detail.as_ref()?.get(name)?.as_str()?.to_owned());
    let sub = member(rows::SUB);
    Ok(Requester {
        actor: Actor { issuer, subject, sub },
        grant: member(rows::GRANT),
    })
}

/// Locks the number's row, unless it is a tombstone.
async fn present(tx: &mut Tx, id: &PhoneNumberId) -> Result<Option<Row>, Error> {
    tx.lock(sql!(
        format!("{SELECT} WHERE id = $1 AND gone_at IS NULL"),
        id.as_str()
    ))
    .await
}

/// Turns the locked row into a tombstone and takes the number from its team.
async fn tombstone(
    mut tx: Tx,
    id: &PhoneNumberId,
    at: Timestamp,
    row: &Row,
    kind: EventKind,
    mut audit: AuditRow,
) -> Result<bool, Error> {
    tx.execute(sql!(
        concat!("UPDATE numbers SET gone_at = $2, ", cleared!(), " WHERE id = $1"),
        id.as_str(),
        at
    ))
    .await?;
    let team: Option<Team> = row.parsed_opt("team")?;
    write::number(&mut tx, audit.at, kind, team.as_ref(), &row.json("facts")?).await?;
    if let Some(team) = team {
        let entry = Entry::new(at, &team, Kind::GiveBack)
            .number(id)
            .held(-1, -row.int("monthly")?);
        ledger::enter(&mut tx, vec![entry]).await?;
        // The caller may not know the team; the team's audit trail must contain the row all the same.
        audit.team.get_or_insert(team);
    }
    rows::write(&mut tx, &audit).await?;
    tx.commit().await?;
    Ok(true)
}

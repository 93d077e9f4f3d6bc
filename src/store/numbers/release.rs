//! Numbers on their way back to Close: scheduled, called off, marked before Close is asked, and gone. It does not know
//! what Close answered, only what that comes to.
//!
//! A number on its way is still its team's: it counts until it is gone.

use crate::domain::audit::{Actor, AuditRow};
use crate::domain::caller::Team;
use crate::domain::event::EventKind;
use crate::domain::id::PhoneNumberId;
use crate::domain::number::Number;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::Store;
use crate::store::audit::rows;
use crate::store::events::feed;
use crate::store::ledger::{self, Entry, Kind};
use crate::store::numbers::assign::{SELECT, read};
use crate::store::sql::db::{Statement, Tx, sql};
use crate::store::sql::row::Row;

/// No trace of a release, whether it was scheduled or sent.
macro_rules! cleared {
    () => {
        "releasing_at = NULL, release_at = NULL, release_try_at = NULL, release_issuer = NULL, \
            release_subject = NULL"
    };
}

impl Store {
    /// Schedules a release for `at`, asked for by the audit row's actor. `false`: the number is not as `known` any
    /// more, and nothing changed.
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

    /// Calls off what was scheduled. `false`: the number is not as `known` any more, and nothing changed.
    pub async fn cancel_release(&self, known: &Number, audit: &AuditRow) -> Result<bool, Error> {
        let change = sql!(
            concat!("UPDATE numbers SET ", cleared!(), " WHERE id = $1"),
            known.facts.id.as_str()
        );
        self.change_as_known(known, change, EventKind::NumberReleaseCalledOff, audit)
            .await
    }

    /// Marks the number before Close is asked to release it, with the time of the audit row and for its actor: of
    /// many who know it unmarked, one wins. `false`: the number is not as `known` any more, and nothing changed.
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

    /// Numbers whose scheduled release is due, and who asked for it; longest due first.
    pub async fn due_releases(&self, now: Timestamp, limit: u32) -> Result<Vec<(Number, Actor)>, Error> {
        let due = " WHERE release_try_at <= $1 AND releasing_at IS NULL AND gone_at IS NULL \
            ORDER BY release_try_at, id LIMIT $2";
        self.asked_for(sql!(format!("{SELECT}{due}"), now, i64::from(limit)))
            .await
    }

    /// Numbers marked for release at or before `marked`, whose outcome nobody knows yet, and who asked for it; longest
    /// marked first.
    pub async fn unfinished_releases(
        &self,
        marked: Timestamp,
        limit: u32,
    ) -> Result<Vec<(Number, Actor)>, Error> {
        let open = " WHERE releasing_at <= $1 AND gone_at IS NULL ORDER BY releasing_at, id LIMIT $2";
        self.asked_for(sql!(format!("{SELECT}{open}"), marked, i64::from(limit)))
            .await
    }

    /// Takes the mark of `marked` back: Close keeps the number, and nothing is scheduled any more. A later mark of
    /// somebody else stays, because how that one ends is not known.
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

    /// Takes the mark of `marked` back because Close was not reached: what is scheduled stays, and is tried again at
    /// `again`.
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

    /// Close said that it has released the number: its team holds it no more, and the row stays as a tombstone.
    /// `false`: it was gone before, and nothing changed.
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
        // A listing that was asked for later and lags may have shown it still.
        let gone_at = at.max(row.time("as_of")?);
        tombstone(tx, id, gone_at, &row, EventKind::NumberReleased, audit.clone()).await
    }

    /// Close was asked at `at` and has the number no more: its team holds it no more, and the row stays as a
    /// tombstone. A release that was under way has ended with it, and the row says that instead. `false`: it was gone
    /// before, or was seen since, and nothing changed.
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
        if row.time("as_of")? > at {
            return Ok(false);
        }
        let (mut audit, mut kind) = (audit.clone(), EventKind::NumberVanished);
        if row.time_opt("releasing_at")?.is_some() {
            audit = audit.ends_release(asked(&row)?);
            kind = EventKind::NumberReleased;
        }
        tombstone(tx, id, at, &row, kind, audit).await
    }

    /// Whether the number was there once and is no more.
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

    async fn asked_for(&self, statement: Statement) -> Result<Vec<(Number, Actor)>, Error> {
        let rows = self.db.rows(statement).await?;
        rows.iter().map(|row| Ok((read(row)?, asked(row)?))).collect()
    }

    /// Makes a change with its audit row if team, schedule and mark are still as whoever decided it knew them.
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
        // Marked again, it is where it was.
        if kind != EventKind::NumberReleasing || !now.releasing {
            feed::number(&mut tx, audit.at, kind, now.team.as_ref(), &now.facts).await?;
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
            feed::number(&mut tx, audit.at, kind, team.as_ref(), &row.json("facts")?).await?;
        }
        rows::write(&mut tx, audit).await?;
        tx.commit().await
    }
}

/// Takes away what is scheduled; a mark stays, because Close was asked.
pub(in crate::store) async fn call_off(tx: &mut Tx, id: &PhoneNumberId) -> Result<(), Error> {
    tx.execute(sql!(
        "UPDATE numbers SET release_at = NULL, release_try_at = NULL WHERE id = $1",
        id.as_str()
    ))
    .await
    .map(drop)
}

async fn present(tx: &mut Tx, id: &PhoneNumberId) -> Result<Option<Row>, Error> {
    tx.lock(sql!(
        format!("{SELECT} WHERE id = $1 AND gone_at IS NULL"),
        id.as_str()
    ))
    .await
}

/// Who asked for the release; the desk itself where nobody is written down.
fn asked(row: &Row) -> Result<Actor, Error> {
    Ok(
        match (row.text_opt("release_issuer")?, row.text_opt("release_subject")?) {
            (Some(issuer), Some(subject)) => Actor { issuer, subject },
            _ => Actor::desk(),
        },
    )
}

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
    feed::number(&mut tx, audit.at, kind, team.as_ref(), &row.json("facts")?).await?;
    if let Some(team) = team {
        let entry = Entry::new(at, &team, Kind::GiveBack)
            .number(id)
            .held(-1, -row.int("monthly")?);
        ledger::enter(&mut tx, vec![entry]).await?;
        // Whoever found it gone may not know whose it was; its team is to read of it all the same.
        audit.team.get_or_insert(team);
    }
    rows::write(&mut tx, &audit).await?;
    tx.commit().await?;
    Ok(true)
}

//! Reads the hash chain over the audit trail as it is stored, for exports and for verification.

use std::time::Duration;

use crate::domain::audit_chain::{GENESIS, Head, Link, StoredRow};
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::handle::Store;
use crate::store::sql::db::{Statement, sql};
use crate::store::sql::error::corrupt;
use crate::store::sql::row::Row;
use crate::store::sql::select::Select;

/// By how much the order of the chain may differ from the order of the rows' times.
const DAY: Duration = Duration::from_hours(24);

/// The columns that the hash covers, besides the sequence number.
macro_rules! columns {
    () => {
        "id, at, issuer, subject, team, action, allowed, rule, order_id, phone_number_id, outcome, detail, request_id"
    };
}
pub(in crate::store) use columns;

pub(in crate::store) const HEAD: &str = "SELECT seq, hash FROM audit_head WHERE one = 1";
/// Each row with the hash of the row before it, if any.
///
/// MIN chooses one of several rows with that sequence number, which exist only after tampering.
const LINKS: &str = concat!(
    "SELECT seq, hash, (SELECT MIN(before.hash) FROM audit AS before WHERE before.seq = audit.seq - 1) AS prev, ",
    columns!(),
    " FROM audit"
);

/// A period of the chain; `None` does not limit it. The scope selects the teams.
#[derive(Debug, Clone, Default)]
pub struct Period {
    /// Only rows at this time or later.
    pub since: Option<Timestamp>,
    /// Only rows before this time.
    pub until: Option<Timestamp>,
}

impl Store {
    /// The stored head of the chain; `None` when its row was deleted.
    pub async fn audit_head(&self) -> Result<Option<Head>, Error> {
        let row = self.db.row(sql!(HEAD)).await?;
        row.as_ref().map(head).transpose()
    }

    /// The sequence numbers between which all rows of a period are: after the first one, up to the second one.
    ///
    /// The chain is in the order in which rows became visible, which can differ from that of their times by the length
    /// of a transaction and by the difference of two clocks. So a day of rows decides at either end.
    pub async fn chain_bounds(&self, period: &Period, head: i64) -> Result<(i64, i64), Error> {
        let first = match period.since {
            None => Some(1),
            Some(since) => {
                let (next, bound) = (
                    "SELECT at FROM audit WHERE at >= $1 AND seq IS NOT NULL ORDER BY at LIMIT 1",
                    "SELECT MIN(seq + 0) AS seq FROM audit WHERE at >= $1 AND at < $2 AND seq IS NOT NULL",
                );
                match self.db.row(sql!(next, since)).await? {
                    Some(row) => {
                        let at = row.time("at")?;
                        self.bound(bound, at, at.plus(DAY)).await?
                    }
                    None => None,
                }
            }
        };
        let last = match period.until {
            None => Some(head),
            Some(until) => {
                let (next, bound) = (
                    "SELECT at FROM audit WHERE at < $1 AND seq IS NOT NULL ORDER BY at DESC LIMIT 1",
                    "SELECT MAX(seq + 0) AS seq FROM audit WHERE at >= $1 AND at <= $2 AND seq IS NOT NULL",
                );
                match self.db.row(sql!(next, until)).await? {
                    Some(row) => {
                        let at = row.time("at")?;
                        self.bound(bound, at.minus(DAY), at).await?
                    }
                    None => None,
                }
            }
        };
        Ok(match (first, last) {
            (Some(first), Some(last)) => (first - 1, last.min(head)),
            _ => (head, head),
        })
    }

    /// The result of a query, whose `+ 0` keeps PostgreSQL from walking along the chain until a row fits.
    async fn bound(&self, text: &str, from: Timestamp, to: Timestamp) -> Result<Option<i64>, Error> {
        let row = self.db.long_rows(sql!(text, from, to)).await?.into_iter().next();
        row.map_or(Ok(None), |row| row.int_opt("seq"))
    }

    /// The next rows in scope after sequence number `after` and up to `last`, each with the hash before it.
    pub async fn chain_links(
        &self,
        scope: &Scope,
        period: &Period,
        after: i64,
        last: i64,
        limit: u32,
    ) -> Result<Vec<Link>, Error> {
        let mut select = Select::within(scope, LINKS);
        select.and("seq > ?", after);
        select.and("seq <= ?", last);
        select.and_some("at >= ?", period.since);
        select.and_some("at < ?", period.until);
        let rows = self.db.long_rows(select.first("seq", limit)).await?;
        rows.iter()
            .map(|row| {
                let mut link = link(row)?;
                link.prev = row.text_opt("prev")?;
                if link.seq == 1 {
                    link.prev.get_or_insert_with(|| GENESIS.to_owned());
                }
                Ok(link)
            })
            .collect()
    }

    /// The next rows after this sequence number and id, up to sequence number `last`.
    ///
    /// For verification: it returns every stored row, also rows that the service would never write.
    pub async fn all_chain_rows(
        &self,
        after: Option<(i64, &str)>,
        last: i64,
        limit: u32,
    ) -> Result<Vec<Link>, Error> {
        let rows = self.db.rows(next_rows(after, last, limit)).await?;
        rows.iter().map(link).collect()
    }

    /// The sequence number and id of the first row after `last`.
    pub async fn first_row_beyond(&self, last: i64) -> Result<Option<(i64, String)>, Error> {
        let row = self
            .db
            .row(sql!(
                "SELECT seq, id FROM audit WHERE seq > $1 ORDER BY seq LIMIT 1",
                last
            ))
            .await?;
        row.map(|row| Ok((row.int("seq")?, row.text("id")?))).transpose()
    }

    /// How many rows are not in the chain yet.
    pub async fn unchained_count(&self) -> Result<i64, Error> {
        let row = self
            .db
            .row(sql!("SELECT COUNT(*) AS rows FROM audit WHERE seq IS NULL"))
            .await?;
        row.map_or(Ok(0), |row| row.int("rows"))
    }
}

/// The statement of [`Store::all_chain_rows`].
pub(in crate::store) fn next_rows(after: Option<(i64, &str)>, last: i64, limit: u32) -> Statement {
    let (seq, id) = after.unwrap_or((i64::MIN, ""));
    let text = concat!(
        "SELECT seq, hash, ",
        columns!(),
        " FROM audit WHERE (seq, id) > ($1, $2) AND seq <= $3 ORDER BY seq, id LIMIT $4"
    );
    sql!(text, seq, id, last, i64::from(limit))
}

pub(in crate::store) fn head(row: &Row) -> Result<Head, Error> {
    Ok(Head {
        seq: row.int("seq")?,
        hash: row.text("hash")?,
    })
}

pub(in crate::store) fn link(row: &Row) -> Result<Link, Error> {
    let seq = row.int("seq")?;
    let read = || {
        Ok(Link {
            seq,
            prev: None,
            hash: row.text_opt("hash")?,
            row: stored(row)?,
        })
    };
    read().map_err(|cause: Error| {
        corrupt(
            format!("row {seq} of the audit chain can't be read"),
            Some(cause.into()),
        )
    })
}

pub(in crate::store) fn stored(row: &Row) -> Result<StoredRow, Error> {
    Ok(StoredRow {
        id: row.text("id")?,
        at: row.int("at")?,
        issuer: row.text("issuer")?,
        subject: row.text("subject")?,
        team: row.text_opt("team")?,
        action: row.text("action")?,
        allowed: row.int_opt("allowed")?,
        rule: row.text_opt("rule")?,
        order_id: row.text_opt("order_id")?,
        phone_number_id: row.text_opt("phone_number_id")?,
        outcome: row.text("outcome")?,
        detail: row.text("detail")?,
        request_id: row.text_opt("request_id")?,
    })
}

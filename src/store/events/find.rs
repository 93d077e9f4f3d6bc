//! Reads the event log, and deletes old events.

use crate::domain::event_kind::EventKind;
use crate::domain::id::EventId;
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::events::row::{SequencedEvent, read_sequenced, select_event};
use crate::store::handle::Store;
use crate::store::sql::db::sql;
use crate::store::sql::select::Select;

impl Store {
    /// Events of all teams after a sequence number, in sequence.
    pub async fn events_after(&self, seq: i64, limit: u32) -> Result<Vec<SequencedEvent>, Error> {
        let rows = self
            .db
            .rows(sql!(
                select_event!(" WHERE seq > $1 ORDER BY seq LIMIT $2"),
                seq,
                i64::from(limit)
            ))
            .await?;
        rows.iter().map(read_sequenced).collect()
    }

    /// Events in scope after a sequence number, in sequence; only of `kinds`, unless it is empty.
    pub async fn events(
        &self,
        scope: &Scope,
        kinds: &[EventKind],
        seq: i64,
        limit: u32,
    ) -> Result<Vec<SequencedEvent>, Error> {
        let mut select = Select::within(scope, select_event!(""));
        select.and("seq > ?", seq);
        if !kinds.is_empty() {
            select.and_one_of("kind IN (?)", kinds.iter().map(|kind| kind.as_str()));
        }
        let rows = self.db.long_rows(select.first("seq", limit)).await?;
        rows.iter().map(read_sequenced).collect()
    }

    /// The sequence number of an event in scope; `None` when the event does not exist or was deleted.
    pub async fn sequence_of(&self, scope: &Scope, id: &EventId) -> Result<Option<i64>, Error> {
        let mut select = Select::within(scope, select_event!(""));
        select.and_just("seq IS NOT NULL");
        select.and("id = ?", id.as_str());
        let row = self.db.row(select.statement()).await?;
        row.map(|row| row.int("seq")).transpose()
    }

    /// The id of the last event in scope up to a sequence number; `None` when there is none.
    pub async fn last_event(&self, scope: &Scope, seq: i64) -> Result<Option<EventId>, Error> {
        let mut select = Select::within(scope, select_event!(""));
        select.and("seq <= ?", seq);
        let row = self.db.row(select.first("seq DESC", 1)).await?;
        row.map(|row| row.parsed("id")).transpose()
    }

    /// Deletes up to `limit` sequenced events that are older than `before`; returns how many.
    pub async fn delete_events(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        let mut tx = self.db.begin().await?;
        let deleted = tx
            .execute(sql!(
                "DELETE FROM events WHERE id IN \
                    (SELECT id FROM events WHERE seq IS NOT NULL AND at < $1 ORDER BY at LIMIT $2)",
                before,
                i64::from(limit)
            ))
            .await?;
        tx.commit().await?;
        Ok(deleted)
    }
}

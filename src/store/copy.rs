//! What a copy of the inventory in memory is made from, and kept up by. It does not know who keeps one.

use crate::domain::caller::Scope;
use crate::domain::id::PhoneNumberId;
use crate::domain::number::Number;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::Store;
use crate::store::db::sql;
use crate::store::number::{SELECT, read};
use crate::store::select::Select;

/// Ids that one statement asks for: far below what either database takes.
const AT_ONCE: usize = 500;

impl Store {
    /// The first `limit` numbers after the id `after` that are not gone, by id.
    pub async fn numbers_after(
        &self,
        after: Option<&PhoneNumberId>,
        limit: u32,
    ) -> Result<Vec<Number>, Error> {
        let text = format!("{SELECT} WHERE id > $1 AND gone_at IS NULL ORDER BY id LIMIT $2");
        let after = after.map_or("", PhoneNumberId::as_str);
        let rows = self.db.rows(sql!(text, after, i64::from(limit))).await?;
        rows.iter().map(read).collect()
    }

    /// Those of the numbers named that are there and not gone.
    pub async fn numbers_named(
        &self,
        ids: impl IntoIterator<Item = &PhoneNumberId>,
    ) -> Result<Vec<Number>, Error> {
        let ids: Vec<_> = ids.into_iter().collect();
        let mut numbers = Vec::with_capacity(ids.len());
        for some in ids.chunks(AT_ONCE) {
            let mut select = Select::within(&Scope::All, SELECT);
            select.and_just("gone_at IS NULL");
            select.and_one_of("id IN (?)", some.iter().map(|id| id.as_str()));
            let rows = self.db.rows(select.statement()).await?;
            for row in &rows {
                numbers.push(read(row)?);
            }
        }
        Ok(numbers)
    }

    /// The numbers that Close has shown at `since` or later, each with the last time that it did.
    pub async fn sighted(&self, since: Timestamp) -> Result<Vec<(PhoneNumberId, Timestamp)>, Error> {
        let statement = sql!(
            "SELECT id, as_of FROM numbers WHERE as_of >= $1 AND gone_at IS NULL",
            since
        );
        let rows = self.db.rows(statement).await?;
        rows.iter()
            .map(|row| Ok((row.parsed("id")?, row.time("as_of")?)))
            .collect()
    }
}

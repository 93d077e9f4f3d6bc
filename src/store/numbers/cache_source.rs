//! Reads the numbers that a cache in memory is built from and kept current with.

use crate::domain::id::PhoneNumberId;
use crate::domain::number::Number;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::handle::Store;
use crate::store::numbers::row::{SELECT, read};
use crate::store::sql::db::sql;

impl Store {
    /// The first `limit` numbers after the id `after`, by id, without tombstones.
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

    /// The numbers that Close showed at `since` or later, without tombstones.
    pub async fn numbers_seen_since(&self, since: Timestamp) -> Result<Vec<PhoneNumberId>, Error> {
        let statement = sql!(
            "SELECT id FROM numbers WHERE as_of >= $1 AND gone_at IS NULL",
            since
        );
        let rows = self.db.rows(statement).await?;
        rows.iter().map(|row| row.parsed("id")).collect()
    }
}

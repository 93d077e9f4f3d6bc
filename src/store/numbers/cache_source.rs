//! What a copy of the inventory in memory is made from, and kept up by. It does not know who keeps one.

use crate::domain::id::PhoneNumberId;
use crate::domain::number::Number;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::Store;
use crate::store::numbers::assign::{SELECT, read};
use crate::store::sql::db::sql;

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

    /// The numbers that Close has shown at `since` or later.
    pub async fn numbers_seen_since(&self, since: Timestamp) -> Result<Vec<PhoneNumberId>, Error> {
        let statement = sql!(
            "SELECT id FROM numbers WHERE as_of >= $1 AND gone_at IS NULL",
            since
        );
        let rows = self.db.rows(statement).await?;
        rows.iter().map(|row| row.parsed("id")).collect()
    }
}

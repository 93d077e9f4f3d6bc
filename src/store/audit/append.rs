//! Appends audit rows to the hash chain, in batches, after they were written.
//!
//! One transaction, which locks the head of the chain, updates the rows of a batch and the head.

use crate::domain::audit_chain::Head;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::audit::read_chain::{HEAD, columns, head, stored};
use crate::store::handle::Store;
use crate::store::sql::db::{Statement, Tx, sql};
use crate::store::sql::error::corrupt;
use crate::store::sql::param::Param;
use crate::store::sql::row::Row;

const UNCHAINED: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM audit WHERE seq IS NULL ORDER BY id LIMIT $1"
);

impl Store {
    /// Appends up to `limit` rows to the chain, by id; returns how many.
    ///
    /// Appends nothing while another replica is appending.
    pub async fn append_to_chain(&self, limit: u32) -> Result<u64, Error> {
        if self.oldest_unchained().await?.is_none() {
            return Ok(0);
        }
        let mut tx = self.db.begin().await?;
        match tx.lock_if_free(sql!(HEAD)).await? {
            Some(head) => extend(tx, &head, limit).await,
            None if tx.row(sql!(HEAD)).await?.is_some() => Ok(0),
            None => Err(no_head()),
        }
    }

    /// Appends up to `limit` rows to the chain, by id, after waiting for another replica that appends.
    ///
    /// Returns how many. If that is less than `limit`, every row written before is in the chain.
    pub async fn append_to_chain_waiting(&self, limit: u32) -> Result<u64, Error> {
        let mut tx = self.db.begin().await?;
        let head = tx.lock(sql!(HEAD)).await?.ok_or_else(no_head)?;
        extend(tx, &head, limit).await
    }

    /// When the oldest row outside the chain was written.
    pub async fn oldest_unchained(&self) -> Result<Option<Timestamp>, Error> {
        let row = self
            .db
            .row(sql!("SELECT at FROM audit WHERE seq IS NULL ORDER BY id LIMIT 1"))
            .await?;
        row.map(|row| row.time("at")).transpose()
    }
}

/// Appends a batch to the chain that ends in the locked head.
async fn extend(mut tx: Tx, locked: &Row, limit: u32) -> Result<u64, Error> {
    let start = head(locked)?;
    let rows = tx.rows(sql!(UNCHAINED, i64::from(limit))).await?;
    if rows.is_empty() {
        return Ok(0);
    }
    let mut end = start.clone();
    let mut chained = Vec::with_capacity(rows.len());
    for row in &rows {
        let row = stored(row)?;
        end = end.then(&row);
        chained.push((row.id, end.clone()));
    }
    let count = chained.len() as u64;
    let moved = [
        tx.execute(set_links(chained)).await?,
        tx.execute(sql!(
            "UPDATE audit_head SET seq = $1, hash = $2 WHERE one = 1 AND seq = $3",
            end.seq,
            end.hash,
            start.seq
        ))
        .await?,
    ];
    if moved != [count, 1] {
        return Err(corrupt("the audit chain changed while its head was locked", None));
    }
    tx.commit().await?;
    Ok(count)
}

/// One statement that sets the sequence number and hash of a batch.
///
/// The head is locked meanwhile, so one round trip for a batch matters.
fn set_links(chained: Vec<(String, Head)>) -> Statement {
    let mut args: Vec<Param> = Vec::with_capacity(chained.len() * 3);
    let mut tuples = Vec::with_capacity(chained.len());
    for (id, Head { seq, hash }) in chained {
        let first = args.len() + 1;
        tuples.push(format!("(${first}, ${}, ${})", first + 1, first + 2));
        args.extend([id.into(), seq.into(), hash.into()]);
    }
    Statement {
        text: format!(
            "UPDATE audit SET seq = chained.column2, hash = chained.column3 FROM (VALUES {}) AS chained \
             WHERE audit.id = chained.column1 AND audit.seq IS NULL",
            tuples.join(", ")
        ),
        args,
    }
}

fn no_head() -> Error {
    corrupt("the head of the audit chain is missing", None)
}

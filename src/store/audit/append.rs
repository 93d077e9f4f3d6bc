//! Sealing: giving audit rows their places in the chain, batch by batch, after they were written. The rows of a batch
//! and the head move together or not at all, and whoever moves the head holds it.

use crate::domain::audit_chain::Head;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::Store;
use crate::store::audit::read_chain::{HEAD, columns, head, stored};
use crate::store::sql::db::{Statement, Tx, sql};
use crate::store::sql::error::corrupt;
use crate::store::sql::param::Param;
use crate::store::sql::row::Row;

const UNSEALED: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM audit WHERE seq IS NULL ORDER BY id LIMIT $1"
);

impl Store {
    /// Seals rows that are not sealed yet, in the order of their ids, `limit` at most; how many. None while another
    /// replica is at it.
    pub async fn append_to_chain(&self, limit: u32) -> Result<u64, Error> {
        if self.oldest_unchained().await?.is_none() {
            return Ok(0);
        }
        let mut tx = self.db.begin().await?;
        match tx.lock_if_free(sql!(HEAD)).await? {
            Some(head) => extend(tx, &head, limit).await,
            None if tx.row(sql!(HEAD)).await?.is_some() => Ok(0),
            None => Err(headless()),
        }
    }

    /// The same, but waits for a replica that is at it: when fewer than `limit` were left, every row that was written
    /// before is sealed.
    pub async fn append_to_chain_waiting(&self, limit: u32) -> Result<u64, Error> {
        let mut tx = self.db.begin().await?;
        let head = tx.lock(sql!(HEAD)).await?.ok_or_else(headless)?;
        extend(tx, &head, limit).await
    }

    /// When the first row was written that is not sealed yet.
    pub async fn oldest_unchained(&self) -> Result<Option<Timestamp>, Error> {
        let row = self
            .db
            .row(sql!("SELECT at FROM audit WHERE seq IS NULL ORDER BY id LIMIT 1"))
            .await?;
        row.map(|row| row.time("at")).transpose()
    }
}

/// Adds a batch to the chain that ends in the locked row.
async fn extend(mut tx: Tx, locked: &Row, limit: u32) -> Result<u64, Error> {
    let begun = head(locked)?;
    let rows = tx.rows(sql!(UNSEALED, i64::from(limit))).await?;
    if rows.is_empty() {
        return Ok(0);
    }
    let mut end = begun.clone();
    let mut sealed = Vec::with_capacity(rows.len());
    for row in &rows {
        let row = stored(row)?;
        end = end.then(&row);
        sealed.push((row.id, end.clone()));
    }
    let count = sealed.len() as u64;
    let moved = [
        tx.execute(place(sealed)).await?,
        tx.execute(sql!(
            "UPDATE audit_head SET seq = $1, hash = $2 WHERE one = 1 AND seq = $3",
            end.seq,
            end.hash,
            begun.seq
        ))
        .await?,
    ];
    if moved != [count, 1] {
        return Err(corrupt("the audit chain moved while it was held", None));
    }
    tx.commit().await?;
    Ok(count)
}

/// One statement for a batch: the lock is held for as long as two round trips take, not two hundred.
fn place(sealed: Vec<(String, Head)>) -> Statement {
    let mut args: Vec<Param> = Vec::with_capacity(sealed.len() * 3);
    let mut places = Vec::with_capacity(sealed.len());
    for (id, Head { seq, hash }) in sealed {
        let first = args.len() + 1;
        places.push(format!("(${first}, ${}, ${})", first + 1, first + 2));
        args.extend([id.into(), seq.into(), hash.into()]);
    }
    Statement {
        text: format!(
            "UPDATE audit SET seq = sealed.column2, hash = sealed.column3 FROM (VALUES {}) AS sealed \
             WHERE audit.id = sealed.column1 AND audit.seq IS NULL",
            places.join(", ")
        ),
        args,
    }
}

fn headless() -> Error {
    corrupt("the head of the audit chain is gone", None)
}

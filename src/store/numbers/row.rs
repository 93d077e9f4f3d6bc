//! Reads a number from its row.

use crate::domain::id::PhoneNumberId;
use crate::domain::number::Number;
use crate::error::Error;
use crate::store::sql::db::{Tx, sql};
use crate::store::sql::row::Row;

/// `SELECT` with every column that [`read`] needs, and `$more` columns.
///
/// The last argument continues the statement with `WHERE`.
macro_rules! select_number {
    ($more:literal, $rest:literal) => {
        concat!(
            "SELECT id, facts, team, order_id, monthly, as_of, releasing_at, release_at, release_issuer, \
                release_subject, origin",
            $more,
            " FROM numbers",
            $rest
        )
    };
}
pub(in crate::store) use select_number;

pub(in crate::store) const SELECT: &str = select_number!("", "");

/// Reads a number from its row.
pub(in crate::store) fn read(row: &Row) -> Result<Number, Error> {
    Ok(Number {
        facts: row.json("facts")?,
        team: row.parsed_opt("team")?,
        order_id: row.parsed_opt("order_id")?,
        monthly: row.money("monthly")?,
        as_of: row.time("as_of")?,
        releasing: row.time_opt("releasing_at")?.is_some(),
        release_at: row.time_opt("release_at")?,
        provenance: row.json_opt("origin")?,
    })
}

/// Locks the number's row, also that of a tombstone, until the transaction ends.
pub(in crate::store) async fn lock(tx: &mut Tx, id: &PhoneNumberId) -> Result<Option<Row>, Error> {
    tx.lock(sql!(
        "SELECT facts, team, monthly, as_of, gone_at, release_at FROM numbers WHERE id = $1",
        id.as_str()
    ))
    .await
}

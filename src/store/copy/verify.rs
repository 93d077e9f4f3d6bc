//! Verifies a copy before it is committed: counts, the ledger's sums, the audit chain, and the ends of both logs.

use crate::domain::audit_chain::{Head, Verifier};
use crate::error::Error;
use crate::store::audit::read_chain::{HEAD, head, link, next_rows};
use crate::store::copy::table::{CopyError, Progress, count, source, target};
use crate::store::sql::db::{Tx, sql};

/// The number of audit rows in one query.
const PAGE: u32 = 1_000;

/// The sums of each team's ledger.
const LEDGER: &str = "SELECT team, CAST(SUM(numbers_held) AS BIGINT) AS numbers_held, \
    CAST(SUM(numbers_reserved) AS BIGINT) AS numbers_reserved, CAST(SUM(monthly_held) AS BIGINT) AS monthly_held, \
    CAST(SUM(monthly_reserved) AS BIGINT) AS monthly_reserved FROM ledger GROUP BY team ORDER BY team";
/// The usage of each team, which must be the sum of its ledger.
const USAGE: &str =
    "SELECT team, numbers_held, numbers_reserved, monthly_held, monthly_reserved FROM usage ORDER BY team";

/// A team, and what it holds and reserves.
type Sums = Vec<(String, [i64; 4])>;

/// Whether each table has the same number of rows in both databases.
pub(super) async fn counts(from: &mut Tx, to: &mut Tx, tables: &[&'static str]) -> Result<(), CopyError> {
    for table in tables {
        let (had, has) = (
            count(from, table).await.map_err(source)?,
            count(to, table).await.map_err(target)?,
        );
        if had != has {
            return Err(CopyError::Differs(format!(
                "{table} has {has} rows instead of {had}"
            )));
        }
    }
    Ok(())
}

/// Whether the ledger of each team has the same sums in both databases, and its usage row equals them.
///
/// Returns the number of teams.
pub(super) async fn ledger(from: &mut Tx, to: &mut Tx) -> Result<usize, CopyError> {
    let had = sums(from, LEDGER).await.map_err(source)?;
    let has = sums(to, LEDGER).await.map_err(target)?;
    if had != has {
        return Err(CopyError::Differs("a team's ledger has other sums".to_owned()));
    }
    let used = sums(to, USAGE).await.map_err(target)?;
    let without_zeros =
        |sums: Sums| -> Sums { sums.into_iter().filter(|(_, sums)| *sums != [0; 4]).collect() };
    let teams = has.len();
    if without_zeros(used) != without_zeros(has) {
        return Err(CopyError::Differs(
            "a team's usage is not the sum of its ledger, in the source, too".to_owned(),
        ));
    }
    Ok(teams)
}

async fn sums(tx: &mut Tx, text: &'static str) -> Result<Sums, Error> {
    let rows = tx.rows(sql!(text)).await?;
    let mut sums = Vec::with_capacity(rows.len());
    for row in &rows {
        let of_team = [
            row.int("numbers_held")?,
            row.int("numbers_reserved")?,
            row.int("monthly_held")?,
            row.int("monthly_reserved")?,
        ];
        sums.push((row.text("team")?, of_team));
    }
    Ok(sums)
}

/// Whether the audit chain of the copy is complete and unchanged. Returns its head.
pub(super) async fn chain(
    to: &mut Tx,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Head, CopyError> {
    let broken = |why: String| {
        CopyError::Differs(format!(
            "its audit chain is broken, {why}. `numberdesk audit verify` tells whether the source's is, too"
        ))
    };
    let end = to.row(sql!(HEAD)).await.map_err(target)?;
    let end = end.ok_or_else(|| broken("its head is missing".to_owned()))?;
    let end = head(&end).map_err(target)?;
    let total = u64::try_from(end.seq).unwrap_or_default();
    let (mut verifier, mut last) = (Verifier::whole(Vec::new()), None::<(i64, String)>);
    loop {
        let after = last.as_ref().map(|(seq, id)| (*seq, id.as_str()));
        let rows = to.rows(next_rows(after, end.seq, PAGE)).await.map_err(target)?;
        for row in &rows {
            let link = link(row).map_err(target)?;
            verifier.check(&link).map_err(|row| broken(row.to_string()))?;
            last = Some((link.seq, link.row.id));
        }
        progress(Progress {
            step: "audit chain",
            done: u64::try_from(verifier.at()).unwrap_or_default(),
            total,
        });
        if rows.is_empty() {
            break;
        }
    }
    verifier
        .finish(Some(&end))
        .map(|verified| verified.head)
        .map_err(|row| broken(row.to_string()))
}

/// Whether the numbering of events and audit rows goes on after the highest number. Returns the last event's.
pub(super) async fn ends(to: &mut Tx) -> Result<i64, CopyError> {
    let text = "SELECT (SELECT seq FROM feed_head WHERE one = 1) AS events, \
        (SELECT MAX(seq) FROM events) AS last_event, (SELECT seq FROM audit_head WHERE one = 1) AS audit, \
        (SELECT MAX(seq) FROM audit) AS last_audit";
    let row = to.row(sql!(text)).await.map_err(target)?;
    let row = row.ok_or_else(|| CopyError::Differs("its numbering is missing".to_owned()))?;
    let int = |column| Ok(row.int_opt(column).map_err(target)?.unwrap_or_default());
    let (events, audit) = (int("events")?, int("audit")?);
    if int("last_event")? > events || int("last_audit")? > audit {
        return Err(CopyError::Differs(
            "the numbering of its events or audit rows would begin again, in the source, too".to_owned(),
        ));
    }
    Ok(events)
}

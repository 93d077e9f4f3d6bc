//! One copy: the conditions, the tables in their order, the verification, and the commit.

use std::collections::BTreeSet;

use crate::domain::audit_chain::Head;
use crate::error::Error;
use crate::store::copy::table::{CopyError, Progress, copy, count, source, target};
use crate::store::copy::verify;
use crate::store::handle::Store;
use crate::store::sql::connect::{NAME, READER};
use crate::store::sql::db::{Statement, Tx};
use crate::store::sql::migrate::{self, Version, apply, existing_tables, tables, version};

/// The tables with one row that the migrations insert.
const HEADS: [&str; 2] = ["audit_head", "feed_head"];

/// A verified copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The tables, each with its number of rows.
    pub tables: Vec<(&'static str, u64)>,
    /// The number of teams with a ledger.
    pub teams: usize,
    /// The end of the audit chain.
    pub audit_head: Head,
    /// The number of the last event.
    pub last_event: i64,
}

impl Store {
    /// Copies everything into an empty database, whose schema is created if it is missing.
    ///
    /// No service may use either database. The target has everything or nothing afterwards.
    pub async fn copy_to(
        &self,
        to: &Self,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Copied, CopyError> {
        let mut from = self.db.snapshot().await.map_err(source)?;
        unlimited(&mut from).await.map_err(source)?;
        suits(&mut from).await?;
        let mut to = to.db.begin().await.map_err(target)?;
        let tables = tables();
        prepare(&mut to, &tables).await?;
        let mut copied = Vec::with_capacity(tables.len());
        for table in &tables {
            copied.push((*table, copy(&mut from, &mut to, table, progress).await?));
        }
        verify::counts(&mut from, &mut to, &tables).await?;
        let copied = Copied {
            tables: copied,
            teams: verify::ledger(&mut from, &mut to).await?,
            audit_head: verify::chain(&mut to, progress).await?,
            last_event: verify::ends(&mut to).await?,
        };
        from.rollback().await.map_err(source)?;
        to.commit().await.map_err(target)?;
        Ok(copied)
    }
}

/// Lifts the limits that are made for short transactions. `transaction_timeout` exists since PostgreSQL 17.
async fn unlimited(tx: &mut Tx) -> Result<(), Error> {
    if tx.on_postgres() {
        tx.script(
            "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; \
             SELECT set_config(name, '0', true) FROM pg_settings WHERE name = 'transaction_timeout'"
                .to_owned(),
        )
        .await?;
    }
    Ok(())
}

/// Refuses a source of another version, and one that a service uses.
async fn suits(from: &mut Tx) -> Result<(), CopyError> {
    let wrong = match version(from).await.map_err(source)? {
        Version::Same => None,
        Version::Missing => Some("the source has no tables of numberdesk"),
        Version::Older => Some(
            "the source has the schema of another version: run `numberdesk migrate` of this version on it, or copy with \
             the version that it has",
        ),
        Version::Newer => Some("the source has the schema of a newer version: copy with that version"),
    };
    if let Some(wrong) = wrong {
        return Err(CopyError::Refused(wrong.to_owned()));
    }
    if from.on_postgres() {
        // This command only reads, so its own name has an end that the name of a service does not have.
        let users = Statement {
            text: format!(
                "SELECT COUNT(*) AS n FROM pg_stat_activity WHERE datname = current_database() \
                 AND application_name || '{READER}' IN (current_setting('application_name'), '{NAME}{READER}')"
            ),
            args: Vec::new(),
        };
        let row = from.row(users).await.map_err(source)?;
        if row.map(|row| row.int("n")).transpose().map_err(source)? != Some(0) {
            return Err(CopyError::Refused(
                "a numberdesk uses the source: stop all replicas first".to_owned(),
            ));
        }
    }
    Ok(())
}

/// Creates the schema if it is missing, and refuses a target with rows.
async fn prepare(to: &mut Tx, tables: &[&'static str]) -> Result<(), CopyError> {
    if version(to).await.map_err(target)? == Version::Newer {
        return Err(CopyError::Refused(
            "the target has the schema of a newer version".to_owned(),
        ));
    }
    apply(to).await.map_err(target)?;
    unlimited(to).await.map_err(target)?;
    let known: BTreeSet<&str> = tables.iter().copied().chain([migrate::TABLE]).collect();
    let existing = existing_tables(to).await.map_err(target)?;
    if let Some(missing) = tables
        .iter()
        .find(|table| !existing.iter().any(|name| name == *table))
    {
        return Err(CopyError::Refused(format!(
            "the table {missing} is missing in the target"
        )));
    }
    if let Some(other) = existing.iter().find(|name| !known.contains(name.as_str())) {
        return Err(CopyError::Refused(format!(
            "the target is not empty: it has the table {other} of another application. Create a database or a schema \
             for numberdesk alone"
        )));
    }
    if to.on_postgres() {
        to.script(format!("LOCK TABLE {} IN EXCLUSIVE MODE", tables.join(", ")))
            .await
            .map_err(target)?;
    }
    for table in tables {
        let rows = if HEADS.contains(table) {
            used_heads(to, table).await?
        } else {
            count(to, table).await.map_err(target)?
        };
        if rows > 0 {
            return Err(CopyError::Refused(format!(
                "the target is not empty: {table} has rows. Create a new database, and copy before a service starts on it"
            )));
        }
    }
    for table in HEADS {
        let statement = Statement {
            text: format!("DELETE FROM {table}"),
            args: Vec::new(),
        };
        to.execute(statement).await.map_err(target)?;
    }
    Ok(())
}

/// The rows of a head that are not as the migration inserted them.
async fn used_heads(to: &mut Tx, table: &str) -> Result<u64, CopyError> {
    let statement = Statement {
        text: format!("SELECT COUNT(*) AS rows FROM {table} WHERE seq > 0"),
        args: Vec::new(),
    };
    let row = to.row(statement).await.map_err(target)?;
    let rows = row.map(|row| row.int("rows")).transpose().map_err(target)?;
    Ok(u64::try_from(rows.unwrap_or_default()).unwrap_or_default())
}

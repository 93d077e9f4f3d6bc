//! Applies the migrations: files of `migrations/`, each applied once and never edited afterwards.

use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::store::sql::db::{Db, Tx, sql};
use crate::store::sql::diagnose::remedy;
use crate::store::sql::error::{CannotOpen, corrupt, no_such_table};

struct Migration {
    name: &'static str,
    text: &'static str,
}

macro_rules! step {
    ($name:literal) => {
        Migration {
            name: $name,
            text: include_str!(concat!("../migrations/", $name, ".sql")),
        }
    };
}

const MIGRATIONS: &[Migration] = &[
    step!("0001_start"),
    step!("0002_reconciliation"),
    step!("0003_audit_chain"),
    step!("0004_approvals"),
    step!("0005_release_window"),
    step!("0006_feed"),
    step!("0007_inbox"),
    step!("0008_outgoing"),
    step!("0009_turns"),
    step!("0010_clocks"),
    step!("0011_long_reads"),
    step!("0012_odd_records"),
    step!("0013_claims_and_probes"),
    step!("0014_lists_of_a_long_history"),
    step!("0015_last_policy"),
];

/// The table of applied migrations.
pub(in crate::store) const TABLE: &str = "migrations";

/// Serializes migrators: an arbitrary number that no other lock of this database uses.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7126083515430211)";

impl Migration {
    fn checksum(&self) -> String {
        hex::encode(Sha256::digest(self.text))
    }
}

/// Applies the missing migrations, all or none, one migrator at a time; returns their names.
///
/// An up-to-date schema needs no right to change it.
pub(in crate::store) async fn migrate(db: &Db) -> Result<Vec<String>, Error> {
    let missing = missing(db).await.map_err(|error| explained(error, &[]))?;
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    // On SQLite the transaction itself is the lock.
    let mut tx = db.begin().await?;
    let applied = apply(&mut tx).await.map_err(|error| explained(error, &missing))?;
    tx.commit().await?;
    Ok(applied)
}

/// Names the missing right and the missing migrations, if that is why the schema can't be changed.
fn explained(error: Error, missing: &[&str]) -> Error {
    match error {
        Error::Internal(cause) => match cause.downcast::<sqlx::Error>() {
            Ok(cause) => match remedy(&cause) {
                Some(remedy) if missing.is_empty() => {
                    Error::StoreUnavailable(Box::new(CannotOpen::because(remedy, *cause)))
                }
                Some(remedy) => {
                    let what = format!(
                        "the schema lacks {}: run `numberdesk migrate` as the owner of the tables, and let this user \
                         read and write them. If this user is to migrate by itself: {remedy}",
                        missing.join(", ")
                    );
                    Error::StoreUnavailable(Box::new(CannotOpen::because(what, *cause)))
                }
                None => Error::Internal(cause),
            },
            Err(cause) => Error::Internal(cause),
        },
        error => error,
    }
}

/// Applies the missing migrations in a transaction; returns their names.
pub(in crate::store) async fn apply(tx: &mut Tx) -> Result<Vec<String>, Error> {
    let postgres = tx.on_postgres();
    if postgres {
        // Also the limits that a provider has set. `transaction_timeout` exists since PostgreSQL 17.
        tx.script(
            "SET LOCAL lock_timeout = '60s'; SET LOCAL statement_timeout = '10min'; \
             SET LOCAL idle_in_transaction_session_timeout = '60s'; \
             SELECT set_config(name, '0', true) FROM pg_settings WHERE name = 'transaction_timeout'"
                .to_owned(),
        )
        .await?;
        tx.script(LOCK.to_owned()).await?;
    }
    tx.script(
        "CREATE TABLE IF NOT EXISTS migrations (name TEXT NOT NULL PRIMARY KEY, checksum TEXT NOT NULL)"
            .to_owned(),
    )
    .await?;
    let mut applied = Vec::new();
    for migration in MIGRATIONS {
        let known = tx
            .row(sql!(
                "SELECT checksum FROM migrations WHERE name = $1",
                migration.name
            ))
            .await?;
        match known {
            Some(row) if row.text("checksum")? == migration.checksum() => {}
            Some(_) => {
                return Err(corrupt(
                    format!(
                        "the text of migration {} has changed since it was applied",
                        migration.name
                    ),
                    None,
                ));
            }
            None => {
                // A collation of the server's locale would sort ids in another order than SQLite. Its indexes also
                // break when the locale data of the system changes.
                let text = if postgres {
                    migration.text.replace(" TEXT", " TEXT COLLATE \"C\"")
                } else {
                    migration.text.to_owned()
                };
                tx.script(text).await?;
                tx.execute(sql!(
                    "INSERT INTO migrations (name, checksum) VALUES ($1, $2)",
                    migration.name,
                    migration.checksum()
                ))
                .await?;
                applied.push(migration.name.to_owned());
            }
        }
    }
    Ok(applied)
}

/// Whether every migration that this binary knows was applied with the same text.
///
/// Migrations of a newer binary are ignored, so that old replicas keep serving during a rollout.
pub(in crate::store) async fn migrated(db: &Db) -> Result<bool, Error> {
    Ok(missing(db).await?.is_empty())
}

/// The names of the migrations that are still to be applied, or that were applied with another text.
async fn missing(db: &Db) -> Result<Vec<&'static str>, Error> {
    let rows = match db.rows(sql!("SELECT name, checksum FROM migrations")).await {
        Err(error) if no_such_table(&error) => Vec::new(),
        rows => rows?,
    };
    let applied = rows
        .iter()
        .map(|row| Ok((row.text("name")?, row.text("checksum")?)))
        .collect::<Result<Vec<_>, Error>>()?;
    Ok(MIGRATIONS
        .iter()
        .filter(|known| !applied.contains(&(known.name.to_owned(), known.checksum())))
        .map(|known| known.name)
        .collect())
}

/// How the schema of a database differs from the one of this binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Version {
    /// It is the same.
    Same,
    /// The database has no schema of the service.
    Missing,
    /// It lacks a migration, or has another text of one.
    Older,
    /// It has a migration that this binary does not know.
    Newer,
}

/// The names of the tables in the schema, apart from those of the database itself.
pub(in crate::store) async fn existing_tables(tx: &mut Tx) -> Result<Vec<String>, Error> {
    let tables = if tx.on_postgres() {
        "SELECT tablename::text AS name FROM pg_tables WHERE schemaname = current_schema()"
    } else {
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    };
    let rows = tx.rows(sql!(tables)).await?;
    rows.iter().map(|row| row.text("name")).collect()
}

/// Compares the schema with the one of this binary.
pub(in crate::store) async fn version(tx: &mut Tx) -> Result<Version, Error> {
    // A statement that fails would end the transaction on PostgreSQL.
    if !existing_tables(tx).await?.iter().any(|name| name == TABLE) {
        return Ok(Version::Missing);
    }
    let rows = tx.rows(sql!("SELECT name, checksum FROM migrations")).await?;
    let mut same = 0;
    for row in &rows {
        let (name, checksum) = (row.text("name")?, row.text("checksum")?);
        match MIGRATIONS.iter().find(|known| known.name == name) {
            None => return Ok(Version::Newer),
            Some(known) if known.checksum() == checksum => same += 1,
            Some(_) => return Ok(Version::Older),
        }
    }
    Ok(match (rows.len(), same == MIGRATIONS.len()) {
        (0, _) => Version::Missing,
        (_, true) => Version::Same,
        (_, false) => Version::Older,
    })
}

/// The tables that the migrations create, in their order: a table comes after those that it refers to.
pub(in crate::store) fn tables() -> Vec<&'static str> {
    let lines = MIGRATIONS.iter().flat_map(|migration| migration.text.lines());
    lines
        .filter_map(|line| line.strip_prefix("CREATE TABLE ")?.split_whitespace().next())
        .collect()
}

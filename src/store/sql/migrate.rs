//! Applies the migrations: files of `migrations/`, each applied once and never edited afterwards.

use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::store::sql::db::{Db, sql};
use crate::store::sql::error::{corrupt, no_such_table};

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
];

/// Serializes migrators: an arbitrary number that no other lock of this database uses.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7126083515430211)";

impl Migration {
    fn checksum(&self) -> String {
        hex::encode(Sha256::digest(self.text))
    }
}

/// Applies the missing migrations, all or none, one migrator at a time; returns their names.
pub(in crate::store) async fn migrate(db: &Db) -> Result<Vec<String>, Error> {
    // On SQLite the transaction itself is the lock.
    let mut tx = db.begin().await?;
    let postgres = tx.on_postgres();
    if postgres {
        tx.script("SET LOCAL lock_timeout = '60s'; SET LOCAL statement_timeout = '10min'".to_owned())
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
    tx.commit().await?;
    Ok(applied)
}

/// Whether every migration that this binary knows was applied with the same text.
///
/// Migrations of a newer binary are ignored, so that old replicas keep serving during a rollout.
pub(in crate::store) async fn migrated(db: &Db) -> Result<bool, Error> {
    let rows = match db.rows(sql!("SELECT name, checksum FROM migrations")).await {
        Err(error) if no_such_table(&error) => return Ok(false),
        rows => rows?,
    };
    let applied = rows
        .iter()
        .map(|row| Ok((row.text("name")?, row.text("checksum")?)))
        .collect::<Result<Vec<_>, Error>>()?;
    Ok(MIGRATIONS
        .iter()
        .all(|known| applied.contains(&(known.name.to_owned(), known.checksum()))))
}

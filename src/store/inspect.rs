//! Inspects the database for `numberdesk doctor`: what would keep a service from working with it.

use crate::error::Error;
use crate::store::handle::Store;
use crate::store::sql::db::sql;
use crate::store::sql::migrate::{Version, version};
use crate::store::sql::pool::Pools;

/// The result of an inspection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspection {
    /// The server is a standby, or may only read by default.
    pub only_reads: bool,
    /// A pooler gives a server connection to each transaction instead of each client.
    pub transaction_pooling: bool,
    /// The user may not create tables, which a migration needs.
    pub no_create: bool,
    /// A table in which the user may not read and write.
    pub denied_table: Option<String>,
}

impl Store {
    /// Whether the database has no tables of the service yet, as before the first start.
    pub async fn is_new(&self) -> Result<bool, Error> {
        let mut tx = self.db.snapshot().await?;
        let version = version(&mut tx).await?;
        tx.rollback().await?;
        Ok(version == Version::Missing)
    }

    /// Inspects the database and the rights of its user, without writing. Nothing is wrong with a SQLite file.
    pub async fn inspect(&self) -> Result<Inspection, Error> {
        let Pools::Postgres(server) = &self.db.pools else {
            return Ok(Inspection::default());
        };
        // The value that a session of the service would begin with, because this session only reads.
        let state = sql!(
            "SELECT CASE WHEN pg_is_in_recovery() OR EXISTS (SELECT 1 FROM pg_settings \
                WHERE name = 'default_transaction_read_only' AND reset_val = 'on') THEN 1::bigint ELSE 0 END AS only_reads, \
                CASE WHEN has_schema_privilege(current_schema(), 'CREATE') THEN 0::bigint ELSE 1 END AS no_create"
        );
        let row = self.db.row(state).await?;
        let flag = |column| Ok::<_, Error>(row.as_ref().map(|row| row.int(column)).transpose()? == Some(1));
        let denied = sql!(
            "SELECT relname::text AS name FROM pg_class WHERE relnamespace = current_schema()::regnamespace \
                AND relkind = 'r' AND NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT') \
                AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE')) ORDER BY relname LIMIT 1"
        );
        let denied = self.db.row(denied).await?;
        Ok(Inspection {
            only_reads: flag("only_reads")?,
            transaction_pooling: server.transaction_pooling(),
            no_create: flag("no_create")?,
            denied_table: denied.map(|row| row.text("name")).transpose()?,
        })
    }
}

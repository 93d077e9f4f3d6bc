//! Opens a database for reading only.
//!
//! The database is neither created nor migrated, and every statement that writes fails.

use std::time::Duration;

use sqlx::pool::PoolOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::store::sql::error::CannotOpen;
use crate::store::sql::pool::{ACQUIRE, Pools, SESSION, server};

/// Two are enough, because the commands that open a database this way read sequentially.
const CONNECTIONS: u32 = 2;
const NEVER_WRITE: &str = "SET default_transaction_read_only = on";

/// Opens `sqlite://file` or connects to `postgres://…` for reading only.
pub(in crate::store) async fn open(url: &str) -> Result<Pools, CannotOpen> {
    if url.starts_with("sqlite:") {
        file(url).await
    } else {
        connect(url).await
    }
}

async fn file(url: &str) -> Result<Pools, CannotOpen> {
    let options: SqliteConnectOptions = url
        .parse()
        .map_err(|cause| CannotOpen::because("store.url is not a SQLite URL", cause))?;
    let unreadable = format!("can't open the SQLite file {}", options.get_filename().display());
    let options = options
        .read_only(true)
        .busy_timeout(Duration::from_secs(10))
        .pragma("query_only", "ON");
    let pool = PoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE)
        .connect_with(options)
        .await
        .map_err(|cause| CannotOpen::because(unreadable, cause))?;
    Ok(Pools::Sqlite {
        write: pool.clone(),
        read: pool,
    })
}

async fn connect(url: &str) -> Result<Pools, CannotOpen> {
    let (options, unreachable) = server(url)?;
    PoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE)
        .after_connect(|connection, _| {
            Box::pin(async move {
                sqlx::raw_sql(SESSION).execute(&mut *connection).await?;
                sqlx::raw_sql(NEVER_WRITE).execute(connection).await.map(drop)
            })
        })
        .connect_with(options)
        .await
        .map(Pools::Postgres)
        .map_err(|cause| CannotOpen::because(unreachable, cause))
}

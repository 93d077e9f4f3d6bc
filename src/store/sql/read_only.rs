//! Opens a database for reading only.
//!
//! The database is neither created nor migrated, and every statement that writes fails.

use std::time::Duration;

use sqlx::pool::PoolOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::store::sql::connect::Access;
use crate::store::sql::error::CannotOpen;
use crate::store::sql::pool::Pools;
use crate::store::sql::server::ACQUIRE;

/// Two are enough, because the commands that open a database this way read sequentially.
const CONNECTIONS: u32 = 2;

/// Opens `sqlite://file` or connects to `postgres://…` for reading only.
pub(in crate::store) async fn open(url: &str) -> Result<Pools, CannotOpen> {
    if url.starts_with("sqlite:") {
        file(url).await
    } else {
        Pools::connect(url, Access::Read).await
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

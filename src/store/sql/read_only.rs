//! Opening a database to look at it and change nothing: it is neither made nor migrated, and every statement that
//! would write fails.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::pool::PoolOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::error::Error;
use crate::store::Store;
use crate::store::sql::error::CannotOpen;
use crate::store::sql::pool::{ACQUIRE, Pools, SESSION, server};

/// Two: whoever only looks asks one question at a time.
const CONNECTIONS: u32 = 2;
const NEVER_WRITE: &str = "SET default_transaction_read_only = on";

impl Store {
    /// Opens `sqlite://file` or connects to `postgres://…` for reading alone, also while a desk works with it. The
    /// error names the place, never the password.
    pub async fn open_read_only(url: &SecretString) -> Result<Self, Error> {
        let url = url.expose_secret();
        let opened = if url.starts_with("sqlite:") {
            file(url).await
        } else {
            connect(url).await
        };
        match opened {
            Ok(pools) => Ok(Self { db: pools.into() }),
            Err(cannot) => Err(Error::StoreUnavailable(Box::new(cannot))),
        }
    }
}

async fn file(url: &str) -> Result<Pools, CannotOpen> {
    let options: SqliteConnectOptions = url
        .parse()
        .map_err(|cause| CannotOpen::because("store.url is not a SQLite URL", cause))?;
    let place = format!("can't open the SQLite file {}", options.get_filename().display());
    let options = options
        .read_only(true)
        .busy_timeout(Duration::from_secs(10))
        .pragma("query_only", "ON");
    let pool = PoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE)
        .connect_with(options)
        .await
        .map_err(|cause| CannotOpen::because(place, cause))?;
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

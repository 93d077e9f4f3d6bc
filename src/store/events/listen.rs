//! Hearing of what other processes put into the feed.

use sqlx::postgres::PgListener;

use crate::error::Error;
use crate::store::Store;
use crate::store::events::feed::CHANNEL;
use crate::store::sql::error::store_error;
use crate::store::sql::pool::Pools;

impl Store {
    /// Listens, and notifies [`Store::new_events`] of what it hears; ends with an error when that can't go on. It may miss
    /// something, so whoever relies on the feed also looks from time to time. A SQLite file has one process: there is
    /// nobody to listen to, and this never ends.
    pub async fn listen(&self) -> Result<(), Error> {
        let Pools::Postgres(pool) = &self.db.pools else {
            return std::future::pending().await;
        };
        let mut listener = PgListener::connect_with(pool).await.map_err(store_error)?;
        listener.listen(CHANNEL).await.map_err(store_error)?;
        loop {
            // `None`: the connection was lost and made anew. What was said meanwhile was not heard.
            listener.try_recv().await.map_err(store_error)?;
            self.new_events().notify_one();
        }
    }
}

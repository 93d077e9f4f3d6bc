//! Listens for events that other replicas have sequenced.

use sqlx::postgres::PgListener;

use crate::error::Error;
use crate::store::events::sequence::CHANNEL;
use crate::store::handle::Store;
use crate::store::sql::error::store_error;
use crate::store::sql::pool::Pools;

impl Store {
    /// Notifies [`Store::new_events`] whenever another replica has sequenced events.
    ///
    /// It may miss a notification, so a reader of the event log must also poll. It ends with an error when it can't
    /// listen. A SQLite file has only one process, so on SQLite it waits forever.
    pub async fn listen(&self) -> Result<(), Error> {
        let Pools::Postgres(pool) = &self.db.pools else {
            return std::future::pending().await;
        };
        let mut listener = PgListener::connect_with(pool).await.map_err(store_error)?;
        listener.listen(CHANNEL).await.map_err(store_error)?;
        loop {
            // `None`: the driver has reconnected, and notifications may have been lost. Readers are notified too.
            listener.try_recv().await.map_err(store_error)?;
            self.new_events().notify_one();
        }
    }
}

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
    /// listen, and without one when the server may have changed. It waits forever where there is nothing to listen to:
    /// on SQLite, whose file has only one process, and behind a pooler that shares sessions, so that readers only poll.
    pub async fn listen(&self) -> Result<(), Error> {
        let server = match &self.db.pools {
            Pools::Postgres(server) if !server.transaction_pooling() => server,
            _ => return std::future::pending().await,
        };
        let stale = server.stale();
        tokio::pin!(stale);
        let mut listener = PgListener::connect_with(server.pool())
            .await
            .map_err(store_error)?;
        listener.listen(CHANNEL).await.map_err(store_error)?;
        loop {
            tokio::select! {
                // `None`: the driver has reconnected, and notifications may have been lost. Readers are notified too.
                received = listener.try_recv() => {
                    received.map_err(store_error)?;
                    self.new_events().notify_one();
                }
                // The listener may be at a server that became a standby, which notifies nobody.
                () = &mut stale => return Ok(()),
            }
        }
    }
}

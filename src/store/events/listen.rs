//! Listens for events that other replicas have sequenced.

use std::time::Duration;

use sqlx::Executor as _;

use crate::error::Error;
use crate::store::events::sequence::CHANNEL;
use crate::store::handle::Store;
use crate::store::sql::error::store_error;
use crate::store::sql::pool::Pools;

/// How often the server is asked whether the connection still works.
const CHECK: Duration = Duration::from_secs(10);
/// How long the answer may take, and the start.
const ANSWER: Duration = Duration::from_secs(5);

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
        let started = tokio::time::timeout(ANSWER, async {
            let mut listener = server.listener().await?;
            listener.listen(CHANNEL).await?;
            Ok(listener)
        });
        let mut listener = started.await.map_err(silent)?.map_err(store_error)?;
        // Events that were sequenced before the start are to be read, too.
        self.new_events().notify_one();
        loop {
            tokio::select! {
                // `None`: the driver has reconnected, and notifications may have been lost. Readers are notified too.
                received = tokio::time::timeout(CHECK, listener.try_recv()) => if let Ok(received) = received {
                    received.map_err(store_error)?;
                    self.new_events().notify_one();
                } else {
                    // A server that vanished without closing the connection would be listened to forever.
                    let asked = tokio::time::timeout(ANSWER, listener.execute("SELECT 1"));
                    asked.await.map_err(silent)?.map_err(store_error)?;
                },
                // The listener may be at a server that became a standby, which notifies nobody.
                () = &mut stale => return Ok(()),
            }
        }
    }
}

/// The error of a server that does not respond.
fn silent(_: tokio::time::error::Elapsed) -> Error {
    store_error(sqlx::Error::PoolTimedOut)
}

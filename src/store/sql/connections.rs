//! The connections of this process to PostgreSQL: how many there are, who may have one, and which ones wait for use.
//!
//! It replaces the driver's own pool, which tests a connection that comes back without any limit of time. When a server
//! vanishes without closing its connections, each of these tests would keep a place until the kernel gives up, which
//! takes a quarter of an hour or forever. Here nothing waits for the server, and a connection that may be in the middle
//! of an answer is dropped, which closes its socket at once.
//!
//! Some connections are never given to a statement that only reads. So however many requests read, the end of a paid
//! call can be written down.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sqlx::postgres::PgConnection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::store::sql::connect;

/// The age at which a connection is replaced, so that neither its memory nor its server is kept forever.
const OLDEST: Duration = Duration::from_mins(30);
/// How long a connection may wait for its next use before it is closed.
const LONGEST_IDLE: Duration = Duration::from_mins(10);
/// How long [`Connections::close`] waits for connections in use.
const CLOSE: Duration = Duration::from_secs(2);

/// What a connection is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Purpose {
    /// To change something.
    Write,
    /// Only to read: some connections are kept free from this.
    Read,
}

/// The places for connections, and the connections that are not in use.
pub(in crate::store) struct Connections {
    size: u32,
    /// The number of connections that may be used only to read.
    readers: usize,
    /// One permit for each connection.
    places: Arc<Semaphore>,
    /// One permit for each connection that may be used only to read.
    read_places: Arc<Semaphore>,
    /// The connection that was used last is at the end.
    idle: Mutex<Vec<Idle>>,
}

/// A connection that is not in use.
pub(in crate::store) struct Idle {
    pub(in crate::store) connection: PgConnection,
    /// When it was made.
    pub(in crate::store) born: Instant,
    /// When it was used last.
    pub(in crate::store) used: Instant,
}

/// The right to have a connection.
pub(in crate::store) struct Place {
    connections: Arc<Connections>,
    _permit: OwnedSemaphorePermit,
    _read_permit: Option<OwnedSemaphorePermit>,
}

/// A connection on loan. When it is dropped, others can use it.
pub(in crate::store) struct Loan {
    /// `None` after it was taken out to be closed.
    connection: Option<PgConnection>,
    born: Instant,
    place: Place,
}

impl Connections {
    /// Places for `size` connections, of which `reserve` are never used only to read.
    pub(in crate::store) fn new(size: u32, reserve: u32) -> Arc<Self> {
        let readers = size.saturating_sub(reserve).max(1) as usize;
        Arc::new(Self {
            size,
            readers,
            places: Arc::new(Semaphore::new(size as usize)),
            read_places: Arc::new(Semaphore::new(readers)),
            idle: Mutex::default(),
        })
    }

    /// How many long reads may run at once: a third of the connections that may be used only to read.
    pub(in crate::store) fn long_reads(&self) -> usize {
        (self.readers / 3).max(1)
    }

    /// Waits for a place until `wait` has passed.
    pub(in crate::store) async fn place(
        self: &Arc<Self>,
        purpose: Purpose,
        wait: Duration,
    ) -> Result<Place, sqlx::Error> {
        let permits = async {
            let read_permit = match purpose {
                Purpose::Read => Some(self.read_places.clone().acquire_owned().await?),
                Purpose::Write => None,
            };
            Ok::<_, tokio::sync::AcquireError>((read_permit, self.places.clone().acquire_owned().await?))
        };
        match tokio::time::timeout(wait, permits).await {
            Ok(Ok((read_permit, permit))) => Ok(Place {
                connections: self.clone(),
                _permit: permit,
                _read_permit: read_permit,
            }),
            Ok(Err(_)) => Err(sqlx::Error::PoolClosed),
            Err(_) => Err(sqlx::Error::PoolTimedOut),
        }
    }

    /// Takes the connection that was used last out of those that wait.
    pub(in crate::store) fn take_idle(&self) -> Option<Idle> {
        self.idle.lock().pop()
    }

    fn put_back(&self, connection: PgConnection, born: Instant) {
        let now = Instant::now();
        let mut idle = self.idle.lock();
        if self.places.is_closed() || now.duration_since(born) >= OLDEST {
            return;
        }
        idle.push(Idle {
            connection,
            born,
            used: now,
        });
        // Those that wait for the longest time are at the start.
        let unused = idle.partition_point(|idle| now.duration_since(idle.used) >= LONGEST_IDLE);
        idle.drain(..unused);
    }

    /// Drops the connections that were made before this moment and are not in use.
    pub(in crate::store) fn drop_idle_before(&self, moment: Instant) {
        self.idle.lock().retain(|idle| idle.born > moment);
    }

    /// Closes every connection after its current work. Nobody gets a place any more.
    pub(in crate::store) async fn close(&self) {
        self.read_places.close();
        // Waits until nobody has a place, but not for a statement that never ends.
        let _ = tokio::time::timeout(CLOSE, self.places.acquire_many(self.size)).await;
        self.places.close();
        let idle = std::mem::take(&mut *self.idle.lock());
        futures::future::join_all(idle.into_iter().map(|idle| connect::close(idle.connection))).await;
    }
}

impl Place {
    /// Fills the place with a connection.
    pub(in crate::store) fn fill(self, connection: PgConnection, born: Instant) -> Loan {
        Loan {
            connection: Some(connection),
            born,
            place: self,
        }
    }
}

impl Loan {
    /// The connection.
    pub(in crate::store) fn connection(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect("a loan has a connection")
    }

    /// Closes the socket at once, without a word to the server, which may not read it any more.
    pub(in crate::store) fn discard(mut self) {
        self.connection = None;
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.place.connections.put_back(connection, self.born);
        }
    }
}

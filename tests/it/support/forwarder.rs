//! A TCP forwarder before the PostgreSQL server of the tests, whose connections can freeze as if the server vanished.

use std::net::SocketAddr;

use secrecy::ExposeSecret as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::database::Database;

/// A running forwarder. It ends when it is dropped.
pub(crate) struct Forwarder {
    /// The same database, by way of the forwarder.
    pub(crate) database: Database,
    /// Counts the freezes. A connection freezes when the count is not the one of its beginning.
    frozen: watch::Sender<u32>,
    task: JoinHandle<()>,
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Forwarder {
    pub(crate) async fn start(database: &Database) -> Self {
        let server = url::Url::parse(database.url().expose_secret()).expect("a URL");
        let server = format!(
            "{}:{}",
            server.host_str().expect("a URL has a host"),
            server.port().unwrap_or(5432)
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address: SocketAddr = listener.local_addr().expect("a bound listener has an address");
        let (frozen, freezes) = watch::channel(0);
        let task = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (server, mut freezes) = (server.clone(), freezes.clone());
                freezes.mark_unchanged();
                tokio::spawn(async move {
                    let mut upstream = TcpStream::connect(server).await.expect("the server accepts");
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut client, &mut upstream) => {}
                        // Both connections stay open, but no more bytes pass.
                        _ = freezes.changed() => std::future::pending().await,
                    }
                });
            }
        });
        Self {
            database: database.at(address.port()),
            frozen,
            task,
        }
    }

    /// Freezes all connections of now. New ones work.
    pub(crate) fn freeze(&self) {
        self.frozen.send_modify(|count| *count += 1);
    }
}

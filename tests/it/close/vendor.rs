//! A simulated vendor that sends scripted bytes on a raw socket, and records every request that it receives.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What the vendor does with one request.
#[derive(Clone)]
pub(crate) enum Act {
    /// Write these bytes and keep the connection.
    Respond(Vec<u8>),
    /// Write these bytes, then close the connection normally.
    Close(Vec<u8>),
    /// Write these bytes, then reset the connection.
    Reset(Vec<u8>),
    /// Write these bytes, then keep the connection open without a byte more.
    Hang(Vec<u8>),
    /// Write these bytes, then the second piece forever, with a pause before each.
    Endless(Vec<u8>, Vec<u8>, Duration),
}

/// One request that the vendor received.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedRequest {
    /// The number of the connection, counted from 0.
    pub(crate) connection: usize,
    /// Request line and headers.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: String,
}

impl ReceivedRequest {
    /// Returns method, path and query: `GET /path?query`.
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap().trim_end_matches(" HTTP/1.1")
    }
}

/// The server. It stops when it is dropped.
pub(crate) struct Vendor {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<ReceivedRequest>>>,
    connections: Arc<AtomicUsize>,
    hang_up: Arc<Notify>,
    _stop: DropGuard,
}

impl Vendor {
    /// Starts a server that handles the first request by the first act, and so on. The last act is for all later ones.
    pub(crate) async fn start(acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stop = CancellationToken::new();
        let vendor = Self {
            address: listener.local_addr().unwrap(),
            received: Arc::default(),
            connections: Arc::default(),
            hang_up: Arc::default(),
            _stop: stop.clone().drop_guard(),
        };

        let (received, connections) = (vendor.received.clone(), vendor.connections.clone());
        let (hang_up, acts) = (vendor.hang_up.clone(), Arc::new(acts));
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let connection = connections.fetch_add(1, Ordering::SeqCst);
                let (received, acts, hang_up) = (received.clone(), acts.clone(), hang_up.clone());
                let work = async move {
                    tokio::select! {
                        _ = serve(stream, connection, &received, &acts) => {}
                        () = hang_up.notified() => {}
                    }
                };
                tokio::spawn(stop.clone().run_until_cancelled_owned(work));
            }
        }));
        vendor
    }

    /// Returns the requests received so far.
    pub(crate) fn received(&self) -> Vec<ReceivedRequest> {
        self.received.lock().unwrap().clone()
    }

    /// Counts the requests with this method.
    pub(crate) fn count(&self, method: &str) -> usize {
        self.received()
            .iter()
            .filter(|request| request.line().starts_with(method))
            .count()
    }

    /// Counts the connections, with or without a request.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Closes every open connection.
    pub(crate) fn hang_up(&self) {
        self.hang_up.notify_waiters();
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    received: &Mutex<Vec<ReceivedRequest>>,
    acts: &[Act],
) -> std::io::Result<()> {
    while let Some(request) = read(&mut stream, connection).await? {
        let index = {
            let mut received = received.lock().unwrap();
            received.push(request);
            received.len() - 1
        };
        match &acts[index.min(acts.len() - 1)] {
            Act::Respond(bytes) => stream.write_all(bytes).await?,
            Act::Close(bytes) => {
                stream.write_all(bytes).await?;
                return stream.shutdown().await;
            }
            Act::Reset(bytes) => {
                stream.write_all(bytes).await?;
                stream.flush().await?;
                // The pace of this peer: the client reads the bytes meanwhile, and a reset discards those that it has not
                // read. Nothing tells the peer what the client has read.
                tokio::time::sleep(Duration::from_millis(20)).await;
                stream.set_zero_linger()?;
                return Ok(());
            }
            Act::Hang(bytes) => {
                stream.write_all(bytes).await?;
                std::future::pending::<()>().await;
            }
            Act::Endless(head, piece, pause) => {
                stream.write_all(head).await?;
                loop {
                    // The pace of this peer, as the test wants it.
                    tokio::time::sleep(*pause).await;
                    stream.write_all(piece).await?;
                }
            }
        }
    }
    Ok(())
}

/// Reads one request; `None` when the client has closed the connection.
async fn read(stream: &mut TcpStream, connection: usize) -> std::io::Result<Option<ReceivedRequest>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let length: usize = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        })
        .unwrap_or(0);
    while bytes.len() < end + 4 + length {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
    let body = String::from_utf8(bytes[end + 4..].to_vec()).unwrap();
    Ok(Some(ReceivedRequest {
        connection,
        head,
        body,
    }))
}

/// Builds a complete HTTP/1.1 response.
pub(crate) fn answer(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut bytes = format!(
        "HTTP/1.1 {status} Reason\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// An act that sends a complete response and keeps the connection open.
pub(crate) fn respond(status: u16, body: impl AsRef<[u8]>) -> Act {
    Act::Respond(answer(status, "", body))
}

//! A Close that misbehaves to order, byte by byte, on a raw socket. It writes down every request it sees.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What to do with one request.
#[derive(Clone)]
pub(crate) enum Act {
    /// Write these bytes and keep the connection.
    Say(Vec<u8>),
    /// Write these bytes, then close the connection as TCP does it.
    Close(Vec<u8>),
    /// Write these bytes, then reset the connection.
    Reset(Vec<u8>),
    /// Write these bytes, then nothing more.
    Hang(Vec<u8>),
    /// Write these bytes, then this piece for ever, with a pause before each.
    Endless(Vec<u8>, Vec<u8>, Duration),
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Which connection it came on, counted from 0.
    pub(crate) connection: usize,
    /// Request line and headers.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: String,
}

impl Seen {
    /// `GET /path?query`.
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap().trim_end_matches(" HTTP/1.1")
    }
}

pub(crate) struct Vendor {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    hang_up: Arc<Notify>,
    _stop: DropGuard,
}

impl Vendor {
    /// Answers the first request with the first act, and so on; the last act is for all that follow.
    pub(crate) async fn start(acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stop = CancellationToken::new();
        let vendor = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            connections: Arc::default(),
            hang_up: Arc::default(),
            _stop: stop.clone().drop_guard(),
        };

        let (seen, connections) = (vendor.seen.clone(), vendor.connections.clone());
        let (hang_up, acts) = (vendor.hang_up.clone(), Arc::new(acts));
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let connection = connections.fetch_add(1, Ordering::SeqCst);
                let (seen, acts, hang_up) = (seen.clone(), acts.clone(), hang_up.clone());
                let work = async move {
                    tokio::select! {
                        _ = serve(stream, connection, &seen, &acts) => {}
                        () = hang_up.notified() => {}
                    }
                };
                tokio::spawn(stop.clone().run_until_cancelled_owned(work));
            }
        }));
        vendor
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How many requests of this method arrived.
    pub(crate) fn count(&self, method: &str) -> usize {
        self.seen()
            .iter()
            .filter(|seen| seen.line().starts_with(method))
            .count()
    }

    /// How many connections were opened, with or without a request.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Closes every open connection from this side.
    pub(crate) fn hang_up(&self) {
        self.hang_up.notify_waiters();
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    seen: &Mutex<Vec<Seen>>,
    acts: &[Act],
) -> std::io::Result<()> {
    while let Some(request) = read(&mut stream, connection).await? {
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push(request);
            seen.len() - 1
        };
        match &acts[number.min(acts.len() - 1)] {
            Act::Say(bytes) => stream.write_all(bytes).await?,
            Act::Close(bytes) => {
                stream.write_all(bytes).await?;
                return stream.shutdown().await;
            }
            Act::Reset(bytes) => {
                stream.write_all(bytes).await?;
                stream.flush().await?;
                // Lets the bytes be read before the reset throws away what is not.
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
                    tokio::time::sleep(*pause).await;
                    stream.write_all(piece).await?;
                }
            }
        }
    }
    Ok(())
}

/// Reads one request; `None` when the client has closed the connection.
async fn read(stream: &mut TcpStream, connection: usize) -> std::io::Result<Option<Seen>> {
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
    Ok(Some(Seen {
        connection,
        head,
        body,
    }))
}

/// A whole HTTP/1.1 answer.
pub(crate) fn answer(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut bytes = format!(
        "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A whole answer on a connection that stays open.
pub(crate) fn say(status: u16, body: impl AsRef<[u8]>) -> Act {
    Act::Say(answer(status, "", body))
}

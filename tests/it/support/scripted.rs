//! A server that sends scripted bytes: a broken or hostile Close, or a listener that nobody may call.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

type Script = dyn Fn(&str) -> Vec<u8> + Send + Sync;

/// A server that answers each connection once, until it is dropped.
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    hits: Arc<AtomicUsize>,
    script: Arc<Mutex<Arc<Script>>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Scripted {
    /// Starts a server. `script` returns the response to a request line, such as `GET /me/ HTTP/1.1`.
    pub(crate) async fn start(script: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let script: Arc<Mutex<Arc<Script>>> = Arc::new(Mutex::new(Arc::new(script)));
        let hits = Arc::new(AtomicUsize::new(0));
        let (current_script, connections) = (Arc::clone(&script), Arc::clone(&hits));
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let script = Arc::clone(&current_script.lock().expect("the lock is not poisoned"));
                tokio::spawn(answer(stream, script));
            }
        });
        Self {
            address,
            hits,
            script,
            serving,
        }
    }

    /// Replaces the script for later connections.
    pub(crate) fn says(&self, script: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) {
        *self.script.lock().expect("the lock is not poisoned") = Arc::new(script);
    }

    /// Returns the number of connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Returns an address on which nothing listens.
pub(crate) fn unused_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a listener has an address")
}

/// Returns the bytes of a complete response.
pub(crate) fn says(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status} Whatever\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Returns `size` zero bytes as a gzip stream of about a thousandth of that size.
pub(crate) fn gzip_bomb(size: usize) -> Vec<u8> {
    let mut bits = Bits {
        bytes: vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255],
        used: 8,
    };
    bits.push(0b1, 1); // this is the last block
    bits.push(0b01, 2); // it uses the fixed Huffman codes
    bits.push_code(0x30, 8); // one zero byte
    for _ in 0..size / 258 {
        bits.push_code(0b1100_0101, 8); // repeat 258 bytes, the longest repetition
        bits.push_code(0, 5); // from a distance of one byte
    }
    bits.push_code(0, 7); // end of the block
    bits.bytes.extend_from_slice(&[0; 8]);
    bits.bytes
}

struct Bits {
    bytes: Vec<u8>,
    used: u8,
}

impl Bits {
    fn push(&mut self, value: u16, length: u8) {
        for position in 0..length {
            if self.used == 8 {
                self.bytes.push(0);
                self.used = 0;
            }
            let bit = u8::from(value >> position & 1 == 1);
            *self.bytes.last_mut().expect("there is a byte") |= bit << self.used;
            self.used += 1;
        }
    }

    /// Appends a Huffman code. Its most significant bit comes first, unlike in [`Self::push`].
    fn push_code(&mut self, code: u16, length: u8) {
        for position in (0..length).rev() {
            self.push(code >> position & 1, 1);
        }
    }
}

async fn answer(mut stream: TcpStream, script: Arc<Script>) {
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 4096];
    while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(length) => bytes.extend_from_slice(&chunk[..length]),
        }
    }
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let bytes = script(head.lines().next().unwrap_or_default());
    let _ = stream.write_all(&bytes).await;
    let _ = stream.shutdown().await;
    // Closing the socket with unread bytes would reset the connection, and the client would lose the response.
    while stream.read(&mut chunk).await.is_ok_and(|length| length > 0) {}
}

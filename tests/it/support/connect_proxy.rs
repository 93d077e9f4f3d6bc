//! A forward proxy: opens tunnels for `CONNECT`, by host names that exist nowhere else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What the proxy does with `CONNECT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connect {
    /// Opens the tunnel.
    Tunnel,
    /// Responds with this status.
    Status(u16),
    /// Closes the connection without a response.
    HangUp,
}

/// A running proxy. It ends when it is dropped.
pub(crate) struct ConnectProxy {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    connect: Mutex<Connect>,
    hosts: Mutex<BTreeMap<String, SocketAddr>>,
    heads: Mutex<Vec<String>>,
    cut: Mutex<CancellationToken>,
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

impl ConnectProxy {
    /// Starts a proxy that knows no host yet.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Shared {
            connect: Mutex::new(Connect::Tunnel),
            hosts: Mutex::default(),
            heads: Mutex::default(),
            cut: Mutex::default(),
        });
        let accepting = shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, accepting.clone()));
            }
        });
        Self {
            address,
            shared,
            task,
        }
    }

    /// Leads the host and port, such as `close.test:443`, to an address.
    pub(crate) fn leads(&self, host: &str, address: SocketAddr) {
        let mut hosts = self.shared.hosts.lock().expect("the lock is not poisoned");
        hosts.insert(host.to_owned(), address);
    }

    /// Sets what the proxy does with later requests.
    pub(crate) fn answers(&self, connect: Connect) {
        *self.shared.connect.lock().expect("the lock is not poisoned") = connect;
    }

    /// Breaks all open tunnels.
    pub(crate) fn cut(&self) {
        let mut cut = self.shared.cut.lock().expect("the lock is not poisoned");
        std::mem::take(&mut *cut).cancel();
    }

    /// Returns the heads of all requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.shared
            .heads
            .lock()
            .expect("the lock is not poisoned")
            .clone()
    }

    /// Returns the hosts and ports that tunnels were wanted to.
    pub(crate) fn targets(&self) -> Vec<String> {
        let target = |head: &String| head.split(' ').nth(1).unwrap_or_default().to_owned();
        self.heads().iter().map(target).collect()
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).expect("a head is ASCII");
    let target = head
        .strip_prefix("CONNECT ")
        .and_then(|rest| rest.split(' ').next())
        .map(str::to_owned);
    shared.heads.lock().expect("the lock is not poisoned").push(head);
    let connect = *shared.connect.lock().expect("the lock is not poisoned");
    let cut = shared.cut.lock().expect("the lock is not poisoned").clone();
    let address = target.and_then(|target| {
        let hosts = shared.hosts.lock().expect("the lock is not poisoned");
        hosts.get(&target).copied()
    });
    let status = match (connect, address) {
        (Connect::HangUp, _) => return,
        (Connect::Status(status), _) => status,
        (Connect::Tunnel, None) => 502,
        (Connect::Tunnel, Some(address)) => {
            let mut server = TcpStream::connect(address).await.expect("the server listens");
            let _ = stream
                .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                .await;
            tokio::select! {
                _ = copy_bidirectional(&mut stream, &mut server) => {}
                () = cut.cancelled() => {}
            }
            return;
        }
    };
    let response = format!("HTTP/1.1 {status} No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    let _ = stream.write_all(response.as_bytes()).await;
    let _ = stream.shutdown().await;
}

//! Sends requests byte by byte, for requests that no HTTP client would send.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::personas::Persona;
use crate::support::server::TestServer;

/// Longest that a server may take to answer or hang up: a body may take 30 s to arrive.
const PATIENCE: Duration = Duration::from_secs(45);

/// What came back: the status, 0 when the server hung up without an answer, and everything it said.
#[derive(Debug)]
pub(crate) struct RawResponse {
    pub(crate) status: u16,
    pub(crate) text: String,
    /// Whether the server closed the connection.
    pub(crate) closed: bool,
}

/// Sends these bytes and reads one answer.
pub(crate) async fn say(server: &TestServer, bytes: &[u8]) -> RawResponse {
    let mut stream = TcpStream::connect(address(server))
        .await
        .expect("the desk listens");
    // A server that has heard enough may close before it has read everything.
    let _ = stream.write_all(bytes).await;
    listen(&mut stream).await
}

/// Reads until the answer is whole or the server hangs up.
pub(crate) async fn listen(stream: &mut (impl AsyncRead + Unpin)) -> RawResponse {
    let mut bytes = Vec::new();
    let read = async {
        let mut chunk = vec![0; 16 << 10];
        loop {
            match stream.read(&mut chunk).await {
                Ok(0) | Err(_) => return true,
                Ok(length) => bytes.extend_from_slice(&chunk[..length]),
            }
            if whole(&bytes) {
                return false;
            }
        }
    };
    let closed = tokio::time::timeout(PATIENCE, read)
        .await
        .expect("the desk answers or hangs up in time");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    RawResponse { status, text, closed }
}

/// Everything that comes before the server hangs up.
pub(crate) async fn to_the_end(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    // A server that breaks off may leave an error instead of an end.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .expect("the desk hangs up in time");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sends an order and leaves the connection open.
pub(crate) async fn send_order(server: &TestServer, person: &Persona, key: &str, body: &Value) -> TcpStream {
    let body = body.to_string();
    let request = format!(
        "POST /v1/orders HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {}\r\nIdempotency-Key: {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        server.token(person),
        body.len()
    );
    let mut stream = TcpStream::connect(address(server))
        .await
        .expect("the desk listens");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("a request can be written");
    stream
}

/// An order whose sender is gone `after` that time.
pub(crate) async fn send_and_hang_up(
    server: &TestServer,
    person: &Persona,
    key: &str,
    body: &Value,
    after: Duration,
) {
    let connection = send_order(server, person, key, body).await;
    tokio::time::sleep(after).await;
    drop(connection);
}

/// Where the desk's API listens.
pub(crate) fn address(server: &TestServer) -> SocketAddr {
    let (_, address) = server.api.split_once("://").expect("a URL");
    address.parse().expect("the desk has an address")
}

fn whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    length.is_some_and(|length| body.len() >= length)
}

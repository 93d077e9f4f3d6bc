//! Sends requests byte by byte, for requests that no HTTP client would send.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::personas::Persona;
use crate::support::server::TestServer;

/// The longest time until the server responds or hangs up.
///
/// The server itself waits up to 30 s for a body.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(45);

/// A response as text, with its status, or with status 0 if the server hung up without a response.
#[derive(Debug)]
pub(crate) struct RawResponse {
    pub(crate) status: u16,
    pub(crate) text: String,
    /// Whether the server closed the connection.
    pub(crate) closed: bool,
}

/// Sends the bytes and reads one response.
pub(crate) async fn exchange(server: &TestServer, bytes: &[u8]) -> RawResponse {
    let mut stream = TcpStream::connect(address(server))
        .await
        .expect("the server listens");
    // Errors are ignored: a server may refuse a request and close the connection before it has read everything.
    let _ = stream.write_all(bytes).await;
    read_response(&mut stream).await
}

/// Reads until the response is complete or the server hangs up.
pub(crate) async fn read_response(stream: &mut (impl AsyncRead + Unpin)) -> RawResponse {
    let mut bytes = Vec::new();
    let read = async {
        let mut chunk = vec![0; 16 << 10];
        loop {
            match stream.read(&mut chunk).await {
                Ok(0) | Err(_) => return true,
                Ok(length) => bytes.extend_from_slice(&chunk[..length]),
            }
            if is_complete(&bytes) {
                return false;
            }
        }
    };
    let closed = tokio::time::timeout(RESPONSE_TIMEOUT, read)
        .await
        .expect("the server responds or hangs up in time");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    RawResponse { status, text, closed }
}

/// Reads until the server hangs up.
pub(crate) async fn read_until_closed(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    // Errors are ignored: a connection that the server resets ends with an error.
    let _ = tokio::time::timeout(RESPONSE_TIMEOUT, stream.read_to_end(&mut bytes))
        .await
        .expect("the server hangs up in time");
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
        .expect("the server listens");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("the request can be written");
    stream
}

/// Sends an order and closes the connection `after` this time, without reading the response.
pub(crate) async fn send_and_hang_up(
    server: &TestServer,
    person: &Persona,
    key: &str,
    body: &Value,
    after: Duration,
) {
    let connection = send_order(server, person, key, body).await;
    // The pace of this client: how long it stays is what the test varies.
    tokio::time::sleep(after).await;
    drop(connection);
}

/// Returns the address and port of the server's API.
pub(crate) fn address(server: &TestServer) -> SocketAddr {
    let (_, address) = server.api.split_once("://").expect("a URL");
    address.parse().expect("the URL has an IP address and a port")
}

/// Returns whether the bytes are a head and all of the body that its `Content-Length` announces.
fn is_complete(bytes: &[u8]) -> bool {
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

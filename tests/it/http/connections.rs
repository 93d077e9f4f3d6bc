//! Connections: the addresses of the listener, and how long an idle connection stays open.

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::database::{Database, on_sqlite};
use crate::support::raw::{address, read_response, read_until_closed};
use crate::support::server::{TestConfig, TestServer};

on_sqlite! {
    every_address_answers_ipv4_and_ipv6,
    an_idle_connection_stays_open_for_its_own_time,
}

const REQUEST: &[u8] = b"GET /openapi.yaml HTTP/1.1\r\nHost: desk\r\n\r\n";

async fn every_address_answers_ipv4_and_ipv6(database: Database) {
    let mut server = Box::pin(TestServer::prepare(database, TestConfig::default())).await;
    let variables = [
        ("NUMBERDESK_SERVER__LISTEN", "[::]:0"),
        ("NUMBERDESK_SERVER__OPS_LISTEN", "[::]:0"),
    ];
    let _process = server.start_process_with(&variables).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for (url, path) in [(&server.api, "/openapi.json"), (&server.ops, "/livez")] {
        let (_, port) = url.rsplit_once(':').expect("a port");
        for host in ["127.0.0.1", "[::1]"] {
            let response = client.get(format!("http://{host}:{port}{path}")).send().await;
            assert_eq!(response.unwrap().status(), 200, "{host} {path}");
        }
    }
}

async fn an_idle_connection_stays_open_for_its_own_time(database: Database) {
    let config = TestConfig {
        server: "header_timeout = \"1s\"\nidle_timeout = \"3s\"",
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    let mut stream = TcpStream::connect(address(&server)).await.unwrap();
    for _ in 0..2 {
        stream.write_all(REQUEST).await.unwrap();
        let response = read_response(&mut stream).await;
        assert!(response.status == 200 && !response.closed, "{}", response.status);
        // A connection that begins now and sends nothing is closed when a head has taken too long.
        let mut silent = TcpStream::connect(address(&server)).await.unwrap();
        assert_eq!(read_until_closed(&mut silent).await, "");
    }
    assert_eq!(read_until_closed(&mut stream).await, "");
}

//! Clients that do not read: they lose the connection, and cost little until then.

use std::time::Duration;

use numberdesk::domain::audit::{Action, Actor, AuditRow};
use numberdesk::domain::event::Event;
use numberdesk::domain::event_kind::EventKind;
use numberdesk::domain::time::Clock;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};

use crate::support::binary::ServerProcess;
use crate::support::database::{Database, on_sqlite};
use crate::support::eventually;
use crate::support::personas::{ALICE, BOB, OLGA, Persona};
use crate::support::raw::{address, read_until_closed};
use crate::support::server::{TestConfig, TestServer, send, text};
use crate::support::stream::Stream;

on_sqlite! {
    many_clients_that_do_not_read_a_file_cost_little_memory_and_are_disconnected,
    a_client_that_reads_slowly_gets_the_whole_file,
    exports_that_nobody_reads_end_and_a_team_has_only_its_share,
    one_team_cannot_take_all_event_streams,
    an_event_stream_that_nobody_reads_is_closed_and_the_others_go_on,
    the_settings_bound_streams_and_exports,
}

const BUNDLE: &str = "/docs/swagger-ui-bundle.js";

fn impatient() -> TestConfig {
    TestConfig {
        server: "send_timeout = \"3s\"",
        ..TestConfig::default()
    }
}

/// Sends a GET request and reads nothing. The kernel holds little for the client.
async fn ask(server: &TestServer, person: Option<&Persona>, path: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket can be made");
    socket
        .set_recv_buffer_size(16 << 10)
        .expect("the buffer can be set");
    let stream = socket.connect(address(server)).await;
    let mut stream = stream.expect("the server listens");
    let token = person.map_or_else(String::new, |person| {
        format!("Authorization: Bearer {}\r\n", server.token(person))
    });
    let request = format!("GET {path} HTTP/1.1\r\nHost: desk\r\n{token}\r\n");
    let written = stream.write_all(request.as_bytes()).await;
    written.expect("the request can be written");
    stream
}

/// Reads the status of the response, and nothing else.
async fn status(stream: &mut TcpStream) -> String {
    let mut line = [0; 12];
    let read = tokio::io::AsyncReadExt::read_exact(stream, &mut line).await;
    read.expect("the server responds");
    String::from_utf8_lossy(&line[9..]).into_owned()
}

/// Returns the memory of the process, in MiB.
fn memory(process: &ServerProcess) -> u64 {
    let id = process.child.id().expect("the process runs");
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("the status can be read");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.trim().parse::<u64>().ok())
        .expect("a number of KiB")
        / 1_024
}

/// Returns how many responses were given up.
pub(super) async fn given_up(server: &TestServer) -> u64 {
    let metrics = server.at_ops("/metrics").await.text;
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("numberdesk_responses_stalled_total "));
    line.map_or(0, |count| count.trim().parse().expect("a number"))
}

async fn many_clients_that_do_not_read_a_file_cost_little_memory_and_are_disconnected(database: Database) {
    let (server, process) = TestServer::as_process(database, impatient()).await;
    // The file is prepared for the first client.
    send(server.request("GET", BUNDLE)).await;
    let before = memory(&process);
    let mut clients = Vec::new();
    for _ in 0..200 {
        clients.push(ask(&server, None, BUNDLE).await);
    }
    let mut most = before;
    eventually("the server gives up all responses", || {
        most = most.max(memory(&process));
        let server = &server;
        async move { (given_up(server).await >= 200).then_some(()) }
    })
    .await;
    println!("200 clients that do not read: {before} MiB before, {most} MiB at most");
    assert!(most < before + 64, "{before} MiB before, {most} MiB at most");
    for mut client in clients {
        read_until_closed(&mut client).await;
    }
}

async fn a_client_that_reads_slowly_gets_the_whole_file(database: Database) {
    let server = TestServer::with(database, impatient()).await;
    let whole = send(server.request("GET", BUNDLE)).await.text.len();
    let mut client = ask(&server, None, BUNDLE).await;
    let (mut read, mut chunk) = (0, vec![0; 128 << 10]);
    while read < whole {
        // It takes longer than the time-out in total, and each pause is shorter.
        // The sleep is the pace of the client.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let length = tokio::io::AsyncReadExt::read(&mut client, &mut chunk).await;
        let length = length.expect("the connection is open");
        assert!(length > 0, "closed after {read} of {whole} bytes");
        read += length;
    }
}

/// Makes exports larger than all buffers between the server and a client.
pub(super) async fn write_audit_rows(database: &Database) {
    let store = database.store().await;
    for nth in 0..40 {
        let row = AuditRow::new(Clock::system().now(), Actor::desk(), Action::NumberUpdate, "test")
            .detail(json!({ "nth": nth, "text": "x".repeat(20_000) }));
        store.record_audit(&row).await.expect("the row is written");
    }
}

async fn exports_that_nobody_reads_end_and_a_team_has_only_its_share(database: Database) {
    // Long enough for all exports to begin on a busy machine.
    let config = TestConfig {
        server: "send_timeout = \"20s\"",
        ..TestConfig::default()
    };
    let server = TestServer::with(database.clone(), config).await;
    write_audit_rows(&database).await;
    let mut exports = Vec::new();
    for _ in 0..16 {
        let mut export = ask(&server, Some(&OLGA), "/v1/audit/export").await;
        assert_eq!(status(&mut export).await, "200");
        exports.push(export);
    }
    let refused = server.get(&OLGA, "/v1/audit/export").await;
    let detail = text(&refused.problem(429, "rate-limited")["detail"]);
    assert!(detail.contains("share of this replica's exports"), "{detail}");
    eventually("the exports that nobody reads have ended", || async {
        let path = "/v1/audit/export?until=2026-01-01T00:00:00Z";
        let export = server.get(&OLGA, path).await;
        (export.status == 200).then_some(())
    })
    .await;
    // Until here, their clients kept them open.
    drop(exports);
}

async fn one_team_cannot_take_all_event_streams(database: Database) {
    let (server, _process) = TestServer::as_process(database, TestConfig::default()).await;
    let mut streams = Vec::new();
    for _ in 0..510 {
        streams.push(ask(&server, Some(&ALICE), "/v1/events/stream").await);
    }
    let mut refused = 0;
    for stream in &mut streams {
        match status(stream).await.as_str() {
            "200" => {}
            "429" => refused += 1,
            other => panic!("{other}"),
        }
    }
    println!("510 streams of one team: {refused} refused");
    assert_eq!(refused, 10);
    let mut other = ask(&server, Some(&BOB), "/v1/events/stream").await;
    assert_eq!(status(&mut other).await, "200");
}

async fn an_event_stream_that_nobody_reads_is_closed_and_the_others_go_on(database: Database) {
    const EVENTS: usize = 400;
    let (server, process) = TestServer::as_process(database.clone(), impatient()).await;
    // A stream begins with the id of the last event.
    server.rent(&ALICE, "key", "DE").await;
    let mut stalled = Vec::new();
    for _ in 0..20 {
        let mut stream = ask(&server, Some(&ALICE), "/v1/events/stream").await;
        assert_eq!(status(&mut stream).await, "200");
        stalled.push(stream);
    }
    let reader = server.request_as(&ALICE, "GET", "/v1/events/stream");
    let mut reader = Stream::open(reader, None).await;
    reader.begins_after().await;
    let before = memory(&process);
    // 8 MB for each stream: more than all buffers between the server and a client hold.
    let (store, team) = (database.store().await, "sales".parse().expect("a team"));
    for nth in 0..EVENTS {
        let event = Event::new(Clock::system().now(), EventKind::OrderFulfilled, Some(&team))
            .with(&json!({ "order_id": nth.to_string(), "text": "x".repeat(20_000) }));
        store.write_event(&event).await.expect("the event is written");
    }
    for nth in 0..EVENTS {
        let event = reader.next().await.expect("an event");
        assert_eq!(event.event["data"]["order_id"], nth.to_string());
    }
    let most = memory(&process);
    eventually("the server gives up all streams that nobody reads", || async {
        (given_up(&server).await >= 20).then_some(())
    })
    .await;
    println!("20 event streams that nobody reads, 8 MB for each: {before} MiB before, {most} MiB meanwhile");
    // 64 events wait for each client, and all clients share the others.
    assert!(most < before + 96, "{before} MiB before, {most} MiB meanwhile");
    for mut stream in stalled {
        let read = read_until_closed(&mut stream).await;
        assert!(
            !read.contains(&format!("\"order_id\":\"{}\"", EVENTS - 1)),
            "all events were sent"
        );
    }
    // The reader is still connected.
    server.rent(&ALICE, "later", "DE").await;
    assert_eq!(reader.next().await.expect("an event").kind, "order.queued");
}

async fn the_settings_bound_streams_and_exports(database: Database) {
    let config = TestConfig {
        limits: "requests_per_minute = 0\nevent_streams = 4\nexports = 1",
        ..TestConfig::default()
    };
    let server = TestServer::with(database.clone(), config).await;
    let mut streams = Vec::new();
    for (person, expected) in [(&ALICE, "200"), (&ALICE, "200"), (&ALICE, "429"), (&BOB, "200")] {
        let mut stream = ask(&server, Some(person), "/v1/events/stream").await;
        assert_eq!(status(&mut stream).await, expected, "{}", person.name);
        streams.push(stream);
    }
    write_audit_rows(&database).await;
    let mut export = ask(&server, Some(&OLGA), "/v1/audit/export").await;
    assert_eq!(status(&mut export).await, "200");
    let refused = server.get(&OLGA, "/v1/audit/export").await;
    refused.problem(429, "rate-limited");
}

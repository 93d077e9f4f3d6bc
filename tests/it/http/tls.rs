//! TLS on the API port: protocols, replacement of the certificate while the server runs, and limits of a handshake.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::binary::{CommandOutput, ServerProcess, end, run, send_sigterm};
use crate::support::close::RENT;
use crate::support::database::{Database, on_sqlite};
use crate::support::eventually;
use crate::support::personas::ALICE;
use crate::support::raw::{self, address};
use crate::support::server::{TestConfig, TestServer, write_files};
use crate::support::tls::{Authority, Pair, connect, mount, of, shown};

on_sqlite! {
    with_a_certificate_the_port_serves_http_1_and_2_over_tls_only,
    a_new_certificate_is_used_for_new_connections_and_old_ones_continue,
    an_unusable_pair_is_reported_and_the_last_good_one_stays_in_use,
    an_expired_certificate_does_not_prevent_the_start_and_replaces_no_valid_one,
    unfinished_handshakes_are_disconnected_and_do_not_block_others,
    a_running_request_over_tls_completes_before_the_service_exits,
}

/// Returns a configuration with this certificate.
fn with(pair: &Pair) -> TestConfig {
    TestConfig {
        tls: Some(pair.clone()),
        ..TestConfig::default()
    }
}

fn order_body() -> Value {
    json!({ "country": "DE", "carrier_type": "local" })
}

/// Starts the server as a process, so that it has its own metrics and log.
async fn as_process(database: Database, config: TestConfig) -> (TestServer, ServerProcess) {
    let (server, desk) = TestServer::as_process(database, config).await;
    server.wait_until_ready().await;
    (server, desk)
}

/// Returns the value of the first metric whose line starts with `begin`.
async fn metric(server: &TestServer, begin: &str) -> Option<f64> {
    let text = server.at_ops("/metrics").await.text;
    let line = text.lines().find(|line| line.starts_with(begin))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

/// Returns once the metric says whether the certificate on disk is good: 1.0 or 0.0.
async fn wait_for_certificate_good(server: &TestServer, good: f64) {
    eventually(&format!("numberdesk_tls_certificate_good is {good}"), || async {
        (metric(server, "numberdesk_tls_certificate_good ").await == Some(good)).then_some(())
    })
    .await;
}

async fn with_a_certificate_the_port_serves_http_1_and_2_over_tls_only(database: Database) {
    let pair = Authority::new().issue();
    let server = TestServer::with(database, with(&pair)).await;
    assert!(server.api.starts_with("https://"));
    server.order(&ALICE, "one", &order_body()).await.expect(201);
    for versions in [[&rustls::version::TLS12], [&rustls::version::TLS13]] {
        let stream = connect(&server, &pair.authority, "http/1.1", &versions).await;
        let mut stream = stream.expect("the server supports TLS 1.2 and 1.3");
        let request = format!(
            "GET /v1/me HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {}\r\n\r\n",
            server.token(&ALICE)
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(raw::read_response(&mut stream).await.status, 200);
        // hyper answers bytes that are not HTTP, as it does without TLS.
        stream.write_all(b"\0\r\n\r\n").await.unwrap();
        let response = raw::read_response(&mut stream).await;
        assert_eq!(response.status, 400, "{response:?}");
    }
    let stream = connect(&server, &pair.authority, "h2", rustls::ALL_VERSIONS)
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = hyper::Request::get("https://localhost/v1/me")
        .header("Authorization", format!("Bearer {}", server.token(&ALICE)))
        .body(Empty::<Bytes>::new())
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let me: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(me["subject"], ALICE.name);
    // A client that speaks plain HTTP gets no HTTP response.
    let response = raw::exchange(&server, b"GET /v1/me HTTP/1.1\r\nHost: desk\r\n\r\n").await;
    assert!(
        response.closed && !response.text.contains("HTTP/"),
        "{response:?}"
    );
    // A client that trusts only another authority refuses the certificate.
    let untrusted = Authority::new().issue();
    assert!(
        connect(&server, &untrusted.authority, "http/1.1", rustls::ALL_VERSIONS)
            .await
            .is_err()
    );
}

async fn a_new_certificate_is_used_for_new_connections_and_old_ones_continue(database: Database) {
    let authority = Authority::new();
    let (first, second) = (authority.issue(), authority.issue_for(2020, 2091));
    let config = TestConfig {
        server: "header_timeout = \"60s\"",
        ..with(&first)
    };
    let (server, _desk) = as_process(database, config).await;
    assert_eq!(shown(&server, &first).await, of(&first));
    wait_for_certificate_good(&server, 1.0).await;
    let expiry = "numberdesk_tls_certificate_expiry_timestamp_seconds ";
    let expires = metric(&server, expiry).await.unwrap();
    let mut before = connect(&server, &first.authority, "http/1.1", rustls::ALL_VERSIONS)
        .await
        .unwrap();

    mount(server.folder.path(), &second.certificate, &second.key);
    eventually("the server presents the new certificate", || async {
        (shown(&server, &second).await == of(&second)).then_some(())
    })
    .await;
    before
        .write_all(b"GET /openapi.yaml HTTP/1.1\r\nHost: desk\r\n\r\n")
        .await
        .unwrap();
    let response = raw::read_response(&mut before).await;
    assert!(response.status == 200 && !response.closed, "{}", response.status);
    server.get(&ALICE, "/v1/me").await.expect(200);
    let year = 365.0 * 86_400.0;
    eventually("the metric has the new expiry", || async {
        (metric(&server, expiry).await == Some(expires + year)).then_some(())
    })
    .await;
    assert_eq!(
        metric(&server, "numberdesk_tls_certificate_good ").await,
        Some(1.0)
    );
}

async fn an_unusable_pair_is_reported_and_the_last_good_one_stays_in_use(database: Database) {
    let authority = Authority::new();
    let (good, other) = (authority.issue(), authority.issue());
    let (server, desk) = as_process(database, with(&good)).await;
    let secret: Vec<&str> = good.key.lines().chain(other.key.lines()).collect();
    for (certificate, key, message) in [
        (
            other.certificate.as_str(),
            good.key.as_str(),
            "is not the key of the first certificate",
        ),
        ("half a certif", &good.key, "has no PEM certificate"),
        (&good.certificate, "", "is empty"),
    ] {
        wait_for_certificate_good(&server, 1.0).await;
        mount(server.folder.path(), certificate, key);
        wait_for_certificate_good(&server, 0.0).await;
        assert_eq!(shown(&server, &good).await, of(&good));
        eventually(&format!("the log says: {message}"), || async {
            desk.log().contains(message).then_some(())
        })
        .await;
        mount(server.folder.path(), &good.certificate, &good.key);
    }
    wait_for_certificate_good(&server, 1.0).await;
    server.order(&ALICE, "one", &order_body()).await.expect(201);
    let log = desk.log();
    let leaked = secret
        .iter()
        .find(|line| !line.starts_with("--") && log.contains(*line));
    assert!(leaked.is_none(), "the log contains a line of a private key");
}

async fn an_expired_certificate_does_not_prevent_the_start_and_replaces_no_valid_one(database: Database) {
    let authority = Authority::new();
    let (old, new) = (authority.issue_for(2020, 2021), authority.issue());
    let (server, desk) = as_process(database, with(&old)).await;
    wait_for_certificate_good(&server, 0.0).await;
    eventually("the log says when the certificate expired", || async {
        desk.log()
            .contains("it expired at 2021-01-01T00:00:00Z")
            .then_some(())
    })
    .await;
    assert!(
        connect(&server, &old.authority, "http/1.1", rustls::ALL_VERSIONS)
            .await
            .is_err()
    );
    let checked = run(server.folder.path(), &["check", "--config", "numberdesk.toml"]).await;
    assert_eq!(checked.code, 0, "{checked:?}");
    assert!(
        checked.stderr.starts_with("warning: clients refuse "),
        "{checked:?}"
    );
    let doctor = run(server.folder.path(), &["doctor", "--config", "numberdesk.toml"]).await;
    assert_eq!(doctor.code, 1, "{doctor:?}");
    assert!(doctor.stdout.contains("FAULT  certificate"), "{doctor:?}");
    mount(server.folder.path(), &new.certificate, &new.key);
    wait_for_certificate_good(&server, 1.0).await;
    assert_eq!(shown(&server, &new).await, of(&new));
    mount(server.folder.path(), &old.certificate, &old.key);
    wait_for_certificate_good(&server, 0.0).await;
    assert_eq!(shown(&server, &new).await, of(&new));
}

async fn unfinished_handshakes_are_disconnected_and_do_not_block_others(database: Database) {
    let pair = Authority::new().issue();
    let config = TestConfig {
        // Long enough for the handshakes of the fast clients on a busy machine.
        server: "header_timeout = \"10s\"",
        ..with(&pair)
    };
    let (server, _desk) = as_process(database, config).await;
    let mut slow = Vec::new();
    // The start of a ClientHello, and nothing at all.
    for start in [&b"\x16\x03\x01\x02\x00\x01"[..], b""] {
        for _ in 0..150 {
            let mut stream = TcpStream::connect(address(&server)).await.unwrap();
            stream.write_all(start).await.unwrap();
            slow.push(stream);
        }
    }
    for nth in 0..5 {
        server
            .order(&ALICE, &format!("fast-{nth}"), &order_body())
            .await
            .expect(201);
    }
    for stream in &mut slow {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(std::time::Duration::from_secs(30), stream.read_to_end(&mut rest));
        assert_eq!(
            read.await.expect("the server closes the connection").unwrap_or(0),
            0
        );
    }
    drop(TcpStream::connect(address(&server)).await.unwrap());
    raw::exchange(&server, b"GET / HTTP/1.1\r\n\r\n").await;
    let untrusted = Authority::new().issue();
    let refused = connect(&server, &untrusted.authority, "http/1.1", rustls::ALL_VERSIONS).await;
    assert!(refused.is_err());
    let no_common_protocol = connect(&server, &pair.authority, "smtp", rustls::ALL_VERSIONS).await;
    assert!(no_common_protocol.is_err());
    for (reason, times) in [
        ("too_slow", 300.0),
        ("hung_up", 1.0),
        ("not_tls", 1.0),
        ("refused_by_client", 1.0),
        ("nothing_in_common", 1.0),
    ] {
        let begin = format!("numberdesk_tls_handshakes_failed_total{{reason=\"{reason}\"}}");
        eventually(&format!("{reason} is counted"), || async {
            (metric(&server, &begin).await == Some(times)).then_some(())
        })
        .await;
    }
}

async fn a_running_request_over_tls_completes_before_the_service_exits(database: Database) {
    let pair = Authority::new().issue();
    let (server, mut desk) = as_process(database, with(&pair)).await;
    server.close.set(json!({ "rent_latency": "10s" })).await;
    let mut stream = connect(&server, &pair.authority, "http/1.1", rustls::ALL_VERSIONS)
        .await
        .unwrap();
    let body = order_body().to_string();
    let request = format!(
        "POST /v1/orders HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {}\r\nIdempotency-Key: key\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        server.token(&ALICE),
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    server.close.wait_for_requests("POST", RENT, 1).await;
    // An unfinished handshake does not delay the shutdown.
    let mut handshake = TcpStream::connect(address(&server)).await.unwrap();
    handshake.write_all(b"\x16\x03").await.unwrap();
    send_sigterm(&desk.child).await;
    let response = raw::read_response(&mut stream).await;
    assert_eq!(response.status, 201, "{response:?}");
    assert!(
        response.text.contains("\r\nconnection: close\r\n"),
        "{response:?}"
    );
    // The server sends close_notify, so that the client can tell the end from a truncated response.
    let mut rest = Vec::new();
    assert_eq!(stream.read_to_end(&mut rest).await.expect("a clean end"), 0);
    assert_eq!(end(&mut desk.child).await, 0);
}

/// Runs `check` with this certificate and key: `None` is a valid file, an empty text a missing one.
///
/// When `check` fails, `serve` must fail with the same message.
async fn checked(certificate: Option<&str>, key: Option<&str>, server: &'static str) -> CommandOutput {
    let folder = tempfile::tempdir().unwrap();
    numberdesk::auth::DevIssuer::load_or_create(folder.path(), crate::support::personas::ISSUER).unwrap();
    let config = TestConfig {
        server,
        tls: Some(Authority::new().issue()),
        ..TestConfig::default()
    };
    write_files(
        folder.path(),
        &config,
        "http://127.0.0.1:9/api/v1",
        "api_x.y",
        "sqlite://desk.db",
    );
    for (name, text) in [("tls/tls.crt", certificate), ("tls/tls.key", key)] {
        match text {
            Some("") => std::fs::remove_file(folder.path().join(name)).unwrap(),
            Some(text) => std::fs::write(folder.path().join(name), text).unwrap(),
            None => {}
        }
    }
    let checked = run(folder.path(), &["check", "--config", "numberdesk.toml"]).await;
    if checked.code == 1 {
        let refused = run(folder.path(), &["serve", "--config", "numberdesk.toml"]).await;
        assert_eq!((refused.code, &refused.stderr), (64, &checked.stderr));
    }
    checked
}

#[tokio::test]
async fn check_names_the_fault_of_a_pair_and_its_setting() {
    let fine = checked(None, None, "").await;
    assert_eq!(fine.code, 0, "{fine:?}");
    assert!(
        fine.stdout
            .contains("tls: tls/tls.crt, until 2090-01-01T00:00:00Z"),
        "{fine:?}"
    );
    let other = Authority::new().issue();
    let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let garbage = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
    let no_key = "-----BEGIN PRIVATE KEY-----\nMAMCAQE=\n-----END PRIVATE KEY-----\n";
    let (at_certificate, at_key) = ("server.tls.certificate_file: ", "server.tls.key_file: ");
    for (certificate, key, place, message) in [
        (Some(""), None, at_certificate, "can't read tls/tls.crt: "),
        (None, Some(""), at_key, "can't read tls/tls.key: "),
        (
            Some("nothing"),
            None,
            at_certificate,
            "tls/tls.crt has no PEM certificate",
        ),
        (
            Some(garbage),
            None,
            at_certificate,
            "tls/tls.crt: no X.509 certificate",
        ),
        (
            None,
            Some(locked),
            at_key,
            "tls/tls.key has no unencrypted PEM key",
        ),
        (
            None,
            Some(no_key),
            at_key,
            "tls/tls.key is not a key that TLS can use",
        ),
        (
            None,
            Some(other.key.as_str()),
            at_key,
            "tls/tls.key is not the key of the first certificate in tls/tls.crt",
        ),
    ] {
        let wrong = checked(certificate, key, "").await;
        assert_eq!(wrong.code, 1, "{message}: {wrong:?}");
        let (before, after) = wrong.stderr.split_once(place).expect("the setting is named");
        assert!(
            before.starts_with("error: numberdesk.toml:") && after.starts_with(message),
            "{message}: {wrong:?}"
        );
        assert!(!wrong.stderr.contains("MAMCAQE"), "{wrong:?}");
    }
    let plain = checked(None, None, "public_url = \"http://127.0.0.1:8080\"").await;
    assert!(
        plain.code == 1
            && plain
                .stderr
                .contains("server.public_url: must be an https URL: with [server.tls]"),
        "{plain:?}"
    );
}

//! Requests that violate HTTP, and headers that are malformed, too large, too slow or forged.

use super::*;

on_sqlite! {
    an_invalid_idempotency_key_is_400,
    requests_that_violate_http_get_a_4xx_or_a_closed_connection,
    too_many_or_too_large_headers_are_refused,
    slow_clients_are_disconnected_and_do_not_delay_others,
    headers_that_claim_another_identity_or_url_are_ignored,
}

async fn an_invalid_idempotency_key_is_400(database: Database) {
    let server = TestServer::new(database).await;
    let body = json!({ "country": "DE", "carrier_type": "local" });
    for key in [
        &b""[..],
        b" ",
        b"a b",
        "k\u{e9}y".as_bytes(),
        b"\xff\xfe",
        &[b'k'; 256],
        &[b'k'; 8000],
    ] {
        let request = server
            .request_as(&ALICE, "POST", ORDERS)
            .header("Idempotency-Key", key)
            .json(&body);
        let response = send(request).await;
        // A key that is empty after trimming may count as missing.
        let problem_type = response.json()["type"].as_str().unwrap_or_default().to_owned();
        assert_eq!(response.status, 400, "{response}");
        assert!(
            [
                "/problems/idempotency-key-invalid",
                "/problems/idempotency-key-missing"
            ]
            .contains(&problem_type.as_str()),
            "{response}"
        );
        let fault = &response.json()["errors"][0];
        assert_eq!(fault["pointer"], "/headers/Idempotency-Key", "{response}");
        assert_eq!(
            fault["message"], "must be 1 to 255 visible ASCII characters, such as a UUID",
            "{response}"
        );
    }
    let twice = server
        .request_as(&ALICE, "POST", ORDERS)
        .header("Idempotency-Key", "a")
        .header("Idempotency-Key", "b");
    send(twice.json(&body))
        .await
        .problem_snapshot(400, "idempotency-key-invalid");
    let token = server.token(&ALICE);
    let head = format!(
        "POST /v1/orders HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
    );
    let huge = exchange(
        &server,
        format!(
            "{head}Idempotency-Key: {}\r\nContent-Length: 2\r\n\r\n{{}}",
            "k".repeat(1 << 20)
        )
        .as_bytes(),
    )
    .await;
    assert!((400..500).contains(&huge.status) || huge.status == 0, "{huge:?}");
    assert_unaffected(&server).await;
    // Unusual keys that are valid.
    for key in [
        "!",
        "~",
        &"k".repeat(255),
        "a,b;c=\"d\"",
        "../../etc",
        "'; DROP TABLE orders; --".replace(' ', "").as_str(),
    ] {
        let order = server.order(&ALICE, key, &body).await.expect(201);
        assert_eq!(order["idempotency_key"], key);
    }
    for key in ["", "%00", "a%20b", "%ff"] {
        let response = server
            .get(&ALICE, &format!("/v1/orders?idempotency_key={key}"))
            .await;
        response.problem(400, "invalid-request");
    }
}

async fn requests_that_violate_http_get_a_4xx_or_a_closed_connection(database: Database) {
    let server = TestServer::new(database).await;
    let token = server.token(&ALICE);
    let body = json!({ "country": "DE", "carrier_type": "local" }).to_string();
    let length = body.len();
    let head = format!(
        "POST /v1/orders HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: smuggled\r\n\
         Content-Type: application/json\r\n"
    );
    let inner = format!("{head}Content-Length: {length}\r\n\r\n{body}");
    for (what, bytes) in [
        (
            "two lengths",
            format!("{head}Content-Length: {length}\r\nContent-Length: 0\r\n\r\n{body}"),
        ),
        (
            "two lengths in one",
            format!("{head}Content-Length: {length}, 0\r\n\r\n{body}"),
        ),
        (
            "a space before the colon",
            format!("{head}Content-Length : {length}\r\n\r\n{body}"),
        ),
        (
            "an unknown transfer coding",
            format!("{head}Transfer-Encoding: xchunked\r\n\r\n{body}"),
        ),
        (
            "chunked is not the last coding",
            format!("{head}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
        ),
        (
            "a chunk without a size",
            format!("{head}Transfer-Encoding: chunked\r\n\r\nxyz\r\n{body}\r\n0\r\n\r\n"),
        ),
        (
            "a chunk too large",
            format!("{head}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{body}"),
        ),
        (
            "a folded header",
            format!("{head}X-A: b\r\n c: d\r\nContent-Length: {length}\r\n\r\n{body}"),
        ),
        (
            "a header without a name",
            format!("{head}: x\r\nContent-Length: {length}\r\n\r\n{body}"),
        ),
        (
            "a header with a carriage return",
            format!("{head}X-A: b\rX-B: c\r\nContent-Length: {length}\r\n\r\n{body}"),
        ),
        (
            "a header with a NUL",
            format!("{head}X-A: b\0c\r\nContent-Length: {length}\r\n\r\n{body}"),
        ),
        (
            "a space in a name",
            format!("{head}X A: b\r\nContent-Length: {length}\r\n\r\n{body}"),
        ),
        ("an unknown version", inner.replace("HTTP/1.1", "HTTP/3.0")),
        ("no version", "GET /v1/me\r\n\r\n".to_owned()),
        (
            "HTTP/0.9 with a body",
            format!("POST /v1/orders\r\n{body}\r\n\r\n"),
        ),
        ("noise", "\u{1}\u{2}\u{3}\u{4}\r\n\r\n".to_owned()),
        (
            "TLS",
            "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}".to_owned() + "\r\n\r\n",
        ),
        (
            "a control character in the path",
            inner.replacen("/v1/orders", "/v1/orders\u{b}", 1),
        ),
        (
            "a long path",
            inner.replacen("/v1/orders", &format!("/v1/{}", "a".repeat(70_000)), 1),
        ),
        (
            "lines without a carriage return",
            "GET /v1/me HTTP/1.1\nHost: desk\n".repeat(2000),
        ),
    ] {
        let response = exchange(&server, bytes.as_bytes()).await;
        assert!(
            (400..500).contains(&response.status) || (response.status == 0 && response.closed),
            "{what}: {response:?}"
        );
    }
    assert_unaffected(&server).await;

    // With both Content-Length and Transfer-Encoding, the server must not read two requests (request smuggling).
    let both = format!("{head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}");
    let response = exchange(&server, both.as_bytes()).await;
    assert!(
        (400..500).contains(&response.status) || response.status == 0,
        "{response:?}"
    );
    assert_unaffected(&server).await;
}

async fn too_many_or_too_large_headers_are_refused(database: Database) {
    let server = TestServer::new(database).await;
    let token = server.token(&ALICE);
    let head = format!("GET /v1/me HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {token}\r\n");
    let many = |count: usize| {
        (0..count)
            .map(|place| format!("X-{place}: y\r\n"))
            .collect::<Vec<_>>()
            .concat()
    };
    let fine = exchange(&server, format!("{head}{}\r\n", many(90)).as_bytes()).await;
    assert_eq!(fine.status, 200, "{fine:?}");
    let large = server
        .request_as(&ALICE, "GET", "/v1/me")
        .header("X-A", "a".repeat(33 << 10));
    send(large).await.problem_snapshot(431, "headers-too-large");
    for (what, more) in [
        ("101 headers", many(101)),
        ("10,000 headers", many(10_000)),
        ("a header of 64 KB", format!("X-A: {}\r\n", "a".repeat(64 << 10))),
        ("a header of 1 MB", format!("X-A: {}\r\n", "a".repeat(1 << 20))),
        ("a name of 70 KB", format!("{}: a\r\n", "a".repeat(70 << 10))),
    ] {
        let response = exchange(&server, format!("{head}{more}\r\n").as_bytes()).await;
        assert!(
            (400..500).contains(&response.status) || (response.status == 0 && response.closed),
            "{what}: {} {}",
            response.status,
            response.closed
        );
    }
    assert_unaffected(&server).await;
}

async fn slow_clients_are_disconnected_and_do_not_delay_others(database: Database) {
    let server = TestServer::with(
        database,
        TestConfig {
            server: "header_timeout = \"20s\"",
            ..TestConfig::default()
        },
    )
    .await;
    let mut idle = Vec::new();
    for place in 0..50 {
        let mut stream = TcpStream::connect(raw::address(&server))
            .await
            .expect("the server listens");
        let start = if place % 2 == 0 {
            "GET /v1/me HTTP/1.1\r\nHost: de"
        } else {
            ""
        };
        stream
            .write_all(start.as_bytes())
            .await
            .expect("the start of a head can be sent");
        idle.push(stream);
    }
    // Less than the header timeout, which is how long the slow clients could block others.
    tokio::time::timeout(Duration::from_secs(15), server.get(&ALICE, "/v1/me"))
        .await
        .expect("slow clients do not delay others")
        .expect(200);

    let idle_ends = futures::future::join_all(idle.into_iter().map(|mut stream| async move {
        let response = raw::read_response(&mut stream).await;
        assert!([0, 408].contains(&response.status), "{response:?}");
    }));

    // A client that sends its head byte by byte.
    let mut slow_head = TcpStream::connect(raw::address(&server))
        .await
        .expect("the server listens");
    slow_head
        .write_all(b"GET /v1/me HTTP/1.1\r\nHost: desk\r\nX-A: ")
        .await
        .expect("the start of a head can be sent");
    let drip = async {
        while slow_head.write_all(b"a").await.is_ok() {
            // The pace of the client: no assertion depends on it.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let slow_head_ends = async {
        tokio::time::timeout(Duration::from_mins(1), drip)
            .await
            .expect("a connection whose head arrives byte by byte is closed");
    };

    // A client that stops in the middle of its body.
    let token = server.token(&ALICE);
    let head = format!(
        "POST /v1/orders HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: slow\r\n\
         Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{"
    );
    let mut slow_body = TcpStream::connect(raw::address(&server))
        .await
        .expect("the server listens");
    slow_body
        .write_all(head.as_bytes())
        .await
        .expect("a head can be sent");
    let slow_body_ends = async {
        let response = raw::read_response(&mut slow_body).await;
        assert!([0, 408].contains(&response.status), "{response:?}");
    };
    // All at once, because each waits for a timeout of the server.
    tokio::join!(idle_ends, slow_head_ends, slow_body_ends);
    assert_unaffected(&server).await;
}

async fn headers_that_claim_another_identity_or_url_are_ignored(database: Database) {
    let server = TestServer::new(database).await;
    for (name, value) in [
        ("X-Forwarded-User", "olga@example.com"),
        ("X-Forwarded-Client-Cert", "By=spiffe://x;URI=spiffe://admin"),
        ("X-Original-URL", "/v1/audit"),
        ("X-Rewrite-URL", "/v1/audit"),
        ("X-User-Permissions", "numbers:admin"),
        ("Forwarded", "for=127.0.0.1;host=internal"),
    ] {
        let me = send(server.request_as(&ALICE, "GET", "/v1/me").header(name, value))
            .await
            .expect(200);
        assert_eq!(me["subject"], "alice@example.com", "{name}");
        send(server.request("GET", "/v1/me").header(name, value))
            .await
            .problem(401, "unauthorized");
    }
    // The service uses the client's request id in the log and the audit trail only if it is harmless.
    for id in ["<script>", &"x".repeat(5000), "a b", "\u{e9}"] {
        let response = send(
            server
                .request_as(&ALICE, "GET", "/v1/me")
                .header("X-Request-Id", id),
        )
        .await;
        response.expect(200);
        assert_ne!(response.header("x-request-id"), id);
    }
}

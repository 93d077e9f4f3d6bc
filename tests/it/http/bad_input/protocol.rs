//! Requests that break the rules of HTTP, and headers that are malformed, too large, too slow or forged.

use super::*;

on_sqlite! {
    an_idempotency_key_that_is_none_is_400,
    requests_that_break_the_rules_of_http_get_4xx_or_nothing,
    too_many_or_too_large_headers_are_refused,
    who_sends_slowly_is_cut_off_and_disturbs_nobody,
    headers_that_speak_for_others_are_ignored,
}

async fn an_idempotency_key_that_is_none_is_400(database: Database) {
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
        let answer = send(request).await;
        // What is empty after trimming may as well be missing.
        let named = answer.json()["type"].as_str().unwrap_or_default().to_owned();
        assert_eq!(answer.status, 400, "{answer}");
        assert!(
            [
                "/problems/idempotency-key-invalid",
                "/problems/idempotency-key-missing"
            ]
            .contains(&named.as_str()),
            "{answer}"
        );
    }
    let twice = server
        .request_as(&ALICE, "POST", ORDERS)
        .header("Idempotency-Key", "a")
        .header("Idempotency-Key", "b");
    send(twice.json(&body))
        .await
        .problem(400, "idempotency-key-invalid");
    let token = server.token(&ALICE);
    let head = format!(
        "POST /v1/orders HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
    );
    let huge = say(
        &server,
        format!(
            "{head}Idempotency-Key: {}\r\nContent-Length: 2\r\n\r\n{{}}",
            "k".repeat(1 << 20)
        )
        .as_bytes(),
    )
    .await;
    assert!((400..500).contains(&huge.status) || huge.status == 0, "{huge:?}");
    unimpressed(&server).await;
    // The edges of what is one.
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
        let answer = server
            .get(&ALICE, &format!("/v1/orders?idempotency_key={key}"))
            .await;
        answer.problem(400, "invalid-request");
    }
}

async fn requests_that_break_the_rules_of_http_get_4xx_or_nothing(database: Database) {
    let server = TestServer::new(database).await;
    let token = server.token(&ALICE);
    let body = json!({ "country": "DE", "carrier_type": "local" }).to_string();
    let length = body.len();
    let head = format!(
        "POST /v1/orders HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: smuggled\r\nContent-Type: application/json\r\n"
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
            "another coding",
            format!("{head}Transfer-Encoding: xchunked\r\n\r\n{body}"),
        ),
        (
            "chunked and more",
            format!("{head}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
        ),
        (
            "a chunk of no size",
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
            "a header with a break",
            format!("{head}X-A: b\rX-B: c\r\nContent-Length: {length}\r\n\r\n{body}"),
        ),
        (
            "a header with a zero",
            format!("{head}X-A: b\0c\r\nContent-Length: {length}\r\n\r\n{body}"),
        ),
        (
            "a space in a name",
            format!("{head}X A: b\r\nContent-Length: {length}\r\n\r\n{body}"),
        ),
        ("another version", inner.replace("HTTP/1.1", "HTTP/3.0")),
        ("no version", "GET /v1/me\r\n\r\n".to_owned()),
        ("the oldest version", format!("POST /v1/orders\r\n{body}\r\n\r\n")),
        ("noise", "\u{1}\u{2}\u{3}\u{4}\r\n\r\n".to_owned()),
        (
            "TLS",
            "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}".to_owned() + "\r\n\r\n",
        ),
        (
            "a break in the path",
            inner.replacen("/v1/orders", "/v1/orders\u{b}", 1),
        ),
        (
            "a long path",
            inner.replacen("/v1/orders", &format!("/v1/{}", "a".repeat(70_000)), 1),
        ),
        (
            "no end of a line",
            "GET /v1/me HTTP/1.1\nHost: desk\n".repeat(2000),
        ),
    ] {
        let said = say(&server, bytes.as_bytes()).await;
        assert!(
            (400..500).contains(&said.status) || (said.status == 0 && said.closed),
            "{what}: {said:?}"
        );
    }
    unimpressed(&server).await;

    // Both ways to say where the body ends: never two requests out of one.
    let both = format!("{head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}");
    let said = say(&server, both.as_bytes()).await;
    assert!((400..500).contains(&said.status) || said.status == 0, "{said:?}");
    unimpressed(&server).await;
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
    let fine = say(&server, format!("{head}{}\r\n", many(90)).as_bytes()).await;
    assert_eq!(fine.status, 200, "{fine:?}");
    for (what, more) in [
        ("101 headers", many(101)),
        ("10,000 headers", many(10_000)),
        ("a header of 64 KB", format!("X-A: {}\r\n", "a".repeat(64 << 10))),
        ("a header of 1 MB", format!("X-A: {}\r\n", "a".repeat(1 << 20))),
        ("a name of 70 KB", format!("{}: a\r\n", "a".repeat(70 << 10))),
    ] {
        let said = say(&server, format!("{head}{more}\r\n").as_bytes()).await;
        assert!(
            (400..500).contains(&said.status) || (said.status == 0 && said.closed),
            "{what}: {} {}",
            said.status,
            said.closed
        );
    }
    unimpressed(&server).await;
}

async fn who_sends_slowly_is_cut_off_and_disturbs_nobody(database: Database) {
    let server = TestServer::with(
        database,
        TestConfig {
            server: "header_timeout = \"1s\"",
            ..TestConfig::default()
        },
    )
    .await;
    let mut idle = Vec::new();
    for place in 0..50 {
        let mut stream = TcpStream::connect(raw::address(&server))
            .await
            .expect("the desk listens");
        let begun = if place % 2 == 0 {
            "GET /v1/me HTTP/1.1\r\nHost: de"
        } else {
            ""
        };
        stream
            .write_all(begun.as_bytes())
            .await
            .expect("a beginning is read");
        idle.push(stream);
    }
    let started = Instant::now();
    server.get(&ALICE, "/v1/me").await.expect(200);
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "others wait for {:?}",
        started.elapsed()
    );
    for mut stream in idle {
        let said = raw::listen(&mut stream).await;
        assert!([0, 408].contains(&said.status), "{said:?}");
    }
    assert!(started.elapsed() < Duration::from_secs(10));

    // Nor does a byte now and then keep a connection alive.
    let mut slow = TcpStream::connect(raw::address(&server))
        .await
        .expect("the desk listens");
    slow.write_all(b"GET /v1/me HTTP/1.1\r\nHost: desk\r\nX-A: ")
        .await
        .expect("a beginning is read");
    let drip = async {
        while slow.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(15), drip)
        .await
        .expect("a head that drips is cut off");

    // A body that stops coming.
    let token = server.token(&ALICE);
    let head = format!(
        "POST /v1/orders HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: slow\r\n\
         Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{"
    );
    let mut slow = TcpStream::connect(raw::address(&server))
        .await
        .expect("the desk listens");
    slow.write_all(head.as_bytes()).await.expect("a head is read");
    let said = raw::listen(&mut slow).await;
    assert!([0, 408].contains(&said.status), "{said:?}");
    unimpressed(&server).await;
}

async fn headers_that_speak_for_others_are_ignored(database: Database) {
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
    // What the request calls itself is not what it is called in the log and the audit trail, unless it is harmless.
    for id in ["<script>", &"x".repeat(5000), "a b", "\u{e9}"] {
        let answer = send(
            server
                .request_as(&ALICE, "GET", "/v1/me")
                .header("X-Request-Id", id),
        )
        .await;
        answer.expect(200);
        assert_ne!(answer.header("x-request-id"), id);
    }
}

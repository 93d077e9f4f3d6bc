//! Input that is wrong, hostile or merely absurd: a problem document with a 4xx, in bounded time, and nothing stored
//! or sent. After each the desk answers as before.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::database::{Database, on_both_stores, on_sqlite};
use crate::support::personas::{ALICE, LENA, NEMO, OLGA};
use crate::support::raw::{self, say};
use crate::support::response::ApiResponse;
use crate::support::server::{TestConfig, TestServer, send};

on_both_stores! {
    what_callers_write_is_never_markup,
}

on_sqlite! {
    a_body_that_is_no_json_is_400,
    a_body_with_wrong_fields_is_400_and_every_fault_is_named,
    fields_that_are_not_the_caller_s_to_set_are_refused,
    a_body_over_the_limit_is_413_by_length_and_in_chunks,
    a_body_of_another_kind_is_415,
    an_idempotency_key_that_is_none_is_400,
    an_id_that_is_none_is_404_and_never_part_of_a_path_to_close,
    limits_cursors_and_filters_that_are_none_are_400,
    a_parameter_that_is_repeated_or_unknown_is_400,
    only_the_methods_and_paths_that_are_written_exist,
    head_is_get_without_a_body,
    requests_that_break_the_rules_of_http_get_4xx_or_nothing,
    too_many_or_too_large_headers_are_refused,
    who_sends_slowly_is_cut_off_and_disturbs_nobody,
    headers_that_speak_for_others_are_ignored,
}

const ORDERS: &str = "/v1/orders";

/// Sends this as the body of an order.
async fn order_bytes(server: &TestServer, body: impl Into<reqwest::Body>) -> ApiResponse {
    let request = server
        .request_as(&ALICE, "POST", ORDERS)
        .header("Idempotency-Key", "bad");
    send(request.header("Content-Type", "application/json").body(body)).await
}

/// The problem type has a page that says more.
async fn is_documented(server: &TestServer, problem: &Value) {
    let page = send(server.request("GET", problem["type"].as_str().expect("a problem has a type"))).await;
    assert_eq!(page.status, 200, "{problem} has no page");
}

/// The desk is as it was.
async fn unimpressed(server: &TestServer) {
    server.assert_nothing_happened().await;
    server.get(&ALICE, "/v1/me").await.expect(200);
}

async fn a_body_that_is_no_json_is_400(database: Database) {
    let server = TestServer::new(database).await;
    let deep = |open: &str, close: &str, depth: usize| {
        format!(
            "{{\"country\":\"DE\",\"label\":{}1{}}}",
            open.repeat(depth),
            close.repeat(depth)
        )
    };
    let keys: Vec<String> = (0..4000).map(|place| format!("\"k{place}\":{place}")).collect();
    let bodies: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b" ".to_vec(),
        b"{".to_vec(),
        b"{\"country\":\"DE\"".to_vec(),
        b"{\"country\":\"DE\"}}".to_vec(),
        b"{\"country\":\"DE\"} {\"country\":\"DE\"}".to_vec(),
        b"{\"country\":\"DE\",}".to_vec(),
        b"{'country':'DE'}".to_vec(),
        b"{country:\"DE\"}".to_vec(),
        b"// hello\n{\"country\":\"DE\"}".to_vec(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"\"DE\"".to_vec(),
        b"1e999999".to_vec(),
        b"{\"country\":NaN}".to_vec(),
        b"\xef\xbb\xbf{\"country\":\"DE\"}".to_vec(),
        b"{\"country\":\"D\xff\"}".to_vec(),
        b"{\"country\":\"\\ud800\"}".to_vec(),
        b"{\"country\":\"DE\",\"label\":\"\\ud800x\"}".to_vec(),
        b"{\"country\":\"DE\",\"label\":\"a\nb\"}".to_vec(),
        "{\"country\":\"DE\"}"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect(),
        b"country=DE".to_vec(),
        b"\0\0\0\0".to_vec(),
        // Twice the same member, also in disguise and further down.
        b"{\"country\":\"DE\",\"country\":\"FR\"}".to_vec(),
        b"{\"country\":\"DE\",\"c\\u006funtry\":\"DE\"}".to_vec(),
        b"{\"country\":\"DE\",\"label\":{\"a\":1,\"a\":1}}".to_vec(),
        deep("[", "]", 30_000).into_bytes(),
        deep("{\"a\":", "}", 9_000).into_bytes(),
        deep("[", "]", 200).into_bytes(),
        "[".repeat(60_000).into_bytes(),
        format!("{{{}}}", keys.join(",")).into_bytes(),
        format!("{{\"country\":\"DE\",\"label\":{}}}", "9".repeat(60_000)).into_bytes(),
        format!("{{\"country\":\"DE\",\"prefix\":-1e{}}}", "9".repeat(30_000)).into_bytes(),
    ];
    for body in bodies {
        let shown = String::from_utf8_lossy(&body)
            .chars()
            .take(60)
            .collect::<String>();
        let started = Instant::now();
        let answer = order_bytes(&server, body).await;
        assert_eq!(answer.status, 400, "{shown}: {answer}");
        let problem = answer.problem(400, "invalid-request");
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "{shown} took {:?}",
            started.elapsed()
        );
        assert!(
            answer.text.len() < 64 << 10,
            "{shown} is answered with {} bytes",
            answer.text.len()
        );
        is_documented(&server, &problem).await;
    }
    unimpressed(&server).await;
}

async fn a_body_with_wrong_fields_is_400_and_every_fault_is_named(database: Database) {
    let server = TestServer::new(database).await;
    let long = "x".repeat(256);
    for (field, value) in [
        ("country", json!(5)),
        ("country", json!("de")),
        ("country", json!("XX")),
        ("country", json!("DEU")),
        ("country", json!(["DE"])),
        ("country", json!("D\u{0415}")),
        ("country", Value::Null),
        ("sharing", json!("everyone")),
        ("sharing", json!(true)),
        ("prefix", json!(30)),
        ("prefix", json!("123456")),
        ("prefix", json!("+49")),
        ("prefix", json!("\u{0663}\u{0660}")),
        ("carrier_type", json!("fax")),
        ("bundle_id", json!("../../me")),
        ("bundle_id", json!("")),
        ("with_sms", json!("true")),
        ("with_sms", json!(1)),
        ("with_mms", json!(true)),
        ("assign_to", json!([])),
        ("assign_to", json!("user_a")),
        ("assign_to", json!(["phon_a"])),
        ("assign_to", json!(["user_a", "user_a"])),
        ("assign_to", json!(["user_../x"])),
        (
            "assign_to",
            json!((0..1000).map(|place| format!("user_{place}")).collect::<Vec<_>>()),
        ),
        ("label", json!(long)),
        ("label", json!("a\u{0}b")),
        ("label", json!("\u{1b}[31mred")),
        ("label", json!("line\r\nline")),
        ("label", json!({})),
        ("team", json!("")),
        ("team", json!("sales/../support")),
        ("team", json!(["sales"])),
    ] {
        let mut body = json!({ "country": "DE" });
        body[field] = value.clone();
        let problem = server
            .order(&ALICE, "bad", &body)
            .await
            .problem(400, "invalid-request");
        let faults = problem["errors"]
            .as_array()
            .unwrap_or_else(|| panic!("{field} {value}: no errors in {problem}"));
        let named = faults.iter().all(|fault| {
            let pointer = fault["pointer"].as_str().unwrap_or_default();
            pointer.starts_with(&format!("/{field}"))
                && !fault["message"].as_str().unwrap_or_default().is_empty()
        });
        assert!(named && !faults.is_empty(), "{field} {value}: {problem}");
    }
    let many = json!({ "country": 5, "labl": "x", "assign_to": [1, 2], "with_sms": "no" });
    let problem = server
        .order(&ALICE, "bad", &many)
        .await
        .problem(400, "invalid-request");
    let pointers: Vec<&str> = problem["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|fault| fault["pointer"].as_str().expect("a pointer"))
        .collect();
    for pointer in ["/country", "/labl", "/assign_to/0", "/assign_to/1", "/with_sms"] {
        assert!(pointers.contains(&pointer), "{pointer} is not in {pointers:?}");
    }
    assert!(problem.to_string().contains("did you mean"), "{problem}");
    let none = server
        .order(&ALICE, "bad", &json!({}))
        .await
        .problem(400, "invalid-request");
    assert!(none["errors"].to_string().contains("country"), "{none}");
    unimpressed(&server).await;
}

async fn fields_that_are_not_the_caller_s_to_set_are_refused(database: Database) {
    let server = TestServer::new(database).await;
    let smuggled = [
        "team_id",
        "cost_center",
        "organization_id",
        "type",
        "user_id",
        "price",
        "state",
        "id",
        "created_by",
        "_fields",
        "_skip",
        "_limit",
        "__proto__",
        "constructor",
        "evidence",
        "is_group_number",
        "Country",
        "country ",
    ];
    for field in smuggled {
        let mut body = json!({ "country": "DE" });
        body[field] = json!("x");
        server
            .order(&ALICE, "bad", &body)
            .await
            .problem(400, "invalid-request");
    }
    unimpressed(&server).await;
    let number = server.rent(&ALICE, "good", "DE").await;
    for field in smuggled.into_iter().chain([
        "number",
        "country",
        "desk",
        "organization",
        "last_billed_price",
        "carrier",
    ]) {
        server
            .patch(&ALICE, &number, &json!({ field: "x" }))
            .await
            .problem(400, "invalid-request");
        server
            .patch(&ALICE, &number, &json!({ "label": "x", field: null }))
            .await
            .problem(400, "invalid-request");
    }
    for body in [
        json!({}),
        json!([]),
        json!(null),
        json!([{ "op": "replace", "path": "/label", "value": "x" }]),
    ] {
        server
            .patch(&ALICE, &number, &body)
            .await
            .problem(400, "invalid-request");
    }
    assert!(
        server
            .close
            .requests("PUT", "/phone_number/{id}/")
            .await
            .is_empty()
    );
}

async fn a_body_over_the_limit_is_413_by_length_and_in_chunks(database: Database) {
    let server = TestServer::new(database).await;
    let padded = |size: usize| {
        let body = json!({ "country": "JP", "label": "" }).to_string();
        format!("{body}{}", " ".repeat(size - body.len()))
    };
    // 64 KiB is still read, and refused for what it says.
    order_bytes(&server, padded(64 << 10))
        .await
        .problem(403, "policy-denied");
    order_bytes(&server, padded((64 << 10) + 1))
        .await
        .problem(413, "body-too-large");
    let chunks = (0..17).map(|_| Ok::<_, std::io::Error>(vec![b' '; 4 << 10]));
    let stream = futures::stream::iter(chunks);
    order_bytes(&server, reqwest::Body::wrap_stream(stream))
        .await
        .problem(413, "body-too-large");

    // A gigabyte that is only announced, and one that never ends.
    let token = server.token(&ALICE);
    let head = format!(
        "POST /v1/orders HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: bad\r\nContent-Type: application/json\r\n"
    );
    let announced = say(
        &server,
        format!("{head}Content-Length: 1073741824\r\n\r\n{{").as_bytes(),
    )
    .await;
    assert_eq!(announced.status, 413, "{announced:?}");
    assert!(
        announced.text.contains("/problems/body-too-large"),
        "{announced:?}"
    );
    let mut endless = TcpStream::connect(raw::address(&server))
        .await
        .expect("the desk listens");
    endless
        .write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes())
        .await
        .expect("a head is read");
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    let mut sent = 0;
    // Ends because the desk stops reading, not because nothing is left to send.
    while sent < 64 << 20 && endless.write_all(chunk.as_bytes()).await.is_ok() {
        sent += chunk.len();
        if sent > 80 << 10 {
            let mut peek = [0; 1];
            let answered = endless.peek(&mut peek);
            if tokio::time::timeout(Duration::from_millis(200), answered)
                .await
                .is_ok()
            {
                break;
            }
        }
    }
    assert!(sent < 8 << 20, "the desk took {sent} bytes");
    // A number far beyond any number.
    for length in ["18446744073709551616", "-1", "1e3", "0x10", "1,1", "+5", ""] {
        let said = say(
            &server,
            format!("{head}Content-Length: {length}\r\n\r\n{{}}").as_bytes(),
        )
        .await;
        assert!(
            (400..500).contains(&said.status) || said.status == 0,
            "{length}: {said:?}"
        );
    }
    unimpressed(&server).await;
}

async fn a_body_of_another_kind_is_415(database: Database) {
    let server = TestServer::new(database).await;
    let body = json!({ "country": "DE" }).to_string();
    for kind in [
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/merge-patch+json",
        "application/jsonp",
        "json",
        "*/*",
        "application/json; charset=utf-16",
        "text/json",
    ] {
        let request = server
            .request_as(&ALICE, "POST", ORDERS)
            .header("Idempotency-Key", "bad")
            .header("Content-Type", kind);
        let answer = send(request.body(body.clone())).await;
        assert_eq!(answer.status, 415, "{kind}: {answer}");
        let problem = answer.problem(415, "unsupported-media-type");
        is_documented(&server, &problem).await;
    }
    let without = server
        .request_as(&ALICE, "POST", ORDERS)
        .header("Idempotency-Key", "bad")
        .body(body.clone());
    send(without).await.problem(415, "unsupported-media-type");
    // Nothing is unpacked, whatever it unpacks to.
    for encoding in ["gzip", "br", "deflate", "zstd", "gzip, gzip"] {
        let request = server
            .request_as(&ALICE, "POST", ORDERS)
            .header("Idempotency-Key", "bad");
        let request = request
            .header("Content-Type", "application/json")
            .header("Content-Encoding", encoding);
        let answer = send(request.body(crate::support::scripted::gzip_bomb(8 << 20))).await;
        assert!([400, 415].contains(&answer.status), "{encoding}: {answer}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    unimpressed(&server).await;
    // A parameter that says what is so anyway, and any letters.
    let request = server
        .request_as(&ALICE, "POST", ORDERS)
        .header("Idempotency-Key", "good");
    send(
        request
            .header("Content-Type", "Application/JSON; charset=UTF-8")
            .body(body),
    )
    .await
    .expect(201);
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

async fn an_id_that_is_none_is_404_and_never_part_of_a_path_to_close(database: Database) {
    let server = TestServer::new(database).await;
    let before = server.close.all_requests().await.len();
    for id in [
        "x",
        "phon_",
        "user_abc",
        "ord_x",
        "phon_a.b",
        "phon_a%2Fb",
        "phon_..%2F..%2Fme",
        "%2e%2e%2flead",
        "..%2flead%2fx",
        "phon_x%3Fy",
        "phon_x%23y",
        "phon_x;y",
        "phon_%00",
        "phon_%C3%A9",
        "phon_%ff",
        "phon_x%0d%0aX: y",
        "phon_a b",
        "%252e%252e",
        "phon_x%2f",
        &format!("phon_{}", "a".repeat(65)),
        &"a".repeat(4000),
        "phon_%",
        "phon_%zz",
    ] {
        for (method, path) in [
            ("GET", format!("/v1/phone-numbers/{id}")),
            ("PATCH", format!("/v1/phone-numbers/{id}")),
            ("DELETE", format!("/v1/phone-numbers/{id}")),
            ("POST", format!("/v1/phone-numbers/{id}/keep")),
            ("PUT", format!("/v1/phone-numbers/{id}/team")),
            ("GET", format!("/v1/orders/{id}")),
            ("POST", format!("/v1/orders/{id}/cancel")),
            ("POST", format!("/v1/orders/{id}/approve")),
            ("POST", format!("/v1/orders/{id}/reject")),
        ] {
            let mut request = server.request_as(&OLGA, method, &path);
            if ["PATCH", "PUT"].contains(&method) {
                request = request.json(&if method == "PUT" {
                    json!({ "team": "sales" })
                } else {
                    json!({ "label": "x" })
                });
            }
            let answer = send(request).await;
            assert!([400, 404].contains(&answer.status), "{method} {id}: {answer}");
            assert_eq!(
                answer.header("content-type"),
                "application/problem+json",
                "{method} {id}: {answer}"
            );
        }
    }
    assert_eq!(server.close.all_requests().await.len(), before, "Close was asked");
    unimpressed(&server).await;
}

async fn limits_cursors_and_filters_that_are_none_are_400(database: Database) {
    let server = TestServer::new(database).await;
    for list in ["/v1/orders", "/v1/phone-numbers", "/v1/audit"] {
        for limit in [
            "0",
            "-1",
            "201",
            "1e9",
            "99999999999999999999",
            "1.5",
            "x",
            "",
            "0x10",
            "%201",
            "1,2",
            "\u{0665}",
        ] {
            server
                .get(&LENA, &format!("{list}?limit={limit}"))
                .await
                .problem(400, "invalid-request");
        }
        for limit in ["1", "200"] {
            server
                .get(&LENA, &format!("{list}?limit={limit}"))
                .await
                .expect(200);
        }
        for cursor in [
            "",
            "x",
            "AAAA",
            "%00",
            "%ff",
            "../..",
            "eyJpZCI6MX0",
            &"A".repeat(5000),
            "null",
            "' OR 1=1 --",
        ] {
            let cursor = cursor.replace(' ', "%20");
            server
                .get(&LENA, &format!("{list}?cursor={cursor}"))
                .await
                .problem(400, "invalid-request");
        }
        server
            .get(&LENA, &format!("{list}?team=a%20b"))
            .await
            .problem(400, "invalid-request");
    }
    for query in ["state=lost", "state=", "state=Queued", "state=queued,renting"] {
        server
            .get(&LENA, &format!("/v1/orders?{query}"))
            .await
            .problem(400, "invalid-request");
    }
    for query in [
        "country=de",
        "country=XX",
        "country=",
        "orphan=maybe",
        "orphan=1",
        "orphan=",
        "participant=phon_x",
        "participant=../me",
        "number=%00",
        "label=%ff",
        "label=%00",
    ] {
        server
            .get(&LENA, &format!("/v1/phone-numbers?{query}"))
            .await
            .problem(400, "invalid-request");
    }
    for query in [
        "validate_only=maybe",
        "validate_only=1",
        "validate_only=",
        "validate_only=TRUE",
    ] {
        let request = server
            .request_as(&ALICE, "POST", &format!("/v1/orders?{query}"))
            .header("Idempotency-Key", "bad");
        send(request.json(&json!({ "country": "DE" })))
            .await
            .problem(400, "invalid-request");
    }
    unimpressed(&server).await;
}

async fn a_parameter_that_is_repeated_or_unknown_is_400(database: Database) {
    let server = TestServer::new(database).await;
    for query in [
        "limit=1&limit=200",
        "team=sales&team=support",
        "team=sales&te%61m=support",
        "cursor=a&cursor=b",
        "_fields=id",
        "_limit=1000000000",
        "_skip=1",
        "limt=5",
        "team[]=sales",
        "Team=sales",
        "q=x",
    ] {
        for list in ["/v1/orders", "/v1/phone-numbers", "/v1/audit"] {
            server
                .get(&LENA, &format!("{list}?{query}"))
                .await
                .problem(400, "invalid-request");
        }
    }
    for query in [
        "validate_only=true&validate_only=false",
        "dry_run=true",
        "validate_onyl=true",
    ] {
        // Whoever mistypes the word that keeps an order from being real must not get a real one.
        let request = server
            .request_as(&ALICE, "POST", &format!("/v1/orders?{query}"))
            .header("Idempotency-Key", "bad");
        send(request.json(&json!({ "country": "DE" })))
            .await
            .problem(400, "invalid-request");
    }
    unimpressed(&server).await;
}

async fn only_the_methods_and_paths_that_are_written_exist(database: Database) {
    let server = TestServer::new(database).await;
    for (method, path, allowed) in [
        ("PUT", "/v1/orders", vec!["GET", "POST"]),
        ("DELETE", "/v1/orders", vec!["GET", "POST"]),
        ("PATCH", "/v1/orders/ord_x", vec!["GET"]),
        ("GET", "/v1/orders/ord_x/cancel", vec!["POST"]),
        ("PUT", "/v1/orders/ord_x/settle", vec!["POST"]),
        ("GET", "/v1/orders/ord_x/approve", vec!["POST"]),
        ("PUT", "/v1/orders/ord_x/reject", vec!["POST"]),
        ("POST", "/v1/phone-numbers", vec!["GET"]),
        ("POST", "/v1/phone-numbers/phon_x", vec!["GET", "PATCH", "DELETE"]),
        ("GET", "/v1/phone-numbers/phon_x/keep", vec!["POST"]),
        ("GET", "/v1/phone-numbers/phon_x/team", vec!["PUT"]),
        ("POST", "/v1/me", vec!["GET"]),
        ("DELETE", "/v1/audit", vec!["GET"]),
        ("POST", "/v1/audit/export", vec!["GET"]),
        ("POST", "/v1/spend", vec!["GET"]),
        ("PUT", "/v1/webhook-endpoints", vec!["GET", "POST"]),
        (
            "POST",
            "/v1/webhook-endpoints/we_x",
            vec!["GET", "PATCH", "DELETE"],
        ),
        ("PUT", "/v1/webhook-endpoints/we_x/secret", vec!["GET"]),
        ("GET", "/v1/webhook-endpoints/we_x/rotate-secret", vec!["POST"]),
        ("POST", "/v1/webhook-endpoints/we_x/deliveries", vec!["GET"]),
        ("GET", "/v1/webhook-endpoints/we_x/replay", vec!["POST"]),
        ("GET", "/v1/webhook-endpoints/we_x/test", vec!["POST"]),
        (
            "GET",
            "/v1/webhook-endpoints/we_x/deliveries/dlv_x/replay",
            vec!["POST"],
        ),
        ("TRACE", "/v1/me", vec!["GET"]),
        ("PROPFIND", "/v1/orders", vec!["GET", "POST"]),
        ("POST", "/openapi.json", vec!["GET"]),
    ] {
        let answer = send(server.request_as(&OLGA, method, path)).await;
        answer.problem(405, "method-not-allowed");
        let named = answer.header("allow").to_owned();
        for method in allowed {
            assert!(named.contains(method), "{path} allows {named}");
        }
    }
    // What says one thing and means another does what it says.
    for header in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"] {
        let request = server
            .request_as(&ALICE, "GET", "/v1/orders")
            .header(header, "POST")
            .header("Idempotency-Key", "bad");
        send(request).await.expect(200);
        let number = format!("/v1/phone-numbers/phon_{}", "x".repeat(43));
        send(
            server
                .request_as(&ALICE, "POST", &number)
                .header(header, "DELETE"),
        )
        .await
        .problem(405, "method-not-allowed");
    }
    for path in [
        "/v1/orders/",
        "/v1//orders",
        "//v1/orders",
        "/V1/orders",
        "/v1/Orders",
        "/v1/orders%2f",
        "/v1/./orders/x/y",
        "/v1/me/",
        "/v1/phone-numbers/",
        "/v1/orders;x=1",
        "/v1/orders.json",
    ] {
        for person in [&OLGA, &NEMO] {
            let answer = send(server.request_as(person, "GET", path)).await;
            assert_eq!(answer.status, 404, "{answer}");
            answer.problem(404, "not-found");
        }
    }
    // No browser of another site is invited.
    let request = server
        .request("OPTIONS", "/v1/orders")
        .header("Origin", "https://evil.example.com");
    let answer = send(request.header("Access-Control-Request-Method", "POST")).await;
    assert!(
        answer.header("access-control-allow-origin").is_empty(),
        "{answer}"
    );
    assert!(answer.status < 500, "{answer}");
    unimpressed(&server).await;
}

async fn head_is_get_without_a_body(database: Database) {
    let server = TestServer::new(database).await;
    for path in ["/v1/me", "/v1/orders", "/v1/phone-numbers", "/openapi.json"] {
        let head = send(server.request_as(&ALICE, "HEAD", path)).await;
        assert_eq!((head.status, head.text.as_str()), (200, ""), "{head}");
        assert!(!head.header("x-request-id").is_empty());
    }
    assert_eq!(send(server.request("HEAD", "/v1/orders")).await.status, 401);
    assert_eq!(
        send(server.request_as(&NEMO, "HEAD", "/v1/orders")).await.status,
        403
    );
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

async fn what_callers_write_is_never_markup(database: Database) {
    let server = TestServer::new(database).await;
    let payload = "<script>alert(1)</script>\u{202e}=cmd|' /C calc'!A0";
    let body = json!({ "country": "DE", "carrier_type": "local", "label": payload });
    let order = server.order(&ALICE, "xss", &body).await;
    assert_eq!(order.expect(201)["request"]["label"], payload);
    for path in ["/v1/orders", "/v1/phone-numbers", "/v1/audit"] {
        let answer = server.get(&LENA, path).await;
        answer.expect(200);
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    for path in [
        "/problems/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/%3Cscript%3E",
        "/docs/%3Cscript%3E",
    ] {
        let answer = send(server.request("GET", path)).await;
        assert!(
            !answer.header("content-type").contains("html") || !answer.text.contains("<script>alert"),
            "{answer}"
        );
    }
    for path in ["/docs", "/docs/", "/problems/policy-denied"] {
        let answer = send(server.request("GET", path)).await;
        if answer.header("content-type").contains("html") {
            let policy = answer.header("content-security-policy");
            assert!(
                policy.contains("default-src 'none'") || policy.contains("default-src 'self'"),
                "{answer}"
            );
            let scripts = policy
                .split(';')
                .find(|part| part.trim().starts_with("script-src"))
                .unwrap_or_default();
            assert!(!scripts.contains("unsafe"), "{policy}");
        }
    }
}

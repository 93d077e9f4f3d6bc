//! Bodies that are malformed, too large or of the wrong media type.

use super::*;

on_sqlite! {
    a_body_that_is_not_valid_json_is_400,
    a_body_with_wrong_fields_is_400_and_every_fault_is_named,
    fields_that_callers_may_not_set_are_refused,
    a_body_over_the_limit_is_413_with_a_length_and_in_chunks,
    a_body_of_another_media_type_is_415,
    the_fault_of_a_whole_body_or_of_a_duplicate_says_what_is_wrong,
    a_zero_dialled_only_inside_the_country_is_refused_before_close_is_asked,
}

async fn the_fault_of_a_whole_body_or_of_a_duplicate_says_what_is_wrong(database: Database) {
    let server = TestServer::new(database).await;
    for (body, pointer, detail) in [
        ("", "", "The body is empty."),
        (" \r\n", "", "The body is empty."),
        ("null", "", "The body must be an object, not null."),
        ("{}", "", "`country` is required."),
        (
            "{\"country\":",
            "",
            "The body is not valid JSON: it ends too early, at line 1 column 11.",
        ),
        (
            &"[".repeat(200),
            "",
            "The body is nested too deeply, at line 1 column 128: at most 127 levels are allowed.",
        ),
        (
            "{\"country\":\"DE\",\"country\":\"FR\"}",
            "/country",
            "/country: must appear only once.",
        ),
        (
            "{\"country\":\"UK\"}",
            "/country",
            "/country: must be a country code of ISO 3166, which `UK` is not; did you mean `GB`?",
        ),
    ] {
        let problem = post_order(&server, body.to_owned())
            .await
            .problem(400, "invalid-request");
        assert_eq!(problem["detail"], detail, "{body}");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}");
    }
    assert_unaffected(&server).await;
    let number = server.rent(&ALICE, "good", "DE").await;
    let change = async |patch: Value| {
        let problem = server
            .patch(&ALICE, &number, &patch)
            .await
            .problem(400, "invalid-request");
        problem["detail"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(
        change(json!({})).await,
        "The body must change at least one field."
    );
    assert_eq!(
        change(json!({ "label": null })).await,
        "/label: must not be null; an empty string removes the label."
    );
    let cleared = server.patch(&ALICE, &number, &json!({ "label": "" })).await;
    assert_eq!(cleared.expect(200)["label"], "");
}

async fn a_zero_dialled_only_inside_the_country_is_refused_before_close_is_asked(database: Database) {
    let server = TestServer::new(database).await;
    let body = json!({ "country": "DE", "carrier_type": "local", "prefix": "030" });
    let order = server.order(&ALICE, "bad", &body).await;
    let validation = server
        .request_as(&ALICE, "POST", "/v1/orders/validate")
        .json(&body);
    for response in [order, send(validation).await] {
        let problem = response.problem(400, "invalid-request");
        assert_eq!(
            problem["detail"],
            "/prefix: must not begin with the zero that is dialled only inside DE; did you mean `30`?"
        );
    }
    assert_unaffected(&server).await;
}

async fn a_body_that_is_not_valid_json_is_400(database: Database) {
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
        // Duplicate members: plain, with an escaped name, and in a nested object.
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
        let excerpt = String::from_utf8_lossy(&body)
            .chars()
            .take(60)
            .collect::<String>();
        // Far longer than any valid request takes, also on a busy machine.
        let response = tokio::time::timeout(Duration::from_secs(30), post_order(&server, body))
            .await
            .unwrap_or_else(|_| panic!("{excerpt}: no response within 30 s"));
        assert_eq!(response.status, 400, "{excerpt}: {response}");
        let problem = response.problem(400, "invalid-request");
        assert!(
            response.text.len() < 64 << 10,
            "{excerpt}: the response has {} bytes",
            response.text.len()
        );
        assert_documented(&server, &problem).await;
    }
    assert_unaffected(&server).await;
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
        let all_named = faults.iter().all(|fault| {
            let pointer = fault["pointer"].as_str().unwrap_or_default();
            pointer.starts_with(&format!("/{field}"))
                && !fault["message"].as_str().unwrap_or_default().is_empty()
        });
        assert!(all_named && !faults.is_empty(), "{field} {value}: {problem}");
    }
    let many = json!({ "country": 5, "labl": "x", "assign_to": [1, 2], "with_sms": "no" });
    server
        .order(&ALICE, "bad", &many)
        .await
        .problem_snapshot(400, "invalid-request");
    let empty = server
        .order(&ALICE, "bad", &json!({}))
        .await
        .problem(400, "invalid-request");
    assert!(empty["errors"].to_string().contains("country"), "{empty}");
    assert_unaffected(&server).await;
}

async fn fields_that_callers_may_not_set_are_refused(database: Database) {
    let server = TestServer::new(database).await;
    let forbidden = [
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
    for field in forbidden {
        let mut body = json!({ "country": "DE" });
        body[field] = json!("x");
        server
            .order(&ALICE, "bad", &body)
            .await
            .problem(400, "invalid-request");
    }
    assert_unaffected(&server).await;
    let number = server.rent(&ALICE, "good", "DE").await;
    for field in forbidden.into_iter().chain([
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

async fn a_body_over_the_limit_is_413_with_a_length_and_in_chunks(database: Database) {
    let server = TestServer::new(database).await;
    let padded = |size: usize| {
        let body = json!({ "country": "JP", "label": "" }).to_string();
        format!("{body}{}", " ".repeat(size - body.len()))
    };
    // A body of exactly 64 KiB is read. The policy denies its order.
    post_order(&server, padded(64 << 10))
        .await
        .problem(403, "policy-denied");
    post_order(&server, padded((64 << 10) + 1))
        .await
        .problem_snapshot(413, "body-too-large");
    let chunks = (0..17).map(|_| Ok::<_, std::io::Error>(vec![b' '; 4 << 10]));
    let stream = futures::stream::iter(chunks);
    post_order(&server, reqwest::Body::wrap_stream(stream))
        .await
        .problem(413, "body-too-large");

    // A body with an announced length of 1 GiB, and a chunked body that never ends.
    let token = server.token(&ALICE);
    let head = format!(
        "POST /v1/orders HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: bad\r\n\
         Content-Type: application/json\r\n"
    );
    let announced = exchange(
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
        .expect("the server listens");
    endless
        .write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes())
        .await
        .expect("a head can be sent");
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    let mut sent = 0;
    // The loop must end because the service stops reading, not because everything was sent.
    while sent < 64 << 20 && endless.write_all(chunk.as_bytes()).await.is_ok() {
        sent += chunk.len();
        if sent > 80 << 10 {
            let mut peek = [0; 1];
            let first_byte = endless.peek(&mut peek);
            if tokio::time::timeout(Duration::from_millis(200), first_byte)
                .await
                .is_ok()
            {
                break;
            }
        }
    }
    assert!(sent < 8 << 20, "the service read {sent} bytes");
    // Lengths that are too large or not a number.
    for length in ["18446744073709551616", "-1", "1e3", "0x10", "1,1", "+5", ""] {
        let response = exchange(
            &server,
            format!("{head}Content-Length: {length}\r\n\r\n{{}}").as_bytes(),
        )
        .await;
        assert!(
            (400..500).contains(&response.status) || response.status == 0,
            "{length}: {response:?}"
        );
    }
    assert_unaffected(&server).await;
}

async fn a_body_of_another_media_type_is_415(database: Database) {
    let server = TestServer::new(database).await;
    let body = json!({ "country": "DE" }).to_string();
    for media_type in [
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
            .header("Content-Type", media_type);
        let response = send(request.body(body.clone())).await;
        assert_eq!(response.status, 415, "{media_type}: {response}");
        let problem = response.problem(415, "unsupported-media-type");
        assert_documented(&server, &problem).await;
    }
    let without = server
        .request_as(&ALICE, "POST", ORDERS)
        .header("Idempotency-Key", "bad")
        .body(body.clone());
    send(without)
        .await
        .problem_snapshot(415, "unsupported-media-type");
    let form = server
        .request_as(&ALICE, "POST", ORDERS)
        .header("Idempotency-Key", "bad");
    let form = send(
        form.header("Content-Type", "application/x-www-form-urlencoded")
            .body(body.clone()),
    )
    .await;
    let fault = &form.problem(415, "unsupported-media-type")["errors"][0];
    assert_eq!(fault["pointer"], "/headers/Content-Type");
    assert_eq!(
        fault["message"],
        "must be `application/json`, in UTF-8; it is `application/x-www-form-urlencoded`"
    );
    // The service never decompresses a body.
    for encoding in ["gzip", "br", "deflate", "zstd", "gzip, gzip"] {
        let request = server
            .request_as(&ALICE, "POST", ORDERS)
            .header("Idempotency-Key", "bad");
        let request = request
            .header("Content-Type", "application/json")
            .header("Content-Encoding", encoding);
        let response = send(request.body(crate::support::scripted::gzip_bomb(8 << 20))).await;
        assert!([400, 415].contains(&response.status), "{encoding}: {response}");
        assert_eq!(response.header("content-type"), "application/problem+json");
    }
    assert_unaffected(&server).await;
    // The media type in any case, with its default charset.
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

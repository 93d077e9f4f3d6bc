//! Paths, ids, methods and query parameters that do not exist or are malformed.

use super::*;

on_sqlite! {
    an_invalid_id_is_400_or_404_and_never_reaches_close,
    invalid_limits_and_cursors_are_400,
    invalid_filters_are_400,
    the_fault_of_a_filter_says_what_is_right,
    a_repeated_or_unknown_parameter_is_400,
    a_path_and_query_over_8_kib_are_414,
    other_methods_are_405_and_other_spellings_of_a_path_are_404,
    head_answers_like_get_without_a_body,
}

async fn an_invalid_id_is_400_or_404_and_never_reaches_close(database: Database) {
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
            let response = send(request).await;
            assert!([400, 404].contains(&response.status), "{method} {id}: {response}");
            assert_eq!(
                response.header("content-type"),
                "application/problem+json",
                "{method} {id}: {response}"
            );
        }
    }
    assert_eq!(
        server.close.all_requests().await.len(),
        before,
        "a request reached Close"
    );
    assert_unaffected(&server).await;
}

async fn invalid_limits_and_cursors_are_400(database: Database) {
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
    assert_unaffected(&server).await;
}

async fn invalid_filters_are_400(database: Database) {
    let server = TestServer::new(database).await;
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
        "number=abc",
        "number=",
        "number=4930901820",
        "number=%2B49%2030",
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
    assert_unaffected(&server).await;
}

async fn the_fault_of_a_filter_says_what_is_right(database: Database) {
    let server = TestServer::new(database).await;
    // The sentence ends once, although the fault ends with a question mark.
    for list in ["/v1/orders", "/v1/phone-numbers", "/v1/audit", "/v1/events"] {
        let problem = server
            .get(&LENA, &format!("{list}?limt=1"))
            .await
            .problem(400, "invalid-request");
        assert_eq!(
            problem["detail"], "/query/limt: unknown key `limt`; did you mean `limit`?",
            "{list}"
        );
    }
    for path in ["/v1/audit", "/v1/audit/export"] {
        let reversed = format!("{path}?since=2027-01-01T00:00:00Z&until=2026-01-01T00:00:00Z");
        let problem = server.get(&LENA, &reversed).await.problem(400, "invalid-request");
        assert_eq!(
            problem["detail"], "/query/until: must not be earlier than `since`.",
            "{path}"
        );
        let plus = format!("{path}?until=2026-11-23T10:00:00+01:00");
        let problem = server.get(&LENA, &plus).await.problem(400, "invalid-request");
        assert_eq!(
            problem["detail"],
            "/query/until: must be a time like 2026-11-23T10:00:00Z; in a URL, `+` means a space: write it as `%2B`.",
            "{path}"
        );
    }
    let types = server
        .get(&ALICE, "/v1/events?type=order.*,bogus,order.fulfiled")
        .await;
    let fault = types.problem(400, "invalid-request")["errors"][0]["message"].clone();
    let fault = fault.as_str().unwrap_or_default();
    assert!(
        fault.contains("which `bogus` is not; expected one of order."),
        "{fault}"
    );
    assert!(
        fault.contains("which `order.fulfiled` is not; did you mean `order.fulfilled`?"),
        "{fault}"
    );
    for types in ["order.*,", ",order.*", "order.*,,phone_number.*"] {
        let answer = server.get(&ALICE, &format!("/v1/events?type={types}")).await;
        let problem = answer.problem(400, "invalid-request");
        assert_eq!(
            problem["detail"], "/query/type: must have no empty item, such as after a comma at its end.",
            "{types}"
        );
    }
}

async fn a_repeated_or_unknown_parameter_is_400(database: Database) {
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
        // A typo in `validate_only` must not create a real order.
        let request = server
            .request_as(&ALICE, "POST", &format!("/v1/orders?{query}"))
            .header("Idempotency-Key", "bad");
        send(request.json(&json!({ "country": "DE" })))
            .await
            .problem(400, "invalid-request");
    }
    assert_unaffected(&server).await;
}

async fn a_path_and_query_over_8_kib_are_414(database: Database) {
    let server = TestServer::new(database).await;
    let label = "x".repeat(8 << 10);
    server
        .get(&ALICE, &format!("/v1/phone-numbers?label={label}"))
        .await
        .problem_snapshot(414, "uri-too-long");
}

async fn other_methods_are_405_and_other_spellings_of_a_path_are_404(database: Database) {
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
        let response = send(server.request_as(&OLGA, method, path)).await;
        let problem = response.problem(405, "method-not-allowed");
        let detail = problem["detail"].as_str().unwrap_or_default();
        let header = response.header("allow").to_owned();
        for method in allowed {
            assert!(header.contains(method), "{path}: Allow is {header}");
            assert!(
                detail.contains(method) || !path.starts_with("/v1"),
                "{path}: detail is {detail}"
            );
        }
    }
    // The service ignores headers that override the method.
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
        .problem_snapshot(405, "method-not-allowed");
    }
    for path in [
        "/v1//orders",
        "/v1/orders//",
        "//v1/orders",
        "/V1/orders",
        "/v1/Orders",
        "/v1/orders%2f",
        "/v1/./orders/x/y",
        "/v1/orders;x=1",
        "/v1/orders.json",
    ] {
        for person in [&OLGA, &NEMO] {
            let response = send(server.request_as(person, "GET", path)).await;
            assert_eq!(response.status, 404, "{response}");
            let problem = response.problem(404, "not-found");
            assert_eq!(
                problem["detail"],
                "This service has no such path. `/docs/` and `/openapi.json` list its paths.",
                "{path}"
            );
        }
    }
    // CORS is off: browsers on other sites are not allowed to call the API.
    let request = server
        .request("OPTIONS", "/v1/orders")
        .header("Origin", "https://evil.example.com");
    let response = send(request.header("Access-Control-Request-Method", "POST")).await;
    assert!(
        response.header("access-control-allow-origin").is_empty(),
        "{response}"
    );
    assert!(response.status < 500, "{response}");
    assert_unaffected(&server).await;
}

async fn head_answers_like_get_without_a_body(database: Database) {
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

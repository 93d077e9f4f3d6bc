//! The service against a broken or hostile Close: no panic, no wrong final state, no unneeded request.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::close::RENT;
use crate::support::database::{Database, on_both_stores, on_sqlite, with_sqlite};
use crate::support::eventually;
use crate::support::personas::{ALICE, LENA, OLGA};
use crate::support::scripted::{Scripted, gzip_bomb, says};
use crate::support::server::{TestConfig, TestServer, send, text};

on_both_stores! {
    error_texts_of_close_are_passed_on_as_text_and_limited_in_size,
    an_answer_with_the_number_of_another_order_does_not_fulfil_an_order,
}

on_sqlite! {
    a_malformed_answer_to_a_rent_is_an_unknown_outcome,
    a_redirect_is_never_followed_so_no_other_host_receives_the_key,
    an_answer_that_is_too_large_is_cut_off,
    only_the_needed_endpoints_of_close_are_called,
}

const JSON: &str = "Content-Type: application/json\r\n";

/// A configuration whose Close is the scripted server.
fn config_for(scripted: &Scripted, timeout: &'static str) -> TestConfig {
    TestConfig {
        close_url: Some(format!("http://{}/api/v1", scripted.address)),
        timeout,
        ..TestConfig::default()
    }
}

/// A script that sends this answer to a rent, and a 404 in Close's format to every other request.
fn answer_rents(answer: Vec<u8>) -> impl Fn(&str) -> Vec<u8> + Send + Sync + 'static {
    let answer = Arc::new(answer);
    move |line| {
        if line.starts_with("POST") {
            answer.to_vec()
        } else if line.contains("/event/") {
            empty_log()
        } else {
            not_found()
        }
    }
}

/// A 404 in Close's format. It does not count as a failure, so the circuit breaker stays closed.
fn not_found() -> Vec<u8> {
    says(404, JSON, b"{\"error\":\"Not there.\"}")
}

/// An event log without events. The service reads it before its first call that costs.
fn empty_log() -> Vec<u8> {
    says(200, JSON, b"{\"data\":[],\"cursor_next\":null}")
}

async fn a_malformed_answer_to_a_rent_is_an_unknown_outcome(database: Database) {
    let scripted = Scripted::start(answer_rents(not_found())).await;
    let server = TestServer::with(database, config_for(&scripted, "3s")).await;
    let number = |fields: Value| {
        let mut number =
            json!({ "id": format!("phon_{}", "A".repeat(43)), "number": "+4930901820", "type": "internal" });
        for (name, value) in fields.as_object().expect("an object") {
            number[name] = value.clone();
        }
        number.to_string().into_bytes()
    };
    let deep = format!(
        "{{\"id\":\"phon_A\",\"number\":\"+4930901820\",\"x\":{}1{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let zipped = format!("{JSON}Content-Encoding: gzip\r\n");
    let answers: Vec<(&str, Vec<u8>)> = vec![
        ("DE", says(201, "Content-Type: text/html\r\n", b"<html><body>rented!</body></html>")),
        ("FR", says(201, JSON, deep.as_bytes())),
        ("GB", says(201, &zipped, &gzip_bomb(1 << 30))),
        ("US", says(201, JSON, &number(json!({ "id": "../../me/" })))),
        ("CA", says(201, JSON, &number(json!({ "id": 7 })))),
        ("AT", says(201, JSON, b"[]")),
        ("CH", says(201, JSON, b"\xff\xfe{}")),
        ("ES", says(201, JSON, &number(json!({ "number": null })))),
        ("IT", b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{\"id\":\"phon_A\"".to_vec()),
        ("NL", b"SSH-2.0-OpenSSH_9.0\r\n".to_vec()),
        ("BE", says(204, "", b"")),
        ("PL", says(302, "Location: /elsewhere\r\n", b"")),
        ("SE", says(429, "Content-Type: text/html\r\nRetry-After: not a number\r\n", b"<html>slow down</html>")),
        ("DK", says(100, "", b"")),
        ("AU", [b"HTTP/1.1 201 Created\r\n".as_slice(), "X-A: b\r\n".repeat(20_000).as_bytes(), b"\r\n{}"].concat()),
        ("IE", says(200, JSON, b"{\"status\":\"ok\"}")),
    ];
    for (country, answer) in answers {
        scripted.says(answer_rents(answer));
        let started = Instant::now();
        let order = server
            .order_at_once(&ALICE, country, &json!({ "country": country }))
            .await
            .expect(202);
        let id = text(&order["id"]);
        // Of these answers, only a 429 proves that Close did nothing.
        let expected = if country == "SE" { "queued" } else { "unverified" };
        let order = eventually(&format!("{country} becomes {expected}"), || async {
            let order = server.get(&ALICE, &format!("/v1/orders/{id}")).await.expect(200);
            (order["state"] == expected && order["reason"].is_string()).then_some(order)
        })
        .await;
        assert_eq!(
            (&order["phone_number"], &order["evidence"]),
            (&Value::Null, &Value::Null),
            "{country}: {order}"
        );
        assert!(
            started.elapsed() < Duration::from_secs(25),
            "{country} took {:?}",
            started.elapsed()
        );
        assert!(
            order["reason"].as_str().is_some_and(|reason| reason.len() < 1000),
            "{country}: {order}"
        );
    }
    assert!(server.list(&OLGA, "/v1/phone-numbers").await.is_empty());
    assert_eq!(server.at_ops("/readyz").await.status, 200);
}

async fn a_redirect_is_never_followed_so_no_other_host_receives_the_key(database: Database) {
    let server = TestServer::with(
        database,
        TestConfig {
            full_sync: "1s",
            ..TestConfig::default()
        },
    )
    .await;
    let number = server.rent(&ALICE, "first", "DE").await;
    let elsewhere = Scripted::start(|_| says(200, JSON, b"{}")).await;
    let location = format!("http://{}/api/v1/", elsewhere.address);
    let mut rent_count = 1;
    for (status, country) in [(301, "DE"), (302, "FR"), (303, "GB"), (307, "US"), (308, "CA")] {
        let answer = json!({ "status": status, "headers": { "location": location } });
        server.close.fault(json!({ "answer": answer })).await;
        let order = server
            .order(&ALICE, country, &json!({ "country": country }))
            .await
            .expect(202);
        assert_eq!(order["state"], "unverified");
        rent_count += 1;
        server
            .patch(&ALICE, &number, &json!({ "label": "x" }))
            .await
            .problem(502, "close-unavailable");
        let listed = server.close.requests("GET", "/phone_number/").await.len();
        server.close.wait_for_requests("GET", "/me/", listed + 1).await;
        server.close.clear_faults().await;
    }
    assert_eq!(elsewhere.connections(), 0, "a redirect was followed");
    assert_eq!(server.close.rents().await.len(), rent_count);
    assert_eq!(server.list(&ALICE, "/v1/phone-numbers").await.len(), 1);
}

async fn an_answer_that_is_too_large_is_cut_off(database: Database) {
    let server = TestServer::with(
        database,
        TestConfig {
            full_sync: "1s",
            timeout: "40s",
            ..TestConfig::default()
        },
    )
    .await;
    let number = server.rent(&ALICE, "first", "DE").await;
    server.close.fault(json!({ "answer": "huge" })).await;
    let started = Instant::now();
    let order = server
        .order(&ALICE, "huge", &json!({ "country": "DE" }))
        .await
        .expect(202);
    assert_eq!(order["state"], "unverified");
    server
        .patch(&ALICE, &number, &json!({ "label": "x" }))
        .await
        .problem(502, "close-unavailable");
    // The size ended the calls, not the deadline of 40 s.
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "{:?}",
        started.elapsed()
    );
    let me = server.close.requests("GET", "/me/").await.len();
    server.close.wait_for_requests("GET", "/me/", me + 1).await;
    assert_eq!(server.list(&ALICE, "/v1/phone-numbers").await.len(), 1);
}

/// Each answer is given to a service of its own, because each waits for two comparisons with Close.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_listing_changes_nothing_and_the_service_stays_ready() {
    let listing = |item: Value| json!({ "status": 200, "body": { "data": [item], "has_more": false } });
    let id = format!("phon_{}", "B".repeat(43));
    let answers = [
        (
            "/phone_number/",
            json!({ "status": 200, "body": { "data": [], "has_more": true } }),
        ),
        (
            "/phone_number/",
            listing(json!({ "id": "../lead/x", "number": "+4930901820" })),
        ),
        ("/phone_number/", listing(json!(null))),
        ("/phone_number/", listing(json!([id]))),
        (
            "/phone_number/",
            json!({ "status": 200, "body": "[".repeat(200_000) }),
        ),
        (
            "/phone_number/",
            json!({ "status": 404, "body": { "error": "gone" } }),
        ),
        ("/phone_number/", json!({ "status": 401 })),
        ("/me/", json!({ "status": 200, "body": { "organizations": [] } })),
        ("/me/", json!({ "status": 200, "body": [] })),
        ("/me/", json!({ "status": 500 })),
        (
            "/phone_number/{id}/",
            json!({ "status": 410, "body": "<html>gone</html>" }),
        ),
    ];
    let checks = answers.map(|(path, answer)| {
        with_sqlite(move |database| keeps_its_number_and_stays_ready(database, path, answer))
    });
    futures::future::join_all(checks).await;
}

async fn keeps_its_number_and_stays_ready(database: Database, path: &str, answer: Value) {
    let config = TestConfig {
        full_sync: "1s",
        settle_after: "1s",
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    let number = server.rent(&ALICE, "first", "DE").await;
    let fault = json!({ "method": "GET", "path": path, "answer": answer });
    server.close.fault(fault).await;
    let me = server.close.requests("GET", "/me/").await.len();
    server.close.wait_for_requests("GET", "/me/", me + 2).await;
    assert_eq!(
        server.list(&ALICE, "/v1/phone-numbers").await.len(),
        1,
        "after {path} {answer}"
    );
    assert_eq!(server.at_ops("/readyz").await.status, 200);
    server.close.clear_faults().await;
    server
        .patch(&ALICE, &number, &json!({ "label": "changed" }))
        .await
        .expect(200);
}

async fn error_texts_of_close_are_passed_on_as_text_and_limited_in_size(database: Database) {
    let server = TestServer::new(database).await;
    let long = format!("<img src=x onerror=alert(1)>{}", "y".repeat(300_000));
    let body = json!({ "status": long, "error": long, "field-errors": { "prefix": long } });
    server
        .close
        .fault(json!({ "path": RENT, "answer": { "status": 400, "body": body } }))
        .await;
    let answer = server.order(&ALICE, "key", &json!({ "country": "DE" })).await;
    answer.problem(422, "close-refused");
    assert!(
        answer.text.len() < 64 << 10,
        "{} bytes are passed on",
        answer.text.len()
    );
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    let listed = server.get(&LENA, "/v1/audit").await;
    listed.expect(200);
    assert!(
        listed.text.len() < 128 << 10,
        "{} bytes are stored",
        listed.text.len()
    );
}

async fn an_answer_with_the_number_of_another_order_does_not_fulfil_an_order(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&ALICE, "first", "DE").await;
    let held = server.close.held().await.remove(0);
    let mut same = held.clone();
    same.as_object_mut().expect("an object").remove("_control");
    server
        .close
        .fault(json!({ "path": RENT, "answer": { "status": 201, "body": same } }))
        .await;
    let order = server.order(&ALICE, "second", &json!({ "country": "FR" })).await;
    // The second order must not get the number of the first.
    assert_ne!(order.json()["state"], "fulfilled", "{order}");
    let shown = server
        .get(&ALICE, &format!("/v1/phone-numbers/{number}"))
        .await
        .expect(200);
    let first = server
        .list(&ALICE, "/v1/orders?idempotency_key=first")
        .await
        .remove(0);
    assert_eq!(shown["desk"]["order_id"], first["id"]);
}

async fn only_the_needed_endpoints_of_close_are_called(database: Database) {
    let mut config = TestConfig {
        subscribe: true,
        full_sync: "1s",
        ..TestConfig::default()
    };
    config.policy = config
        .policy
        .replacen("assign_to = \"anyone\"", "assign_to = { group = \"GROUP\" }", 1);
    config.close.numbers = 3;
    // A simulated Close with the same seed has the same groups.
    let same_close = crate::support::close::FakeClose::start(config.close.clone()).await;
    config.policy = config.policy.replace("GROUP", &same_close.groups()[0]);
    same_close.stop().await;
    let server = TestServer::with(database, config).await;
    let member = ALICE.as_user(Some(1));
    let number = server.rent(&member, "one", "DE").await;
    server
        .order(&ALICE, "two", &json!({ "country": "DE" }))
        .await
        .problem(403, "policy-denied");
    server.patch(&ALICE, &number, &json!({ "label": "x" })).await;
    server.release(&ALICE, &number).await;
    let orphan = text(&server.list(&OLGA, "/v1/phone-numbers?orphan=true").await[0]["id"]);
    let path = format!("/v1/phone-numbers/{orphan}/team");
    send(
        server
            .request_as(&OLGA, "PUT", &path)
            .json(&json!({ "team": "sales" })),
    )
    .await
    .expect(200);
    server.release(&OLGA, &orphan).await;
    server
        .close
        .person_releases(&text(
            &server.list(&OLGA, "/v1/phone-numbers?orphan=true").await[0]["id"],
        ))
        .await;
    let me = server.close.requests("GET", "/me/").await.len();
    server.close.wait_for_requests("GET", "/me/", me + 3).await;

    let called: BTreeSet<String> = server
        .close
        .all_requests()
        .await
        .iter()
        .map(|request| {
            let path = text(&request["path"]);
            let template: Vec<&str> = path
                .split('/')
                .map(|part| {
                    if ["phon_", "group_", "whsub_"]
                        .iter()
                        .any(|id| part.starts_with(id))
                    {
                        "{id}"
                    } else {
                        part
                    }
                })
                .collect();
            format!("{} {}", text(&request["method"]), template.join("/"))
        })
        .collect();
    let needed = [
        "GET /me/",
        "GET /phone_number/",
        "GET /phone_number/{id}/",
        "GET /group/{id}/",
        "POST /phone_number/request/internal/",
        "PUT /phone_number/{id}/",
        "DELETE /phone_number/{id}/",
        "GET /event/",
        "GET /webhook/",
        "GET /webhook/{id}/",
        "POST /webhook/",
    ];
    let unneeded: Vec<&String> = called
        .iter()
        .filter(|request| !needed.contains(&request.as_str()))
        .collect();
    assert!(unneeded.is_empty(), "Close received {unneeded:?}");
    for request in [
        "GET /me/",
        "GET /phone_number/",
        "GET /group/{id}/",
        "POST /phone_number/request/internal/",
        "DELETE /phone_number/{id}/",
        "GET /webhook/",
        "POST /webhook/",
    ] {
        assert!(called.contains(request), "{request} was never sent: {called:?}");
    }
}

//! A Close that is broken or hostile (T32, T33): never a panic, never a wrong final state, never more than it should
//! hear or see.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::close::RENT;
use crate::support::database::{Database, on_both_stores};
use crate::support::eventually;
use crate::support::people::{ALICE, LENA, OLGA};
use crate::support::scripted::{Scripted, gzip_bomb, says};
use crate::support::server::{Setup, Stage, send, text};

on_both_stores! {
    a_hostile_answer_to_a_rent_is_an_unknown_outcome,
    a_redirect_is_never_followed_and_the_key_goes_nowhere_else,
    an_endless_answer_is_cut_off,
    a_hostile_answer_to_a_listing_changes_nothing_and_the_desk_stays_ready,
    close_s_words_are_passed_on_as_text_and_bounded,
    a_number_that_is_already_another_order_s_fulfils_nothing,
    close_hears_only_what_the_desk_needs_to_say,
}

const JSON: &str = "Content-Type: application/json\r\n";

fn at(server: &Scripted, timeout: &'static str) -> Setup {
    Setup {
        close_url: Some(format!("http://{}/api/v1", server.address)),
        timeout,
        ..Setup::default()
    }
}

/// Says this to a rent, and that it is not there to everything else.
fn to_rents(answer: Vec<u8>) -> impl Fn(&str) -> Vec<u8> + Send + Sync + 'static {
    let answer = Arc::new(answer);
    move |line| {
        if line.starts_with("POST") {
            answer.to_vec()
        } else {
            of_no_use()
        }
    }
}

/// From a Close that is there: one that fails altogether would soon be left alone.
fn of_no_use() -> Vec<u8> {
    says(404, JSON, b"{\"error\":\"Not there.\"}")
}

async fn a_hostile_answer_to_a_rent_is_an_unknown_outcome(database: Database) {
    let server = Scripted::start(|_| of_no_use()).await;
    let stage = Stage::with(database, at(&server, "3s")).await;
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
        server.says(to_rents(answer));
        let started = Instant::now();
        let order = stage
            .order_at_once(&ALICE, country, &json!({ "country": country }))
            .await
            .expect(202);
        let id = text(&order["id"]);
        // A limit is the one thing here that says for certain that nothing was done.
        let expected = if country == "SE" { "queued" } else { "unverified" };
        let order = eventually(&format!("{country} becomes {expected}"), || async {
            let order = stage.get(&ALICE, &format!("/v1/orders/{id}")).await.expect(200);
            (order["state"] == expected && order["reason"].is_string()).then_some(order)
        })
        .await;
        assert_eq!(
            (&order["phone_number"], &order["evidence"]),
            (&Value::Null, &Value::Null),
            "{country}: {order}"
        );
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{country} took {:?}",
            started.elapsed()
        );
        assert!(
            order["reason"].as_str().is_some_and(|reason| reason.len() < 1000),
            "{country}: {order}"
        );
    }
    assert!(stage.list(&OLGA, "/v1/phone-numbers").await.is_empty());
    assert_eq!(stage.at_ops("/readyz").await.status, 200);
}

async fn a_redirect_is_never_followed_and_the_key_goes_nowhere_else(database: Database) {
    let stage = Stage::with(
        database,
        Setup {
            full_sync: "1s",
            ..Setup::default()
        },
    )
    .await;
    let number = stage.rent(&ALICE, "first", "DE").await;
    let elsewhere = Scripted::start(|_| says(200, JSON, b"{}")).await;
    let location = format!("http://{}/api/v1/", elsewhere.address);
    let mut unknown = 0;
    for (status, country) in [(301, "DE"), (302, "FR"), (303, "GB"), (307, "US"), (308, "CA")] {
        let answer = json!({ "status": status, "headers": { "location": location } });
        stage.close.fault(json!({ "answer": answer })).await;
        let order = stage
            .order(&ALICE, country, &json!({ "country": country }))
            .await
            .expect(202);
        assert_eq!(order["state"], "unverified");
        unknown += 1;
        stage
            .patch(&ALICE, &number, &json!({ "label": "x" }))
            .await
            .problem(502, "close-unavailable");
        let listed = stage.close.requests("GET", "/phone_number/").await.len();
        stage.close.arrived("GET", "/me/", listed + 1).await;
        stage.close.heal().await;
    }
    assert_eq!(elsewhere.hits(), 0, "a redirect was followed");
    assert_eq!(stage.close.rents().await.len(), unknown + 1);
    assert_eq!(stage.list(&ALICE, "/v1/phone-numbers").await.len(), 1);
}

async fn an_endless_answer_is_cut_off(database: Database) {
    let stage = Stage::with(
        database,
        Setup {
            full_sync: "1s",
            ..Setup::default()
        },
    )
    .await;
    let number = stage.rent(&ALICE, "first", "DE").await;
    stage.close.fault(json!({ "answer": "huge" })).await;
    let started = Instant::now();
    let order = stage
        .order(&ALICE, "huge", &json!({ "country": "DE" }))
        .await
        .expect(202);
    assert_eq!(order["state"], "unverified");
    stage
        .patch(&ALICE, &number, &json!({ "label": "x" }))
        .await
        .problem(502, "close-unavailable");
    // The deadline is 20 s: it was the size that ended it.
    assert!(
        started.elapsed() < Duration::from_secs(15),
        "{:?}",
        started.elapsed()
    );
    let me = stage.close.requests("GET", "/me/").await.len();
    stage.close.arrived("GET", "/me/", me + 1).await;
    assert_eq!(stage.list(&ALICE, "/v1/phone-numbers").await.len(), 1);
}

async fn a_hostile_answer_to_a_listing_changes_nothing_and_the_desk_stays_ready(database: Database) {
    let stage = Stage::with(
        database,
        Setup {
            full_sync: "1s",
            settle_after: "1s",
            ..Setup::default()
        },
    )
    .await;
    let number = stage.rent(&ALICE, "first", "DE").await;
    let id = format!("phon_{}", "B".repeat(43));
    let listing = |item: Value| json!({ "status": 200, "body": { "data": [item], "has_more": false } });
    for (path, answer) in [
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
    ] {
        stage
            .close
            .fault(json!({ "method": "GET", "path": path, "answer": answer }))
            .await;
        let me = stage.close.requests("GET", "/me/").await.len();
        stage.close.arrived("GET", "/me/", me + 2).await;
        assert_eq!(
            stage.list(&ALICE, "/v1/phone-numbers").await.len(),
            1,
            "after {path} {answer}"
        );
        assert_eq!(stage.at_ops("/readyz").await.status, 200);
        stage.close.heal().await;
    }
    stage
        .patch(&ALICE, &number, &json!({ "label": "still mine" }))
        .await
        .expect(200);
}

async fn close_s_words_are_passed_on_as_text_and_bounded(database: Database) {
    let stage = Stage::new(database).await;
    let long = format!("<img src=x onerror=alert(1)>{}", "y".repeat(300_000));
    let body = json!({ "status": long, "error": long, "field-errors": { "prefix": long } });
    stage
        .close
        .fault(json!({ "path": RENT, "answer": { "status": 400, "body": body } }))
        .await;
    let answer = stage.order(&ALICE, "key", &json!({ "country": "DE" })).await;
    answer.problem(422, "close-refused");
    assert!(
        answer.text.len() < 64 << 10,
        "{} bytes of Close's are passed on",
        answer.text.len()
    );
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    let listed = stage.get(&LENA, "/v1/audit").await;
    listed.expect(200);
    assert!(
        listed.text.len() < 128 << 10,
        "{} bytes are kept",
        listed.text.len()
    );
}

async fn a_number_that_is_already_another_order_s_fulfils_nothing(database: Database) {
    let stage = Stage::new(database).await;
    let number = stage.rent(&ALICE, "first", "DE").await;
    let held = stage.close.held().await.remove(0);
    let mut same = held.clone();
    same.as_object_mut().expect("an object").remove("_control");
    stage
        .close
        .fault(json!({ "path": RENT, "answer": { "status": 201, "body": same } }))
        .await;
    let order = stage.order(&ALICE, "second", &json!({ "country": "FR" })).await;
    // Whatever becomes of it, it is not the first order's number.
    assert_ne!(order.json()["state"], "fulfilled", "{order}");
    let shown = stage
        .get(&ALICE, &format!("/v1/phone-numbers/{number}"))
        .await
        .expect(200);
    let first = stage
        .list(&ALICE, "/v1/orders?idempotency_key=first")
        .await
        .remove(0);
    assert_eq!(shown["desk"]["order_id"], first["id"]);
}

async fn close_hears_only_what_the_desk_needs_to_say(database: Database) {
    let mut setup = Setup {
        subscribe: true,
        full_sync: "1s",
        ..Setup::default()
    };
    setup.policy = setup
        .policy
        .replacen("assign_to = \"anyone\"", "assign_to = { group = \"GROUP\" }", 1);
    setup.close.numbers = 3;
    // The same seed has the same groups.
    let probe = crate::support::close::Simulated::start(setup.close.clone()).await;
    setup.policy = setup.policy.replace("GROUP", &probe.groups()[0]);
    probe.stop().await;
    let stage = Stage::with(database, setup).await;
    let member = ALICE.as_user(Some(1));
    let number = stage.rent(&member, "one", "DE").await;
    stage
        .order(&ALICE, "two", &json!({ "country": "DE" }))
        .await
        .problem(403, "policy-denied");
    stage.patch(&ALICE, &number, &json!({ "label": "x" })).await;
    stage.release(&ALICE, &number).await;
    let orphan = text(&stage.list(&OLGA, "/v1/phone-numbers?orphan=true").await[0]["id"]);
    let path = format!("/v1/phone-numbers/{orphan}/team");
    send(stage.by(&OLGA, "PUT", &path).json(&json!({ "team": "sales" })))
        .await
        .expect(200);
    stage.release(&OLGA, &orphan).await;
    stage
        .close
        .person_releases(&text(
            &stage.list(&OLGA, "/v1/phone-numbers?orphan=true").await[0]["id"],
        ))
        .await;
    let me = stage.close.requests("GET", "/me/").await.len();
    stage.close.arrived("GET", "/me/", me + 3).await;

    let heard: BTreeSet<String> = stage
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
    let more: Vec<&String> = heard
        .iter()
        .filter(|said| !needed.contains(&said.as_str()))
        .collect();
    assert!(more.is_empty(), "Close was asked for {more:?}");
    for said in [
        "GET /me/",
        "GET /phone_number/",
        "GET /group/{id}/",
        "POST /phone_number/request/internal/",
        "DELETE /phone_number/{id}/",
        "GET /webhook/",
        "POST /webhook/",
    ] {
        assert!(heard.contains(said), "{said} was never said: {heard:?}");
    }
}

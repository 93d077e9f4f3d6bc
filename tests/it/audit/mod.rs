//! The audit trail: every decision and every effect leaves a row.

pub(crate) mod chain;
mod export_job;

use serde_json::{Value, json};

use crate::support::close::RENT;
use crate::support::database::{Database, on_both_stores};
use crate::support::personas::{ALICE, BOB, LENA, OLGA};
use crate::support::server::{TestConfig, TestServer, send, text};
use crate::support::snapshot;

on_both_stores! {
    an_order_leaves_rows_for_decision_dispatch_and_outcome,
    a_policy_denial_leaves_a_row_and_nothing_else,
    every_outcome_of_an_order_leaves_a_row,
    updates_transfers_and_releases_leave_rows,
    rows_are_filtered_and_paged_newest_first,
    a_refused_request_leaves_no_row_for_the_other_team,
}

/// Returns the action and the outcome of each row.
fn actions_and_outcomes(rows: &[Value]) -> Vec<(String, String)> {
    rows.iter()
        .map(|row| (text(&row["action"]), text(&row["outcome"])))
        .collect()
}

/// Returns the pairs as owned texts, for a comparison with [`actions_and_outcomes`].
fn pairs_of(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(action, outcome)| ((*action).to_owned(), (*outcome).to_owned()))
        .collect()
}

async fn an_order_leaves_rows_for_decision_dispatch_and_outcome(database: Database) {
    let server = TestServer::new(database).await;
    let response = server
        .order(
            &ALICE,
            "key",
            &json!({ "country": "DE", "carrier_type": "local" }),
        )
        .await;
    let order = response.expect(201);
    let rows = server.list(&LENA, "/v1/audit").await;
    snapshot::assert_json("views/audit_rows_of_an_order", &json!(rows));
    for row in &rows {
        assert_eq!(row["order_id"], order["id"], "{row}");
    }
    assert_eq!(rows[0]["phone_number_id"], order["phone_number"]["id"]);
    assert_eq!(rows[2]["request_id"], response.header("x-request-id"));
}

async fn a_policy_denial_leaves_a_row_and_nothing_else(database: Database) {
    let policy = "[teams.sales]\ncountries = [\"DE\"]\nmax_numbers = 1\n[prices]\ndefault = \"5.00\"\n";
    let server = TestServer::with(
        database,
        TestConfig {
            policy: policy.into(),
            ..TestConfig::default()
        },
    )
    .await;
    let response = server.order(&ALICE, "denied", &json!({ "country": "JP" })).await;
    response.problem(403, "policy-denied");
    let rows = server.list(&LENA, "/v1/audit").await;
    assert_eq!(
        actions_and_outcomes(&rows),
        pairs_of(&[("order.create", "denied")])
    );
    assert_eq!(
        (&rows[0]["allowed"], &rows[0]["rule"]),
        (&json!(false), &json!("teams.sales.countries"))
    );
    assert_eq!(
        (&rows[0]["order_id"], &rows[0]["request_id"]),
        (&Value::Null, &json!(response.header("x-request-id")))
    );

    let number = server.rent(&ALICE, "held", "DE").await;
    server
        .order(&ALICE, "full", &json!({ "country": "DE" }))
        .await
        .problem(403, "quota-exceeded");
    server
        .patch(&ALICE, &number, &json!({ "forward_to": "+4930901820" }))
        .await
        .problem(403, "policy-denied");
    let rows = server.list(&LENA, "/v1/audit").await;
    assert_eq!(
        actions_and_outcomes(&rows[..2]),
        pairs_of(&[("number.update", "denied"), ("order.create", "denied")])
    );
    assert_eq!(rows[1]["rule"], "teams.sales.max_numbers");
}

async fn every_outcome_of_an_order_leaves_a_row(database: Database) {
    let server = TestServer::new(database).await;
    let body = json!({ "country": "DE", "carrier_type": "local" });
    server
        .close
        .fault(json!({ "refuse": "has-voice-only", "times": 1 }))
        .await;
    server
        .order(&ALICE, "refused", &body)
        .await
        .problem(422, "close-refused");
    let rows = server.list(&LENA, "/v1/audit").await;
    assert_eq!(
        actions_and_outcomes(&rows[..1]),
        pairs_of(&[("order.settle", "refused")])
    );
    assert!(
        rows[0]["detail"].to_string().contains("has-voice-only"),
        "{}",
        rows[0]
    );
    server
        .close
        .fault(json!({ "path": RENT, "times": 1, "answer": "drop_before_headers" }))
        .await;
    server.order(&ALICE, "unknown", &body).await.expect(202);
    assert_eq!(
        actions_and_outcomes(&server.list(&LENA, "/v1/audit").await[..1]),
        pairs_of(&[("order.settle", "unverified")])
    );
    // An order that overlaps two unknown outcomes waits.
    server
        .close
        .fault(json!({ "path": RENT, "times": 1, "answer": "drop_before_headers" }))
        .await;
    let second = server
        .order_at_once(&ALICE, "second", &json!({ "country": "DE" }))
        .await
        .expect(202);
    server
        .wait_for_state(&ALICE, &text(&second["id"]), "unverified")
        .await;
    let queued = server
        .order_at_once(&ALICE, "waits", &json!({ "country": "DE", "prefix": "30" }))
        .await
        .expect(202);
    let path = format!("/v1/orders/{}/cancel", text(&queued["id"]));
    let response = send(server.request_as(&ALICE, "POST", &path)).await;
    response.expect(200);
    let rows = server.list(&LENA, "/v1/audit").await;
    assert_eq!(
        actions_and_outcomes(&rows[..2]),
        pairs_of(&[("order.cancel", "cancelled"), ("order.create", "accepted")])
    );
    assert_eq!(rows[0]["request_id"], response.header("x-request-id"));
}

async fn updates_transfers_and_releases_leave_rows(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    server
        .patch(&ALICE, &number, &json!({ "label": "New" }))
        .await
        .expect(200);
    let refusal = json!({ "status": 400, "body": { "errors": ["no"] } });
    server
        .close
        .fault(json!({ "method": "PUT", "answer": refusal, "times": 1 }))
        .await;
    server
        .patch(&ALICE, &number, &json!({ "label": "No" }))
        .await
        .problem(422, "close-refused");
    let path = format!("/v1/phone-numbers/{number}/team");
    send(
        server
            .request_as(&OLGA, "PUT", &path)
            .json(&json!({ "team": "support" })),
    )
    .await
    .expect(200);
    server.release(&BOB, &number).await.empty(204);
    let rows = server
        .list(&OLGA, &format!("/v1/audit?phone_number_id={number}"))
        .await;
    let expected = [
        ("number.release", "released"),
        ("number.release", "releasing"),
        ("number.transfer", "transferred"),
        ("number.update", "refused"),
        ("number.update", "updating"),
        ("number.update", "updated"),
        ("number.update", "updating"),
        ("order.settle", "fulfilled"),
    ];
    assert_eq!(actions_and_outcomes(&rows), pairs_of(&expected));
    assert_eq!(rows[2]["detail"], json!({ "from": "sales", "to": "support" }));
    assert_eq!(rows[5]["detail"]["changes"], json!({ "label": "New" }));
    assert_eq!(rows[0]["actor"]["subject"], "bob@example.com");
}

async fn rows_are_filtered_and_paged_newest_first(database: Database) {
    let server = TestServer::new(database).await;
    let order = server
        .order(&ALICE, "one", &json!({ "country": "DE" }))
        .await
        .expect(201);
    server
        .order(&LENA, "two", &json!({ "country": "JP" }))
        .await
        .problem(403, "policy-denied");
    server.rent(&BOB, "three", "DE").await;
    let id = text(&order["id"]);
    for (person, query, count) in [
        (&LENA, "", 4),
        (&BOB, "", 3),
        (&OLGA, "", 7),
        (&OLGA, "?team=sales", 4),
        (&LENA, "?action=order.create", 2),
        (&LENA, &format!("?order_id={id}"), 3),
        (&LENA, "?action=number.release", 0),
    ] {
        assert_eq!(
            server.list(person, &format!("/v1/audit{query}")).await.len(),
            count,
            "{} {query}",
            person.name
        );
    }
    server
        .get(&LENA, "/v1/audit?action=order.steal")
        .await
        .problem(400, "invalid-request");
    let all: Vec<String> = server
        .list(&OLGA, "/v1/audit")
        .await
        .iter()
        .map(|row| text(&row["id"]))
        .collect();
    let mut paged = Vec::new();
    let mut path = "/v1/audit?limit=2".to_owned();
    loop {
        let page = server.get(&OLGA, &path).await.expect(200);
        paged.extend(
            page["data"]
                .as_array()
                .expect("a list has data")
                .iter()
                .map(|row| text(&row["id"])),
        );
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/audit?limit=2&cursor={cursor}");
    }
    assert_eq!(paged, all);
    let mut sorted = all.clone();
    sorted.sort();
    sorted.reverse();
    assert_eq!(sorted, all, "newest first");
}

async fn a_refused_request_leaves_no_row_for_the_other_team(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&BOB, "key", "DE").await;
    let before = server.list(&BOB, "/v1/audit").await.len();
    server.release(&ALICE, &number).await.problem(404, "not-found");
    server
        .get(&ALICE, "/v1/audit")
        .await
        .problem(403, "permission-missing");
    assert_eq!(server.list(&BOB, "/v1/audit").await.len(), before);
    assert!(server.list(&LENA, "/v1/audit").await.is_empty());
}

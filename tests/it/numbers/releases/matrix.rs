//! The release matrix: whatever Close answers to a release, the inventory ends equal to Close.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::delete_count;
use crate::support::books::assert_books_balance;
use crate::support::database::Database;
use crate::support::epoch::on_both_stores_and_next_close;
use crate::support::eventually_or;
use crate::support::personas::{ALICE, OLGA};
use crate::support::response::ApiResponse;
use crate::support::server::{TestConfig, TestServer, text};

on_both_stores_and_next_close! {
    the_inventory_equals_close_whatever_close_answers_to_a_release,
}

/// Answers of Close to a release, each with the expected status of ours. A 429 delays later calls, so it comes last.
fn answers() -> Vec<(&'static str, Value, &'static [u16])> {
    let from_close = |status: u16, text: &str| json!({ "status": status, "body": { "error": text } });
    let from_proxy = |status: u16| json!({ "status": status, "body": "<html>error</html>" });
    vec![
        ("200", json!({ "status": 200, "body": {} }), &[204]),
        ("204", json!({ "status": 204 }), &[204]),
        (
            "404 of Close",
            from_close(404, "PhoneNumber matching query does not exist."),
            &[204],
        ),
        ("404 of a proxy", from_proxy(404), &[202]),
        (
            "403 of Close",
            from_close(403, "You can only release your own."),
            &[422],
        ),
        ("403 of a proxy", from_proxy(403), &[202]),
        ("400 of Close", from_close(400, "Not today."), &[422]),
        ("401", json!({ "status": 401 }), &[502]),
        ("408", json!({ "status": 408 }), &[202]),
        ("500", from_proxy(500), &[202]),
        ("502", from_proxy(502), &[202]),
        ("503", from_proxy(503), &[202]),
        ("504", from_proxy(504), &[202]),
        ("redirect", json!("redirect"), &[202]),
        ("drop before headers", json!("drop_before_headers"), &[202]),
        ("drop in body", json!("drop_in_body"), &[202]),
        ("garbage", json!("garbage"), &[202]),
        ("truncate", json!("truncate"), &[202]),
        ("hang", json!("hang"), &[202]),
        (
            "429",
            json!({ "status": 429, "headers": { "retry-after": "0" } }),
            &[502],
        ),
    ]
}

struct Case {
    name: String,
    number: String,
    expected: &'static [u16],
    answer: ApiResponse,
}

async fn the_inventory_equals_close_whatever_close_answers_to_a_release(database: Database) {
    let config = TestConfig {
        timeout: "2s",
        full_sync: "1s",
        settle_after: "1s",
        ..TestConfig::default()
    };
    let server = TestServer::with(database.clone(), config).await;
    let bystander = server.rent(&ALICE, "bystander", "FR").await;
    let mut cases = Vec::new();
    for lag in ["0s", "2s"] {
        server
            .close
            .set(json!({ "read_lag": lag, "listing_lag": lag }))
            .await;
        for (answer_name, answer, expected) in answers() {
            for effect in [true, false] {
                let name = format!("{answer_name}, effect {effect}, lag {lag}");
                let number = server.rent(&ALICE, &format!("key-{}", cases.len()), "DE").await;
                let path = format!("/phone_number/{number}/");
                let fault = json!({ "method": "DELETE", "path": path, "times": 1, "answer": answer, "effect": effect });
                server.close.fault(fault).await;
                let answer = release_until_sent(&server, &number, &name).await;
                cases.push(Case {
                    name,
                    number,
                    expected,
                    answer,
                });
            }
        }
        wait_until_settled(&server, BTreeSet::is_subset).await;
    }
    // Close confirmed some releases falsely. A sync adds these numbers again ten minutes after their removal.
    database
        .execute("UPDATE numbers SET gone_at = gone_at - 660000000 WHERE gone_at IS NOT NULL")
        .await;
    wait_until_settled(&server, BTreeSet::eq).await;
    assert_books_balance(&database).await;

    let held = at_close(&server).await;
    let (mut wrong, mut harmful, mut unexpected) = (Vec::new(), Vec::new(), Vec::new());
    for case in &cases {
        let shown = server
            .get(&OLGA, &format!("/v1/phone-numbers/{}", case.number))
            .await;
        if (shown.status == 200) != held.contains(&case.number) {
            wrong.push(&case.name);
        }
        let sent = delete_count(&server, &case.number).await;
        // After an answer that the number stays, no later attempt may release it.
        if sent == 0 || (case.answer.status != 202 && sent > 1) {
            harmful.push(&case.name);
        }
        if !case.expected.contains(&case.answer.status) {
            unexpected.push((&case.name, case.answer.status));
        }
        match case.answer.status {
            204 => case.answer.empty(204),
            202 => drop(case.answer.expect(202)),
            422 => drop(case.answer.problem(422, "close-refused")),
            _ => drop(case.answer.problem(502, "close-unavailable")),
        }
    }
    println!(
        "release matrix: {} cases, {} with a wrong final state, {} with a harmful or missing request, {} with an \
         unexpected answer",
        cases.len(),
        wrong.len(),
        harmful.len(),
        unexpected.len()
    );
    assert!(
        wrong.is_empty() && harmful.is_empty() && unexpected.is_empty(),
        "wrong {wrong:?}, harmful {harmful:?}, unexpected {unexpected:?}"
    );
    assert!(held.contains(&bystander));
    assert_eq!(delete_count(&server, &bystander).await, 0);
    assert_eq!(crate::support::books::usage(&server).await["held"], held.len());
}

/// Repeats a release until it reaches Close, and returns the answer. A used-up rate limit holds releases back.
async fn release_until_sent(server: &TestServer, number: &str, name: &str) -> ApiResponse {
    eventually_or(
        || name.to_owned(),
        || async {
            let answer = server.release(&ALICE, number).await;
            (delete_count(server, number).await > 0).then_some(answer)
        },
    )
    .await
}

async fn at_close(server: &TestServer) -> BTreeSet<String> {
    let held = server.close.held().await;
    held.iter().map(|number| text(&number["id"])).collect()
}

/// Waits until no release is in progress and `agrees` holds for the ids of the inventory and of Close.
async fn wait_until_settled(server: &TestServer, agrees: fn(&BTreeSet<String>, &BTreeSet<String>) -> bool) {
    eventually_or(
        || "the inventory and Close agree".to_owned(),
        || async {
            let close = at_close(server).await;
            let listed = server.list(&OLGA, "/v1/phone-numbers?limit=200").await;
            let settled = listed.iter().all(|number| number["desk"]["releasing"] == false);
            let inventory = listed.iter().map(|number| text(&number["id"])).collect();
            (settled && agrees(&inventory, &close)).then_some(())
        },
    )
    .await;
}

//! Every way in which Close may answer a release, true or not: in the end the desk holds what Close holds.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::books::assert_books_balance;
use crate::support::database::{Database, on_both_stores};
use crate::support::eventually_or;
use crate::support::personas::{ALICE, OLGA};
use crate::support::response::ApiResponse;
use crate::support::server::{TestConfig, TestServer, text};

on_both_stores! {
    whatever_close_answers_to_a_release_the_desk_ends_up_with_the_truth,
}

/// Close's answers, and what the desk may answer then. What holds the whole group of calls back comes last.
fn answers() -> Vec<(&'static str, Value, &'static [u16])> {
    let said = |status: u16, text: &str| json!({ "status": status, "body": { "error": text } });
    let bare = |status: u16| json!({ "status": status, "body": "<html>whatever</html>" });
    vec![
        ("200", json!({ "status": 200, "body": {} }), &[204]),
        ("204", json!({ "status": 204 }), &[204]),
        (
            "404 of Close",
            said(404, "PhoneNumber matching query does not exist."),
            &[204],
        ),
        ("404 of a proxy", bare(404), &[202]),
        (
            "403 of Close",
            said(403, "You can only release your own."),
            &[422],
        ),
        ("403 of a proxy", bare(403), &[202]),
        ("400 of Close", said(400, "Not today."), &[422]),
        ("401", json!({ "status": 401 }), &[502]),
        ("408", json!({ "status": 408 }), &[202]),
        ("500", bare(500), &[202]),
        ("502", bare(502), &[202]),
        ("503", bare(503), &[202]),
        ("504", bare(504), &[202]),
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

async fn whatever_close_answers_to_a_release_the_desk_ends_up_with_the_truth(database: Database) {
    let config = TestConfig {
        timeout: "1s",
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
        for (what, answer, expected) in answers() {
            for effect in [true, false] {
                let name = format!("{what}, effect {effect}, lag {lag}");
                let number = server.rent(&ALICE, &format!("key-{}", cases.len()), "DE").await;
                let at = format!("/phone_number/{number}/");
                let fault =
                    json!({ "method": "DELETE", "path": at, "times": 1, "answer": answer, "effect": effect });
                server.close.fault(fault).await;
                let answer = released(&server, &number, &name).await;
                cases.push(Case {
                    name,
                    number,
                    expected,
                    answer,
                });
            }
        }
        agreed(&server, BTreeSet::is_subset).await;
    }
    // What Close said to be released and still has is believed when it shows it ten minutes later.
    database
        .change("UPDATE numbers SET gone_at = gone_at - 660000000 WHERE gone_at IS NOT NULL")
        .await;
    agreed(&server, BTreeSet::eq).await;
    assert_books_balance(&database).await;

    let held = at_close(&server).await;
    let (mut untrue, mut harmful, mut foreign) = (Vec::new(), Vec::new(), Vec::new());
    for case in &cases {
        let shown = server
            .get(&OLGA, &format!("/v1/phone-numbers/{}", case.number))
            .await;
        if (shown.status == 200) != held.contains(&case.number) {
            untrue.push(&case.name);
        }
        let sent = crate::numbers::releases::deletes(&server, &case.number).await;
        // Whoever was told that the number stays must not lose it to a repetition.
        if sent == 0 || (case.answer.status != 202 && sent > 1) {
            harmful.push(&case.name);
        }
        if !case.expected.contains(&case.answer.status) {
            foreign.push((&case.name, case.answer.status));
        }
        match case.answer.status {
            204 => case.answer.empty(204),
            202 => drop(case.answer.expect(202)),
            422 => drop(case.answer.problem(422, "close-refused")),
            _ => drop(case.answer.problem(502, "close-unavailable")),
        }
    }
    println!(
        "release matrix: {} cases, {} with an untrue end, {} with a harmful or missing request, {} with an answer out of \
         contract",
        cases.len(),
        untrue.len(),
        harmful.len(),
        foreign.len()
    );
    assert!(
        untrue.is_empty() && harmful.is_empty() && foreign.is_empty(),
        "untrue {untrue:?}, harmful {harmful:?}, foreign {foreign:?}"
    );
    assert!(held.contains(&bystander));
    assert_eq!(crate::numbers::releases::deletes(&server, &bystander).await, 0);
    assert_eq!(crate::support::books::usage(&server).await["held"], held.len());
}

/// The answer to a release that reached Close: while its rate limit is used up, none does.
async fn released(server: &TestServer, number: &str, name: &str) -> ApiResponse {
    eventually_or(
        || name.to_owned(),
        || async {
            let answer = server.release(&ALICE, number).await;
            (crate::numbers::releases::deletes(server, number).await > 0).then_some(answer)
        },
    )
    .await
}

async fn at_close(server: &TestServer) -> BTreeSet<String> {
    let held = server.close.held().await;
    held.iter().map(|number| text(&number["id"])).collect()
}

/// Returns once nothing is under way and what the desk has is to what Close has as it should be.
async fn agreed(server: &TestServer, is_right: fn(&BTreeSet<String>, &BTreeSet<String>) -> bool) {
    eventually_or(
        || "desk and Close agree".to_owned(),
        || async {
            let close = at_close(server).await;
            let listed = server.list(&OLGA, "/v1/phone-numbers?limit=200").await;
            let settled = listed.iter().all(|number| number["desk"]["releasing"] == false);
            let desk = listed.iter().map(|number| text(&number["id"])).collect();
            (settled && is_right(&desk, &close)).then_some(())
        },
    )
    .await;
}

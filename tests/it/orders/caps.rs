//! Quotas and budgets: concurrent orders never exceed them, and a denial names the limit.

use serde_json::{Value, json};

use crate::support::books::usage;
use crate::support::close::RENT;
use crate::support::database::Database;
use crate::support::epoch::on_both_stores_and_next_close;
use crate::support::eventually;
use crate::support::personas::{ALICE, BOB, LENA, OLGA};
use crate::support::server::{TestConfig, TestServer, send, text};
use crate::support::snapshot;

on_both_stores_and_next_close! {
    two_hundred_concurrent_orders_with_a_cap_of_three_cause_three_rents,
    two_hundred_concurrent_orders_with_a_budget_for_three_cause_three_rents,
    two_hundred_concurrent_orders_with_three_a_day_cause_three_rents,
    a_full_quota_reports_limit_used_and_reserved_and_a_release_frees_it,
    an_unverified_order_keeps_its_reservation,
    refused_and_cancelled_orders_do_not_count_against_the_daily_limit,
    a_bill_above_the_estimate_blocks_new_orders_and_keeps_the_held_numbers,
    each_team_under_the_wildcard_entry_has_its_own_quota,
    the_quota_also_applies_to_leads_and_administrators,
    refused_orders_of_a_team_are_bounded_per_hour_like_a_rate_limit,
    orders_that_were_queued_before_too_many_refusals_are_postponed,
    me_reports_the_usage_and_validation_names_the_limit_that_is_reached,
}

fn policy(rules: &str) -> TestConfig {
    let policy =
        format!("[teams.sales]\ncountries = [\"DE\", \"FR\"]\n{rules}\n[prices]\ndefault = \"5.00\"\n");
    TestConfig {
        policy,
        ..TestConfig::default()
    }
}

fn local(country: &str) -> Value {
    json!({ "country": country, "carrier_type": "local" })
}

async fn two_hundred_concurrent_orders_with_a_cap_of_three_cause_three_rents(database: Database) {
    order_two_hundred_at_once(database, "max_numbers = 3", "quota-exceeded").await;
}

async fn two_hundred_concurrent_orders_with_a_budget_for_three_cause_three_rents(database: Database) {
    order_two_hundred_at_once(database, "monthly_budget = \"15.00\"", "budget-exceeded").await;
}

async fn two_hundred_concurrent_orders_with_three_a_day_cause_three_rents(database: Database) {
    order_two_hundred_at_once(database, "max_orders_per_day = 3", "quota-exceeded").await;
}

/// Sends 200 orders at once, the first ever of their team, and expects three rents.
async fn order_two_hundred_at_once(database: Database, rule: &str, problem: &str) {
    let server = TestServer::with(database, policy(rule)).await;
    let body = local("DE");
    let keys: Vec<String> = (0..200).map(|index| format!("key-{index}")).collect();
    let requests = keys.iter().map(async |key| {
        loop {
            let answer = server.order(&ALICE, key, &body).await;
            if answer.status != 503 {
                return answer;
            }
            // With so many requests the database may be busy. Nothing was sent, so the client repeats the request.
            answer.problem(503, "store-unavailable");
        }
    });
    let answers = futures::future::join_all(requests).await;
    let (rented, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    for answer in &refused {
        answer.problem(403, problem);
    }
    assert_eq!((rented.len(), refused.len()), (3, 197));
    assert_eq!(server.close.rents().await.len(), 3);
    assert_eq!(server.close.held().await.len(), 3);
    assert_eq!(
        usage(&server).await,
        json!({ "held": 3, "reserved": 0, "today": 3 })
    );
}

async fn a_full_quota_reports_limit_used_and_reserved_and_a_release_frees_it(database: Database) {
    let server = TestServer::with(database, policy("max_numbers = 1\nmonthly_budget = \"7.00\"")).await;
    let number = server.rent(&ALICE, "first", "DE").await;
    server
        .order(&ALICE, "second", &local("FR"))
        .await
        .problem_snapshot(403, "quota-exceeded");
    server.release(&ALICE, &number).await.empty(204);
    // The denial stored no order, so the key is still unused.
    server.order(&ALICE, "second", &local("FR")).await.expect(201);
    assert_eq!(server.close.rents().await.len(), 2);
}

async fn an_unverified_order_keeps_its_reservation(database: Database) {
    let server = TestServer::with(database, policy("max_numbers = 1\nmonthly_budget = \"7.00\"")).await;
    server
        .close
        .fault(json!({ "path": RENT, "times": 1, "answer": "drop_before_headers" }))
        .await;
    server.order(&ALICE, "unverified", &local("DE")).await.expect(202);
    let full = server
        .order(&ALICE, "second", &local("FR"))
        .await
        .problem(403, "quota-exceeded");
    assert_eq!(
        (&full["used"], &full["reserved"]),
        (&json!(0), &json!(1)),
        "{full}"
    );
    assert_eq!(server.close.rents().await.len(), 1);
}

async fn refused_and_cancelled_orders_do_not_count_against_the_daily_limit(database: Database) {
    let server = TestServer::with(database, policy("max_orders_per_day = 2")).await;
    server.close.fault(json!({ "refuse": "error", "times": 1 })).await;
    server
        .order(&ALICE, "refused", &local("DE"))
        .await
        .problem(422, "close-refused");
    // The next order waits while a different one is being sent in the country.
    server.close.set(json!({ "rents_held": true })).await;
    server
        .order_at_once(&ALICE, "sending", &local("DE"))
        .await
        .expect(202);
    server.close.wait_for_requests("POST", RENT, 2).await;
    let mut berlin = local("DE");
    berlin["prefix"] = json!("30");
    let queued = server
        .order_at_once(&ALICE, "cancelled", &berlin)
        .await
        .expect(202);
    server
        .order(&ALICE, "third", &local("FR"))
        .await
        .problem(403, "quota-exceeded");
    let path = format!("/v1/orders/{}/cancel", text(&queued["id"]));
    send(server.request_as(&ALICE, "POST", &path)).await.expect(200);
    server.close.set(json!({ "rents_held": false })).await;
    let number = server.rent(&ALICE, "third", "FR").await;
    // A released number still counts as an order of the day.
    server.release(&ALICE, &number).await.empty(204);
    let full = server
        .order(&ALICE, "fourth", &local("FR"))
        .await
        .problem(403, "quota-exceeded");
    assert_eq!(full["decision"]["rule"], "teams.sales.max_orders_per_day");
    assert_eq!(full["limit"], 2, "{full}");
}

async fn a_bill_above_the_estimate_blocks_new_orders_and_keeps_the_held_numbers(database: Database) {
    let rules = "[teams.sales]\ncountries = [\"DE\"]\nmonthly_budget = \"1.00\"\n[prices]\nDE = \"0.50\"\n";
    let config = TestConfig {
        policy: rules.into(),
        full_sync: "1s",
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    server.close.set(json!({ "billing_delay": "50ms" })).await;
    let number = server.rent(&ALICE, "first", "DE").await;
    eventually("the held cost is the billed price", || async {
        let me = server.get(&ALICE, "/v1/me").await.expect(200);
        (me["teams"][0]["usage"]["monthly_held"] == "1.15").then_some(())
    })
    .await;
    server
        .order(&ALICE, "second", &local("DE"))
        .await
        .problem_snapshot(403, "budget-exceeded");
    server
        .get(&ALICE, &format!("/v1/phone-numbers/{number}"))
        .await
        .expect(200);
    assert_eq!(server.close.held().await.len(), 1);
}

async fn each_team_under_the_wildcard_entry_has_its_own_quota(database: Database) {
    let rules = "[teams.\"*\"]\ncountries = [\"DE\"]\nmax_numbers = 1\n[prices]\ndefault = \"5.00\"\n";
    let server = TestServer::with(
        database,
        TestConfig {
            policy: rules.into(),
            ..TestConfig::default()
        },
    )
    .await;
    server.rent(&ALICE, "a", "DE").await;
    server.rent(&BOB, "b", "DE").await;
    for person in [&ALICE, &BOB] {
        server
            .order(person, "more", &local("DE"))
            .await
            .problem(403, "quota-exceeded");
    }
}

async fn the_quota_also_applies_to_leads_and_administrators(database: Database) {
    let server = TestServer::with(database, policy("max_numbers = 1")).await;
    server.rent(&ALICE, "first", "DE").await;
    let mut body = local("DE");
    body["team"] = json!("sales");
    for person in [&LENA, &OLGA] {
        server
            .order(person, "more", &body)
            .await
            .problem(403, "quota-exceeded");
    }
    // A number that a person rents in Close causes no rent by the service.
    let orphan = server.close.person_rents(json!({ "country": "FR" })).await;
    assert!(orphan["id"].is_string());
    assert_eq!(server.close.rents().await.len(), 1);
}

async fn refused_orders_of_a_team_are_bounded_per_hour_like_a_rate_limit(database: Database) {
    let rules = "[teams.\"*\"]\ncountries = [\"DE\", \"FR\"]\nmax_refused_per_hour = 2\n[prices]\ndefault = \"5.00\"\n";
    let config = TestConfig {
        policy: rules.into(),
        ..TestConfig::default()
    };
    let server = TestServer::with(database.clone(), config).await;
    server.close.fault(json!({ "refuse": "error", "times": 2 })).await;
    for key in ["one", "two"] {
        server
            .order(&ALICE, key, &local("DE"))
            .await
            .problem(422, "close-refused");
    }
    let limited = server.order(&ALICE, "three", &local("DE")).await;
    let problem = limited.problem(429, "rate-limited");
    assert_eq!(problem["decision"]["rule"], "teams.\"*\".max_refused_per_hour");
    assert_eq!(
        (&problem["limit"], &problem["used"]),
        (&json!(2), &json!(2)),
        "{problem}"
    );
    let wait: u32 = limited
        .header("retry-after")
        .parse()
        .expect("a number of seconds");
    assert!((1..=3_600).contains(&wait), "{wait}");
    let me = server.get(&ALICE, "/v1/me").await.expect(200);
    let team = &me["teams"][0];
    assert_eq!(team["limits"]["max_refused_per_hour"], 2, "{me}");
    assert_eq!(team["left"]["refused_this_hour"], 0, "{me}");
    assert_eq!(team["usage"]["refused_last_hour"], 2, "{me}");
    // The orders that were refused keep their answers, and another team is not concerned.
    server
        .order(&ALICE, "one", &local("DE"))
        .await
        .problem(422, "close-refused");
    server.order(&BOB, "one", &local("DE")).await.expect(201);
    assert_eq!(server.close.rents().await.len(), 3);
    // An hour later the key can be used: the denial stored no order.
    database
        .execute("UPDATE orders SET finished_at = finished_at - 3600000000 WHERE state = 'refused'")
        .await;
    server.order(&ALICE, "three", &local("DE")).await.expect(201);
}

async fn orders_that_were_queued_before_too_many_refusals_are_postponed(database: Database) {
    let server = TestServer::with(database.clone(), policy("max_refused_per_hour = 2")).await;
    let refused = json!({ "refuse": "error", "times": 100, "delay": "3s" });
    server.close.fault(refused).await;
    // Orders that overlap and differ, so that they are sent one after another.
    for nth in 0..6 {
        let mut body = local("DE");
        if nth % 2 == 0 {
            body["prefix"] = json!("30");
        }
        let key = format!("key-{nth}");
        server.order_at_once(&ALICE, &key, &body).await.expect(202);
    }
    let waiting = eventually("four orders are postponed", || async {
        let waiting = server.list(&ALICE, "/v1/orders?state=queued").await;
        let says_why = |order: &Value| {
            let reason = text(&order["reason"]);
            reason.starts_with("2 orders of the team were refused within an hour, and the limit is 2; ")
        };
        (waiting.len() == 4 && waiting.iter().all(says_why)).then_some(waiting)
    })
    .await;
    assert_eq!(server.close.rents().await.len(), 2, "{waiting:?}");
    // An hour later they are sent.
    server.close.clear_faults().await;
    database
        .execute("UPDATE orders SET finished_at = finished_at - 3600000000 WHERE state = 'refused'")
        .await;
    database
        .execute("UPDATE orders SET not_before = not_before - 3600000000 WHERE state = 'queued'")
        .await;
    for order in &waiting {
        server
            .wait_for_state(&ALICE, &text(&order["id"]), "fulfilled")
            .await;
    }
}

async fn me_reports_the_usage_and_validation_names_the_limit_that_is_reached(database: Database) {
    let rules = "max_numbers = 3\nmax_orders_per_day = 4\nmonthly_budget = \"12.00\"";
    let server = TestServer::with(database, policy(rules)).await;
    server.rent(&ALICE, "held", "DE").await;
    server
        .close
        .fault(json!({ "path": RENT, "times": 1, "answer": "drop_before_headers" }))
        .await;
    server.order(&ALICE, "reserved", &local("DE")).await.expect(202);
    let me = server.get(&ALICE, "/v1/me").await.expect(200);
    snapshot::assert_json("views/me", &me);
    let request = server
        .request_as(&ALICE, "POST", "/v1/orders?validate_only=true")
        .json(&local("FR"));
    let validated = send(request).await.expect(200);
    assert_eq!(validated["allowed"], false, "{validated}");
    assert_eq!(validated["decision"]["rule"], "teams.sales.monthly_budget");
}

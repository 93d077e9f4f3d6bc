//! Orphans that a team adopts, and numbers that move between teams.

use super::*;

on_both_stores_and_next_close! {
    an_adoption_obeys_the_policy_of_the_receiving_team,
    a_transferred_number_belongs_only_to_its_new_team,
    an_orphan_cannot_be_changed_but_an_administrator_can_release_it,
}

async fn an_adoption_obeys_the_policy_of_the_receiving_team(database: Database) {
    let mut config = TestConfig::default();
    config.close.numbers = 3;
    config.policy =
        "[teams.sales]\ncountries = [\"DE\"]\nmax_numbers = 1\n[prices]\ndefault = \"5.00\"\n".into();
    let server = TestServer::with(database, config).await;
    let orphans = server.list(&OLGA, "/v1/phone-numbers?orphan=true").await;
    let give = async |person: &Persona, index: usize, team: &str| {
        let path = format!("/v1/phone-numbers/{}/team", text(&orphans[index]["id"]));
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
        "a repeated adoption changes nothing"
    );
    assert_eq!(server.list(&ALICE, "/v1/phone-numbers").await.len(), 1);
    give(&OLGA, 1, "sales").await.problem(403, "quota-exceeded");
    give(&OLGA, 1, "not-in-the-policy")
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

async fn a_transferred_number_belongs_only_to_its_new_team(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let path = format!("/v1/phone-numbers/{number}/team");
    let member = ALICE.with("numbers:read numbers:update numbers:release");
    send(
        server
            .request_as(&member, "PUT", &path)
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
    // The order stays with the first team, and does not show the number, which is another team's now.
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
    // What the other team does with the number is no business of the first one either.
    let order = server.list(&ALICE, "/v1/orders").await.remove(0);
    assert_eq!(order["phone_number"], Value::Null, "{order}");
}

async fn an_orphan_cannot_be_changed_but_an_administrator_can_release_it(database: Database) {
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
    // Only an administrator can release an orphan.
    server.release(&ALICE, &orphan).await.problem(404, "not-found");
    server.release(&OLGA, &orphan).await.empty(204);
    assert!(server.close.held().await.is_empty());
}

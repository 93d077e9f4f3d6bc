//! Idempotency keys of orders.

use super::*;

on_both_stores! {
    the_same_key_fifty_times_at_once_is_one_order_and_one_rent,
    the_same_key_gives_the_same_order_in_whatever_state_it_is,
    the_same_key_with_another_body_is_refused,
    a_key_belongs_to_its_team,
    an_order_without_a_key_is_400,
}

async fn the_same_key_fifty_times_at_once_is_one_order_and_one_rent(database: Database) {
    let server = TestServer::new(database).await;
    let body = berlin();
    let asked = (0..50).map(|_| server.order(&ALICE, "same", &body));
    let answers = futures::future::join_all(asked).await;
    let ids: std::collections::BTreeSet<String> = answers
        .iter()
        .map(|answer| text(&answer.expect(201)["id"]))
        .collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(server.close.rents().await.len(), 1);
    assert_eq!(server.close.held().await.len(), 1);
}

async fn the_same_key_gives_the_same_order_in_whatever_state_it_is(database: Database) {
    let server = TestServer::new(database).await;
    let first = server.order(&ALICE, "rented", &berlin()).await.expect(201);
    let again = server.order(&ALICE, "rented", &berlin()).await;
    assert_eq!(again.expect(201), first);
    assert_eq!(
        again.header("location"),
        format!("/v1/orders/{}", text(&first["id"]))
    );
    // The defaults are part of what is compared: saying them is saying nothing new.
    let said = json!({ "team": "sales", "country": "DE", "carrier_type": "local", "prefix": "30",
        "sharing": "personal", "label": null, "with_sms": null });
    assert_eq!(server.order(&ALICE, "rented", &said).await.expect(201), first);
    // Another person of the team, with another token: the key is the team's.
    assert_eq!(server.order(&LENA, "rented", &berlin()).await.expect(201), first);

    let lost = json!({ "path": RENT, "times": 1, "answer": "drop_before_headers" });
    server.close.fault(lost).await;
    let france = json!({ "country": "FR" });
    let unknown = server.order(&ALICE, "unknown", &france).await.expect(202);
    assert_eq!(
        server.order(&ALICE, "unknown", &france).await.expect(202),
        unknown
    );

    let waiting = server.order_at_once(&ALICE, "waits", &france).await.expect(202);
    let path = format!("/v1/orders/{}/cancel", text(&waiting["id"]));
    send(server.request_as(&ALICE, "POST", &path)).await.expect(200);
    server
        .order(&ALICE, "waits", &france)
        .await
        .problem(409, "order-cancelled");
    assert_eq!(server.close.rents().await.len(), 2);
}

async fn the_same_key_with_another_body_is_refused(database: Database) {
    let server = TestServer::new(database).await;
    server.order(&ALICE, "key", &berlin()).await.expect(201);
    for other in [
        json!({ "country": "FR", "carrier_type": "local", "prefix": "30" }),
        json!({ "country": "DE", "carrier_type": "local" }),
        json!({ "country": "DE", "carrier_type": "local", "prefix": "30", "label": "x" }),
    ] {
        server
            .order(&ALICE, "key", &other)
            .await
            .problem(422, "idempotency-key-reused");
    }
    assert_eq!(server.close.rents().await.len(), 1);
}

async fn a_key_belongs_to_its_team(database: Database) {
    let server = TestServer::new(database).await;
    let sales = server.order(&ALICE, "same", &berlin()).await.expect(201);
    let support = server.order(&BOB, "same", &berlin()).await.expect(201);
    assert_ne!(sales["id"], support["id"]);
    // Not even the kind of answer tells that the other team has the key.
    server
        .order(&BOB, "other", &json!({ "country": "DE" }))
        .await
        .expect(201);
    server
        .order(&ALICE, "other", &json!({ "country": "FR" }))
        .await
        .expect(201);
}

async fn an_order_without_a_key_is_400(database: Database) {
    let server = TestServer::new(database).await;
    send(server.request_as(&ALICE, "POST", "/v1/orders").json(&berlin()))
        .await
        .problem(400, "idempotency-key-missing");
    server.assert_nothing_happened().await;
}

//! The number of an order after its release.

use super::*;

on_both_stores_and_next_close! {
    the_order_of_a_released_number_keeps_its_id_and_number,
}

async fn the_order_of_a_released_number_keeps_its_id_and_number(database: Database) {
    let mut server = TestServer::new(database).await;
    let order = server.order(&ALICE, "released", &berlin()).await.expect(201);
    let kept = server.order(&ALICE, "kept", &berlin()).await.expect(201);
    let number = &order["phone_number"];
    server.release(&ALICE, &text(&number["id"])).await.empty(204);

    let path = format!("/v1/orders/{}", text(&order["id"]));
    let after = server.get(&ALICE, &path).await.expect(200);
    let left = &after["phone_number"];
    let released_at = text(&left["released_at"]);
    assert_eq!(
        left,
        &json!({ "id": number["id"], "number": number["number"], "released_at": released_at })
    );
    assert!(released_at > text(&order["finished_at"]), "{after}");
    assert_eq!(after["state"], "fulfilled");
    // The repeated request, the list and a restarted service show the same.
    assert_eq!(
        server.order(&ALICE, "released", &berlin()).await.expect(201),
        after
    );
    server.stop().await;
    server.start().await;
    server.wait_until_synced().await;
    let listed = server.list(&ALICE, "/v1/orders").await;
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[1], after);
    assert_eq!(listed[0]["phone_number"]["id"], kept["phone_number"]["id"]);
    assert!(listed[0]["phone_number"].get("released_at").is_none());
    // The order stays invisible for other teams.
    server.get(&BOB, &path).await.problem(404, "not-found");
}

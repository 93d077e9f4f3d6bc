//! Fairness of deliveries between teams: slow endpoints of one team delay no other team.

use super::*;

on_both_stores! {
    slow_endpoints_of_one_team_delay_no_other_team,
    an_endpoint_that_failed_last_gets_one_delivery_at_a_time_until_one_succeeds,
}

async fn slow_endpoints_of_one_team_delay_no_other_team(database: Database) {
    let fixture = Fixture::new(database).await;
    for nth in 0..8 {
        let url = format!("{}/{nth}", fixture.app.url());
        let registered = fixture.register("sales", json!({ "url": url })).await;
        registered.expect("the endpoint is registered");
    }
    let quick = Receiver::start().await;
    let registered = fixture.register("support", json!({ "url": quick.url() })).await;
    registered.expect("the endpoint is registered");
    fixture.app.answers(Reply::Hang);
    for _ in 0..20 {
        fixture.write_event("sales", EventKind::OrderFulfilled).await;
    }
    fixture.assign_sequence().await;
    fixture.start_deliveries().await;
    // Half of the slots: as many as are free.
    fixture.app.gets(16).await;
    fixture.publish("support", EventKind::OrderFulfilled).await;
    fixture.start_deliveries().await;
    quick.gets(1).await;
    assert_eq!(fixture.app.count(), 16);
    println!(
        "8 slow endpoints of one team with 160 deliveries: another team's event arrives beside 16 of them"
    );
    fixture.app.answers(Reply::Status(204));
    fixture.app.respond_to_hanging();
    fixture.deliver_all().await;
    assert_eq!(fixture.app.count(), 160);
}

async fn an_endpoint_that_failed_last_gets_one_delivery_at_a_time_until_one_succeeds(database: Database) {
    let fixture = Fixture::new(database).await;
    fixture.endpoint().await;
    for _ in 0..12 {
        fixture.write_event("sales", EventKind::OrderFulfilled).await;
    }
    fixture.assign_sequence().await;
    fixture.app.answers(Reply::Status(503));
    fixture.start_deliveries().await;
    fixture.test_desk.replica().wait_until_idle().await;
    assert_eq!(fixture.app.count(), 4);
    fixture.app.answers(Reply::Hang);
    fixture.start_deliveries().await;
    fixture.app.gets(5).await;
    fixture.start_deliveries().await;
    assert_eq!(fixture.app.count(), 5, "one delivery at a time");
    fixture.app.answers(Reply::Status(204));
    fixture.app.respond_to_hanging();
    fixture.test_desk.replica().wait_until_idle().await;
    fixture.app.answers(Reply::Hang);
    fixture.start_deliveries().await;
    fixture.app.gets(9).await;
    fixture.app.answers(Reply::Status(204));
    fixture.app.respond_to_hanging();
    fixture.test_desk.replica().wait_until_idle().await;
}

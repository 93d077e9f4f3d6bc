//! Faults that delay orders, or that leave a number for a person to assign.

use serde_json::{Value, json};

use crate::operation::runbooks::scenario::{Case, Scenario};
use crate::support::close::RENT;
use crate::support::eventually;
use crate::support::personas::{ALICE, LENA, OLGA, Persona};
use crate::support::server::{POLICY, TestConfig, send, text};

const SECOND: i64 = 1_000_000;
/// Another user of sales, who may approve orders.
const PETRA: Persona = Persona {
    name: "petra@example.com",
    permissions: "numbers:read orders:approve audit:read",
    close_user: Some(1),
    ..ALICE
};

fn berlin() -> Value {
    json!({ "country": "DE", "carrier_type": "local" })
}

/// Returns a fault that drops the response to one rent. `effect` tells whether the number is rented.
fn lost(effect: bool) -> Value {
    json!({ "path": RENT, "times": 1, "answer": "drop_before_headers", "effect": effect })
}

impl Scenario {
    /// Moves the creation of the order into the past.
    pub(in crate::operation::runbooks) async fn make_older(&self, order: &Value, seconds: i64) {
        let (id, micros) = (text(&order["id"]), seconds * SECOND);
        let statement = format!("UPDATE orders SET created_at = created_at - {micros} WHERE id = '{id}'");
        self.server.database.execute(&statement).await;
    }

    /// Returns the orphans once there are some.
    async fn wait_for_orphans(&self) -> Vec<Value> {
        eventually("there is an orphan", || async {
            let orphans = self.server.list(&OLGA, "/v1/phone-numbers?orphan=true").await;
            (!orphans.is_empty()).then_some(orphans)
        })
        .await
    }

    /// Assigns the orphan to sales, as an administrator.
    async fn adopt(&self, number: &Value) {
        let path = format!("/v1/phone-numbers/{}/team", text(&number["id"]));
        let adopted = send(
            self.server
                .request_as(&OLGA, "PUT", &path)
                .json(&json!({ "team": "sales" })),
        )
        .await;
        assert_eq!(adopted.expect(200)["desk"]["orphan"], false);
        assert!(
            self.server
                .list(&OLGA, "/v1/phone-numbers?orphan=true")
                .await
                .is_empty()
        );
    }
}

pub(in crate::operation::runbooks) async fn listings_fail_for_an_unverified_order(case: Case) {
    let mut scenario = Scenario::new(case, TestConfig::default()).await;
    let no_listings = json!({ "method": "GET", "path": "/phone_number/", "answer": { "status": 503 } });
    scenario
        .server
        .close
        .fault(json!([lost(true), no_listings]))
        .await;
    let order = scenario.server.order(&ALICE, "lost", &berlin()).await.expect(202);
    scenario.make_older(&order, 3_600).await;
    scenario.alert.wait_until_active().await;
    assert_eq!(
        scenario
            .server
            .list(&OLGA, "/v1/orders?state=unverified")
            .await
            .len(),
        1
    );
    // One more order is sent. While two are in doubt, further ones that could get their numbers wait, and say for what.
    scenario.server.close.fault(lost(true)).await;
    let second = scenario
        .server
        .order(&ALICE, "second", &berlin())
        .await
        .expect(202);
    assert_eq!(second["state"], "unverified", "{second}");
    scenario
        .server
        .order_at_once(&ALICE, "waits", &berlin())
        .await
        .expect(202);
    let waiting = scenario.server.list(&OLGA, "/v1/orders?state=queued").await;
    assert_eq!(waiting.len(), 1);
    let reason = text(&waiting[0]["reason"]);
    assert!(
        reason.contains("the outcomes of 2 earlier orders in DE are unknown"),
        "{reason}"
    );
    scenario.assert_logged(&["\"worker\":\"reconcile\"", "close is unavailable"]);

    scenario.server.close.clear_faults().await;
    scenario
        .server
        .wait_for_state(&ALICE, &text(&order["id"]), "fulfilled")
        .await;
    scenario.assert_no_order_is("unverified").await;
    scenario.alert.wait_until_inactive().await;
}

pub(in crate::operation::runbooks) async fn several_numbers_match_one_order(case: Case) {
    let mut scenario = Scenario::new(case, TestConfig::default()).await;
    scenario.server.rent(&ALICE, "before", "DE").await;
    // Somebody sends the same rent with the service's API key, just before a response is lost.
    let call = scenario.server.close.rents().await[0]["body"].clone();
    assert_eq!(scenario.server.close.call("POST", RENT, Some(call)).await.0, 201);
    scenario.server.close.fault(lost(true)).await;
    let order = scenario.server.order(&ALICE, "lost", &berlin()).await.expect(202);
    let order = scenario
        .server
        .wait_for_state(&ALICE, &text(&order["id"]), "needs_review")
        .await;
    scenario.alert.wait_until_active().await;
    let listed = scenario.server.list(&OLGA, "/v1/orders?state=needs_review").await;
    assert_eq!(listed.len(), 1);
    let reason = text(&order["reason"]);
    let number = reason
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .find(|word| word.starts_with("phon_"));

    let path = format!("/v1/orders/{}/settle", text(&order["id"]));
    let finding = json!({ "phone_number_id": number.unwrap_or_else(|| panic!("{reason} names numbers")) });
    let settled = send(scenario.server.request_as(&OLGA, "POST", &path).json(&finding))
        .await
        .expect(200);
    assert_eq!(settled["state"], "fulfilled");
    scenario.assert_no_order_is("needs_review").await;
    scenario.alert.wait_until_inactive().await;
}

pub(in crate::operation::runbooks) async fn the_rate_limit_of_close_is_used_up(case: Case) {
    let mut scenario = Scenario::new(case, TestConfig::default()).await;
    let limited = json!({ "status": 429, "headers": { "retry-after": "1" } });
    scenario
        .server
        .close
        .fault(json!({ "path": RENT, "answer": limited }))
        .await;
    let order = scenario
        .server
        .order_at_once(&ALICE, "waits", &berlin())
        .await
        .expect(202);
    scenario.make_older(&order, 1_200).await;
    scenario.alert.wait_until_active().await;
    // Each attempt takes the order out of the queue for a moment.
    let waiting = eventually("the order waits in the queue", || async {
        scenario.server.list(&OLGA, "/v1/orders?state=queued").await.pop()
    })
    .await;
    assert!(text(&waiting["reason"]).contains("rate limit"), "{waiting}");

    scenario.server.close.clear_faults().await;
    scenario
        .server
        .wait_for_state(&ALICE, &text(&order["id"]), "fulfilled")
        .await;
    scenario.alert.wait_until_inactive().await;
}

pub(in crate::operation::runbooks) async fn an_order_is_altered_in_the_database(case: Case) {
    let approval = "[teams.sales]\napproval = { countries = [\"DE\"] }";
    let config = TestConfig {
        policy: POLICY.replace("[teams.sales]", approval),
        ..TestConfig::default()
    };
    let mut scenario = Scenario::new(case, config).await;
    let order = scenario
        .server
        .order(&ALICE, "altered", &berlin())
        .await
        .expect(202);
    scenario
        .server
        .database
        .execute("UPDATE orders SET request = REPLACE(request, 'local', 'mobile')")
        .await;
    let id = text(&order["id"]);
    let approve = async |id: &str| {
        send(
            scenario
                .server
                .request_as(&PETRA, "POST", &format!("/v1/orders/{id}/approve")),
        )
        .await
    };
    let answer = approve(&id).await;
    assert!([200, 409].contains(&answer.status), "{answer}");
    scenario.alert.wait_until_active().await;
    let rows = scenario
        .server
        .list(&LENA, &format!("/v1/audit?order_id={id}"))
        .await;
    assert!(rows.iter().any(|row| row["outcome"] == "altered"), "{rows:?}");
    assert_eq!(scenario.run("audit verify").await.code, 0);

    // The service has cancelled the order. The app orders again.
    scenario.server.wait_for_state(&ALICE, &id, "cancelled").await;
    scenario.alert.record_recovery().await;
    let anew = scenario.server.order(&ALICE, "anew", &berlin()).await.expect(202);
    let id = text(&anew["id"]);
    send(
        scenario
            .server
            .request_as(&PETRA, "POST", &format!("/v1/orders/{id}/approve")),
    )
    .await
    .expect(200);
    scenario.server.wait_for_state(&ALICE, &id, "fulfilled").await;
    scenario.alert.wait_until_inactive().await;
}

pub(in crate::operation::runbooks) async fn a_number_appears_after_its_order_was_refused(case: Case) {
    let config = TestConfig {
        full_sync: "1s",
        settle_after: "1s",
        ..TestConfig::default()
    };
    let mut scenario = Scenario::new(case, config).await;
    // Close executes the request long after the service has given up the order.
    let mut late = lost(true);
    late["effect_after"] = json!("20s");
    scenario.server.close.fault(late).await;
    let order = scenario.server.order(&ALICE, "late", &berlin()).await.expect(202);
    let order = scenario
        .server
        .wait_for_state(&ALICE, &text(&order["id"]), "refused")
        .await;
    scenario.alert.wait_until_active().await;
    let orphans = scenario.wait_for_orphans().await;
    assert_eq!(orphans[0]["desk"]["order_id"], order["id"], "{orphans:?}");
    scenario.assert_logged(&["number turned up after its order was given up"]);

    scenario.adopt(&orphans[0]).await;
    scenario.alert.record_recovery().await;
    scenario.alert.wait_until_inactive().await;
}

pub(in crate::operation::runbooks) async fn a_person_rents_a_number_in_close(case: Case) {
    let config = TestConfig {
        full_sync: "1s",
        ..TestConfig::default()
    };
    let mut scenario = Scenario::new(case, config).await;
    scenario
        .server
        .close
        .person_rents(json!({ "country": "DE" }))
        .await;
    scenario.alert.wait_until_active().await;
    let orphans = scenario.wait_for_orphans().await;
    assert_eq!(orphans.len(), 1);
    eventually("the provenance of the orphan is shown", || async {
        let orphans = scenario.server.list(&OLGA, "/v1/phone-numbers?orphan=true").await;
        orphans.first()?["desk"]["provenance"].is_object().then_some(())
    })
    .await;

    scenario.adopt(&orphans[0]).await;
    scenario.alert.wait_until_inactive().await;
}

pub(in crate::operation::runbooks) async fn nobody_approves_an_order(case: Case) {
    let approval = "[teams.sales]\napproval = { countries = [\"DE\"] }";
    let config = TestConfig {
        policy: POLICY.replace("[teams.sales]", approval),
        ..TestConfig::default()
    };
    let mut scenario = Scenario::new(case, config).await;
    let order = scenario
        .server
        .order(&ALICE, "waits", &berlin())
        .await
        .expect(202);
    scenario.make_older(&order, 55 * 3_600).await;
    scenario.alert.wait_until_active().await;
    let waiting = scenario
        .server
        .list(&OLGA, "/v1/orders?state=awaiting_approval")
        .await;
    assert_eq!(waiting[0]["id"], order["id"], "{waiting:?}");

    let path = format!("/v1/orders/{}/approve", text(&order["id"]));
    let approved = send(scenario.server.request_as(&PETRA, "POST", &path)).await;
    assert!(approved.status < 300, "{approved}");
    scenario.alert.wait_until_inactive().await;
}

//! Faults that hold up orders, or that leave a number to a person.

use serde_json::{Value, json};

use crate::operation::runbooks::scenario::{Case, Scenario};
use crate::support::close::RENT;
use crate::support::eventually;
use crate::support::personas::{ALICE, LENA, OLGA, Persona};
use crate::support::server::{POLICY, TestConfig, send, text};

const SECOND: i64 = 1_000_000;
/// The second person of sales.
const PETRA: Persona = Persona {
    name: "petra@example.com",
    permissions: "numbers:read orders:approve audit:read",
    close_user: Some(1),
    ..ALICE
};

fn berlin() -> Value {
    json!({ "country": "DE", "carrier_type": "local" })
}

/// The paid call's answer is lost; `effect`: the number was rented.
fn lost(effect: bool) -> Value {
    json!({ "path": RENT, "times": 1, "answer": "drop_before_headers", "effect": effect })
}

impl Scenario {
    /// As if the order had been accepted so much earlier.
    async fn pass(&self, order: &Value, seconds: i64) {
        let (id, back) = (text(&order["id"]), seconds * SECOND);
        let statement = format!("UPDATE orders SET created_at = created_at - {back} WHERE id = '{id}'");
        self.server.database.change(&statement).await;
    }

    /// Numbers of nobody, once there are some.
    async fn orphans(&self) -> Vec<Value> {
        eventually("a number of nobody turns up", || async {
            let orphans = self.server.list(&OLGA, "/v1/phone-numbers?orphan=true").await;
            (!orphans.is_empty()).then_some(orphans)
        })
        .await
    }

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

pub(in crate::operation::runbooks) async fn close_can_not_be_looked_at(case: Case) {
    let mut it = Scenario::new(case, TestConfig::default()).await;
    let blind = json!({ "method": "GET", "path": "/phone_number/", "answer": { "status": 503 } });
    it.server.close.fault(json!([lost(true), blind])).await;
    let order = it.server.order(&ALICE, "lost", &berlin()).await.expect(202);
    it.pass(&order, 3_600).await;
    it.alert.holds().await;
    assert_eq!(
        it.server.list(&OLGA, "/v1/orders?state=unverified").await.len(),
        1
    );
    // Of its country nothing more is sent: what waits for that names no reason.
    it.server
        .order_at_once(&ALICE, "frozen", &berlin())
        .await
        .expect(202);
    let waiting = it.server.list(&OLGA, "/v1/orders?state=queued").await;
    assert_eq!((waiting.len(), &waiting[0]["reason"]), (1, &Value::Null));
    it.log_says(&["\"worker\":\"reconcile\"", "close is unavailable"]);

    it.server.close.clear_faults().await;
    it.server
        .wait_for_state(&ALICE, &text(&order["id"]), "fulfilled")
        .await;
    it.no_order_is("unverified").await;
    it.alert.is_over().await;
}

pub(in crate::operation::runbooks) async fn more_numbers_than_orders_come_into_question(case: Case) {
    let mut it = Scenario::new(case, TestConfig::default()).await;
    it.server.rent(&ALICE, "before", "DE").await;
    // Somebody rents with the desk's own key, the very same, just before an answer is lost.
    let call = it.server.close.rents().await[0]["body"].clone();
    assert_eq!(it.server.close.ask("POST", RENT, Some(call)).await.0, 201);
    it.server.close.fault(lost(true)).await;
    let order = it.server.order(&ALICE, "lost", &berlin()).await.expect(202);
    let order = it
        .server
        .wait_for_state(&ALICE, &text(&order["id"]), "needs_review")
        .await;
    it.alert.holds().await;
    let listed = it.server.list(&OLGA, "/v1/orders?state=needs_review").await;
    assert_eq!(listed.len(), 1);
    let reason = text(&order["reason"]);
    let number = reason
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .find(|word| word.starts_with("phon_"));

    let path = format!("/v1/orders/{}/settle", text(&order["id"]));
    let finding = json!({ "phone_number_id": number.unwrap_or_else(|| panic!("{reason} names numbers")) });
    let settled = send(it.server.request_as(&OLGA, "POST", &path).json(&finding))
        .await
        .expect(200);
    assert_eq!(settled["state"], "fulfilled");
    it.no_order_is("needs_review").await;
    it.alert.is_over().await;
}

pub(in crate::operation::runbooks) async fn close_s_rate_limit_is_used_up(case: Case) {
    let mut it = Scenario::new(case, TestConfig::default()).await;
    let full = json!({ "status": 429, "headers": { "retry-after": "1" } });
    it.server
        .close
        .fault(json!({ "path": RENT, "answer": full }))
        .await;
    let order = it
        .server
        .order_at_once(&ALICE, "waits", &berlin())
        .await
        .expect(202);
    it.pass(&order, 1_200).await;
    it.alert.holds().await;
    // Each attempt takes the order out of the queue for a moment.
    let waiting = eventually("the order waits in the queue", || async {
        it.server.list(&OLGA, "/v1/orders?state=queued").await.pop()
    })
    .await;
    assert!(text(&waiting["reason"]).contains("rate limit"), "{waiting}");

    it.server.close.clear_faults().await;
    it.server
        .wait_for_state(&ALICE, &text(&order["id"]), "fulfilled")
        .await;
    it.alert.is_over().await;
}

pub(in crate::operation::runbooks) async fn somebody_writes_to_the_database(case: Case) {
    let approval = "[teams.sales]\napproval = { countries = [\"DE\"] }";
    let config = TestConfig {
        policy: POLICY.replace("[teams.sales]", approval),
        ..TestConfig::default()
    };
    let mut it = Scenario::new(case, config).await;
    let order = it.server.order(&ALICE, "altered", &berlin()).await.expect(202);
    it.server
        .database
        .change("UPDATE orders SET request = REPLACE(request, 'local', 'mobile')")
        .await;
    let id = text(&order["id"]);
    let approve = async |id: &str| {
        send(
            it.server
                .request_as(&PETRA, "POST", &format!("/v1/orders/{id}/approve")),
        )
        .await
    };
    let answer = approve(&id).await;
    assert!([200, 409].contains(&answer.status), "{answer}");
    it.alert.holds().await;
    let rows = it.server.list(&LENA, &format!("/v1/audit?order_id={id}")).await;
    assert!(rows.iter().any(|row| row["outcome"] == "altered"), "{rows:?}");
    assert_eq!(it.run("audit verify").await.code, 0);

    // It was withdrawn; the app orders anew.
    it.server.wait_for_state(&ALICE, &id, "cancelled").await;
    it.alert.mended().await;
    let anew = it.server.order(&ALICE, "anew", &berlin()).await.expect(202);
    let id = text(&anew["id"]);
    send(
        it.server
            .request_as(&PETRA, "POST", &format!("/v1/orders/{id}/approve")),
    )
    .await
    .expect(200);
    it.server.wait_for_state(&ALICE, &id, "fulfilled").await;
    it.alert.is_over().await;
}

pub(in crate::operation::runbooks) async fn a_number_comes_too_late(case: Case) {
    let config = TestConfig {
        full_sync: "1s",
        settle_after: "1s",
        ..TestConfig::default()
    };
    let mut it = Scenario::new(case, config).await;
    // Close executes the call when nobody waits for it any more.
    let mut late = lost(true);
    late["effect_after"] = json!("8s");
    it.server.close.fault(late).await;
    let order = it.server.order(&ALICE, "late", &berlin()).await.expect(202);
    let order = it
        .server
        .wait_for_state(&ALICE, &text(&order["id"]), "refused")
        .await;
    it.alert.holds().await;
    let orphans = it.orphans().await;
    assert_eq!(orphans[0]["desk"]["order_id"], order["id"], "{orphans:?}");
    it.log_says(&["number turned up after its order was given up"]);

    it.adopt(&orphans[0]).await;
    it.alert.mended().await;
    it.alert.is_over().await;
}

pub(in crate::operation::runbooks) async fn somebody_rents_beside_the_desk(case: Case) {
    let config = TestConfig {
        full_sync: "1s",
        ..TestConfig::default()
    };
    let mut it = Scenario::new(case, config).await;
    it.server.close.person_rents(json!({ "country": "DE" })).await;
    it.alert.holds().await;
    let orphans = it.orphans().await;
    assert_eq!(orphans.len(), 1);
    eventually("it is said who made it", || async {
        let orphans = it.server.list(&OLGA, "/v1/phone-numbers?orphan=true").await;
        orphans[0]["desk"]["provenance"].is_object().then_some(())
    })
    .await;

    it.adopt(&orphans[0]).await;
    it.alert.is_over().await;
}

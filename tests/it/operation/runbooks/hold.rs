//! Alerts about holds on orders and releases.

use serde_json::json;

use crate::operation::runbooks::scenario::{Case, Scenario};
use crate::support::binary::run;
use crate::support::close::RENT;
use crate::support::eventually;
use crate::support::personas::ALICE;
use crate::support::server::TestConfig;

pub(in crate::operation::runbooks) async fn somebody_else_uses_the_api_key(case: Case) {
    let mut scenario = Scenario::new(case, TestConfig::default()).await;
    scenario.server.rent(&ALICE, "own", "DE").await;
    // The service does not know calls from before its first start, which was a moment ago.
    scenario
        .server
        .database
        .execute("UPDATE settings SET value = '2026-01-01T00:00:00Z' WHERE name = 'knows_calls_since'")
        .await;
    let call = scenario.server.close.rents().await[0]["body"].clone();
    assert_eq!(scenario.server.close.call("POST", RENT, Some(call)).await.0, 201);
    // The next search is due in a minute.
    scenario
        .server
        .database
        .execute("UPDATE turns SET due_at = 1 WHERE name = 'hold'")
        .await;
    scenario.alert.wait_until_active().await;
    scenario.assert_logged(&["orders and releases held"]);
    let folder = scenario.server.folder.path();
    let confirmed = run(folder, &["recover", "--config", "numberdesk.toml", "--confirm"]).await;
    assert_eq!(confirmed.code, 0, "{confirmed:?}");
    let german = json!({ "country": "DE", "carrier_type": "local" });
    scenario.server.order(&ALICE, "again", &german).await.expect(201);
    scenario.alert.wait_until_inactive().await;
}

pub(in crate::operation::runbooks) async fn an_operator_forgets_a_hold(case: Case) {
    let mut scenario = Scenario::new(case, TestConfig::default()).await;
    let folder = scenario.server.folder.path().to_owned();
    let on = run(&folder, &["hold", "--config", "numberdesk.toml", "--on"]).await;
    assert_eq!(on.code, 0, "{on:?}");
    scenario.alert.wait_until_active().await;
    let off = run(&folder, &["hold", "--config", "numberdesk.toml", "--off"]).await;
    assert_eq!(off.code, 0, "{off:?}");
    eventually("the service sends orders again", || async {
        let readiness = scenario.server.at_ops("/readyz").await.json();
        (readiness["orders"] == "ok").then_some(())
    })
    .await;
    scenario.alert.wait_until_inactive().await;
}

//! Faults that use something up: rate limits, capacity, time, and the error budgets of objectives.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::operation::runbooks::scenario::{Case, Scenario};
use crate::support::close::RENT;
use crate::support::eventually;
use crate::support::personas::{ALICE, LENA};
use crate::support::raw::{read_response, send_order};
use crate::support::receiver::{Receiver, Reply};
use crate::support::server::{TestConfig, send, text, webhooks_to};

fn berlin() -> Value {
    json!({ "country": "DE", "carrier_type": "local" })
}

pub(in crate::operation::runbooks) async fn requests_are_shed(case: Case) {
    let config = TestConfig {
        limits: "requests_per_minute = 0\nin_flight = 2\nwaiting_orders = 2",
        ..TestConfig::default()
    };
    let mut scenario = Scenario::new(case, config).await;
    // The autoscaler can add no replica, which another alert reports.
    let replicas =
        "kube_horizontalpodautoscaler_status_current_replicas{horizontalpodautoscaler=\"numberdesk\"}";
    let allowed = "kube_horizontalpodautoscaler_spec_max_replicas{horizontalpodautoscaler=\"numberdesk\"}";
    scenario.alert.external.extend([(replicas, 6.0), (allowed, 6.0)]);
    scenario.server.close.set(json!({ "rent_latency": "12s" })).await;
    let mut waiting = [
        send_order(&scenario.server, &ALICE, "one", &berlin()).await,
        send_order(&scenario.server, &ALICE, "two", &berlin()).await,
    ];
    scenario.server.close.wait_for_requests("POST", RENT, 2).await;
    let server = &scenario.server;
    let send_requests = || async {
        for _ in 0..20 {
            server.get(&ALICE, "/v1/me").await;
        }
    };
    scenario.alert.wait_until_active_while(send_requests).await;
    for stream in &mut waiting {
        assert_eq!(read_response(stream).await.status, 201);
    }

    scenario.reconfigure("in_flight = 2\n", "in_flight = 20\n");
    scenario.restart().await;
    scenario.alert.record_recovery().await;
    let server = &scenario.server;
    scenario
        .alert
        .wait_until_inactive_while(|| async { drop(server.get(&ALICE, "/v1/me").await.expect(200)) })
        .await;
}

pub(in crate::operation::runbooks) async fn close_allows_few_calls(case: Case) {
    let mut scenario = Scenario::new(case, TestConfig::default()).await;
    let number = scenario.server.rent(&ALICE, "one", "DE").await;
    let nth = AtomicUsize::new(0);
    let server = &scenario.server;
    let change = || async {
        let label = format!("Label {}", nth.fetch_add(1, Ordering::Relaxed));
        let changed = server.patch(&ALICE, &number, &json!({ "label": label })).await;
        assert_eq!(changed.status, 200, "{changed}");
    };
    server
        .close
        .set(json!({ "rate_limit": { "limit": 2, "window": "1s" } }))
        .await;
    scenario.alert.wait_until_active_while(change).await;

    server
        .close
        .set(json!({ "rate_limit": { "limit": 320, "window": "8s" } }))
        .await;
    scenario.alert.wait_until_inactive_while(change).await;
}

pub(in crate::operation::runbooks) async fn an_app_is_gone(case: Case) {
    let app = Receiver::start().await;
    app.answers(Reply::Status(410));
    let config = TestConfig {
        webhooks: webhooks_to(&[app.port()]),
        ..TestConfig::default()
    };
    let mut scenario = Scenario::new(case, config).await;
    let manager = LENA.with("numbers:read numbers:rent webhooks:manage");
    let path = "/v1/webhook-endpoints";
    let body = json!({ "url": app.url(), "types": ["order.fulfilled"] });
    let endpoint = send(scenario.server.request_as(&manager, "POST", path).json(&body))
        .await
        .expect(201);
    scenario.server.rent(&ALICE, "one", "DE").await;
    scenario.alert.wait_until_active().await;

    // The app works again, and its team replays the deliveries.
    app.answers(Reply::Status(204));
    let path = format!("{path}/{}", text(&endpoint["id"]));
    let active = json!({ "state": "active" });
    send(scenario.server.request_as(&manager, "PATCH", &path).json(&active))
        .await
        .expect(200);
    let deliveries = format!("{path}/deliveries");
    let dead = scenario.server.list(&manager, &deliveries).await;
    let replay = format!("{deliveries}/{}/replay", text(&dead[0]["id"]));
    send(scenario.server.request_as(&manager, "POST", &replay))
        .await
        .expect(202);
    eventually("the delivery arrives", || async {
        let deliveries = scenario.server.list(&manager, &deliveries).await;
        (deliveries[0]["state"] == "delivered").then_some(())
    })
    .await;
    scenario.alert.record_recovery().await;
    scenario.alert.wait_until_inactive().await;
}

pub(in crate::operation::runbooks) async fn a_rollout_does_not_end(case: Case) {
    let mut scenario = Scenario::new(case, TestConfig::default()).await;
    // A replica of another version, which this build can't be.
    let other = "numberdesk_build_info{job=\"numberdesk-ops\",pod=\"old\",version=\"0.0.9\"}";
    scenario.alert.external.insert(other, 1.0);
    scenario.alert.wait_until_active().await;
    scenario.alert.external.remove(other);
    scenario.alert.wait_until_inactive().await;
}

pub(in crate::operation::runbooks) async fn a_replica_keeps_an_old_policy(case: Case) {
    let mut scenario = Scenario::new(case, TestConfig::default()).await;
    // A replica whose file has not changed.
    let other = "numberdesk_policy_info{job=\"numberdesk-ops\",pod=\"old\",fingerprint=\"0123456789ab\"}";
    scenario.alert.external.insert(other, 1.0);
    scenario.alert.wait_until_active().await;
    scenario.alert.external.remove(other);
    scenario.alert.wait_until_inactive().await;
}

pub(in crate::operation::runbooks) async fn a_volume_fills_up(case: Case) {
    let mut scenario = Scenario::new(case, TestConfig::default()).await;
    let free = "kubelet_volume_stats_available_bytes{persistentvolumeclaim=\"numberdesk-data\"}";
    let size = "kubelet_volume_stats_capacity_bytes{persistentvolumeclaim=\"numberdesk-data\"}";
    scenario.alert.external.extend([(free, 1e8), (size, 1e9)]);
    scenario.alert.wait_until_active().await;
    scenario.alert.external.insert(size, 5e8);
    scenario.alert.wait_until_inactive().await;
}

pub(in crate::operation::runbooks) async fn many_changes_fail(case: Case) {
    let config = TestConfig {
        timeout: "2s",
        ..TestConfig::default()
    };
    let mut scenario = Scenario::new(case, config).await;
    let number = scenario.server.rent(&ALICE, "one", "DE").await;
    let down = json!({ "method": "PUT", "answer": { "status": 503, "body": "down" } });
    scenario.server.close.fault(down).await;
    let server = &scenario.server;
    let label = json!({ "label": "L" });
    let fail = || async {
        for _ in 0..3 {
            let failed = server.patch(&ALICE, &number, &label).await;
            assert!(failed.status >= 500, "{failed}");
        }
    };
    scenario.alert.wait_until_active_while(fail).await;

    server.close.clear_faults().await;
    scenario.alert.record_recovery().await;
    let read = || async { drop(server.get(&ALICE, "/v1/me").await.expect(200)) };
    scenario.alert.wait_until_inactive_while(read).await;
}

pub(in crate::operation::runbooks) async fn many_orders_take_longer_than_a_minute(case: Case) {
    let mut scenario = Scenario::new(case, TestConfig::default()).await;
    let limited = json!({ "status": 429, "headers": { "retry-after": "1" } });
    scenario
        .server
        .close
        .fault(json!({ "path": RENT, "answer": limited }))
        .await;
    let mut orders = Vec::new();
    for nth in 0..12 {
        let order = scenario
            .server
            .order_at_once(&ALICE, &format!("slow-{nth}"), &berlin())
            .await
            .expect(202);
        scenario.make_older(&order, 90).await;
        orders.push(text(&order["id"]));
    }
    scenario.server.close.clear_faults().await;
    for order in &orders {
        scenario.server.wait_for_state(&ALICE, order, "fulfilled").await;
    }
    scenario.alert.wait_until_active().await;
    let metrics = scenario.server.at_ops("/metrics").await.text;
    for (bound, orders) in [("60", 0), ("120", 12)] {
        let series = format!(
            "numberdesk_order_settling_seconds_bucket{{state=\"fulfilled\",le=\"{bound}\"}} {orders}\n"
        );
        assert!(metrics.contains(&series), "{series} is not in {metrics}");
    }

    // Longer than six hours.
    for _ in 0..2 {
        scenario.alert.record_recovery().await;
    }
    scenario.server.rent(&ALICE, "quick", "DE").await;
    scenario.alert.wait_until_inactive().await;
}

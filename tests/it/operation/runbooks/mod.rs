//! Plays every alert and its runbook once, one test for each alert.
//!
//! A scenario causes the fault, and waits until the alert's expression holds on what a real service shows on `/metrics`.
//! It then follows docs/runbooks.md, and waits until the expression does not hold any more. Prometheus' own `promtool`
//! evaluates the expression. `tests/python/alerts_fire.py` covers the thresholds and waiting times.

mod close;
mod desk;
mod orders;
mod scenario;

use std::collections::BTreeSet;

use crate::operation::runbooks::scenario::{Case, rules};
use crate::support::database::{with_postgres, with_sqlite};

/// Makes one test of each alert and its scenario.
macro_rules! scenarios {
    ($($alert:ident: $store:ident, $scenario:path;)*) => {
        const PLAYED: &[&str] = &[$(stringify!($alert)),*];
        $(
            #[expect(non_snake_case, reason = "the test has the name of the alert")]
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $alert() {
                $store(|database| $scenario(Case::new(stringify!($alert), database))).await;
            }
        )*
    };
}

scenarios! {
    NumberdeskWorkerFailures: with_sqlite, desk::a_step_keeps_failing;
    NumberdeskOutgoingWebhooksBacklog: with_sqlite, desk::an_app_does_not_take_its_webhooks;
    NumberdeskCloseKeyRefused: with_sqlite, close::the_key_is_revoked;
    NumberdeskOrdersUnverified: with_sqlite, orders::close_can_not_be_looked_at;
    NumberdeskOrdersNeedReview: with_sqlite, orders::more_numbers_than_orders_come_into_question;
    NumberdeskQueueNotMoving: with_sqlite, orders::close_s_rate_limit_is_used_up;
    NumberdeskBudgetNearlyUsed: with_sqlite, desk::a_team_spends_its_budget;
    NumberdeskNewOrphans: with_sqlite, orders::somebody_rents_beside_the_desk;
    NumberdeskIssuerKeysOld: with_sqlite, desk::an_issuer_is_away_since_before_the_rollout;
    NumberdeskInventoryOld: with_sqlite, close::a_listing_is_never_whole;
    NumberdeskDatabaseDown: with_postgres, desk::the_database_is_away;
    NumberdeskReplicaNotReady: with_postgres, desk::the_database_is_away;
    NumberdeskDown: with_sqlite, desk::nobody_is_there;
    NumberdeskErrors: with_sqlite, desk::requests_fail;
    NumberdeskShedding: with_sqlite, desk::too_many_requests_are_at_work;
    NumberdeskPolicyBroken: with_sqlite, desk::the_policy_is_spoiled;
    NumberdeskAuditUnsealed: with_sqlite, desk::the_head_of_the_chain_is_deleted;
    NumberdeskTlsCertificateBroken: with_sqlite, desk::the_certificate_s_key_is_another_s;
    NumberdeskTlsCertificateExpires: with_sqlite, desk::the_certificate_ends_soon;
    NumberdeskMemoryNearLimit: with_sqlite, desk::the_memory_is_too_small;
    NumberdeskFileDescriptors: with_sqlite, desk::clients_open_a_connection_for_each_request;
    NumberdeskCloseUnreachable: with_sqlite, close::nothing_is_answered;
    NumberdeskCloseKeyFileBroken: with_sqlite, close::the_file_has_another_key;
    NumberdeskCloseForbidsRenting: with_sqlite, close::the_user_may_not_rent;
    NumberdeskWebhooksRefused: with_sqlite, close::the_signature_key_is_rotated;
    NumberdeskWebhookSubscriptionInactive: with_sqlite, close::the_desk_can_not_be_reached;
    NumberdeskCloseSubscriptionsNearLimit: with_sqlite, close::others_have_many_subscriptions;
    NumberdeskWebhookLag: with_sqlite, close::clocks_differ;
    NumberdeskReadBacksOld: with_sqlite, close::a_number_is_not_answered;
    NumberdeskOrderAltered: with_sqlite, orders::somebody_writes_to_the_database;
    NumberdeskLateArrival: with_sqlite, orders::a_number_comes_too_late;
}

#[test]
fn every_alert_has_a_scenario() {
    let alerts = rules().into_iter().map(|rule| rule.name).collect();
    assert_eq!(
        PLAYED.iter().map(ToString::to_string).collect::<BTreeSet<_>>(),
        alerts
    );
}

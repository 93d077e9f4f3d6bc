//! Plays every alert and its runbook once, one test for each alert.
//!
//! A scenario causes the fault, and waits until the alert's expression holds on what a real service shows on `/metrics`.
//! It then follows docs/runbooks.md, and waits until the expression does not hold any more. Prometheus' own `promtool`
//! evaluates the expression. `tests/python/alerts_fire.py` covers the thresholds and waiting times.

mod close;
mod desk;
mod hold;
mod limits;
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
    NumberdeskWorkerFailures: with_sqlite, desk::a_worker_step_keeps_failing;
    NumberdeskOutgoingWebhooksBacklog: with_sqlite, desk::webhooks_to_a_failing_app_are_queued;
    NumberdeskCloseKeyRefused: with_sqlite, close::the_api_key_is_revoked;
    NumberdeskOrdersUnverified: with_sqlite, orders::listings_fail_for_an_unverified_order;
    NumberdeskOrdersNeedReview: with_sqlite, orders::several_numbers_match_one_order;
    NumberdeskQueueNotMoving: with_sqlite, orders::the_rate_limit_of_close_is_used_up;
    NumberdeskBudgetNearlyUsed: with_sqlite, desk::a_team_spends_its_budget;
    NumberdeskNewOrphans: with_sqlite, orders::a_person_rents_a_number_in_close;
    NumberdeskIssuerKeysOld: with_sqlite, desk::an_issuer_is_unreachable_at_startup;
    NumberdeskIssuerKeysBroken: with_sqlite, desk::an_issuer_publishes_no_usable_key;
    NumberdeskInventoryOld: with_sqlite, close::complete_listings_fail;
    NumberdeskDatabaseDown: with_postgres, desk::the_database_is_down;
    NumberdeskReplicaNotReady: with_postgres, desk::a_replica_that_needs_its_database_lacks_it;
    NumberdeskDown: with_sqlite, desk::the_process_is_down;
    NumberdeskErrors: with_sqlite, desk::requests_fail;
    NumberdeskShedding: with_sqlite, limits::requests_are_shed;
    NumberdeskAutoscalerAtLimit: with_sqlite, limits::requests_are_shed;
    NumberdeskCloseRateLimitUsedUp: with_sqlite, limits::close_allows_few_calls;
    NumberdeskWebhooksDead: with_sqlite, limits::an_app_is_gone;
    NumberdeskApprovalsExpire: with_sqlite, orders::nobody_approves_an_order;
    NumberdeskVersionsDiffer: with_sqlite, limits::a_rollout_does_not_end;
    NumberdeskPoliciesDiffer: with_sqlite, limits::a_replica_keeps_an_old_policy;
    NumberdeskVolumeNearlyFull: with_sqlite, limits::a_volume_fills_up;
    NumberdeskObjectiveBurnsFast: with_sqlite, limits::many_changes_fail;
    NumberdeskObjectiveBurnsSlowly: with_sqlite, limits::many_orders_take_longer_than_a_minute;
    NumberdeskPolicyBroken: with_sqlite, desk::the_policy_file_is_invalid;
    NumberdeskAuditUnsealed: with_sqlite, desk::the_head_of_the_chain_is_deleted;
    NumberdeskTlsCertificateBroken: with_sqlite, desk::the_certificate_and_its_key_do_not_match;
    NumberdeskTlsCertificateExpires: with_sqlite, desk::the_certificate_expires_soon;
    NumberdeskMemoryNearLimit: with_sqlite, desk::memory_is_near_its_limit;
    NumberdeskFileDescriptors: with_sqlite, desk::file_descriptors_are_nearly_used_up;
    NumberdeskCloseUnreachable: with_sqlite, close::close_does_not_respond;
    NumberdeskCloseKeyFileBroken: with_sqlite, close::the_key_file_has_a_wrong_key;
    NumberdeskCloseForbidsRenting: with_sqlite, close::close_forbids_renting;
    NumberdeskCloseApiChanged: with_sqlite, close::close_adds_a_field;
    NumberdeskCloseOddRecord: with_sqlite, close::a_number_can_not_be_read;
    NumberdeskWebhooksRefused: with_sqlite, close::the_signature_key_is_rotated;
    NumberdeskWebhookSubscriptionInactive: with_sqlite, close::close_can_not_reach_the_public_url;
    NumberdeskCloseSubscriptionsNearLimit: with_sqlite, close::subscriptions_are_near_the_limit;
    NumberdeskWebhookLag: with_sqlite, close::the_clock_of_close_is_wrong;
    NumberdeskReadBacksOld: with_sqlite, close::refetching_a_number_fails;
    NumberdeskOrderAltered: with_sqlite, orders::an_order_is_altered_in_the_database;
    NumberdeskHeldAfterRestore: with_sqlite, hold::somebody_else_uses_the_api_key;
    NumberdeskHeldByOperator: with_sqlite, hold::an_operator_forgets_a_hold;
    NumberdeskLateArrival: with_sqlite, orders::a_number_appears_after_its_order_was_refused;
}

#[test]
fn every_alert_has_a_scenario() {
    let alerts = rules().into_iter().map(|rule| rule.name).collect();
    assert_eq!(
        PLAYED.iter().map(ToString::to_string).collect::<BTreeSet<_>>(),
        alerts
    );
}

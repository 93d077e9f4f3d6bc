//! Every alert and its runbook, played once: a real desk is brought to where the alert's own expression holds on what it
//! shows on `/metrics`; what docs/runbooks.md says is looked at and done; and then the expression holds no more. Whether it
//! holds is said by Prometheus itself. `tests/python/alerts_fire.py` has the thresholds and waits to itself.

mod close;
mod desk;
mod orders;
mod scenario;

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, stream};

use crate::operation::runbooks::scenario::{Case, Rule, rules};
use crate::support::database::{with_postgres, with_sqlite};

/// Scenes that are played at once: mostly they wait for something to be noticed.
const AT_ONCE: usize = 8;

type Run = fn(Rule) -> BoxFuture<'static, ()>;

/// Which scenario is whose.
macro_rules! scenarios {
    ($($alert:ident: $store:ident, $scenario:path;)*) => {
        const SCENARIOS: &[(&str, Run)] = &[$((stringify!($alert), |rule| {
            Box::pin($store(move |database| $scenario(Case { rule, database })))
        })),*];
    };
}

// Those that take longest come first.
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

/// `NUMBERDESK_TEST_ALERT=NumberdeskDown` plays that one alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_alert_holds_by_its_fault_and_no_more_once_its_runbook_was_followed() {
    let rules = rules();
    let mut known: Vec<_> = rules.iter().map(|rule| rule.name.as_str()).collect();
    let mut played: Vec<_> = SCENARIOS.iter().map(|(name, _)| *name).collect();
    known.sort_unstable();
    played.sort_unstable();
    assert_eq!(known, played, "alerts and the scenarios that play them");

    let only = std::env::var("NUMBERDESK_TEST_ALERT").ok();
    let scenarios = SCENARIOS
        .iter()
        .filter(|(name, _)| only.as_deref().is_none_or(|only| only == *name))
        .map(|(name, play)| {
            let rule = rules.iter().find(|rule| rule.name == *name).unwrap().clone();
            tokio::spawn(play(rule)).map(move |ended| ended.is_err().then_some(*name))
        });
    // A task runs from when it is spawned: the iterator is lazy, so no more than these are.
    let failed: Vec<_> = stream::iter(scenarios)
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(failed.is_empty(), "see above what went wrong with {failed:?}");
}

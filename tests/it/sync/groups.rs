//! The members of groups: every replica has those that the comparing replica read last.

use numberdesk::desk::Desk;
use numberdesk::error::Error;
use serde_json::json;

use crate::support::database::{Database, on_both_stores};
use crate::support::desk::{TestDesk, caller, order, request};

on_both_stores! {
    a_removed_member_is_denied_on_every_replica_after_the_next_comparison,
}

async fn a_removed_member_is_denied_on_every_replica_after_the_next_comparison(database: Database) {
    let probe = TestDesk::new(database.clone(), "[teams.sales]\ncountries = []\n", 1).await;
    let group = probe.close.groups()[0].clone();
    drop(probe);
    let policy = format!("[teams.sales]\ncountries = [\"DE\"]\nassign_to = {{ group = \"{group}\" }}\n");
    let test_desk = TestDesk::new(database, &policy, 1).await;
    let member = test_desk.close.users()[1].clone();
    let (other, _process) = test_desk.another_replica().await;
    let follow = async |desk: &Desk| desk.events.assign_sequence().await.unwrap();
    let fields = json!({ "country": "DE", "carrier_type": "local", "assign_to": [member] });
    let rent =
        async |desk: &Desk, key: &str| order(&caller("sales"), key, &request(&fields))(desk.clone()).await;
    rent(&other.desk, "while-a-member").await.unwrap();
    other.wait_until_idle().await;
    follow(&other.desk).await;

    // The webhook of the change is lost, and Close answers only the replica that compares.
    let path = format!("/group/{group}/member/{member}/");
    assert_eq!(test_desk.close.call("DELETE", &path, None).await.0, 204);
    test_desk
        .run(|desk| async move { desk.sync.compare().await })
        .await
        .unwrap();
    let fails = json!({ "method": "GET", "path": "/group/{id}/", "answer": { "status": 503 } });
    test_desk.close.fault(fails).await;
    let denied = |outcome: Result<_, Error>| matches!(outcome, Err(Error::Denied { .. }));
    assert!(denied(rent(&test_desk.replica().desk, "comparing").await));
    follow(&other.desk).await;
    assert!(denied(rent(&other.desk, "other").await));
    // A replica that starts later has them, too, although Close does not answer.
    let (late, _late_process) = test_desk.another_replica().await;
    assert!(denied(rent(&late.desk, "late").await));
}

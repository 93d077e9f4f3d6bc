//! Releases: a decision about a number applies only to the version of the number that it was made for.

use numberdesk::domain::number::Number;
use numberdesk::domain::page::Limit;
use numberdesk::store::{AuditFilter, Transferred};
use serde_json::json;

use super::*;

on_both_stores! {
    a_release_is_scheduled_once_and_cancelled_only_with_the_current_version,
    of_concurrent_keeps_and_releases_exactly_one_succeeds,
    a_release_mark_is_withdrawn_only_by_the_call_that_set_it,
    a_postponed_release_is_due_again_later,
    a_number_found_gone_completes_its_running_release,
    a_finished_release_prevails_over_a_late_listing,
    a_transfer_cancels_a_scheduled_release,
}

const ALICE: &str = "alice@example.com";

fn row_by_alice(at: Timestamp) -> AuditRow {
    let alice = Actor {
        issuer: "https://idp.example.com/".into(),
        subject: ALICE.into(),
        sub: None,
    };
    AuditRow::new(at, alice, Action::NumberRelease, "test").number(&number_id("A"))
}

/// Returns the number as it is stored.
async fn current(store: &Store, id: &str) -> Number {
    let number = store
        .number(&Scope::system("test"), &number_id(id))
        .await
        .unwrap();
    number.expect("the number exists")
}

/// Rents a number for sales and schedules its release in a minute.
async fn scheduled(store: &Store, id: &str) -> Number {
    rented(store, "sales", id).await;
    let number = current(store, id).await;
    assert!(
        store
            .schedule_release(&number, later(60), &row_by_alice(NOW))
            .await
            .unwrap()
    );
    current(store, id).await
}

/// Returns the releases that are due, with the subject that requested each.
async fn due(store: &Store, now: Timestamp) -> Vec<(PhoneNumberId, String)> {
    let due = store.due_releases(now, 10).await.unwrap();
    due.into_iter()
        .map(|(number, requester)| (number.facts.id, requester.actor.subject))
        .collect()
}

/// The row of the audit trail with the latest time.
async fn latest_row(store: &Store) -> AuditRow {
    let limit = Limit::new(1).unwrap();
    let page = store
        .audit(&Scope::system("test"), &AuditFilter::default(), limit, None)
        .await
        .unwrap();
    page.rows.into_iter().next().expect("a row")
}

async fn a_release_is_scheduled_once_and_cancelled_only_with_the_current_version(database: Database) {
    let store = database.store().await;
    rented(&store, "sales", "A").await;
    let before = current(&store, "A").await;
    assert!(
        store
            .schedule_release(&before, later(60), &row_by_alice(NOW))
            .await
            .unwrap()
    );
    // The number that was read before the schedule is an old version.
    let rows = database.query_integer("SELECT COUNT(*) FROM audit").await;
    assert!(
        !store
            .schedule_release(&before, later(90), &row_by_alice(NOW))
            .await
            .unwrap()
    );
    assert!(!store.mark_releasing(&before, &row_by_alice(NOW)).await.unwrap());
    assert!(!store.cancel_release(&before, &row_by_alice(NOW)).await.unwrap());
    assert_eq!(database.query_integer("SELECT COUNT(*) FROM audit").await, rows);
    let after = current(&store, "A").await;
    assert_eq!(after.release_at, Some(later(60)));
    assert_ne!(after.version(), before.version());
    assert_eq!(due(&store, later(59)).await, []);
    assert_eq!(due(&store, later(60)).await, [(number_id("A"), ALICE.to_owned())]);
    assert!(store.cancel_release(&after, &row_by_alice(NOW)).await.unwrap());
    assert_eq!(current(&store, "A").await, before);
    assert_eq!(due(&store, later(600)).await, []);
    assert_books_balance(&database).await;
}

async fn of_concurrent_keeps_and_releases_exactly_one_succeeds(database: Database) {
    let store = database.store().await;
    for id in ["A", "B", "C", "D"] {
        let number = scheduled(&store, id).await;
        let succeeded = run_concurrently(&database, 20, |store, index| {
            let number = number.clone();
            async move {
                let row = row_by_alice(later(60));
                if index.is_multiple_of(3) {
                    store.cancel_release(&number, &row).await.unwrap()
                } else {
                    store.mark_releasing(&number, &row).await.unwrap()
                }
            }
        })
        .await;
        let winners: Vec<usize> = (0..20).filter(|index| succeeded[*index]).collect();
        assert_eq!(winners.len(), 1, "{winners:?}");
        let after = current(&store, id).await;
        let is_kept = winners[0].is_multiple_of(3);
        assert_eq!((after.releasing, after.release_at.is_none()), (!is_kept, is_kept));
    }
}

async fn a_release_mark_is_withdrawn_only_by_the_call_that_set_it(database: Database) {
    let store = database.store().await;
    rented(&store, "sales", "A").await;
    let id = number_id("A");
    let number = current(&store, "A").await;
    assert!(store.mark_releasing(&number, &row_by_alice(NOW)).await.unwrap());
    assert_ne!(current(&store, "A").await.version(), number.version());
    // After a second call set the mark again, the first call can't withdraw it.
    let marked = current(&store, "A").await;
    assert!(
        store
            .mark_releasing(&marked, &row_by_alice(later(1)))
            .await
            .unwrap()
    );
    store
        .abort_release(&id, NOW, &row_by_alice(later(2)))
        .await
        .unwrap();
    assert!(current(&store, "A").await.releasing);
    let open = store.unfinished_releases(later(1), 10).await.unwrap();
    assert_eq!(
        open.iter()
            .map(|(number, requester)| (&number.facts.id, requester.actor.subject.as_str()))
            .collect::<Vec<_>>(),
        [(&id, ALICE)]
    );
    store
        .abort_release(&id, later(1), &row_by_alice(later(2)))
        .await
        .unwrap();
    assert_eq!(current(&store, "A").await, number);
    assert!(store.unfinished_releases(later(9), 10).await.unwrap().is_empty());
}

async fn a_postponed_release_is_due_again_later(database: Database) {
    let store = database.store().await;
    let number = scheduled(&store, "A").await;
    let (id, mark) = (number_id("A"), row_by_alice(later(60)));
    assert!(store.mark_releasing(&number, &mark).await.unwrap());
    assert_eq!(due(&store, later(999)).await, [], "the release is running");
    store
        .postpone_release(&id, mark.at, later(300), &row_by_alice(later(61)))
        .await
        .unwrap();
    assert_eq!(current(&store, "A").await, number, "the scheduled time stays");
    assert_eq!(due(&store, later(299)).await, []);
    assert_eq!(due(&store, later(300)).await, [(id.clone(), ALICE.to_owned())]);
    // A release that Close refused is not retried.
    let mark = row_by_alice(later(300));
    assert!(store.mark_releasing(&number, &mark).await.unwrap());
    store
        .abort_release(&id, mark.at, &row_by_alice(later(301)))
        .await
        .unwrap();
    assert_eq!(current(&store, "A").await.release_at, None);
    assert_eq!(due(&store, later(9999)).await, []);
}

async fn a_number_found_gone_completes_its_running_release(database: Database) {
    let store = database.store().await;
    let row_of_gone =
        |id: &str, at| AuditRow::new(at, Actor::desk(), Action::NumberGone, "gone").number(&number_id(id));
    let number = scheduled(&store, "A").await;
    let mut mark = row_by_alice(later(60)).number(&number_id("A"));
    (mark.actor.sub, mark.grant) = (Some("9f2c".to_owned()), Some("grants[1]".to_owned()));
    "releasing".clone_into(&mut mark.outcome);
    assert!(store.mark_releasing(&number, &mark).await.unwrap());
    assert!(
        store
            .mark_gone(&number_id("A"), later(61), &row_of_gone("A", later(61)))
            .await
            .unwrap()
    );
    let row = latest_row(&store).await;
    assert_eq!(
        (row.action, row.outcome.as_str(), row.actor.subject.as_str()),
        (Action::NumberRelease, "released", ALICE)
    );
    assert_eq!(
        row.detail,
        json!({"evidence": "found-gone", "grant": "grants[1]", "sub": "9f2c"})
    );
    assert_eq!(row.team, Some(team("sales")));
    // A number with a scheduled release was not released by the service. Its schedule ends.
    scheduled(&store, "B").await;
    assert!(
        store
            .mark_gone(&number_id("B"), later(62), &row_of_gone("B", later(62)))
            .await
            .unwrap()
    );
    assert_eq!(latest_row(&store).await.action, Action::NumberGone);
    assert_eq!(due(&store, later(999)).await, []);
    assert_books_balance(&database).await;
}

async fn a_finished_release_prevails_over_a_late_listing(database: Database) {
    let store = database.store().await;
    rented(&store, "sales", "A").await;
    let id = number_id("A");
    store.observe(&[observation("A", later(5))]).await.unwrap();
    assert!(
        !store
            .mark_gone(&id, later(3), &audit_row(Action::NumberGone))
            .await
            .unwrap()
    );
    assert!(
        store
            .finish_release(&id, later(3), &row_by_alice(later(3)))
            .await
            .unwrap()
    );
    assert!(
        !store
            .finish_release(&id, later(4), &row_by_alice(later(4)))
            .await
            .unwrap()
    );
    assert!(store.number(&Scope::system("test"), &id).await.unwrap().is_none());
    assert_eq!(store.observe(&[observation("A", later(6))]).await.unwrap(), 0);
    assert!(store.number(&Scope::system("test"), &id).await.unwrap().is_none());
    assert_books_balance(&database).await;
}

async fn a_transfer_cancels_a_scheduled_release(database: Database) {
    let store = database.store().await;
    let number = scheduled(&store, "A").await;
    let audit_row = AuditRow::new(later(9), Actor::desk(), Action::NumberTransfer, "test");
    let audit_row = audit_row.detail(serde_json::json!({}));
    let again = store
        .transfer(&number, &team("sales"), &NO_CAPS, NOW, &audit_row)
        .await;
    assert_eq!(again.unwrap(), Transferred::Done(number.clone()));
    let Transferred::Done(moved) = store
        .transfer(
            &number,
            &team("support"),
            &NO_CAPS,
            NOW,
            &audit_row.then(later(10), "test"),
        )
        .await
        .unwrap()
    else {
        panic!("there is no cap")
    };
    assert_eq!((moved.release_at, moved.releasing), (None, false));
    assert_eq!(
        latest_row(&store).await.detail["release_called_off"],
        later(60).to_string()
    );
    assert_eq!(due(&store, later(999)).await, []);
    // A release of the version before the transfer has no effect.
    assert!(
        !store
            .mark_releasing(&number, &row_by_alice(later(60)))
            .await
            .unwrap()
    );
    assert_books_balance(&database).await;
}

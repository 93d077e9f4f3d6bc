//! Numbers on their way back to Close: what was decided of a number holds only while it is as it was known.

use numberdesk::domain::number::Number;
use numberdesk::domain::page::Limit;
use numberdesk::store::{AuditFilter, Transferred};

use super::*;

on_both_stores! {
    a_schedule_is_made_once_and_kept_by_who_knows_of_it,
    of_all_who_keep_and_release_at_the_last_moment_one_wins,
    a_mark_is_taken_back_by_who_made_it_alone,
    what_is_put_off_is_due_again_later,
    a_number_found_gone_ends_the_release_that_was_under_way,
    what_close_has_released_is_gone_whatever_a_late_listing_showed,
    a_schedule_does_not_follow_a_number_to_another_team,
}

const ALICE: &str = "alice@example.com";

fn by_alice(at: Timestamp) -> AuditRow {
    let alice = Actor {
        issuer: "https://idp.example.com/".into(),
        subject: ALICE.into(),
    };
    AuditRow::new(at, alice, Action::NumberRelease, "test").number(&number_id("A"))
}

async fn known(store: &Store, id: &str) -> Number {
    let number = store
        .number(&Scope::system("test"), &number_id(id))
        .await
        .unwrap();
    number.expect("a number that is not gone")
}

/// A number of sales, to be released a minute from now.
async fn scheduled(store: &Store, id: &str) -> Number {
    rented(store, "sales", id).await;
    let number = known(store, id).await;
    assert!(
        store
            .schedule_release(&number, later(60), &by_alice(NOW))
            .await
            .unwrap()
    );
    known(store, id).await
}

async fn due(store: &Store, now: Timestamp) -> Vec<(PhoneNumberId, String)> {
    let due = store.due_releases(now, 10).await.unwrap();
    due.into_iter()
        .map(|(number, asked)| (number.facts.id, asked.subject))
        .collect()
}

/// The row of the audit trail with the latest time.
async fn last_row(store: &Store) -> AuditRow {
    let limit = Limit::new(1).unwrap();
    let page = store
        .audit(&Scope::system("test"), &AuditFilter::default(), limit, None)
        .await
        .unwrap();
    page.rows.into_iter().next().expect("a row")
}

async fn a_schedule_is_made_once_and_kept_by_who_knows_of_it(database: Database) {
    let store = database.store().await;
    rented(&store, "sales", "A").await;
    let before = known(&store, "A").await;
    assert!(
        store
            .schedule_release(&before, later(60), &by_alice(NOW))
            .await
            .unwrap()
    );
    // Whoever read the number before that does not know how it stands.
    let rows = database.ask("SELECT COUNT(*) FROM audit").await;
    assert!(
        !store
            .schedule_release(&before, later(90), &by_alice(NOW))
            .await
            .unwrap()
    );
    assert!(!store.mark_releasing(&before, &by_alice(NOW)).await.unwrap());
    assert!(!store.cancel_release(&before, &by_alice(NOW)).await.unwrap());
    assert_eq!(database.ask("SELECT COUNT(*) FROM audit").await, rows);
    let after = known(&store, "A").await;
    assert_eq!(after.release_at, Some(later(60)));
    assert_ne!(after.version(), before.version());
    assert_eq!(due(&store, later(59)).await, []);
    assert_eq!(due(&store, later(60)).await, [(number_id("A"), ALICE.to_owned())]);
    assert!(store.cancel_release(&after, &by_alice(NOW)).await.unwrap());
    assert_eq!(known(&store, "A").await, before);
    assert_eq!(due(&store, later(600)).await, []);
    assert_books_balance(&database).await;
}

async fn of_all_who_keep_and_release_at_the_last_moment_one_wins(database: Database) {
    let store = database.store().await;
    for id in ["A", "B", "C", "D"] {
        let number = scheduled(&store, id).await;
        let won = at_once(&database, 20, |store, index| {
            let number = number.clone();
            async move {
                let row = by_alice(later(60));
                if index.is_multiple_of(3) {
                    store.cancel_release(&number, &row).await.unwrap()
                } else {
                    store.mark_releasing(&number, &row).await.unwrap()
                }
            }
        })
        .await;
        let winners: Vec<usize> = (0..20).filter(|index| won[*index]).collect();
        assert_eq!(winners.len(), 1, "{winners:?}");
        let after = known(&store, id).await;
        let kept = winners[0].is_multiple_of(3);
        assert_eq!((after.releasing, after.release_at.is_none()), (!kept, kept));
    }
}

async fn a_mark_is_taken_back_by_who_made_it_alone(database: Database) {
    let store = database.store().await;
    rented(&store, "sales", "A").await;
    let id = number_id("A");
    let number = known(&store, "A").await;
    assert!(store.mark_releasing(&number, &by_alice(NOW)).await.unwrap());
    assert_ne!(known(&store, "A").await.version(), number.version());
    // A second one does not know how the first one ended, nor the first one how the second one will.
    let marked = known(&store, "A").await;
    assert!(store.mark_releasing(&marked, &by_alice(later(1))).await.unwrap());
    store.abort_release(&id, NOW, &by_alice(later(2))).await.unwrap();
    assert!(known(&store, "A").await.releasing);
    let open = store.unfinished_releases(later(1), 10).await.unwrap();
    assert_eq!(
        open.iter()
            .map(|(number, asked)| (&number.facts.id, asked.subject.as_str()))
            .collect::<Vec<_>>(),
        [(&id, ALICE)]
    );
    store
        .abort_release(&id, later(1), &by_alice(later(2)))
        .await
        .unwrap();
    assert_eq!(known(&store, "A").await, number);
    assert!(store.unfinished_releases(later(9), 10).await.unwrap().is_empty());
}

async fn what_is_put_off_is_due_again_later(database: Database) {
    let store = database.store().await;
    let number = scheduled(&store, "A").await;
    let (id, mark) = (number_id("A"), by_alice(later(60)));
    assert!(store.mark_releasing(&number, &mark).await.unwrap());
    assert_eq!(due(&store, later(999)).await, [], "it is under way");
    store
        .postpone_release(&id, mark.at, later(300), &by_alice(later(61)))
        .await
        .unwrap();
    assert_eq!(known(&store, "A").await, number, "what was promised stays");
    assert_eq!(due(&store, later(299)).await, []);
    assert_eq!(due(&store, later(300)).await, [(id.clone(), ALICE.to_owned())]);
    // What Close refuses is not tried again.
    let mark = by_alice(later(300));
    assert!(store.mark_releasing(&number, &mark).await.unwrap());
    store
        .abort_release(&id, mark.at, &by_alice(later(301)))
        .await
        .unwrap();
    assert_eq!(known(&store, "A").await.release_at, None);
    assert_eq!(due(&store, later(9999)).await, []);
}

async fn a_number_found_gone_ends_the_release_that_was_under_way(database: Database) {
    let store = database.store().await;
    let found =
        |id: &str, at| AuditRow::new(at, Actor::desk(), Action::NumberGone, "gone").number(&number_id(id));
    let number = scheduled(&store, "A").await;
    assert!(store.mark_releasing(&number, &by_alice(later(60))).await.unwrap());
    assert!(
        store
            .mark_gone(&number_id("A"), later(61), &found("A", later(61)))
            .await
            .unwrap()
    );
    let row = last_row(&store).await;
    assert_eq!(
        (row.action, row.outcome.as_str(), row.actor.subject.as_str()),
        (Action::NumberRelease, "released", ALICE)
    );
    assert_eq!(row.detail["evidence"], "found-gone");
    assert_eq!(row.team, Some(team("sales")));
    // One that was only scheduled is gone for a reason of its own, and nothing is left to do.
    scheduled(&store, "B").await;
    assert!(
        store
            .mark_gone(&number_id("B"), later(62), &found("B", later(62)))
            .await
            .unwrap()
    );
    assert_eq!(last_row(&store).await.action, Action::NumberGone);
    assert_eq!(due(&store, later(999)).await, []);
    assert_books_balance(&database).await;
}

async fn what_close_has_released_is_gone_whatever_a_late_listing_showed(database: Database) {
    let store = database.store().await;
    rented(&store, "sales", "A").await;
    let id = number_id("A");
    store.observe(&[seen("A", later(5))]).await.unwrap();
    assert!(
        !store
            .mark_gone(&id, later(3), &note(Action::NumberGone))
            .await
            .unwrap()
    );
    assert!(
        store
            .finish_release(&id, later(3), &by_alice(later(3)))
            .await
            .unwrap()
    );
    assert!(
        !store
            .finish_release(&id, later(4), &by_alice(later(4)))
            .await
            .unwrap()
    );
    assert!(store.number(&Scope::system("test"), &id).await.unwrap().is_none());
    assert_eq!(store.observe(&[seen("A", later(6))]).await.unwrap(), 0);
    assert!(store.number(&Scope::system("test"), &id).await.unwrap().is_none());
    assert_books_balance(&database).await;
}

async fn a_schedule_does_not_follow_a_number_to_another_team(database: Database) {
    let store = database.store().await;
    let number = scheduled(&store, "A").await;
    let id = number_id("A");
    let note = AuditRow::new(later(9), Actor::desk(), Action::NumberTransfer, "test");
    let note = note.detail(serde_json::json!({}));
    let again = store.transfer(&id, &team("sales"), &ANY, NOW, &note).await;
    assert_eq!(again.unwrap(), Transferred::Done(number.clone()));
    let Transferred::Done(moved) = store
        .transfer(&id, &team("support"), &ANY, NOW, &note.then(later(10), "test"))
        .await
        .unwrap()
    else {
        panic!("there is room")
    };
    assert_eq!((moved.release_at, moved.releasing), (None, false));
    assert_eq!(
        last_row(&store).await.detail["release_called_off"],
        later(60).to_string()
    );
    assert_eq!(due(&store, later(999)).await, []);
    // Whoever decided before it moved decides nothing of it.
    assert!(!store.mark_releasing(&number, &by_alice(later(60))).await.unwrap());
    assert_books_balance(&database).await;
}

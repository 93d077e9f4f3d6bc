//! A second person's word: written once, whoever else says something at the same time.

use numberdesk::domain::order::approval::{Approval, Verdict};

use super::*;

on_both_stores! {
    an_approval_reads_back_the_same,
    of_approve_reject_expire_and_cancel_at_once_one_wins,
    only_what_is_overdue_is_found_and_the_oldest_first,
    an_order_that_is_not_what_was_approved_is_not_claimed,
}

/// An order that awaits approval until so many seconds after `NOW`.
fn waiting(key: &str, seconds: u64) -> Order {
    let mut order = order("sales", key, "DE");
    order.state = State::AwaitingApproval;
    order.approval = Some(Approval {
        rule: "teams.sales.approval.countries".into(),
        why: "someone else has to".into(),
        fingerprint: order.request.fingerprint(),
        terms: order.terms.clone(),
        close_user: Some("user_anna".parse().unwrap()),
        decision: Verdict::Pending,
        by: None,
        at: None,
        comment: None,
        expires_at: later(seconds),
    });
    order
}

fn petra() -> Actor {
    Actor {
        issuer: "https://idp.example.com/".into(),
        subject: "petra@example.com".into(),
    }
}

async fn an_approval_reads_back_the_same(database: Database) {
    let store = database.store().await;
    let order = waiting("key", 60);
    assert_eq!(accept(&store, &order, &ANY).await, Inserted::New);
    let read = async || store.order(&scope("sales"), &order.id).await.unwrap().unwrap();
    assert_eq!(read().await, order);
    let approved = order
        .clone()
        .approved(petra(), Some("\"für\" die Messe".into()), NOW)
        .unwrap();
    assert!(
        store
            .decide_approval(&approved, &note(Action::OrderApprove))
            .await
            .unwrap()
    );
    assert_eq!(read().await, approved);
    assert!(
        !store
            .decide_approval(&approved, &note(Action::OrderApprove))
            .await
            .unwrap()
    );
    assert_eq!(
        store.usage(&team("sales"), NOW).await.unwrap().numbers_reserved,
        1
    );
    assert_books_balance(&database).await;
}

async fn of_approve_reject_expire_and_cancel_at_once_one_wins(database: Database) {
    let store = database.store().await;
    for round in 0..20 {
        let order = waiting(&format!("key-{round}"), 60);
        accept(&store, &order, &ANY).await;
        let outcomes = at_once(&database, 4, |store, index| {
            let order = order.clone();
            async move {
                let note = note(Action::OrderApprove);
                match index {
                    0 => {
                        store
                            .decide_approval(&order.approved(petra(), None, NOW).unwrap(), &note)
                            .await
                    }
                    1 => {
                        store
                            .decide_approval(&order.rejected(petra(), None, NOW).unwrap(), &note)
                            .await
                    }
                    2 => {
                        store
                            .decide_approval(&order.expired(later(60)).unwrap(), &note)
                            .await
                    }
                    _ => store.cancel_order(&order.cancelled(NOW).unwrap(), &note).await,
                }
                .unwrap()
            }
        })
        .await;
        let won: Vec<usize> = (0..4).filter(|index| outcomes[*index]).collect();
        let state = store
            .order(&Scope::system("test"), &order.id)
            .await
            .unwrap()
            .unwrap()
            .state;
        // What was approved may still be withdrawn.
        let expected = match won.as_slice() {
            [0] => State::Queued,
            [1] => State::Refused,
            [2 | 3] | [0, 3] => State::Cancelled,
            other => panic!("{other:?} won"),
        };
        assert_eq!(state, expected, "{won:?}");
    }
    assert_books_balance(&database).await;
}

async fn only_what_is_overdue_is_found_and_the_oldest_first(database: Database) {
    let store = database.store().await;
    let [late, early, not_yet, decided] =
        [("late", 20), ("early", 10), ("not-yet", 31), ("decided", 5)].map(|(key, end)| waiting(key, end));
    for order in [&late, &early, &not_yet, &decided] {
        accept(&store, order, &ANY).await;
    }
    let rejected = decided.rejected(petra(), None, NOW).unwrap();
    assert!(
        store
            .decide_approval(&rejected, &note(Action::OrderReject))
            .await
            .unwrap()
    );
    assert_eq!(
        store.overdue_approvals(later(30), 9).await.unwrap(),
        [early.clone(), late]
    );
    assert_eq!(store.overdue_approvals(later(30), 1).await.unwrap(), [early]);
}

async fn an_order_that_is_not_what_was_approved_is_not_claimed(database: Database) {
    let store = database.store().await;
    let order = waiting("key", 60);
    accept(&store, &order, &ANY).await;
    assert_eq!(claim(&store, &order.id, NOW).await, Claim::Unavailable);
    let mut approved = order.approved(petra(), None, NOW).unwrap();
    approved
        .approval
        .as_mut()
        .expect("it was asked for")
        .fingerprint
        .clear();
    assert!(
        store
            .decide_approval(&approved, &note(Action::OrderApprove))
            .await
            .unwrap()
    );
    assert_eq!(
        claim(&store, &approved.id, NOW).await,
        Claim::NotAsApproved(approved.clone())
    );
    let stored = store
        .order(&Scope::system("test"), &approved.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((stored.state, stored.attempt), (State::Queued, 0));
}

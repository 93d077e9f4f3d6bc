//! Approvals: of concurrent decisions about an order, one is stored.

use numberdesk::domain::order::approval::{Approval, Verdict};

use super::*;

on_both_stores! {
    a_stored_approval_reads_back_unchanged,
    of_concurrent_approve_reject_expire_and_cancel_one_succeeds,
    only_overdue_approvals_are_listed_oldest_first,
    an_order_that_differs_from_its_approval_is_not_claimed,
}

/// An order that awaits approval and expires this many seconds after `NOW`.
fn awaiting_approval(key: &str, seconds: u64) -> Order {
    let mut order = order("sales", key, "DE");
    order.state = State::AwaitingApproval;
    order.approval = Some(Approval {
        rule: "teams.sales.approval.countries".into(),
        why: "the country needs an approval".into(),
        fingerprint: order.request.fingerprint(),
        terms: order.terms.clone(),
        subject: Some("7d1e".into()),
        close_user: Some("user_anna".parse().unwrap()),
        decision: Verdict::Pending,
        by: None,
        at: None,
        comment: None,
        expires_at: later(seconds),
    });
    order
}

fn approver() -> Actor {
    Actor {
        issuer: "https://idp.example.com/".into(),
        subject: "petra@example.com".into(),
        sub: Some("9f2c".into()),
    }
}

async fn a_stored_approval_reads_back_unchanged(database: Database) {
    let store = database.store().await;
    let order = awaiting_approval("key", 60);
    assert_eq!(insert(&store, &order, &NO_CAPS).await, Inserted::New);
    let read = async || store.order(&scope("sales"), &order.id).await.unwrap().unwrap();
    assert_eq!(read().await, order);
    let approved = order
        .clone()
        .approved(approver(), Some("\"für\" die Messe".into()), NOW)
        .unwrap();
    assert!(
        store
            .decide_approval(&approved, &audit_row(Action::OrderApprove))
            .await
            .unwrap()
    );
    assert_eq!(read().await, approved);
    assert!(
        !store
            .decide_approval(&approved, &audit_row(Action::OrderApprove))
            .await
            .unwrap()
    );
    assert_eq!(
        store.usage(&team("sales"), NOW).await.unwrap().numbers_reserved,
        1
    );
    assert_books_balance(&database).await;
}

async fn of_concurrent_approve_reject_expire_and_cancel_one_succeeds(database: Database) {
    let store = database.store().await;
    for round in 0..20 {
        let order = awaiting_approval(&format!("key-{round}"), 60);
        insert(&store, &order, &NO_CAPS).await;
        let outcomes = run_concurrently(&database, 4, |store, index| {
            let order = order.clone();
            async move {
                let audit_row = audit_row(Action::OrderApprove);
                match index {
                    0 => {
                        store
                            .decide_approval(&order.approved(approver(), None, NOW).unwrap(), &audit_row)
                            .await
                    }
                    1 => {
                        store
                            .decide_approval(&order.rejected(approver(), None, NOW).unwrap(), &audit_row)
                            .await
                    }
                    2 => {
                        store
                            .decide_approval(&order.expired(later(60)).unwrap(), &audit_row)
                            .await
                    }
                    _ => {
                        store
                            .cancel_order(&order.cancelled(NOW).unwrap(), &audit_row)
                            .await
                    }
                }
                .unwrap()
            }
        })
        .await;
        let succeeded: Vec<usize> = (0..4).filter(|index| outcomes[*index]).collect();
        let state = store
            .order(&Scope::system("test"), &order.id)
            .await
            .unwrap()
            .unwrap()
            .state;
        // An approved order may still be cancelled.
        let expected = match succeeded.as_slice() {
            [0] => State::Queued,
            [1] => State::Refused,
            [2 | 3] | [0, 3] => State::Cancelled,
            other => panic!("unexpected combination: {other:?}"),
        };
        assert_eq!(state, expected, "{succeeded:?}");
    }
    assert_books_balance(&database).await;
}

async fn only_overdue_approvals_are_listed_oldest_first(database: Database) {
    let store = database.store().await;
    let [late, early, not_yet, decided] = [("late", 20), ("early", 10), ("not-yet", 31), ("decided", 5)]
        .map(|(key, end)| awaiting_approval(key, end));
    for order in [&late, &early, &not_yet, &decided] {
        insert(&store, order, &NO_CAPS).await;
    }
    let rejected = decided.rejected(approver(), None, NOW).unwrap();
    assert!(
        store
            .decide_approval(&rejected, &audit_row(Action::OrderReject))
            .await
            .unwrap()
    );
    assert_eq!(
        store.overdue_approvals(later(30), 9).await.unwrap(),
        [early.clone(), late]
    );
    assert_eq!(store.overdue_approvals(later(30), 1).await.unwrap(), [early]);
}

async fn an_order_that_differs_from_its_approval_is_not_claimed(database: Database) {
    let store = database.store().await;
    let order = awaiting_approval("key", 60);
    insert(&store, &order, &NO_CAPS).await;
    assert_eq!(claim(&store, &order.id, NOW).await, Claim::Unavailable);
    let mut approved = order.approved(approver(), None, NOW).unwrap();
    approved
        .approval
        .as_mut()
        .expect("the order has an approval")
        .fingerprint
        .clear();
    assert!(
        store
            .decide_approval(&approved, &audit_row(Action::OrderApprove))
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

//! The statements of the store follow the transition table of orders: every step from every state.

use numberdesk::domain::hold::{CallKind, Hold, HoldCause, UnknownCall};
use numberdesk::domain::order::transition::Step;

use super::*;

on_both_stores! { the_store_changes_exactly_the_states_that_the_table_allows }

async fn the_store_changes_exactly_the_states_that_the_table_allows(database: Database) {
    let store = database.store().await;
    let mut combinations = 0;
    for &step in Step::ALL {
        for &from in State::ALL {
            let order = order("sales", &format!("{step:?}-{from}"), "DE");
            insert(&store, &order, &NO_CAPS).await;
            let (id, lease_until) = (&order.id, later(3600).as_micros());
            database
                .execute(&format!(
                    "UPDATE orders SET state = '{from}', attempt = 1, holder = 'replica-1', \
                        lease_until = {lease_until} WHERE id = '{id}'"
                ))
                .await;
            let changed = run_step(&store, &order, step, combinations).await;
            let after = store
                .order(&Scope::system("test"), id)
                .await
                .unwrap()
                .unwrap()
                .state;
            let expected = step.next(from);
            assert_eq!(changed, expected.is_some(), "{step:?} from {from}");
            assert_eq!(after, expected.unwrap_or(from), "{step:?} from {from}");
            // An order in progress or unverified would prevent the claim of the next one.
            database.execute("UPDATE orders SET state = 'cancelled'").await;
            combinations += 1;
        }
    }
    assert_eq!(combinations, Step::ALL.len() * State::ALL.len());
}

/// Runs the statement of the step; returns whether the store reports a change.
async fn run_step(store: &Store, order: &Order, step: Step, nth: usize) -> bool {
    let audit = audit_row(Action::OrderSettle).order(&order.id);
    let mut after = Order {
        state: step.to_state(),
        attempt: 1,
        ..order.clone()
    };
    match step {
        Step::Approve | Step::Reject | Step::Expire => store.decide_approval(&after, &audit).await.unwrap(),
        Step::Cancel => store.cancel_order(&after, &audit).await.unwrap(),
        Step::Claim => matches!(claim(store, &order.id, NOW).await, Claim::Claimed(_)),
        Step::Unclaim => store.unclaim_order(&order.id, "replica-1", &audit).await.unwrap(),
        Step::Fulfil => {
            let number = format!("N{nth}");
            after.phone_number_id = Some(number_id(&number));
            store
                .settle_order(&after, Some(&observation(&number, NOW)), &audit)
                .await
                .unwrap()
        }
        Step::Suspect => {
            // A rent of which nothing is known but its number may belong to any order that was not sent.
            let call = UnknownCall {
                kind: CallKind::Rent,
                number_id: number_id(&format!("S{nth}")),
                at: NOW,
                facts: None,
                order_id: None,
            };
            let hold = Hold {
                cause: HoldCause::UnknownCalls,
                reason: "restored".to_owned(),
                since: NOW,
            };
            assert!(
                store
                    .hold_for_unknown_calls(&[call], &hold, &audit)
                    .await
                    .unwrap()
            );
            let confirmed = store
                .confirm_unknown_calls(&audit.then(NOW, "ended"))
                .await
                .unwrap();
            confirmed.expect("there is a hold").in_review.contains(&order.id)
        }
        Step::Requeue | Step::MarkUnverified | Step::Review | Step::Refuse => {
            store.settle_order(&after, None, &audit).await.unwrap()
        }
    }
}

//! The store's statements against the transition table of orders: every state, every step.

use numberdesk::domain::order::transition::Step;

use super::*;

on_both_stores! { the_store_changes_exactly_the_states_that_the_table_allows }

async fn the_store_changes_exactly_the_states_that_the_table_allows(database: Database) {
    let store = database.store().await;
    let mut cells = 0;
    for &step in Step::ALL {
        for &from in State::ALL {
            let order = order("sales", &format!("{step:?}-{from}"), "DE");
            accept(&store, &order, &ANY).await;
            let (id, lease_until) = (&order.id, later(3600).as_micros());
            database
                .change(&format!(
                    "UPDATE orders SET state = '{from}', attempt = 1, holder = 'replica-1', \
                        lease_until = {lease_until} WHERE id = '{id}'"
                ))
                .await;
            let changed = take(&store, &order, step, cells).await;
            let after = store
                .order(&Scope::system("test"), id)
                .await
                .unwrap()
                .unwrap()
                .state;
            let expected = step.next(from);
            assert_eq!(changed, expected.is_some(), "{step:?} from {from}");
            assert_eq!(after, expected.unwrap_or(from), "{step:?} from {from}");
            // An order in progress or in doubt would keep the next one from being claimed.
            database.change("UPDATE orders SET state = 'cancelled'").await;
            cells += 1;
        }
    }
    assert_eq!(cells, Step::ALL.len() * State::ALL.len());
}

/// Runs the statement of the step; returns whether the store says that it changed the order.
async fn take(store: &Store, order: &Order, step: Step, nth: usize) -> bool {
    let audit = note(Action::OrderSettle).order(&order.id);
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
                .settle_order(&after, Some(&seen(&number, NOW)), &audit)
                .await
                .unwrap()
        }
        Step::Requeue | Step::MarkUnverified | Step::Review | Step::Refuse => {
            store.settle_order(&after, None, &audit).await.unwrap()
        }
    }
}

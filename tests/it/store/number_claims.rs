//! Claims of numbers: one holder at a time, and no claim lasts for ever.

use super::*;

on_both_stores! {
    of_concurrent_claims_of_a_number_exactly_one_succeeds,
    a_claim_ends_with_its_holder_alone,
    a_claim_lapses_and_an_absurd_one_counts_as_lapsed,
}

async fn claimed(store: &Store, holder: &str, now: Timestamp) -> bool {
    let number = number_id("A");
    store.claim_number(&number, holder, now, LEASE).await.unwrap()
}

async fn of_concurrent_claims_of_a_number_exactly_one_succeeds(database: Database) {
    let outcomes = run_concurrently(&database, 50, |store, nth| async move {
        claimed(&store, &format!("holder {nth}"), NOW).await
    })
    .await;
    assert_eq!(outcomes.iter().filter(|claimed| **claimed).count(), 1);
}

async fn a_claim_ends_with_its_holder_alone(database: Database) {
    let store = database.store().await;
    assert!(claimed(&store, "first", NOW).await);
    store.unclaim_number(&number_id("A"), "second").await.unwrap();
    assert!(!claimed(&store, "second", NOW).await);
    let other = number_id("B");
    let claimed_other = store.claim_number(&other, "second", NOW, LEASE).await;
    assert!(claimed_other.unwrap(), "another number is free");
    store.unclaim_number(&number_id("A"), "first").await.unwrap();
    assert!(claimed(&store, "second", NOW).await);
}

async fn a_claim_lapses_and_an_absurd_one_counts_as_lapsed(database: Database) {
    let store = database.store().await;
    assert!(claimed(&store, "first", NOW).await);
    assert!(!claimed(&store, "second", later(59)).await);
    assert!(claimed(&store, "second", later(60)).await);
    // The clock of this holder is two hours ahead.
    assert!(claimed(&store, "ahead", later(7_200)).await);
    assert!(claimed(&store, "third", later(61)).await);
    // A clock that is only a little ahead keeps its claim.
    store.unclaim_number(&number_id("A"), "third").await.unwrap();
    assert!(claimed(&store, "a little ahead", later(100)).await);
    assert!(!claimed(&store, "fourth", later(61)).await);
}

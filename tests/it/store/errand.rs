//! What Close told of, taken in once, and the errands that come of it, shared by whoever takes them.

use numberdesk::domain::close_event::{CloseEvent, Object};
use numberdesk::store::RefetchJob;

use super::*;

on_both_stores! {
    a_notice_is_new_once_and_many_of_one_object_are_one_errand,
    of_many_who_take_errands_each_is_one_s_until_its_lease_lapses,
    what_is_told_of_meanwhile_is_due_again_whoever_ends_the_errand,
    what_is_gone_stays_gone_whatever_is_told_late,
    of_many_who_ask_for_a_turn_one_has_it,
}

fn told(event: &str, version: u64, action: &str, number: &str) -> CloseEvent {
    CloseEvent {
        event_id: Some(format!("ev_{event}")),
        updated: Some(later(version)),
        object_type: "phone_number".into(),
        object_id: Some(number_id(number).to_string()),
        action: action.into(),
        data_updated: Some(later(version)),
        country: None,
    }
}

async fn take_in(store: &Store, notices: &[CloseEvent], at: Timestamp) -> Vec<bool> {
    store.ingest(notices, at).await.unwrap()
}

async fn take(store: &Store, at: Timestamp, limit: u32) -> Vec<RefetchJob> {
    store.take_refetch_jobs(at, LEASE, limit).await.unwrap()
}

fn objects(errands: &[RefetchJob]) -> Vec<String> {
    errands.iter().map(|errand| errand.object.to_string()).collect()
}

async fn a_notice_is_new_once_and_many_of_one_object_are_one_errand(database: Database) {
    let store = database.store().await;
    let (one, newer) = (told("1", 1, "updated", "a"), told("1", 2, "updated", "a"));
    let mut nameless = told("x", 1, "updated", "a");
    nameless.event_id = None;
    let batch = [
        one.clone(),
        one.clone(),
        newer.clone(),
        nameless.clone(),
        nameless,
    ];
    assert_eq!(
        take_in(&store, &batch, NOW).await,
        [true, false, true, true, true]
    );
    assert_eq!(take_in(&store, &[newer, one], NOW).await, [false, false]);
    let mut strange = told("2", 1, "created", "b");
    strange.object_type = "lead".into();
    assert_eq!(take_in(&store, &[strange], NOW).await, [true]);
    let taken = take(&store, NOW, 10).await;
    assert_eq!(objects(&taken), ["phon_a"]);
    assert_eq!(taken[0].version_at, Some(later(2)));
    assert_eq!(take_in(&store, &[], NOW).await, [false; 0]);
    // Forgotten, it is new again.
    assert_eq!(store.delete_close_events(later(1), 10).await.unwrap(), 3);
    assert_eq!(
        take_in(&store, &[told("1", 1, "updated", "a")], NOW).await,
        [true]
    );
}

async fn of_many_who_take_errands_each_is_one_s_until_its_lease_lapses(database: Database) {
    let store = database.store().await;
    let notices: Vec<CloseEvent> = (0..40)
        .map(|nth| told(&nth.to_string(), 1, "updated", &format!("n{nth:02}")))
        .collect();
    take_in(&store, &notices, NOW).await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { take(&store, NOW, 10).await })
        })
        .collect();
    let mut taken = Vec::new();
    for task in tasks {
        taken.extend(task.await.unwrap());
    }
    // Two at once may leave each other some; nobody has what another has.
    while let more = take(&store, NOW, 10).await
        && !more.is_empty()
    {
        taken.extend(more);
        assert!(taken.len() <= 40, "one was taken twice");
    }
    let mut ids = objects(&taken);
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), taken.len()), (40, 40));
    // What somebody holds is due to nobody else, until they are taken for dead.
    assert_eq!(store.refetch_backlog(NOW).await.unwrap().0, 0);
    let lapsed = NOW.plus(LEASE);
    assert_eq!(store.refetch_backlog(lapsed).await.unwrap(), (40, Some(NOW)));
    assert_eq!(take(&store, lapsed, 100).await.len(), 40);
}

async fn what_is_told_of_meanwhile_is_due_again_whoever_ends_the_errand(database: Database) {
    let store = database.store().await;
    take_in(&store, &[told("1", 1, "updated", "a")], NOW).await;
    let first = take(&store, NOW, 10).await;
    take_in(&store, &[told("2", 2, "updated", "a")], later(1)).await;
    store.finish_refetch_jobs(&first).await.unwrap();
    let second = take(&store, later(1), 10).await;
    assert_eq!(
        objects(&second),
        ["phon_a"],
        "the second notice is still to be answered"
    );
    store.finish_refetch_jobs(&second).await.unwrap();
    assert!(take(&store, later(2), 10).await.is_empty());
    // Made anew, it is another errand: whoever was late with the first one does not end it.
    take_in(&store, &[told("3", 3, "updated", "a")], later(3)).await;
    store.finish_refetch_jobs(&first).await.unwrap();
    store
        .postpone_refetch_jobs(&first, later(1_000), true)
        .await
        .unwrap();
    let third = take(&store, later(3), 10).await;
    assert_eq!(objects(&third), ["phon_a"]);
    assert_eq!(third[0].tries, 0);
    // Put off, it is due when its time has come, and counted where Close showed too little.
    store
        .postpone_refetch_jobs(&third, later(10), true)
        .await
        .unwrap();
    assert!(take(&store, later(9), 10).await.is_empty());
    let fourth = take(&store, later(10), 10).await;
    assert_eq!(fourth[0].tries, 1);
    store
        .postpone_refetch_jobs(&fourth, later(20), false)
        .await
        .unwrap();
    assert_eq!(take(&store, later(20), 10).await[0].tries, 1);
}

async fn what_is_gone_stays_gone_whatever_is_told_late(database: Database) {
    let store = database.store().await;
    take_in(&store, &[told("1", 5, "deleted", "a")], NOW).await;
    take_in(&store, &[told("2", 3, "updated", "a")], later(1)).await;
    let taken = take(&store, later(1), 10).await;
    assert_eq!(taken[0].object, Object::Number(number_id("a")));
    assert!(taken[0].gone);
    assert_eq!(taken[0].version_at, Some(later(5)));
}

async fn of_many_who_ask_for_a_turn_one_has_it(database: Database) {
    let store = database.store().await;
    let every = Duration::from_mins(15);
    for at in [NOW, NOW.plus(every)] {
        let tasks: Vec<_> = (0..6)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.claim_step("sync", at, every).await.unwrap() })
            })
            .collect();
        let mut turns = 0;
        for task in tasks {
            turns += usize::from(task.await.unwrap());
        }
        assert_eq!(turns, 1);
    }
    assert!(!store.claim_step("sync", later(900 + 899), every).await.unwrap());
}

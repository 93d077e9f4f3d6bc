//! Events from Close, each ingested once, and the queue of refetch jobs that replicas share.

use numberdesk::domain::close_event::{CloseEvent, Object};
use numberdesk::store::RefetchJob;

use super::*;

on_both_stores! {
    a_close_event_is_new_once_and_all_events_of_an_object_share_one_job,
    concurrent_workers_take_each_job_once_until_its_lease_expires,
    an_event_that_arrives_while_a_job_runs_makes_it_due_again,
    a_late_event_does_not_undo_a_deletion,
    of_concurrent_claims_of_a_scheduled_step_one_succeeds,
}

fn close_event(event: &str, version: u64, action: &str, number: &str) -> CloseEvent {
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

async fn ingest(store: &Store, events: &[CloseEvent], at: Timestamp) -> Vec<bool> {
    store.ingest(events, at).await.unwrap()
}

async fn take_jobs(store: &Store, at: Timestamp, limit: u32) -> Vec<RefetchJob> {
    store.take_refetch_jobs(at, LEASE, limit).await.unwrap()
}

fn objects(jobs: &[RefetchJob]) -> Vec<String> {
    jobs.iter().map(|job| job.object.to_string()).collect()
}

async fn a_close_event_is_new_once_and_all_events_of_an_object_share_one_job(database: Database) {
    let store = database.store().await;
    let (one, newer) = (
        close_event("1", 1, "updated", "a"),
        close_event("1", 2, "updated", "a"),
    );
    let mut without_id = close_event("x", 1, "updated", "a");
    without_id.event_id = None;
    let batch = [
        one.clone(),
        one.clone(),
        newer.clone(),
        without_id.clone(),
        without_id,
    ];
    assert_eq!(ingest(&store, &batch, NOW).await, [true, false, true, true, true]);
    assert_eq!(ingest(&store, &[newer, one], NOW).await, [false, false]);
    let mut other_type = close_event("2", 1, "created", "b");
    other_type.object_type = "lead".into();
    assert_eq!(ingest(&store, &[other_type], NOW).await, [true]);
    let taken = take_jobs(&store, NOW, 10).await;
    assert_eq!(objects(&taken), ["phon_a"]);
    assert_eq!(taken[0].version_at, Some(later(2)));
    assert_eq!(ingest(&store, &[], NOW).await, [false; 0]);
    // A deleted event counts as new again.
    assert_eq!(store.delete_close_events(later(1), 10).await.unwrap(), 3);
    assert_eq!(
        ingest(&store, &[close_event("1", 1, "updated", "a")], NOW).await,
        [true]
    );
}

async fn concurrent_workers_take_each_job_once_until_its_lease_expires(database: Database) {
    let store = database.store().await;
    let events: Vec<CloseEvent> = (0..40)
        .map(|nth| close_event(&nth.to_string(), 1, "updated", &format!("n{nth:02}")))
        .collect();
    ingest(&store, &events, NOW).await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { take_jobs(&store, NOW, 10).await })
        })
        .collect();
    let mut taken = Vec::new();
    for task in tasks {
        taken.extend(task.await.unwrap());
    }
    // Concurrent workers may take fewer jobs than there are, but no job is taken twice.
    while let more = take_jobs(&store, NOW, 10).await
        && !more.is_empty()
    {
        taken.extend(more);
        assert!(taken.len() <= 40, "a job was taken twice");
    }
    let mut ids = objects(&taken);
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), taken.len()), (40, 40));
    // A taken job is due again only after its lease has expired.
    assert_eq!(store.refetch_backlog(NOW).await.unwrap().0, 0);
    let expired = NOW.plus(LEASE);
    assert_eq!(store.refetch_backlog(expired).await.unwrap(), (40, Some(NOW)));
    assert_eq!(take_jobs(&store, expired, 100).await.len(), 40);
}

async fn an_event_that_arrives_while_a_job_runs_makes_it_due_again(database: Database) {
    let store = database.store().await;
    ingest(&store, &[close_event("1", 1, "updated", "a")], NOW).await;
    let first = take_jobs(&store, NOW, 10).await;
    ingest(&store, &[close_event("2", 2, "updated", "a")], later(1)).await;
    store.finish_refetch_jobs(&first).await.unwrap();
    let second = take_jobs(&store, later(1), 10).await;
    assert_eq!(
        objects(&second),
        ["phon_a"],
        "the second event still needs a refetch"
    );
    store.finish_refetch_jobs(&second).await.unwrap();
    assert!(take_jobs(&store, later(2), 10).await.is_empty());
    // A new event creates a new job. A late worker with the first job does not finish it.
    ingest(&store, &[close_event("3", 3, "updated", "a")], later(3)).await;
    store.finish_refetch_jobs(&first).await.unwrap();
    store
        .postpone_refetch_jobs(&first, later(1_000), true)
        .await
        .unwrap();
    let third = take_jobs(&store, later(3), 10).await;
    assert_eq!(objects(&third), ["phon_a"]);
    assert_eq!(third[0].tries, 0);
    // A postponed job is due at its new time. It counts a try only if Close showed stale data (`true`).
    store
        .postpone_refetch_jobs(&third, later(10), true)
        .await
        .unwrap();
    assert!(take_jobs(&store, later(9), 10).await.is_empty());
    let fourth = take_jobs(&store, later(10), 10).await;
    assert_eq!(fourth[0].tries, 1);
    store
        .postpone_refetch_jobs(&fourth, later(20), false)
        .await
        .unwrap();
    assert_eq!(take_jobs(&store, later(20), 10).await[0].tries, 1);
}

async fn a_late_event_does_not_undo_a_deletion(database: Database) {
    let store = database.store().await;
    ingest(&store, &[close_event("1", 5, "deleted", "a")], NOW).await;
    ingest(&store, &[close_event("2", 3, "updated", "a")], later(1)).await;
    let taken = take_jobs(&store, later(1), 10).await;
    assert_eq!(taken[0].object, Object::Number(number_id("a")));
    assert!(taken[0].gone);
    assert_eq!(taken[0].version_at, Some(later(5)));
}

async fn of_concurrent_claims_of_a_scheduled_step_one_succeeds(database: Database) {
    let store = database.store().await;
    let every = Duration::from_mins(15);
    for at in [NOW, NOW.plus(every)] {
        let tasks: Vec<_> = (0..6)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.claim_step("sync", at, every).await.unwrap() })
            })
            .collect();
        let mut claims = 0;
        for task in tasks {
            claims += usize::from(task.await.unwrap());
        }
        assert_eq!(claims, 1);
    }
    assert!(!store.claim_step("sync", later(900 + 899), every).await.unwrap());
}

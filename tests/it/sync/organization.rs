//! The organization of the inventory, for an API key whose user is a member of several.

use std::time::Duration;

use serde_json::json;

use crate::support::database::{Database, on_both_stores};
use crate::support::desk::TestDesk;
use crate::support::server::text;

on_both_stores! {
    the_organization_is_the_one_whose_numbers_and_events_the_key_sees,
    an_organization_that_was_stored_wrongly_is_corrected_and_a_right_one_never,
    a_number_of_another_organization_is_named_and_not_taken_in,
}

const POLICY: &str = "[teams.sales]\ncountries = [\"DE\"]\nassign_to = \"anyone\"\n";
const OTHER: &str = "orga_Elsewhere";

/// A replica that knows no organization yet. The key's user is a member of two, and the wrong one comes first.
async fn of_two_organizations(database: &Database, seed: u64) -> TestDesk {
    let test_desk = TestDesk::new(database.clone(), POLICY, seed).await;
    test_desk.close.set(json!({ "first_membership": OTHER })).await;
    forget_organization(database).await;
    test_desk
}

async fn forget_organization(database: &Database) {
    database
        .execute("DELETE FROM settings WHERE name = 'organization'")
        .await;
}

async fn compare(test_desk: &TestDesk) -> Result<(), String> {
    test_desk
        .run(|desk| async move { desk.sync.compare().await.map_err(|error| error.to_string()) })
        .await
}

async fn stored(test_desk: &TestDesk) -> Option<String> {
    test_desk.store().known_organization().await.unwrap()
}

async fn count(test_desk: &TestDesk) -> usize {
    test_desk.store().numbers_after(None, 1_000).await.unwrap().len()
}

async fn the_organization_is_the_one_whose_numbers_and_events_the_key_sees(database: Database) {
    let mut test_desk = of_two_organizations(&database, 1).await;
    // Without numbers and events it can't be told, so nothing is stored.
    let failure = compare(&test_desk).await.unwrap_err();
    assert!(failure.contains("close.organization_id"), "{failure}");
    assert_eq!(stored(&test_desk).await, None);
    let number = test_desk.close.person_rents(json!({ "country": "DE" })).await;
    let right = text(&number["organization_id"]);
    compare(&test_desk).await.unwrap();
    assert_eq!(
        (stored(&test_desk).await, count(&test_desk).await),
        (Some(right.clone()), 1)
    );
    // The events of a released number name it, too.
    test_desk.close.person_releases(&text(&number["id"])).await;
    test_desk.crash();
    forget_organization(&database).await;
    test_desk.start().await;
    assert_eq!(stored(&test_desk).await, Some(right.clone()));
    // The configuration decides if it is one of the user's.
    test_desk.crash();
    test_desk.organization = Some("orga_Nobody".to_owned());
    test_desk.start().await;
    let failure = compare(&test_desk).await.unwrap_err();
    assert!(failure.contains("close.organization_id"), "{failure}");
    test_desk.crash();
    forget_organization(&database).await;
    test_desk.organization = Some(right.clone());
    test_desk.start().await;
    assert_eq!(stored(&test_desk).await, Some(right));
}

async fn an_organization_that_was_stored_wrongly_is_corrected_and_a_right_one_never(database: Database) {
    let test_desk = of_two_organizations(&database, 2).await;
    let number = test_desk.close.person_rents(json!({ "country": "DE" })).await;
    let right = text(&number["organization_id"]);
    // As an earlier version wrote it: the first membership.
    let wrong = format!("INSERT INTO settings (name, value) VALUES ('organization', '{OTHER}')");
    database.execute(&wrong).await;
    compare(&test_desk).await.unwrap();
    assert_eq!(
        (stored(&test_desk).await, count(&test_desk).await),
        (Some(right.clone()), 1)
    );
    // Now the inventory has a number of it, so a key of the other organization proves nothing.
    let elsewhere = json!({ "organization_id": OTHER, "silent": true });
    let id = text(&number["id"]);
    test_desk.close.person_changes(&id, elsewhere).await;
    let mut other_key = test_desk;
    other_key.crash();
    other_key.start().await;
    other_key.advance_clock(Duration::from_mins(30));
    let failure = compare(&other_key).await.unwrap_err();
    assert!(failure.contains("another Close organization"), "{failure}");
    assert_eq!(
        (stored(&other_key).await, count(&other_key).await),
        (Some(right), 1)
    );
}

async fn a_number_of_another_organization_is_named_and_not_taken_in(database: Database) {
    let test_desk = of_two_organizations(&database, 3).await;
    test_desk.close.person_rents(json!({ "country": "DE" })).await;
    compare(&test_desk).await.unwrap();
    let foreign = json!({ "country": "DE", "organization_id": OTHER });
    let id = text(&test_desk.close.person_rents(foreign).await["id"]);
    compare(&test_desk).await.unwrap();
    assert_eq!(count(&test_desk).await, 1);
    let odd = test_desk.store().known_odd_records().await.unwrap();
    assert_eq!(odd.len(), 1, "{odd:?}");
    assert_eq!(odd[0].name, id);
    assert!(odd[0].fault.contains("another organization"), "{odd:?}");
}

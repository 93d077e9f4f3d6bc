//! Webhooks from Close: authenticated, stored, idempotent, and used only as a reason to refetch from Close.

mod anonymous;
mod signature;

use serde_json::{Value, json};

use crate::support::database::{Database, on_both_stores};
use crate::support::eventually;
use crate::support::personas::{ALICE, OLGA};
use crate::support::server::{TestConfig, TestServer, text};
use crate::support::webhook::{deliver, deliver_at, deliver_with, delivery, event, key, now, signature};

on_both_stores! {
    a_change_in_close_is_shown_after_one_delivery_and_one_refetch,
    a_repeated_delivery_causes_no_refetch_and_a_newer_version_causes_one,
    the_content_of_a_delivery_is_not_trusted,
    a_signed_delivery_of_unknown_or_malformed_content_is_acknowledged,
    a_number_that_disappeared_frees_its_quota_and_causes_an_event,
    many_pending_deliveries_are_refetched_by_listings,
    a_change_without_a_delivery_is_found_in_the_event_log,
    close_delivers_to_a_service_that_subscribed_by_itself,
    an_orphan_shows_its_provenance,
}

/// Counts the reads of single numbers at Close so far.
async fn refetch_count(server: &TestServer) -> usize {
    server.close.requests("GET", "/phone_number/{id}/").await.len()
}

/// Counts the refetch jobs that are not done yet.
async fn open_refetch_jobs(database: &Database) -> i64 {
    database.query_integer("SELECT COUNT(*) FROM errands").await
}

/// Reads a number as Alice.
async fn read_number(server: &TestServer, number: &str) -> Value {
    server
        .get(&ALICE, &format!("/v1/phone-numbers/{number}"))
        .await
        .expect(200)
}

/// Waits until the number is shown with this label.
async fn wait_for_label(server: &TestServer, number: &str, label: &str) {
    eventually(&format!("{number} is shown with the label {label}"), || async {
        (read_number(server, number).await["label"] == label).then_some(())
    })
    .await;
}

async fn a_change_in_close_is_shown_after_one_delivery_and_one_refetch(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let before = read_number(&server, &number).await;
    server
        .close
        .person_changes(&number, json!({ "label": "Front desk" }))
        .await;
    let (all, refetches) = (
        server.close.all_requests().await.len(),
        refetch_count(&server).await,
    );
    let delivered = deliver(&server, &delivery(&event("1", "updated", &number))).await;
    assert_eq!((delivered.status, delivered.text.as_str()), (204, ""));
    wait_for_label(&server, &number, "Front desk").await;
    assert_eq!(refetch_count(&server).await, refetches + 1);
    assert_eq!(
        server.close.all_requests().await.len(),
        all + 1,
        "the refetch is the only request"
    );
    let after = read_number(&server, &number).await;
    assert!(text(&after["desk"]["as_of"]) > text(&before["desk"]["as_of"]));
}

async fn a_repeated_delivery_causes_no_refetch_and_a_newer_version_causes_one(database: Database) {
    let server = TestServer::new(database.clone()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let refetches = refetch_count(&server).await;
    let mut changed = event("1", "updated", &number);
    assert_eq!(deliver(&server, &delivery(&changed)).await.status, 204);
    server
        .close
        .wait_for_requests("GET", "/phone_number/{id}/", refetches + 1)
        .await;
    eventually("the refetch job ends", || async {
        (open_refetch_jobs(&database).await == 0).then_some(())
    })
    .await;
    // The event again, also from another subscription, causes no refetch.
    for _ in 0..3 {
        assert_eq!(deliver(&server, &delivery(&changed)).await.status, 204);
    }
    let other_subscription = json!({ "event": changed, "subscription_id": "whsub_2" }).to_string();
    assert_eq!(deliver(&server, &other_subscription).await.status, 204);
    assert_eq!(open_refetch_jobs(&database).await, 0);
    assert_eq!(refetch_count(&server).await, refetches + 1);
    // Close consolidated another change into the event.
    changed["date_updated"] = json!("2026-11-23T10:05:03.456000");
    assert_eq!(deliver(&server, &delivery(&changed)).await.status, 204);
    server
        .close
        .wait_for_requests("GET", "/phone_number/{id}/", refetches + 2)
        .await;
}

async fn the_content_of_a_delivery_is_not_trusted(database: Database) {
    let server = TestServer::new(database.clone()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    // These deliveries are signed and false: the number still exists and has no label, and no other number exists.
    deliver(&server, &delivery(&event("1", "deleted", &number))).await;
    let mut renamed = event("2", "updated", &number);
    renamed["data"] =
        json!({ "id": number, "number": "+4930999", "label": "hijacked", "forward_to": "+8821234" });
    deliver(&server, &delivery(&renamed)).await;
    let unknown = format!("phon_{}", "g".repeat(43));
    let mut rented = event("3", "created", &unknown);
    rented["data"] = json!({ "id": unknown, "number": "+493012345", "country": "DE", "type": "internal" });
    deliver(&server, &delivery(&rented)).await;
    // The service refetches each number, and finds no change.
    eventually("the service has refetched both numbers", || async {
        let requests = server.close.requests("GET", "/phone_number/{id}/").await;
        let has_read = |id: &str| requests.iter().any(|request| text(&request["path"]).contains(id));
        (has_read(&number) && has_read(&unknown)).then_some(())
    })
    .await;
    let number = read_number(&server, &number).await;
    assert_eq!(number["label"], Value::Null);
    assert!(text(&number["number"]) != "+4930999");
    server
        .get(&OLGA, &format!("/v1/phone-numbers/{unknown}"))
        .await
        .problem(404, "not-found");
    let vanished = server.get(&OLGA, "/v1/events?type=phone_number.vanished").await;
    assert_eq!(vanished.expect(200)["data"], json!([]));
}

async fn a_signed_delivery_of_unknown_or_malformed_content_is_acknowledged(database: Database) {
    let server = TestServer::new(database.clone()).await;
    let mut lead = event("1", "created", "lead_1");
    lead["object_type"] = json!("lead");
    let mut unnamed = event("2", "updated", "phon_1");
    unnamed.as_object_mut().unwrap().remove("object_id");
    let mut misnamed = event("3", "updated", "../me");
    misnamed["object_id"] = json!("phon_1/../../me");
    for body in [
        delivery(&lead),
        delivery(&unnamed),
        delivery(&misnamed),
        "{}".to_owned(),
        "[]".to_owned(),
        String::new(),
        "not JSON".to_owned(),
        "{\"event\":{\"event\":".to_owned(),
        format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000)),
        "{\"event\":{\"id\":\"ev_1\",\"id\":\"ev_2\"}}".to_owned(),
    ] {
        assert_eq!(deliver(&server, &body).await.status, 204, "{body:.80}");
    }
    assert_eq!(open_refetch_jobs(&database).await, 0);
    // An event without an id cannot be recognised as a repetition, so each delivery causes a refetch.
    let number = server.rent(&ALICE, "key", "DE").await;
    let mut anonymous = event("4", "updated", &number);
    anonymous.as_object_mut().unwrap().remove("id");
    let refetches = refetch_count(&server).await;
    for delivery_number in 1..=2 {
        deliver(&server, &delivery(&anonymous)).await;
        server
            .close
            .wait_for_requests("GET", "/phone_number/{id}/", refetches + delivery_number)
            .await;
    }
}

async fn a_number_that_disappeared_frees_its_quota_and_causes_an_event(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    server.close.person_releases(&number).await;
    deliver(&server, &delivery(&event("1", "deleted", &number))).await;
    eventually("the number is gone", || async {
        let answer = server.get(&ALICE, &format!("/v1/phone-numbers/{number}")).await;
        (answer.status == 404).then_some(())
    })
    .await;
    let events = eventually("the event is listed", || async {
        let events = server.list(&ALICE, "/v1/events?type=phone_number.vanished").await;
        (!events.is_empty()).then_some(events)
    })
    .await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["data"]["phone_number_id"], number.as_str());
    let me = server.get(&ALICE, "/v1/me").await.expect(200);
    assert_eq!(me["teams"][0]["usage"]["numbers_held"], 0, "{me}");
}

async fn many_pending_deliveries_are_refetched_by_listings(database: Database) {
    const MANY: usize = 60;
    let server = TestServer::new(database.clone()).await;
    let mut numbers = Vec::new();
    for index in 0..MANY {
        let fields = json!({ "country": "DE", "silent": true, "label": format!("n{index}") });
        numbers.push(text(&server.close.person_rents(fields).await["id"]));
    }
    // While Close is unavailable, the refetch jobs accumulate.
    server
        .close
        .fault(json!({ "method": "GET", "answer": { "status": 503 } }))
        .await;
    for (index, number) in numbers.iter().enumerate() {
        deliver(&server, &delivery(&event(&index.to_string(), "created", number))).await;
    }
    let (pages, refetches) = (
        server.close.requests("GET", "/phone_number/").await.len(),
        refetch_count(&server).await,
    );
    server.close.clear_faults().await;
    eventually("every refetch job is done", || async {
        (open_refetch_jobs(&database).await == 0).then_some(())
    })
    .await;
    let orphans = server
        .list(&OLGA, "/v1/phone-numbers?orphan=true&limit=200")
        .await;
    assert!(orphans.len() >= MANY, "{}", orphans.len());
    let pages = server.close.requests("GET", "/phone_number/").await.len() - pages;
    let refetches = refetch_count(&server).await - refetches;
    assert!(pages <= 4, "{pages} pages of listings");
    assert!(refetches <= 50, "{refetches} reads of one number");
}

async fn a_change_without_a_delivery_is_found_in_the_event_log(database: Database) {
    let mut server = TestServer::new(database.clone()).await;
    let kept = server.rent(&ALICE, "kept", "DE").await;
    let gone = server.rent(&ALICE, "gone", "DE").await;
    eventually("the event log was read", || async {
        let row_count = database
            .query_integer("SELECT COUNT(*) FROM settings WHERE name = 'log_read'")
            .await;
        (row_count == 1).then_some(())
    })
    .await;
    server.stop().await;
    server
        .close
        .person_changes(&kept, json!({ "label": "changed meanwhile" }))
        .await;
    server.close.person_releases(&gone).await;
    // Close refuses the listing, so the event log is the only source.
    server
        .close
        .fault(json!({ "method": "GET", "path": "/phone_number/", "answer": { "status": 503 } }))
        .await;
    server.start().await;
    wait_for_label(&server, &kept, "changed meanwhile").await;
    eventually("the other number is gone", || async {
        let answer = server.get(&ALICE, &format!("/v1/phone-numbers/{gone}")).await;
        (answer.status == 404).then_some(())
    })
    .await;
}

async fn close_delivers_to_a_service_that_subscribed_by_itself(database: Database) {
    let config = TestConfig {
        subscribe: true,
        ..TestConfig::default()
    };
    let server = TestServer::with(database.clone(), config).await;
    server
        .close
        .set(json!({ "consolidation_window": "50ms",
            "delivery": { "duplicates": 2, "reorder": "100ms" } }))
        .await;
    eventually("the service subscribes", || async {
        let requests = server.close.requests("POST", "/webhook/").await;
        (!requests.is_empty()).then_some(())
    })
    .await;
    let number = server.rent(&ALICE, "key", "DE").await;
    for label in ["one", "two", "three"] {
        server
            .close
            .person_changes(&number, json!({ "label": label }))
            .await;
        wait_for_label(&server, &number, label).await;
    }
    let person = text(&server.close.person_rents(json!({ "country": "FR" })).await["id"]);
    eventually("the number that a person rented is shown", || async {
        let answer = server.get(&OLGA, &format!("/v1/phone-numbers/{person}")).await;
        (answer.status == 200).then_some(())
    })
    .await;
    server.close.person_releases(&number).await;
    eventually("the number is gone", || async {
        let answer = server.get(&ALICE, &format!("/v1/phone-numbers/{number}")).await;
        (answer.status == 404).then_some(())
    })
    .await;
}

async fn an_orphan_shows_its_provenance(database: Database) {
    let server = TestServer::new(database).await;
    let person = text(&server.close.person_rents(json!({ "country": "DE" })).await["id"]);
    deliver(&server, &delivery(&event("1", "created", &person))).await;
    let path = format!("/v1/phone-numbers/{person}");
    let orphan = eventually("the service has read the provenance", || async {
        let answer = server.get(&OLGA, &path).await;
        (answer.status == 200 && answer.json()["desk"]["provenance"].is_object()).then(|| answer.json())
    })
    .await;
    let desk = &orphan["desk"];
    assert_eq!((&desk["orphan"], &desk["team"]), (&json!(true), &Value::Null));
    assert_eq!(desk["monthly_price"], "5.00");
    let provenance = &desk["provenance"];
    assert!(text(&provenance["user_id"]).starts_with("user_"), "{orphan}");
    assert!(provenance["at"].is_string(), "{orphan}");
    assert_eq!(
        provenance["api_key_id"],
        Value::Null,
        "a person rented the number"
    );
    let orphans = server
        .list(&OLGA, "/v1/phone-numbers?orphan=true&limit=200")
        .await;
    assert!(orphans.iter().any(|number| number["id"] == person.as_str()));
    // After its adoption the number is no orphan and shows no provenance.
    let adopt = server.request_as(&OLGA, "PUT", &format!("{path}/team"));
    let adopted = crate::support::server::send(adopt.json(&json!({ "team": "sales" }))).await;
    let adopted = adopted.expect(200);
    assert_eq!(adopted["desk"]["orphan"], false);
    assert_eq!(adopted["desk"]["provenance"], Value::Null);
}

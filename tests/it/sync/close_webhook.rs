//! What Close delivers: proved, durable, repeated without effect, and believed in nothing but that Close is to be asked.

use serde_json::{Value, json};

use crate::support::database::{Database, on_both_stores};
use crate::support::eventually;
use crate::support::personas::{ALICE, OLGA};
use crate::support::server::{TestConfig, TestServer, text};
use crate::support::webhook::{deliver, deliver_at, deliver_with, delivery, event, key, now, signature};

on_both_stores! {
    what_close_has_not_signed_is_refused_and_changes_nothing,
    a_change_at_close_is_shown_after_one_delivery_and_one_look,
    a_repeated_delivery_wakes_nothing_and_a_newer_version_does,
    an_old_signature_is_taken_for_as_long_as_close_retries,
    what_a_delivery_claims_is_not_believed,
    what_is_strange_is_acknowledged,
    a_number_that_is_gone_frees_its_quota_and_is_told,
    many_deliveries_at_once_are_one_listing,
    what_was_not_delivered_is_found_in_the_event_log,
    close_delivers_to_a_desk_that_subscribes_by_itself,
    an_orphan_tells_where_it_comes_from,
}

/// Looks at one number by itself, so far.
async fn looks(server: &TestServer) -> usize {
    server.close.requests("GET", "/phone_number/{id}/").await.len()
}

/// What Close has told of and has not been read back yet.
async fn errands(database: &Database) -> i64 {
    database.ask("SELECT COUNT(*) FROM errands").await
}

async fn shown(server: &TestServer, number: &str) -> Value {
    server
        .get(&ALICE, &format!("/v1/phone-numbers/{number}"))
        .await
        .expect(200)
}

/// Returns once the number is shown with this label.
async fn shows(server: &TestServer, number: &str, label: &str) {
    eventually(&format!("{number} is shown as {label}"), || async {
        (shown(server, number).await["label"] == label).then_some(())
    })
    .await;
}

async fn what_close_has_not_signed_is_refused_and_changes_nothing(database: Database) {
    let server = TestServer::new(database.clone()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let body = delivery(&event("1", "updated", &number));
    let time = now().to_string();
    let good = signature(&key(), &time, &body);
    // As if the digits were the key.
    let by_text = signature(crate::support::server::WEBHOOK_KEY.as_bytes(), &time, &body);
    let other_key = signature(&[7; 32], &time, &body);
    let other_time = signature(&key(), &(now() - 1).to_string(), &body);
    let other_body = signature(&key(), &time, &format!("{body} "));
    let future = (now() + 400).to_string();
    let of_the_future = signature(&key(), &future, &body);
    let (hash, timestamp) = ("close-sig-hash", "close-sig-timestamp");
    let upper = good.to_uppercase();
    let forged: Vec<Vec<(&str, &str)>> = vec![
        vec![],
        vec![(hash, &good)],
        vec![(timestamp, &time)],
        vec![(hash, ""), (timestamp, &time)],
        vec![(hash, &good[..62]), (timestamp, &time)],
        vec![(hash, &upper), (timestamp, &time)],
        vec![(hash, &by_text), (timestamp, &time)],
        vec![(hash, &other_key), (timestamp, &time)],
        vec![(hash, &other_time), (timestamp, &time)],
        vec![(hash, &other_body), (timestamp, &time)],
        vec![(hash, &of_the_future), (timestamp, &future)],
        vec![(hash, &good), (timestamp, "")],
        vec![(hash, &good), (timestamp, "1e9")],
        vec![(hash, &good), (timestamp, "-1")],
        vec![(hash, &good), (hash, &good), (timestamp, &time)],
        vec![(hash, &good), (timestamp, &time), ("content-encoding", "gzip")],
    ];
    for headers in &forged {
        deliver_with(&server, headers, &body)
            .await
            .problem(401, "not-from-close");
    }
    // The same event with its members in another order is another text.
    let again: Value = serde_json::from_str(&body).unwrap();
    let reordered = format!("{{\"event\":{},\"subscription_id\":\"x\"}}", again["event"]);
    deliver_with(&server, &[(hash, &good), (timestamp, &time)], &reordered)
        .await
        .problem(401, "not-from-close");
    assert_eq!(database.ask("SELECT COUNT(*) FROM inbox").await, 0);
    assert_eq!((errands(&database).await, looks(&server).await), (0, 0));
    // A token opens nothing here, and the true one is taken.
    assert_eq!(
        deliver_with(&server, &[(hash, &good), (timestamp, &time)], &body)
            .await
            .status,
        204
    );
    let large = "x".repeat(300_000);
    deliver_with(&server, &[(hash, &good), (timestamp, &time)], &large)
        .await
        .problem(413, "body-too-large");
}

async fn a_change_at_close_is_shown_after_one_delivery_and_one_look(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let before = shown(&server, &number).await;
    server
        .close
        .person_changes(&number, json!({ "label": "Front desk" }))
        .await;
    let (all, looked) = (server.close.all_requests().await.len(), looks(&server).await);
    let delivered = deliver(&server, &delivery(&event("1", "updated", &number))).await;
    assert_eq!((delivered.status, delivered.text.as_str()), (204, ""));
    shows(&server, &number, "Front desk").await;
    assert_eq!(looks(&server).await, looked + 1);
    assert_eq!(
        server.close.all_requests().await.len(),
        all + 1,
        "and nothing else"
    );
    let after = shown(&server, &number).await;
    assert!(text(&after["desk"]["as_of"]) > text(&before["desk"]["as_of"]));
}

async fn a_repeated_delivery_wakes_nothing_and_a_newer_version_does(database: Database) {
    let server = TestServer::new(database.clone()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let looked = looks(&server).await;
    let mut told = event("1", "updated", &number);
    assert_eq!(deliver(&server, &delivery(&told)).await.status, 204);
    server
        .close
        .wait_for_requests("GET", "/phone_number/{id}/", looked + 1)
        .await;
    eventually("the errand ends", || async {
        (errands(&database).await == 0).then_some(())
    })
    .await;
    // Again, as it was and in another wrapping: nothing is left to be done by it.
    for _ in 0..3 {
        assert_eq!(deliver(&server, &delivery(&told)).await.status, 204);
    }
    let wrapped = json!({ "event": told, "subscription_id": "whsub_2" }).to_string();
    assert_eq!(deliver(&server, &wrapped).await.status, 204);
    assert_eq!(errands(&database).await, 0);
    assert_eq!(looks(&server).await, looked + 1);
    // Close joined something to it.
    told["date_updated"] = json!("2026-11-23T10:05:03.456000");
    assert_eq!(deliver(&server, &delivery(&told)).await.status, 204);
    server
        .close
        .wait_for_requests("GET", "/phone_number/{id}/", looked + 2)
        .await;
}

async fn an_old_signature_is_taken_for_as_long_as_close_retries(database: Database) {
    let server = TestServer::new(database.clone()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let hour = 3_600;
    for (nth, (age, status)) in [
        (0, 204),
        (71 * hour, 204),
        (73 * hour, 401),
        (-240, 204),
        (-600, 401),
    ]
    .into_iter()
    .enumerate()
    {
        let body = delivery(&event(&format!("{nth}"), "updated", &number));
        let answer = deliver_at(&server, now() - age, &body).await;
        assert_eq!(answer.status, status, "{age} s old: {answer}");
    }
    assert_eq!(database.ask("SELECT COUNT(*) FROM inbox").await, 3);
}

async fn what_a_delivery_claims_is_not_believed(database: Database) {
    let server = TestServer::new(database.clone()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    // Signed, and untrue: it is not gone, it is not called so, and the other does not exist.
    deliver(&server, &delivery(&event("1", "deleted", &number))).await;
    let mut renamed = event("2", "updated", &number);
    renamed["data"] =
        json!({ "id": number, "number": "+4930999", "label": "hijacked", "forward_to": "+8821234" });
    deliver(&server, &delivery(&renamed)).await;
    let ghost = format!("phon_{}", "g".repeat(43));
    let mut rented = event("3", "created", &ghost);
    rented["data"] = json!({ "id": ghost, "number": "+493012345", "country": "DE", "type": "internal" });
    deliver(&server, &delivery(&rented)).await;
    // Each was looked at, and nothing came of it.
    eventually("Close was asked about both", || async {
        let asked = server.close.requests("GET", "/phone_number/{id}/").await;
        let of = |id: &str| asked.iter().any(|request| text(&request["path"]).contains(id));
        (of(&number) && of(&ghost)).then_some(())
    })
    .await;
    let number = shown(&server, &number).await;
    assert_eq!(number["label"], Value::Null);
    assert!(text(&number["number"]) != "+4930999");
    server
        .get(&OLGA, &format!("/v1/phone-numbers/{ghost}"))
        .await
        .problem(404, "not-found");
    let vanished = server.get(&OLGA, "/v1/events?type=phone_number.vanished").await;
    assert_eq!(vanished.expect(200)["data"], json!([]));
}

async fn what_is_strange_is_acknowledged(database: Database) {
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
    assert_eq!(errands(&database).await, 0);
    // An event without an id can't be told from another: it is looked at each time.
    let number = server.rent(&ALICE, "key", "DE").await;
    let mut anonymous = event("4", "updated", &number);
    anonymous.as_object_mut().unwrap().remove("id");
    let looked = looks(&server).await;
    for nth in 1..=2 {
        deliver(&server, &delivery(&anonymous)).await;
        server
            .close
            .wait_for_requests("GET", "/phone_number/{id}/", looked + nth)
            .await;
    }
}

async fn a_number_that_is_gone_frees_its_quota_and_is_told(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    server.close.person_releases(&number).await;
    deliver(&server, &delivery(&event("1", "deleted", &number))).await;
    eventually("the number is gone", || async {
        let answer = server.get(&ALICE, &format!("/v1/phone-numbers/{number}")).await;
        (answer.status == 404).then_some(())
    })
    .await;
    let events = server.list(&ALICE, "/v1/events?type=phone_number.vanished").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["data"]["phone_number_id"], number.as_str());
    let me = server.get(&ALICE, "/v1/me").await.expect(200);
    assert_eq!(me["teams"][0]["usage"]["numbers_held"], 0, "{me}");
}

async fn many_deliveries_at_once_are_one_listing(database: Database) {
    const MANY: usize = 60;
    let server = TestServer::new(database.clone()).await;
    let mut numbers = Vec::new();
    for nth in 0..MANY {
        let fields = json!({ "country": "DE", "silent": true, "label": format!("n{nth}") });
        numbers.push(text(&server.close.person_rents(fields).await["id"]));
    }
    // While Close can't be asked, they gather.
    server
        .close
        .fault(json!({ "method": "GET", "answer": { "status": 503 } }))
        .await;
    for (nth, number) in numbers.iter().enumerate() {
        deliver(&server, &delivery(&event(&nth.to_string(), "created", number))).await;
    }
    let (listed, looked) = (
        server.close.requests("GET", "/phone_number/").await.len(),
        looks(&server).await,
    );
    server.close.clear_faults().await;
    eventually("all are read back", || async {
        (errands(&database).await == 0).then_some(())
    })
    .await;
    let orphans = server
        .list(&OLGA, "/v1/phone-numbers?orphan=true&limit=200")
        .await;
    assert!(orphans.len() >= MANY, "{}", orphans.len());
    let listed = server.close.requests("GET", "/phone_number/").await.len() - listed;
    let looked = looks(&server).await - looked;
    assert!(listed <= 4, "{listed} pages of listings");
    assert!(looked <= 50, "{looked} looks at one number");
}

async fn what_was_not_delivered_is_found_in_the_event_log(database: Database) {
    let mut server = TestServer::new(database.clone()).await;
    let kept = server.rent(&ALICE, "kept", "DE").await;
    let gone = server.rent(&ALICE, "gone", "DE").await;
    eventually("the log was read", || async {
        let read = database
            .ask("SELECT COUNT(*) FROM settings WHERE name = 'log_read'")
            .await;
        (read == 1).then_some(())
    })
    .await;
    server.stop().await;
    server
        .close
        .person_changes(&kept, json!({ "label": "changed meanwhile" }))
        .await;
    server.close.person_releases(&gone).await;
    // The listing can't be had, so that the log alone tells.
    server
        .close
        .fault(json!({ "method": "GET", "path": "/phone_number/", "answer": { "status": 503 } }))
        .await;
    server.start().await;
    shows(&server, &kept, "changed meanwhile").await;
    eventually("the other is gone", || async {
        let answer = server.get(&ALICE, &format!("/v1/phone-numbers/{gone}")).await;
        (answer.status == 404).then_some(())
    })
    .await;
}

async fn close_delivers_to_a_desk_that_subscribes_by_itself(database: Database) {
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
    eventually("the desk subscribes", || async {
        let asked = server.close.requests("POST", "/webhook/").await;
        (!asked.is_empty()).then_some(())
    })
    .await;
    let number = server.rent(&ALICE, "key", "DE").await;
    for label in ["one", "two", "three"] {
        server
            .close
            .person_changes(&number, json!({ "label": label }))
            .await;
        shows(&server, &number, label).await;
    }
    let person = text(&server.close.person_rents(json!({ "country": "FR" })).await["id"]);
    eventually("what a person rented is shown", || async {
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

async fn an_orphan_tells_where_it_comes_from(database: Database) {
    let server = TestServer::new(database).await;
    let person = text(&server.close.person_rents(json!({ "country": "DE" })).await["id"]);
    deliver(&server, &delivery(&event("1", "created", &person))).await;
    let path = format!("/v1/phone-numbers/{person}");
    let orphan = eventually("Close was asked where it comes from", || async {
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
    assert_eq!(provenance["api_key_id"], Value::Null, "a person made it");
    let orphans = server
        .list(&OLGA, "/v1/phone-numbers?orphan=true&limit=200")
        .await;
    assert!(orphans.iter().any(|number| number["id"] == person.as_str()));
    // Adopted, it is no orphan any more.
    let adopt = server.request_as(&OLGA, "PUT", &format!("{path}/team"));
    let adopted = crate::support::server::send(adopt.json(&json!({ "team": "sales" }))).await;
    let adopted = adopted.expect(200);
    assert_eq!(adopted["desk"]["orphan"], false);
    assert_eq!(adopted["desk"]["provenance"], Value::Null);
}

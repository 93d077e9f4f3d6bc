//! Orders in every version of Close's API: those before a field existed, today's, and the announced next one.

use super::*;

use close_sandbox::{Epoch, Options, Settings};
use numberdesk::domain::order::{Evidence, State};

use crate::support::database::on_sqlite;
use crate::support::desk::{TestDesk, caller, order, request};
use crate::support::epoch::EPOCHS;

on_sqlite! {
    orders_for_one_person_and_for_several_are_fulfilled_in_every_version_of_close,
    a_change_of_close_while_the_service_runs_ends_no_order,
    only_a_refusal_of_the_retired_field_is_sent_again,
    a_call_without_the_retired_field_whose_answer_is_lost_is_reconciled,
    a_process_that_dies_before_it_reads_that_a_field_is_retired_rents_nothing_twice,
}

on_both_stores! {
    the_field_that_close_retired_costs_one_more_call_and_is_explained_in_the_audit_trail,
}

fn version(epoch: Epoch) -> TestConfig {
    TestConfig {
        close: Options {
            settings: Settings {
                epoch,
                ..Settings::default()
            },
            // Each version is another organization: no two have numbers with the same ids.
            seed: 100 + epoch as u64,
            ..Options::default()
        },
        ..TestConfig::default()
    }
}

fn shared() -> Value {
    json!({ "country": "DE", "carrier_type": "local", "sharing": "group" })
}

/// Returns whether each rent that Close received had the field `sharing`, in order.
async fn sharing_sent(server: &TestServer) -> Vec<Option<String>> {
    let rents = server.close.rents().await;
    let sharing = |rent: &Value| rent["body"]["sharing"].as_str().map(str::to_owned);
    rents.iter().map(sharing).collect()
}

async fn orders_for_one_person_and_for_several_are_fulfilled_in_every_version_of_close(database: Database) {
    for (index, epoch) in EPOCHS.into_iter().enumerate() {
        let mut server = TestServer::with(database.clone(), version(epoch)).await;
        let key = |name: &str| format!("{name}-{index}");
        // Their tokens name no user in Close, because the oldest versions cannot assign one.
        let (one, several) = (ALICE.as_user(None), LENA.as_user(None));
        for (name, person, body) in [("one", &one, berlin()), ("several", &several, shared())] {
            let order = server.order(person, &key(name), &body).await.expect(201);
            assert_eq!(order["evidence"], "close-201", "{epoch:?}: {order}");
            let number = text(&order["phone_number"]["id"]);
            let changed = server.patch(person, &number, &json!({ "label": name })).await;
            assert_eq!(changed.expect(200)["label"], name, "{epoch:?}");
            let two = json!({ "participants": [server.user(0), server.user(1)] });
            let widened = server.patch(&several, &number, &two).await.expect(200);
            assert_eq!(widened["participants"], two["participants"], "{epoch:?}");
            server.release(person, &number).await.empty(204);
        }
        if epoch >= Epoch::September2026 {
            let two = json!({ "country": "DE", "carrier_type": "local",
                "assign_to": [server.user(0), server.user(1)] });
            server
                .order(&ALICE, &key("denied"), &two)
                .await
                .problem(403, "policy-denied");
            let order = server.order(&LENA, &key("two"), &two).await.expect(201);
            let number = server.close.held().await.remove(0);
            assert_eq!(number["id"], order["phone_number"]["id"], "{epoch:?}");
            assert_eq!(number["participants"], two["assign_to"], "{epoch:?}");
            server.release(&LENA, &text(&number["id"])).await.empty(204);
        }
        server.stop().await;
        database
            .execute("DELETE FROM settings WHERE name = 'organization'")
            .await;
    }
}

async fn the_field_that_close_retired_costs_one_more_call_and_is_explained_in_the_audit_trail(
    database: Database,
) {
    let server = TestServer::with(database, version(Epoch::Future)).await;
    let first = server.order(&LENA, "first", &shared()).await.expect(201);
    server.order(&LENA, "second", &shared()).await.expect(201);
    server.order(&ALICE, "personal", &berlin()).await.expect(201);
    assert_eq!(
        sharing_sent(&server).await,
        [Some("group".to_owned()), None, None, None]
    );
    assert_eq!(
        server.close.held().await.len(),
        3,
        "the refused call rented nothing"
    );
    // The order keeps what was ordered, and each paid call has a claim of its own.
    assert_eq!(first["request"]["sharing"], "group");
    let path = format!("/v1/audit?order_id={}", text(&first["id"]));
    let rows = server.list(&LENA, &path).await;
    let mut steps: Vec<_> = rows
        .iter()
        .map(|row| format!("{} {}", text(&row["action"]), text(&row["outcome"])))
        .collect();
    steps.reverse();
    assert_eq!(
        steps,
        [
            "order.create accepted",
            "order.send renting",
            "order.settle queued",
            "order.send renting",
            "order.settle fulfilled"
        ]
    );
    let requeued = rows
        .iter()
        .find(|row| row["outcome"] == "queued")
        .expect("the row");
    assert!(
        text(&requeued["detail"]["reason"]).contains("no longer knows the field `sharing`"),
        "{requeued}"
    );
}

async fn a_change_of_close_while_the_service_runs_ends_no_order(database: Database) {
    let server = TestServer::new(database).await;
    server.order(&LENA, "before", &shared()).await.expect(201);
    for epoch in ["future", "2026-09b", "future"] {
        server.close.set(json!({ "epoch": epoch })).await;
        for (person, body) in [(&LENA, shared()), (&ALICE, berlin())] {
            let key = format!("{epoch}-{}-{}", person.name, server.close.rents().await.len());
            server.order(person, &key, &body).await.expect(201);
        }
    }
    let retried = server.close.rents().await.len() - server.close.held().await.len();
    assert_eq!(retried, 1, "the service remembers what Close retired");
}

async fn only_a_refusal_of_the_retired_field_is_sent_again(database: Database) {
    let server = TestServer::new(database).await;
    let refuse = |fields: Value| {
        let body = json!({ "errors": [], "field-errors": fields });
        json!({ "path": RENT, "times": 1, "answer": { "status": 400, "body": body } })
    };
    let gone = "Extra inputs are not permitted";
    let mut full = json!({ "country": "US", "sharing": "group", "prefix": "415", "carrier_type": "local",
        "bundle_id": "BU1", "with_sms": true, "with_mms": true, "assign_to": [server.user(0), server.user(1)] });
    // Without any of these fields, Close might rent another number than the one that was ordered.
    for field in [
        "country",
        "prefix",
        "carrier_type",
        "bundle_id",
        "with_sms",
        "with_mms",
        "assign_to",
    ] {
        let before = server.close.rents().await.len();
        server.close.fault(refuse(json!({ field: gone }))).await;
        let refused = server
            .order(&LENA, field, &full)
            .await
            .problem(422, "close-refused");
        assert_eq!(refused["errors"][0]["pointer"], format!("/{field}"), "{refused}");
        server
            .close
            .fault(refuse(json!({ field: gone, "sharing": gone })))
            .await;
        let both = format!("{field}-and-sharing");
        server
            .order(&LENA, &both, &full)
            .await
            .problem(422, "close-refused");
        assert_eq!(server.close.rents().await.len(), before + 2, "{field}");
    }
    // The number of a plan without group numbers must not become a personal one.
    let plan = "Group numbers are not part of your plan.";
    full["assign_to"] = json!([server.user(0)]);
    server.close.fault(refuse(json!({ "sharing": plan }))).await;
    server
        .order(&LENA, "plan", &full)
        .await
        .problem(422, "close-refused");
    assert!(server.close.held().await.is_empty());
    // Two assignees say the same as the field, so the number is the same without it.
    full["assign_to"] = json!([server.user(0), server.user(1)]);
    server.close.fault(refuse(json!({ "sharing": plan }))).await;
    server.order(&LENA, "two", &full).await.expect(201);
    assert_eq!(server.close.held().await[0]["participants"], full["assign_to"]);
}

async fn a_call_without_the_retired_field_whose_answer_is_lost_is_reconciled(database: Database) {
    let policy = "[teams.sales]\ncountries = [\"DE\"]\ngroup_numbers = true\nassign_to = \"anyone\"\n";
    let test_desk = TestDesk::new(database, policy, 21).await;
    test_desk.close.set(json!({ "epoch": "future" })).await;
    let sales = caller("sales");
    for (key, effect) in [("rented", true), ("absent", false)] {
        // The first call of the process is refused because of the field; the second one is lost.
        let lost = json!({ "path": RENT, "after": u8::from(effect), "times": 1, "effect": effect,
            "answer": "drop_before_headers" });
        test_desk.close.fault(lost).await;
        let created = test_desk.order(&sales, key, &request(&shared())).await.unwrap();
        test_desk.settle().await;
        let orders = test_desk.orders().await;
        let order = orders.iter().find(|order| order.id == created.order.id).unwrap();
        let expected = if effect {
            (State::Fulfilled, Some(Evidence::FoundByReconciliation), 2)
        } else {
            (State::Refused, Some(Evidence::AbsentAfterReconciliation), 1)
        };
        assert_eq!(
            (order.state, order.evidence, order.attempt),
            expected,
            "{order:?}"
        );
        test_desk.close.clear_faults().await;
        test_desk.advance_clock(Duration::from_mins(30));
    }
    assert_eq!(test_desk.rented_by_key().await.1.len(), 1);
}

async fn a_process_that_dies_before_it_reads_that_a_field_is_retired_rents_nothing_twice(database: Database) {
    let policy = "[teams.sales]\ncountries = [\"DE\"]\ngroup_numbers = true\nassign_to = \"anyone\"\n";
    let mut test_desk = TestDesk::new(database, policy, 22).await;
    test_desk.close.set(json!({ "epoch": "future" })).await;
    let sales = caller("sales");
    test_desk
        .close
        .fault(json!({ "path": RENT, "times": 1, "delay": "1s" }))
        .await;
    drop(test_desk.spawn(order(&sales, "dies", &request(&shared()))));
    test_desk.close.wait_for_requests("POST", RENT, 1).await;
    test_desk.crash();
    test_desk.start().await;
    // The lease ends, and reconciliation finds nothing.
    test_desk.advance_clock(Duration::from_mins(2));
    test_desk.settle().await;
    let orders = test_desk.orders().await;
    let [lost] = orders.as_slice() else {
        panic!("{orders:?}")
    };
    assert_eq!(
        (lost.state, lost.evidence, lost.attempt),
        (State::Refused, Some(Evidence::AbsentAfterReconciliation), 1)
    );
    // The next order of the new process meets the refusal, and is sent once more.
    test_desk
        .order(&sales, "anew", &request(&shared()))
        .await
        .unwrap();
    test_desk.settle().await;
    assert_eq!(test_desk.rented_by_key().await.1.len(), 1);
    assert_eq!(test_desk.close.rents().await.len(), 3);
}

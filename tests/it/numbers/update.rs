//! Changes of a number by its team.

use super::*;
use crate::support::server::POLICY;

on_both_stores_and_next_close! {
    a_change_with_if_match_needs_the_current_etag,
    every_field_that_is_writable_in_close_can_be_changed,
    calls_can_be_forwarded_only_to_countries_that_the_policy_allows,
    the_kind_and_the_country_of_a_forward_target_are_named_as_they_are,
    a_target_that_was_set_in_close_is_judged_when_forwarding_is_enabled,
    sharing_a_number_needs_the_permission_for_group_numbers,
    a_change_that_close_refuses_is_422_and_one_without_an_answer_is_502,
}

async fn a_change_with_if_match_needs_the_current_etag(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let path = format!("/v1/phone-numbers/{number}");
    let etag = server.get(&ALICE, &path).await.header("etag").to_owned();
    let change = |condition: &str, label: &str| {
        send(
            server
                .request_as(&ALICE, "PATCH", &path)
                .header("If-Match", condition)
                .json(&json!({ "label": label })),
        )
    };
    let changed = change(&etag, "first").await;
    assert_eq!(changed.expect(200)["label"], "first");
    assert_ne!(changed.header("etag"), etag);
    change(&etag, "lost update")
        .await
        .problem_snapshot(412, "precondition-failed");
    // `If-Match` compares strongly, so a weak tag never matches.
    change(&format!("W/{}", changed.header("etag")), "weak")
        .await
        .problem(412, "precondition-failed");
    change("*", "any").await.expect(200);
    change("nonsense", "none").await.problem(400, "invalid-request");
    assert_eq!(server.close.held().await[0]["label"], "any");
    assert_eq!(server.close.requests("PUT", "/phone_number/{id}/").await.len(), 2);
}

async fn every_field_that_is_writable_in_close_can_be_changed(database: Database) {
    let server = TestServer::new(database).await;
    let body = json!({ "country": "DE", "carrier_type": "local", "sharing": "group" });
    let order = server.order(&LENA, "key", &body).await.expect(201);
    let number = text(&order["phone_number"]["id"]);
    let all = json!({
        "label": "Front", "forward_to": "+4930901820", "forward_to_enabled": true, "press_1_to_accept": true,
        "voicemail_greeting_url": "https://example.com/hello.mp3", "inbound_ring_duration": 20,
        "participants": [server.user(0), server.user(2)], "phone_numbers": ["+4930901821"],
        "participant_groups": [server.close.groups()[0]],
    });
    let request = server.request_as(&LENA, "PATCH", &format!("/v1/phone-numbers/{number}"));
    let request = request
        .header("Content-Type", "application/merge-patch+json")
        .body(all.to_string());
    let changed = send(request).await.expect(200);
    for (name, value) in all.as_object().expect("an object") {
        assert_eq!(&changed[name], value, "{name}");
    }
    let sent = server.close.requests("PUT", "/phone_number/{id}/").await;
    assert_eq!(sent.last().expect("the change was sent")["body"], all);
    let cleared = server
        .patch(&LENA, &number, &json!({ "voicemail_greeting_url": null }))
        .await
        .expect(200);
    assert_eq!(cleared["voicemail_greeting_url"], Value::Null);
    assert_eq!(cleared["label"], "Front");
}

async fn calls_can_be_forwarded_only_to_countries_that_the_policy_allows(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    for (field, to) in [
        ("forward_to", json!("+442079460000")),
        ("forward_to", json!("+499001234567")),
        ("forward_to", json!("+881612345678")),
        ("phone_numbers", json!(["+4930901820", "+8613901234567"])),
        ("phone_numbers", json!(["+33899123456"])),
    ] {
        let refused = server
            .patch(&ALICE, &number, &json!({ field: to }))
            .await
            .problem(403, "policy-denied");
        assert_eq!(
            refused["decision"]["rule"], "teams.sales.forward_to_countries",
            "{refused}"
        );
    }
    for bad in [
        json!("+1"),
        json!("4930901820"),
        json!("tel:+4930901820"),
        json!(4_930_901_820_i64),
        json!(null),
    ] {
        server
            .patch(&ALICE, &number, &json!({ "forward_to": bad }))
            .await
            .problem(400, "invalid-request");
    }
    for url in [
        "http://example.com/a.mp3",
        "https://169.254.169.254/a.mp3",
        "https://localhost/a.mp3",
    ] {
        let body = json!({ "voicemail_greeting_url": url });
        server
            .patch(&ALICE, &number, &body)
            .await
            .problem(400, "invalid-request");
    }
    assert!(
        server
            .close
            .requests("PUT", "/phone_number/{id}/")
            .await
            .is_empty()
    );
    server
        .patch(&ALICE, &number, &json!({ "forward_to": "+4930901820" }))
        .await
        .expect(200);
    // A team whose policy names no country cannot forward calls.
    let own = server.rent(&BOB, "key", "DE").await;
    server
        .patch(&BOB, &own, &json!({ "forward_to": "+4930901820" }))
        .await
        .problem(403, "policy-denied");
}

/// Sales may forward calls to the United Kingdom and to Kosovo.
fn with_forwards_to_britain() -> TestConfig {
    TestConfig {
        policy: POLICY.replacen(
            "forward_to_countries = [\"DE\", \"FR\"]",
            "forward_to_countries = [\"GB\", \"XK\"]",
            1,
        ),
        ..TestConfig::default()
    }
}

async fn the_kind_and_the_country_of_a_forward_target_are_named_as_they_are(database: Database) {
    let server = TestServer::with(database, with_forwards_to_britain()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    for allowed in ["+443333212345", "+442079460000", "+38343201234"] {
        let change = json!({ "forward_to": allowed, "phone_numbers": [allowed] });
        let changed = server.patch(&ALICE, &number, &change).await.expect(200);
        assert_eq!(changed["forward_to"], allowed);
    }
    for (to, have, hint) in [
        (
            "+448443210321",
            json!({ "number": "+448443210321", "kind": "service-charge number", "country": "GB",
                    "shared_with": ["GG"] }),
            "use an ordinary landline or mobile number: \
             a call to this service-charge number can cost more than an ordinary call",
        ),
        (
            "+441481256789",
            json!({ "number": "+441481256789", "kind": "landline number", "country": "GG" }),
            "use a number in one of GB, XK, or ask the platform team to add GG to \
             teams.sales.forward_to_countries; GG is Guernsey, which shares the calling code +44 with GB",
        ),
        (
            "+881612345678",
            json!({ "number": "+881612345678", "kind": "satellite number", "country": null }),
            "use an ordinary landline or mobile number: \
             a call to this satellite number can cost more than an ordinary call",
        ),
        (
            "+499001234567",
            json!({ "number": "+499001234567", "kind": "premium-rate number", "country": "DE", "premium": true }),
            "use an ordinary landline or mobile number: \
             a call to this premium-rate number costs extra and pays the called party",
        ),
    ] {
        let refused = server.patch(&ALICE, &number, &json!({ "forward_to": to })).await;
        let decision = refused.problem(403, "policy-denied")["decision"].clone();
        assert_eq!(decision["have"], have);
        assert_eq!(decision["hint"], hint);
    }
    let dialled = json!({ "forward_to": "+4403333212345" });
    let refused = server.patch(&ALICE, &number, &dialled).await;
    let errors = refused.problem(400, "invalid-request")["errors"].clone();
    assert_eq!(errors[0]["pointer"], "/forward_to");
    assert!(text(&errors[0]["message"]).ends_with("+443333212345"), "{errors}");
    // An order has no forward: calls are forwarded by a change of the number alone.
    let order = json!({ "country": "DE", "forward_to": "+443333212345" });
    server
        .order(&ALICE, "with-forward", &order)
        .await
        .problem(400, "invalid-request");
}

async fn a_target_that_was_set_in_close_is_judged_when_forwarding_is_enabled(database: Database) {
    let config = TestConfig {
        full_sync: "1s",
        ..with_forwards_to_britain()
    };
    let server = TestServer::with(database, config).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let enable = json!({ "forward_to_enabled": true });
    let set_in_close = async |target: &str| {
        server
            .close
            .person_changes(&number, json!({ "forward_to": target }))
            .await;
        eventually("the service shows the target", || async {
            (read_number(&server, &number).await["forward_to"] == target).then_some(())
        })
        .await;
        server.patch(&ALICE, &number, &enable).await
    };
    for target in ["+447012345678", "+4403333212345", "call me"] {
        set_in_close(target).await.problem(403, "policy-denied");
    }
    set_in_close("+443333212345").await.expect(200);
}

async fn sharing_a_number_needs_the_permission_for_group_numbers(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let two = json!({ "participants": [server.user(0), server.user(1)] });
    let group = json!({ "participant_groups": [server.close.groups()[0]] });
    for body in [&two, &group] {
        let refused = server
            .patch(&ALICE, &number, body)
            .await
            .problem(403, "policy-denied");
        assert_eq!(
            refused["decision"]["rule"], "teams.sales.group_numbers",
            "{refused}"
        );
    }
    let shared = server.patch(&LENA, &number, &two).await.expect(200);
    assert_eq!(shared["participants"], two["participants"]);
    // The policy of support allows only the caller as participant.
    let own = server.rent(&BOB, "key", "DE").await;
    let other = json!({ "participants": [server.user(3)] });
    let refused = server
        .patch(&BOB, &own, &other)
        .await
        .problem(403, "policy-denied");
    assert_eq!(
        refused["decision"]["rule"], "teams.support.assign_to",
        "{refused}"
    );
    assert_eq!(server.close.requests("PUT", "/phone_number/{id}/").await.len(), 1);
}

async fn a_change_that_close_refuses_is_422_and_one_without_an_answer_is_502(database: Database) {
    let server = TestServer::with(
        database,
        TestConfig {
            timeout: "5s",
            ..TestConfig::default()
        },
    )
    .await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let label = json!({ "label": "New" });
    let fault = |answer: Value| json!({ "method": "PUT", "path": "/phone_number/{id}/", "answer": answer });
    let refusal =
        json!({ "status": 400, "body": { "errors": [], "field-errors": { "label": "Too dull." } } });
    server.close.fault(fault(refusal)).await;
    let refused = server
        .patch(&ALICE, &number, &label)
        .await
        .problem(422, "close-refused");
    assert_eq!(refused["close_status"], "error");
    assert!(refused["errors"].to_string().contains("Too dull."), "{refused}");
    server.close.clear_faults().await;
    for answer in [
        json!("drop_before_headers"),
        json!({ "status": 503 }),
        json!("hang"),
        json!("redirect"),
        json!("garbage"),
    ] {
        server.close.fault(fault(answer)).await;
        server
            .patch(&ALICE, &number, &label)
            .await
            .problem(502, "close-unavailable");
        server.close.clear_faults().await;
    }
    let number_now = server
        .get(&ALICE, &format!("/v1/phone-numbers/{number}"))
        .await
        .expect(200);
    assert_eq!(
        number_now["label"],
        Value::Null,
        "a change that Close did not confirm is not shown"
    );
    server.close.person_releases(&number).await;
    server
        .patch(&ALICE, &number, &label)
        .await
        .problem(404, "not-found");
}

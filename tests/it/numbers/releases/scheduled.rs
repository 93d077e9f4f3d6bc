//! Releases with a delay: scheduled, cancelled, and sent when due.

use super::*;

on_both_stores_and_next_close! {
    a_release_with_a_delay_is_scheduled_and_its_number_still_counts,
    a_release_is_immediate_for_a_team_without_a_delay_and_for_an_orphan,
    a_scheduled_release_can_be_cancelled,
    a_due_release_is_sent_once_and_audited_with_its_requester,
    a_due_release_is_sent_after_a_restart,
    a_release_that_was_sent_to_close_cannot_be_cancelled,
    cancelling_a_due_release_either_keeps_the_number_or_releases_it,
    a_transfer_cancels_a_scheduled_release,
    a_due_release_that_close_refuses_is_not_retried,
    a_due_release_that_could_not_be_sent_is_retried_later,
    a_policy_change_does_not_move_a_scheduled_release,
}

async fn a_release_with_a_delay_is_scheduled_and_its_number_still_counts(database: Database) {
    let server = TestServer::with(database, with_release_delay()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let before = server.get(&ALICE, &number_path(&number)).await;
    assert_eq!(before.expect(200)["desk"]["release_at"], Value::Null);
    let me = server.get(&ALICE, "/v1/me").await.expect(200);
    assert_eq!(me["teams"][0]["policy"]["release_delay"], "24h");

    let scheduled = server.release(&ALICE, &number).await.expect(202);
    let release_at = text(&scheduled["release_at"]);
    assert_eq!(
        scheduled,
        json!({ "id": number, "state": "release_scheduled", "release_at": release_at })
    );
    assert_eq!(
        server.release(&LENA, &number).await.expect(202),
        scheduled,
        "a repeated release does not move the time"
    );
    let shown = send(
        server
            .request_as(&ALICE, "GET", &number_path(&number))
            .header("If-None-Match", before.header("etag")),
    )
    .await;
    let desk = &shown.expect(200)["desk"];
    assert_eq!(
        (&desk["release_at"], &desk["releasing"]),
        (&json!(release_at), &json!(false))
    );
    let listed = server.list(&ALICE, "/v1/phone-numbers").await;
    assert_eq!(listed[0]["desk"]["release_at"], release_at.as_str());
    // The number still belongs to the team: it counts, and can be changed.
    let me = server.get(&ALICE, "/v1/me").await.expect(200);
    let used = &me["teams"][0]["usage"];
    assert_eq!(
        (&used["numbers_held"], &used["monthly_held"]),
        (&json!(1), &json!("5.00"))
    );
    server
        .patch(&ALICE, &number, &json!({ "label": "to be released" }))
        .await
        .expect(200);
    assert_eq!(delete_count(&server, &number).await, 0);
    let audit = server.list(&LENA, "/v1/audit?action=number.release").await;
    assert_eq!(audit.len(), 1, "{audit:?}");
    assert_eq!(
        (&audit[0]["outcome"], &audit[0]["detail"]),
        (&json!("scheduled"), &json!({ "release_at": release_at }))
    );
}

async fn a_release_is_immediate_for_a_team_without_a_delay_and_for_an_orphan(database: Database) {
    let mut config = TestConfig::default();
    config.close.numbers = 1;
    config.policy = config.policy.replacen(
        "[prices]",
        "[teams.\"*\"]\nrelease_delay = \"90d\"\n\n[prices]",
        1,
    );
    let server = TestServer::with(database, config).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    server.release(&ALICE, &number).await.empty(204);
    // An orphan is released at once, because no team could cancel the release.
    let orphan = text(&server.list(&OLGA, "/v1/phone-numbers").await[0]["id"]);
    server.release(&OLGA, &orphan).await.empty(204);
    assert!(server.close.held().await.is_empty());
}

async fn a_scheduled_release_can_be_cancelled(database: Database) {
    let server = TestServer::with(database.clone(), with_release_delay()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let etag = server
        .get(&ALICE, &number_path(&number))
        .await
        .header("etag")
        .to_owned();
    let before = keep(&server, &number).await;
    assert_eq!(
        before.expect(200)["id"],
        number.as_str(),
        "there is no release to cancel"
    );
    assert_eq!(before.header("etag"), etag);
    let scheduled = server.release(&ALICE, &number).await.expect(202);
    assert_ne!(
        server.get(&ALICE, &number_path(&number)).await.header("etag"),
        etag
    );

    let reader = ALICE.with("numbers:read numbers:update");
    let keep_path = format!("{}/keep", number_path(&number));
    send(server.request_as(&reader, "POST", &keep_path))
        .await
        .problem(403, "permission-missing");
    send(server.request_as(&BOB, "POST", &keep_path))
        .await
        .problem(404, "not-found");
    let kept = keep(&server, &number).await;
    assert_eq!(kept.expect(200)["desk"]["release_at"], Value::Null);
    assert_eq!(kept.header("etag"), etag);
    keep(&server, &number).await.expect(200);

    assert_eq!(
        database
            .query_integer("SELECT COUNT(release_try_at) FROM numbers")
            .await,
        0
    );
    assert_eq!(
        audit_trail(&server, &number).await,
        audit_rows(&[
            ("number.keep", "kept", "alice"),
            ("number.release", "scheduled", "alice")
        ])
    );
    let audit = server.list(&LENA, "/v1/audit?action=number.keep").await;
    assert_eq!(audit[0]["detail"]["release_at"], scheduled["release_at"]);
    // A new release is scheduled with a new time.
    let again = server.release(&ALICE, &number).await.expect(202);
    assert!(
        text(&again["release_at"]) > text(&scheduled["release_at"]),
        "{again}"
    );
    assert_eq!(delete_count(&server, &number).await, 0);
}

async fn a_due_release_is_sent_once_and_audited_with_its_requester(database: Database) {
    let server = TestServer::with(database.clone(), with_release_delay()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    server.release(&ALICE, &number).await.expect(202);
    database.execute(MAKE_RELEASES_DUE).await;
    wait_until_gone(&server, &number).await;
    assert_eq!(delete_count(&server, &number).await, 1);
    assert!(server.close.held().await.is_empty());
    assert_eq!(
        audit_trail(&server, &number).await,
        audit_rows(&[
            ("number.release", "released", "alice"),
            ("number.release", "releasing", "alice"),
            ("number.release", "scheduled", "alice")
        ])
    );
    assert_eq!(evidence(&server, &number).await, "close-200");
    assert_eq!(usage(&server).await["held"], 0);
    keep(&server, &number).await.problem(404, "not-found");
}

async fn a_due_release_is_sent_after_a_restart(database: Database) {
    let mut server = TestServer::with(database.clone(), with_release_delay()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let scheduled = server.release(&ALICE, &number).await.expect(202);
    server.stop().await;
    server.start().await;
    assert_eq!(server.release(&ALICE, &number).await.expect(202), scheduled);
    server.stop().await;
    database.execute(MAKE_RELEASES_DUE).await;
    server.start().await;
    wait_until_gone(&server, &number).await;
    assert_eq!(delete_count(&server, &number).await, 1);
}

async fn a_release_that_was_sent_to_close_cannot_be_cancelled(database: Database) {
    let config = TestConfig {
        timeout: "5s",
        ..with_release_delay()
    };
    let server = TestServer::with(database.clone(), config).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let scheduled = server.release(&ALICE, &number).await.expect(202);
    server
        .close
        .fault(json!({ "method": "DELETE", "answer": "hang", "times": 1 }))
        .await;
    database.execute("UPDATE numbers SET release_try_at = 1").await;
    server
        .close
        .wait_for_requests("DELETE", &format!("/phone_number/{number}/"), 1)
        .await;
    keep(&server, &number)
        .await
        .problem_snapshot(409, "release-under-way");
    let desk = desk_fields(&server, &number).await;
    assert_eq!(
        (&desk["releasing"], &desk["release_at"]),
        (&json!(true), &scheduled["release_at"])
    );
    // A repeated release is not scheduled again, but sent to Close at once.
    server.release(&ALICE, &number).await.empty(204);
    wait_until_gone(&server, &number).await;
    assert!(
        audit_trail(&server, &number)
            .await
            .iter()
            .all(|(_, _, actor)| actor == ALICE.name),
        "every audit row names the requester"
    );
}

async fn cancelling_a_due_release_either_keeps_the_number_or_releases_it(database: Database) {
    let server = TestServer::with(database.clone(), with_release_delay()).await;
    let mut numbers = Vec::new();
    for index in 0..8 {
        let number = server.rent(&ALICE, &format!("key-{index}"), "DE").await;
        server.release(&ALICE, &number).await.expect(202);
        numbers.push(number);
    }
    // The service sends the releases one after the other. Meanwhile the team cancels all of them.
    server
        .close
        .fault(json!({ "method": "DELETE", "delay": "300ms" }))
        .await;
    database.execute(MAKE_RELEASES_DUE).await;
    server
        .close
        .wait_for_requests("DELETE", "/phone_number/{id}/", 2)
        .await;
    let answers = futures::future::join_all(numbers.iter().map(|number| keep(&server, number))).await;
    let (mut kept, mut released) = (0, 0);
    for (number, answer) in numbers.iter().zip(answers) {
        match answer.status {
            200 => {
                assert_eq!(answer.expect(200)["desk"]["release_at"], Value::Null);
                kept += 1;
            }
            409 => {
                answer.problem(409, "release-under-way");
                wait_until_gone(&server, number).await;
                released += 1;
            }
            _ => {
                answer.problem(404, "not-found");
                released += 1;
            }
        }
        let sent = delete_count(&server, number).await;
        assert_eq!(
            sent,
            usize::from(answer.status != 200),
            "{number} {}",
            answer.status
        );
    }
    assert!(released >= 2, "{released} of 8 were released");
    assert_eq!(server.close.held().await.len(), kept);
    assert_eq!(usage(&server).await["held"], kept);
}

async fn a_transfer_cancels_a_scheduled_release(database: Database) {
    let server = TestServer::with(database.clone(), with_release_delay()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let scheduled = server.release(&ALICE, &number).await.expect(202);
    let transfer = async |team: &str| {
        let request = server.request_as(&OLGA, "PUT", &format!("{}/team", number_path(&number)));
        send(request.json(&json!({ "team": team }))).await.expect(200)
    };
    assert_eq!(
        transfer("sales").await["desk"]["release_at"],
        scheduled["release_at"],
        "a transfer to the same team changes nothing"
    );
    assert_eq!(transfer("support").await["desk"]["release_at"], Value::Null);
    assert_eq!(
        database
            .query_integer("SELECT COUNT(release_try_at) FROM numbers")
            .await,
        0
    );
    let audit = server.list(&OLGA, "/v1/audit?action=number.transfer").await;
    assert_eq!(
        audit[0]["detail"],
        json!({ "from": "sales", "to": "support", "release_called_off": scheduled["release_at"] })
    );
    assert_eq!(delete_count(&server, &number).await, 0);
    // The new team has no delay.
    server.release(&BOB, &number).await.empty(204);
}

async fn a_due_release_that_close_refuses_is_not_retried(database: Database) {
    let server = TestServer::with(database.clone(), with_release_delay()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    server.release(&ALICE, &number).await.expect(202);
    let refusal = json!({ "status": 403, "body": { "error": "You can only release your own." } });
    server
        .close
        .fault(json!({ "method": "DELETE", "answer": refusal, "times": 1 }))
        .await;
    database.execute(MAKE_RELEASES_DUE).await;
    eventually("the schedule is cleared", || async {
        (desk_fields(&server, &number).await["release_at"] == Value::Null).then_some(())
    })
    .await;
    assert_eq!(desk_fields(&server, &number).await["releasing"], false);
    assert_eq!(
        audit_trail(&server, &number).await[..2],
        audit_rows(&[
            ("number.release", "kept", "alice"),
            ("number.release", "releasing", "alice")
        ])
    );
    let audit = server.list(&LENA, "/v1/audit?action=number.release").await;
    assert_eq!(audit[0]["detail"]["reason"], "You can only release your own.");
    assert_eq!(
        database
            .query_integer("SELECT COUNT(release_try_at) FROM numbers")
            .await,
        0
    );
    assert_eq!(
        (
            delete_count(&server, &number).await,
            usage(&server).await["held"].clone()
        ),
        (1, json!(1))
    );
}

async fn a_due_release_that_could_not_be_sent_is_retried_later(database: Database) {
    let server = TestServer::with(database.clone(), with_release_delay()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let scheduled = server.release(&ALICE, &number).await.expect(202);
    server.close.set(json!({ "key_valid": false })).await;
    database.execute("UPDATE numbers SET release_try_at = 1").await;
    eventually("the release is postponed", || async {
        (audit_trail(&server, &number).await[0].1 == "put off").then_some(())
    })
    .await;
    // The number keeps its release time, and the release can still be cancelled.
    let desk = desk_fields(&server, &number).await;
    assert_eq!(
        (&desk["releasing"], &desk["release_at"]),
        (&json!(false), &scheduled["release_at"])
    );
    assert_eq!(
        keep(&server, &number).await.expect(200)["desk"]["release_at"],
        Value::Null
    );
    server.release(&ALICE, &number).await.expect(202);
    database.execute("UPDATE numbers SET release_try_at = 1").await;
    eventually("the release is postponed again", || async {
        (audit_trail(&server, &number).await[0].1 == "put off").then_some(())
    })
    .await;
    assert_eq!(usage(&server).await["held"], 1);
    server.close.set(json!({ "key_valid": true })).await;
    database.execute("UPDATE numbers SET release_try_at = 1").await;
    wait_until_gone(&server, &number).await;
    assert!(server.close.held().await.is_empty());
}

async fn a_policy_change_does_not_move_a_scheduled_release(database: Database) {
    let server = TestServer::with(database, with_release_delay()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let other = server.rent(&ALICE, "other", "DE").await;
    let scheduled = server.release(&ALICE, &number).await.expect(202);
    let old = server.at_ops("/readyz").await.json()["policy"].clone();
    std::fs::write(server.folder.path().join("policy.toml"), POLICY).expect("the policy can be written");
    eventually("the new policy is in force", || async {
        (server.at_ops("/readyz").await.json()["policy"] != old).then_some(())
    })
    .await;
    assert_eq!(server.release(&ALICE, &number).await.expect(202), scheduled);
    assert_eq!(
        desk_fields(&server, &number).await["release_at"],
        scheduled["release_at"]
    );
    // A release from now on follows the new policy.
    server.release(&ALICE, &other).await.empty(204);
    assert_eq!(server.close.held().await.len(), 1);
}

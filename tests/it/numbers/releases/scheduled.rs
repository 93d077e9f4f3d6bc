//! Releases with a window: scheduled, kept, sent when due.

use super::*;

on_both_stores! {
    a_release_with_a_window_is_scheduled_shown_and_still_counts,
    a_window_is_for_teams_that_have_one,
    what_is_scheduled_is_kept_when_somebody_says_so,
    a_release_that_is_due_is_sent_once_and_names_who_asked,
    a_release_that_is_due_is_sent_after_a_restart,
    once_close_was_asked_it_is_too_late_to_keep,
    at_the_last_moment_a_number_is_kept_or_released_and_never_both,
    a_transfer_calls_off_what_was_scheduled,
    a_due_release_close_refuses_is_not_tried_again,
    a_due_release_that_close_could_not_be_asked_for_is_tried_later,
    a_policy_that_changes_moves_nothing_that_is_scheduled,
}

async fn a_release_with_a_window_is_scheduled_shown_and_still_counts(database: Database) {
    let server = TestServer::with(database, with_window()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let before = server.get(&ALICE, &path(&number)).await;
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
        "once more moves nothing"
    );
    let shown = send(
        server
            .request_as(&ALICE, "GET", &path(&number))
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
    // It is still the team's: it counts, and can be changed.
    let me = server.get(&ALICE, "/v1/me").await.expect(200);
    let used = &me["teams"][0]["usage"];
    assert_eq!(
        (&used["numbers_held"], &used["monthly_held"]),
        (&json!(1), &json!("5.00"))
    );
    server
        .patch(&ALICE, &number, &json!({ "label": "going" }))
        .await
        .expect(200);
    assert_eq!(deletes(&server, &number).await, 0);
    let audit = server.list(&LENA, "/v1/audit?action=number.release").await;
    assert_eq!(audit.len(), 1, "{audit:?}");
    assert_eq!(
        (&audit[0]["outcome"], &audit[0]["detail"]),
        (&json!("scheduled"), &json!({ "release_at": release_at }))
    );
}

async fn a_window_is_for_teams_that_have_one(database: Database) {
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
    // Nobody would keep an orphan.
    let orphan = text(&server.list(&OLGA, "/v1/phone-numbers").await[0]["id"]);
    server.release(&OLGA, &orphan).await.empty(204);
    assert!(server.close.held().await.is_empty());
}

async fn what_is_scheduled_is_kept_when_somebody_says_so(database: Database) {
    let server = TestServer::with(database.clone(), with_window()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let etag = server.get(&ALICE, &path(&number)).await.header("etag").to_owned();
    let before = keep(&server, &number).await;
    assert_eq!(before.expect(200)["id"], number.as_str(), "nothing to call off");
    assert_eq!(before.header("etag"), etag);
    let scheduled = server.release(&ALICE, &number).await.expect(202);
    assert_ne!(server.get(&ALICE, &path(&number)).await.header("etag"), etag);

    let reader = ALICE.with("numbers:read numbers:update");
    let path_to_keep = format!("{}/keep", path(&number));
    send(server.request_as(&reader, "POST", &path_to_keep))
        .await
        .problem(403, "permission-missing");
    send(server.request_as(&BOB, "POST", &path_to_keep))
        .await
        .problem(404, "not-found");
    let kept = keep(&server, &number).await;
    assert_eq!(kept.expect(200)["desk"]["release_at"], Value::Null);
    assert_eq!(kept.header("etag"), etag);
    keep(&server, &number).await.expect(200);

    assert_eq!(database.ask("SELECT COUNT(release_try_at) FROM numbers").await, 0);
    assert_eq!(
        trail(&server, &number).await,
        rows(&[
            ("number.keep", "kept", "alice"),
            ("number.release", "scheduled", "alice")
        ])
    );
    let audit = server.list(&LENA, "/v1/audit?action=number.keep").await;
    assert_eq!(audit[0]["detail"]["release_at"], scheduled["release_at"]);
    // Asked for again, it is scheduled anew.
    let again = server.release(&ALICE, &number).await.expect(202);
    assert!(
        text(&again["release_at"]) > text(&scheduled["release_at"]),
        "{again}"
    );
    assert_eq!(deletes(&server, &number).await, 0);
}

async fn a_release_that_is_due_is_sent_once_and_names_who_asked(database: Database) {
    let server = TestServer::with(database.clone(), with_window()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    server.release(&ALICE, &number).await.expect(202);
    database.change(DUE).await;
    is_gone(&server, &number).await;
    assert_eq!(deletes(&server, &number).await, 1);
    assert!(server.close.held().await.is_empty());
    assert_eq!(
        trail(&server, &number).await,
        rows(&[
            ("number.release", "released", "alice"),
            ("number.release", "releasing", "alice"),
            ("number.release", "scheduled", "alice")
        ])
    );
    assert_eq!(evidence(&server, &number).await, "close-200");
    assert_eq!(usage(&server).await["held"], 0);
    keep(&server, &number).await.problem(404, "not-found");
}

async fn a_release_that_is_due_is_sent_after_a_restart(database: Database) {
    let mut server = TestServer::with(database.clone(), with_window()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let scheduled = server.release(&ALICE, &number).await.expect(202);
    server.stop().await;
    server.start().await;
    assert_eq!(server.release(&ALICE, &number).await.expect(202), scheduled);
    server.stop().await;
    database.change(DUE).await;
    server.start().await;
    is_gone(&server, &number).await;
    assert_eq!(deletes(&server, &number).await, 1);
}

async fn once_close_was_asked_it_is_too_late_to_keep(database: Database) {
    let config = TestConfig {
        timeout: "2s",
        ..with_window()
    };
    let server = TestServer::with(database.clone(), config).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let scheduled = server.release(&ALICE, &number).await.expect(202);
    server
        .close
        .fault(json!({ "method": "DELETE", "answer": "hang", "times": 1 }))
        .await;
    database.change("UPDATE numbers SET release_try_at = 1").await;
    server
        .close
        .wait_for_requests("DELETE", &format!("/phone_number/{number}/"), 1)
        .await;
    keep(&server, &number).await.problem(409, "release-under-way");
    let desk = at_desk(&server, &number).await;
    assert_eq!(
        (&desk["releasing"], &desk["release_at"]),
        (&json!(true), &scheduled["release_at"])
    );
    // Nor is it scheduled once more: whoever asks again has it sent again.
    server.release(&ALICE, &number).await.empty(204);
    is_gone(&server, &number).await;
    assert!(
        trail(&server, &number)
            .await
            .iter()
            .all(|(_, _, actor)| actor == ALICE.name),
        "whoever asked is named to the end"
    );
}

async fn at_the_last_moment_a_number_is_kept_or_released_and_never_both(database: Database) {
    let server = TestServer::with(database.clone(), with_window()).await;
    let mut numbers = Vec::new();
    for place in 0..8 {
        let number = server.rent(&ALICE, &format!("key-{place}"), "DE").await;
        server.release(&ALICE, &number).await.expect(202);
        numbers.push(number);
    }
    // The desk takes them one after the other; in the middle of that, somebody wants to keep them all.
    server
        .close
        .fault(json!({ "method": "DELETE", "delay": "300ms" }))
        .await;
    database.change(DUE).await;
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
                is_gone(&server, number).await;
                released += 1;
            }
            _ => {
                answer.problem(404, "not-found");
                released += 1;
            }
        }
        let sent = deletes(&server, number).await;
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

async fn a_transfer_calls_off_what_was_scheduled(database: Database) {
    let server = TestServer::with(database.clone(), with_window()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let scheduled = server.release(&ALICE, &number).await.expect(202);
    let give = async |team: &str| {
        let request = server.request_as(&OLGA, "PUT", &format!("{}/team", path(&number)));
        send(request.json(&json!({ "team": team }))).await.expect(200)
    };
    assert_eq!(
        give("sales").await["desk"]["release_at"],
        scheduled["release_at"],
        "that moves nothing"
    );
    assert_eq!(give("support").await["desk"]["release_at"], Value::Null);
    assert_eq!(database.ask("SELECT COUNT(release_try_at) FROM numbers").await, 0);
    let audit = server.list(&OLGA, "/v1/audit?action=number.transfer").await;
    assert_eq!(
        audit[0]["detail"],
        json!({ "from": "sales", "to": "support", "release_called_off": scheduled["release_at"] })
    );
    assert_eq!(deletes(&server, &number).await, 0);
    // Its new team has no window.
    server.release(&BOB, &number).await.empty(204);
}

async fn a_due_release_close_refuses_is_not_tried_again(database: Database) {
    let server = TestServer::with(database.clone(), with_window()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    server.release(&ALICE, &number).await.expect(202);
    let no = json!({ "status": 403, "body": { "error": "You can only release your own." } });
    server
        .close
        .fault(json!({ "method": "DELETE", "answer": no, "times": 1 }))
        .await;
    database.change(DUE).await;
    eventually("the schedule is cleared", || async {
        (at_desk(&server, &number).await["release_at"] == Value::Null).then_some(())
    })
    .await;
    assert_eq!(at_desk(&server, &number).await["releasing"], false);
    assert_eq!(
        trail(&server, &number).await[..2],
        rows(&[
            ("number.release", "kept", "alice"),
            ("number.release", "releasing", "alice")
        ])
    );
    let audit = server.list(&LENA, "/v1/audit?action=number.release").await;
    assert_eq!(audit[0]["detail"]["reason"], "You can only release your own.");
    assert_eq!(database.ask("SELECT COUNT(release_try_at) FROM numbers").await, 0);
    assert_eq!(
        (
            deletes(&server, &number).await,
            usage(&server).await["held"].clone()
        ),
        (1, json!(1))
    );
}

async fn a_due_release_that_close_could_not_be_asked_for_is_tried_later(database: Database) {
    let server = TestServer::with(database.clone(), with_window()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let scheduled = server.release(&ALICE, &number).await.expect(202);
    server.close.set(json!({ "key_valid": false })).await;
    database.change("UPDATE numbers SET release_try_at = 1").await;
    eventually("it is put off", || async {
        (trail(&server, &number).await[0].1 == "put off").then_some(())
    })
    .await;
    // What was said stays said, and it can be kept still.
    let desk = at_desk(&server, &number).await;
    assert_eq!(
        (&desk["releasing"], &desk["release_at"]),
        (&json!(false), &scheduled["release_at"])
    );
    assert_eq!(
        keep(&server, &number).await.expect(200)["desk"]["release_at"],
        Value::Null
    );
    server.release(&ALICE, &number).await.expect(202);
    database.change("UPDATE numbers SET release_try_at = 1").await;
    eventually("it is put off again", || async {
        (trail(&server, &number).await[0].1 == "put off").then_some(())
    })
    .await;
    assert_eq!(usage(&server).await["held"], 1);
    server.close.set(json!({ "key_valid": true })).await;
    database.change("UPDATE numbers SET release_try_at = 1").await;
    is_gone(&server, &number).await;
    assert!(server.close.held().await.is_empty());
}

async fn a_policy_that_changes_moves_nothing_that_is_scheduled(database: Database) {
    let server = TestServer::with(database, with_window()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let other = server.rent(&ALICE, "other", "DE").await;
    let scheduled = server.release(&ALICE, &number).await.expect(202);
    let old = server.at_ops("/readyz").await.json()["policy"].clone();
    std::fs::write(server.folder.path().join("policy.toml"), POLICY).expect("it can be written");
    eventually("the new policy is in force", || async {
        (server.at_ops("/readyz").await.json()["policy"] != old).then_some(())
    })
    .await;
    assert_eq!(server.release(&ALICE, &number).await.expect(202), scheduled);
    assert_eq!(
        at_desk(&server, &number).await["release_at"],
        scheduled["release_at"]
    );
    // What is asked for now goes by the policy of now.
    server.release(&ALICE, &other).await.empty(204);
    assert_eq!(server.close.held().await.len(), 1);
}

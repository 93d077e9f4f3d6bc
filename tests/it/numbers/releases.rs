//! Releases: what Close has released is gone, what it has not is held, and until its time has come a release can be
//! called off.

mod matrix;

use serde_json::{Value, json};

use crate::orders::usage;
use crate::support::close::Simulated;
use crate::support::database::{Database, on_both_stores};
use crate::support::eventually;
use crate::support::people::{ALICE, BOB, LENA, OLGA};
use crate::support::server::{POLICY, Setup, Stage, send, text};

on_both_stores! {
    a_key_of_another_organization_proves_nothing_of_a_number,
    a_404_proves_nothing_while_nobody_can_say_whose_the_key_is,
    a_404_proves_nothing_when_the_key_was_replaced_meanwhile,
    an_attempt_that_did_nothing_says_nothing_of_the_one_before,
    a_number_that_others_released_is_released,
    a_number_found_gone_ends_the_release_that_was_under_way,
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

const DUE: &str = "UPDATE numbers SET release_at = 1, release_try_at = 1 WHERE release_at IS NOT NULL";

/// Sales can call a release off for a day.
fn with_window() -> Setup {
    Setup {
        policy: POLICY.replacen("[teams.sales]", "[teams.sales]\nrelease_delay = \"24h\"", 1),
        ..Setup::default()
    }
}

fn path(number: &str) -> String {
    format!("/v1/phone-numbers/{number}")
}

async fn keep(stage: &Stage, number: &str) -> crate::support::answer::Answer {
    send(stage.by(&ALICE, "POST", &format!("{}/keep", path(number)))).await
}

async fn deletes(stage: &Stage, number: &str) -> usize {
    let path = format!("/phone_number/{number}/");
    stage.close.requests("DELETE", &path).await.len()
}

/// What an admin sees the desk know of the number.
async fn at_desk(stage: &Stage, number: &str) -> Value {
    stage.get(&OLGA, &path(number)).await.expect(200)["desk"].clone()
}

async fn is_gone(stage: &Stage, number: &str) {
    eventually("the number is gone", || async {
        (stage.get(&OLGA, &path(number)).await.status == 404).then_some(())
    })
    .await;
}

/// Action, outcome and actor of what was done to the number, newest first.
async fn trail(stage: &Stage, number: &str) -> Vec<(String, String, String)> {
    stage
        .list(&OLGA, &format!("/v1/audit?phone_number_id={number}"))
        .await
        .iter()
        .filter(|row| row["action"] != "order.settle")
        .map(|row| {
            let said = |member: &Value| text(member);
            (
                said(&row["action"]),
                said(&row["outcome"]),
                said(&row["actor"]["subject"]),
            )
        })
        .collect()
}

async fn evidence(stage: &Stage, number: &str) -> Value {
    let rows = stage
        .list(&LENA, &format!("/v1/audit?phone_number_id={number}"))
        .await;
    rows[0]["detail"]["evidence"].clone()
}

fn rows(expected: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    expected
        .iter()
        .map(|(action, outcome, actor)| {
            (
                (*action).to_owned(),
                (*outcome).to_owned(),
                format!("{actor}@example.com"),
            )
        })
        .collect()
}

async fn a_key_of_another_organization_proves_nothing_of_a_number(database: Database) {
    let setup = Setup {
        timeout: "1s",
        full_sync: "1s",
        settle_after: "1s",
        ..Setup::default()
    };
    let mut stage = Stage::with(database.clone(), setup).await;
    let number = stage.rent(&ALICE, "key", "DE").await;
    // Another organization answers where ours was, to a key of its own: it knows none of our numbers.
    let listen = stage.close_goes_away().await;
    let options = close_sandbox::Options {
        listen,
        seed: 2,
        ..close_sandbox::Options::default()
    };
    stage.close = Simulated::start(options).await;
    std::fs::write(stage.folder.path().join("close-api-key"), stage.close.api_key())
        .expect("it can be written");
    // A desk that runs would not use it; one that starts has no other.
    stage.stop().await;
    stage.start().await;
    eventually("the new key is used", || async {
        let seen = stage.close.requests("GET", "/me/").await;
        (seen.last()?["headers"]["authorization"] == "Basic (valid)").then_some(())
    })
    .await;
    let answer = stage.release(&ALICE, &number).await.expect(202);
    assert_eq!(
        answer,
        json!({ "id": number, "state": "releasing", "release_at": null })
    );
    // Nor does asking again, by the desk or the team, or comparing the inventory.
    stage.release(&ALICE, &number).await.expect(202);
    let me = stage.close.requests("GET", "/me/").await.len();
    stage
        .close
        .arrived("DELETE", &format!("/phone_number/{number}/"), 3)
        .await;
    stage.close.arrived("GET", "/me/", me + 3).await;
    assert_eq!(at_desk(&stage, &number).await["releasing"], true);
    assert_eq!(usage(&stage).await["held"], 1);
}

async fn a_404_proves_nothing_while_nobody_can_say_whose_the_key_is(database: Database) {
    let setup = Setup {
        timeout: "1s",
        ..Setup::default()
    };
    let stage = Stage::with(database.clone(), setup).await;
    let number = stage.rent(&ALICE, "key", "DE").await;
    let stranger =
        json!({ "id": stage.user(0), "organizations": [{ "id": format!("orga_{}", "x".repeat(43)) }] });
    let unknown = json!({ "status": 404, "body": { "error": "PhoneNumber matching query does not exist." } });
    for me in [
        json!({ "status": 200, "body": stranger }),
        json!({ "status": 503 }),
    ] {
        stage
            .close
            .fault(json!({ "method": "DELETE", "answer": unknown }))
            .await;
        stage.close.fault(json!({ "path": "/me/", "answer": me })).await;
        stage.release(&ALICE, &number).await.expect(202);
        assert_eq!(at_desk(&stage, &number).await["releasing"], true);
        stage.close.heal().await;
    }
    is_gone(&stage, &number).await;
    assert_eq!(evidence(&stage, &number).await, "close-200");
    assert!(stage.close.held().await.is_empty());
}

async fn a_404_proves_nothing_when_the_key_was_replaced_meanwhile(database: Database) {
    let setup = Setup {
        timeout: "40s",
        ..Setup::default()
    };
    let stage = Stage::with(database.clone(), setup).await;
    let number = stage.rent(&ALICE, "key", "DE").await;
    stage.close.person_releases(&number).await;
    stage.close.set(json!({ "other_key": "api_another.key" })).await;
    // Longer than a changed key goes unnoticed.
    stage
        .close
        .fault(json!({ "path": "/me/", "times": 1, "delay": "12s" }))
        .await;
    let looked = stage.close.requests("GET", "/me/").await.len();
    let replace = async {
        stage.close.arrived("GET", "/me/", looked + 1).await;
        std::fs::write(stage.folder.path().join("close-api-key"), "api_another.key")
            .expect("it can be written");
    };
    let (answer, ()) = futures::join!(stage.release(&ALICE, &number), replace);
    answer.expect(202);
    std::fs::write(stage.folder.path().join("close-api-key"), stage.close.api_key())
        .expect("it can be written");
    eventually("the number is gone", || async {
        // As long as the other key is in use, asking again is in vain.
        database
            .change("UPDATE numbers SET releasing_at = 1 WHERE releasing_at IS NOT NULL")
            .await;
        (stage.get(&ALICE, &path(&number)).await.status == 404).then_some(())
    })
    .await;
    assert_eq!(evidence(&stage, &number).await, "close-404");
}

async fn an_attempt_that_did_nothing_says_nothing_of_the_one_before(database: Database) {
    let setup = Setup {
        timeout: "1s",
        ..Setup::default()
    };
    let stage = Stage::with(database, setup).await;
    let number = stage.rent(&ALICE, "key", "DE").await;
    let lost = json!({ "method": "DELETE", "answer": "drop_before_headers", "effect": true, "times": 1 });
    stage.close.fault(lost).await;
    stage.release(&ALICE, &number).await.expect(202);
    stage.close.set(json!({ "key_valid": false })).await;
    stage.release(&ALICE, &number).await.expect(202);
    assert_eq!(at_desk(&stage, &number).await["releasing"], true);
    assert_eq!(usage(&stage).await["held"], 1);
    stage.close.set(json!({ "key_valid": true })).await;
    is_gone(&stage, &number).await;
    assert_eq!(evidence(&stage, &number).await, "close-404");
}

async fn a_number_that_others_released_is_released(database: Database) {
    let stage = Stage::new(database).await;
    let number = stage.rent(&ALICE, "key", "DE").await;
    stage.close.person_releases(&number).await;
    stage.release(&ALICE, &number).await.empty(204);
    assert_eq!(evidence(&stage, &number).await, "close-404");
    let other = stage.rent(&ALICE, "other", "DE").await;
    stage.release(&ALICE, &other).await.empty(204);
    assert_eq!(evidence(&stage, &other).await, "close-200");
    assert_eq!(usage(&stage).await["held"], 0);
}

async fn a_number_found_gone_ends_the_release_that_was_under_way(database: Database) {
    let setup = Setup {
        full_sync: "1s",
        settle_after: "1s",
        ..Setup::default()
    };
    let stage = Stage::with(database, setup).await;
    let number = stage.rent(&ALICE, "key", "DE").await;
    let lost = json!({ "method": "DELETE", "answer": "drop_before_headers", "effect": true, "times": 1 });
    stage.close.fault(lost).await;
    stage.release(&ALICE, &number).await.expect(202);
    // The desk asks again only after 40 s; a comparison with Close is quicker.
    is_gone(&stage, &number).await;
    assert_eq!(evidence(&stage, &number).await, "found-gone");
    assert_eq!(deletes(&stage, &number).await, 1);
    assert_eq!(
        trail(&stage, &number).await,
        rows(&[
            ("number.release", "released", "alice"),
            ("number.release", "releasing", "alice")
        ])
    );
    assert_eq!(usage(&stage).await["held"], 0);
}

async fn a_release_with_a_window_is_scheduled_shown_and_still_counts(database: Database) {
    let stage = Stage::with(database, with_window()).await;
    let number = stage.rent(&ALICE, "key", "DE").await;
    let before = stage.get(&ALICE, &path(&number)).await;
    assert_eq!(before.expect(200)["desk"]["release_at"], Value::Null);
    let me = stage.get(&ALICE, "/v1/me").await.expect(200);
    assert_eq!(me["teams"][0]["policy"]["release_delay"], "24h");

    let scheduled = stage.release(&ALICE, &number).await.expect(202);
    let release_at = text(&scheduled["release_at"]);
    assert_eq!(
        scheduled,
        json!({ "id": number, "state": "release_scheduled", "release_at": release_at })
    );
    assert_eq!(
        stage.release(&LENA, &number).await.expect(202),
        scheduled,
        "once more moves nothing"
    );
    let shown = send(
        stage
            .by(&ALICE, "GET", &path(&number))
            .header("If-None-Match", before.header("etag")),
    )
    .await;
    let desk = &shown.expect(200)["desk"];
    assert_eq!(
        (&desk["release_at"], &desk["releasing"]),
        (&json!(release_at), &json!(false))
    );
    let listed = stage.list(&ALICE, "/v1/phone-numbers").await;
    assert_eq!(listed[0]["desk"]["release_at"], release_at.as_str());
    // It is still the team's: it counts, and can be changed.
    let me = stage.get(&ALICE, "/v1/me").await.expect(200);
    let used = &me["teams"][0]["usage"];
    assert_eq!(
        (&used["numbers_held"], &used["monthly_held"]),
        (&json!(1), &json!("5.00"))
    );
    stage
        .patch(&ALICE, &number, &json!({ "label": "going" }))
        .await
        .expect(200);
    assert_eq!(deletes(&stage, &number).await, 0);
    let audit = stage.list(&LENA, "/v1/audit?action=number.release").await;
    assert_eq!(audit.len(), 1, "{audit:?}");
    assert_eq!(
        (&audit[0]["outcome"], &audit[0]["detail"]),
        (&json!("scheduled"), &json!({ "release_at": release_at }))
    );
}

async fn a_window_is_for_teams_that_have_one(database: Database) {
    let mut setup = Setup::default();
    setup.close.numbers = 1;
    setup.policy = setup.policy.replacen(
        "[prices]",
        "[teams.\"*\"]\nrelease_delay = \"90d\"\n\n[prices]",
        1,
    );
    let stage = Stage::with(database, setup).await;
    let number = stage.rent(&ALICE, "key", "DE").await;
    stage.release(&ALICE, &number).await.empty(204);
    // Nobody would keep an orphan.
    let orphan = text(&stage.list(&OLGA, "/v1/phone-numbers").await[0]["id"]);
    stage.release(&OLGA, &orphan).await.empty(204);
    assert!(stage.close.held().await.is_empty());
}

async fn what_is_scheduled_is_kept_when_somebody_says_so(database: Database) {
    let stage = Stage::with(database.clone(), with_window()).await;
    let number = stage.rent(&ALICE, "key", "DE").await;
    let etag = stage.get(&ALICE, &path(&number)).await.header("etag").to_owned();
    let before = keep(&stage, &number).await;
    assert_eq!(before.expect(200)["id"], number.as_str(), "nothing to call off");
    assert_eq!(before.header("etag"), etag);
    let scheduled = stage.release(&ALICE, &number).await.expect(202);
    assert_ne!(stage.get(&ALICE, &path(&number)).await.header("etag"), etag);

    let reader = ALICE.with("numbers:read numbers:update");
    let path_to_keep = format!("{}/keep", path(&number));
    send(stage.by(&reader, "POST", &path_to_keep))
        .await
        .problem(403, "permission-missing");
    send(stage.by(&BOB, "POST", &path_to_keep))
        .await
        .problem(404, "not-found");
    let kept = keep(&stage, &number).await;
    assert_eq!(kept.expect(200)["desk"]["release_at"], Value::Null);
    assert_eq!(kept.header("etag"), etag);
    keep(&stage, &number).await.expect(200);

    assert_eq!(database.ask("SELECT COUNT(release_try_at) FROM numbers").await, 0);
    assert_eq!(
        trail(&stage, &number).await,
        rows(&[
            ("number.keep", "kept", "alice"),
            ("number.release", "scheduled", "alice")
        ])
    );
    let audit = stage.list(&LENA, "/v1/audit?action=number.keep").await;
    assert_eq!(audit[0]["detail"]["release_at"], scheduled["release_at"]);
    // Asked for again, it is scheduled anew.
    let again = stage.release(&ALICE, &number).await.expect(202);
    assert!(
        text(&again["release_at"]) > text(&scheduled["release_at"]),
        "{again}"
    );
    assert_eq!(deletes(&stage, &number).await, 0);
}

async fn a_release_that_is_due_is_sent_once_and_names_who_asked(database: Database) {
    let stage = Stage::with(database.clone(), with_window()).await;
    let number = stage.rent(&ALICE, "key", "DE").await;
    stage.release(&ALICE, &number).await.expect(202);
    database.change(DUE).await;
    is_gone(&stage, &number).await;
    assert_eq!(deletes(&stage, &number).await, 1);
    assert!(stage.close.held().await.is_empty());
    assert_eq!(
        trail(&stage, &number).await,
        rows(&[
            ("number.release", "released", "alice"),
            ("number.release", "releasing", "alice"),
            ("number.release", "scheduled", "alice")
        ])
    );
    assert_eq!(evidence(&stage, &number).await, "close-200");
    assert_eq!(usage(&stage).await["held"], 0);
    keep(&stage, &number).await.problem(404, "not-found");
}

async fn a_release_that_is_due_is_sent_after_a_restart(database: Database) {
    let mut stage = Stage::with(database.clone(), with_window()).await;
    let number = stage.rent(&ALICE, "key", "DE").await;
    let scheduled = stage.release(&ALICE, &number).await.expect(202);
    stage.stop().await;
    stage.start().await;
    assert_eq!(stage.release(&ALICE, &number).await.expect(202), scheduled);
    stage.stop().await;
    database.change(DUE).await;
    stage.start().await;
    is_gone(&stage, &number).await;
    assert_eq!(deletes(&stage, &number).await, 1);
}

async fn once_close_was_asked_it_is_too_late_to_keep(database: Database) {
    let setup = Setup {
        timeout: "2s",
        ..with_window()
    };
    let stage = Stage::with(database.clone(), setup).await;
    let number = stage.rent(&ALICE, "key", "DE").await;
    let scheduled = stage.release(&ALICE, &number).await.expect(202);
    stage
        .close
        .fault(json!({ "method": "DELETE", "answer": "hang", "times": 1 }))
        .await;
    database.change("UPDATE numbers SET release_try_at = 1").await;
    stage
        .close
        .arrived("DELETE", &format!("/phone_number/{number}/"), 1)
        .await;
    keep(&stage, &number).await.problem(409, "release-under-way");
    let desk = at_desk(&stage, &number).await;
    assert_eq!(
        (&desk["releasing"], &desk["release_at"]),
        (&json!(true), &scheduled["release_at"])
    );
    // Nor is it scheduled once more: whoever asks again has it sent again.
    stage.release(&ALICE, &number).await.empty(204);
    is_gone(&stage, &number).await;
    assert!(
        trail(&stage, &number)
            .await
            .iter()
            .all(|(_, _, actor)| actor == ALICE.name),
        "whoever asked is named to the end"
    );
}

async fn at_the_last_moment_a_number_is_kept_or_released_and_never_both(database: Database) {
    let stage = Stage::with(database.clone(), with_window()).await;
    let mut numbers = Vec::new();
    for place in 0..8 {
        let number = stage.rent(&ALICE, &format!("key-{place}"), "DE").await;
        stage.release(&ALICE, &number).await.expect(202);
        numbers.push(number);
    }
    // The desk takes them one after the other; in the middle of that, somebody wants to keep them all.
    stage
        .close
        .fault(json!({ "method": "DELETE", "delay": "300ms" }))
        .await;
    database.change(DUE).await;
    stage.close.arrived("DELETE", "/phone_number/{id}/", 2).await;
    let answers = futures::future::join_all(numbers.iter().map(|number| keep(&stage, number))).await;
    let (mut kept, mut released) = (0, 0);
    for (number, answer) in numbers.iter().zip(answers) {
        match answer.status {
            200 => {
                assert_eq!(answer.expect(200)["desk"]["release_at"], Value::Null);
                kept += 1;
            }
            409 => {
                answer.problem(409, "release-under-way");
                is_gone(&stage, number).await;
                released += 1;
            }
            _ => {
                answer.problem(404, "not-found");
                released += 1;
            }
        }
        let sent = deletes(&stage, number).await;
        assert_eq!(
            sent,
            usize::from(answer.status != 200),
            "{number} {}",
            answer.status
        );
    }
    assert!(released >= 2, "{released} of 8 were released");
    assert_eq!(stage.close.held().await.len(), kept);
    assert_eq!(usage(&stage).await["held"], kept);
}

async fn a_transfer_calls_off_what_was_scheduled(database: Database) {
    let stage = Stage::with(database.clone(), with_window()).await;
    let number = stage.rent(&ALICE, "key", "DE").await;
    let scheduled = stage.release(&ALICE, &number).await.expect(202);
    let give = async |team: &str| {
        let request = stage.by(&OLGA, "PUT", &format!("{}/team", path(&number)));
        send(request.json(&json!({ "team": team }))).await.expect(200)
    };
    assert_eq!(
        give("sales").await["desk"]["release_at"],
        scheduled["release_at"],
        "that moves nothing"
    );
    assert_eq!(give("support").await["desk"]["release_at"], Value::Null);
    assert_eq!(database.ask("SELECT COUNT(release_try_at) FROM numbers").await, 0);
    let audit = stage.list(&OLGA, "/v1/audit?action=number.transfer").await;
    assert_eq!(
        audit[0]["detail"],
        json!({ "from": "sales", "to": "support", "release_called_off": scheduled["release_at"] })
    );
    assert_eq!(deletes(&stage, &number).await, 0);
    // Its new team has no window.
    stage.release(&BOB, &number).await.empty(204);
}

async fn a_due_release_close_refuses_is_not_tried_again(database: Database) {
    let stage = Stage::with(database.clone(), with_window()).await;
    let number = stage.rent(&ALICE, "key", "DE").await;
    stage.release(&ALICE, &number).await.expect(202);
    let no = json!({ "status": 403, "body": { "error": "You can only release your own." } });
    stage
        .close
        .fault(json!({ "method": "DELETE", "answer": no, "times": 1 }))
        .await;
    database.change(DUE).await;
    eventually("the schedule is cleared", || async {
        (at_desk(&stage, &number).await["release_at"] == Value::Null).then_some(())
    })
    .await;
    assert_eq!(at_desk(&stage, &number).await["releasing"], false);
    assert_eq!(
        trail(&stage, &number).await[..2],
        rows(&[
            ("number.release", "kept", "alice"),
            ("number.release", "releasing", "alice")
        ])
    );
    let audit = stage.list(&LENA, "/v1/audit?action=number.release").await;
    assert_eq!(audit[0]["detail"]["reason"], "You can only release your own.");
    assert_eq!(database.ask("SELECT COUNT(release_try_at) FROM numbers").await, 0);
    assert_eq!(
        (
            deletes(&stage, &number).await,
            usage(&stage).await["held"].clone()
        ),
        (1, json!(1))
    );
}

async fn a_due_release_that_close_could_not_be_asked_for_is_tried_later(database: Database) {
    let stage = Stage::with(database.clone(), with_window()).await;
    let number = stage.rent(&ALICE, "key", "DE").await;
    let scheduled = stage.release(&ALICE, &number).await.expect(202);
    stage.close.set(json!({ "key_valid": false })).await;
    database.change("UPDATE numbers SET release_try_at = 1").await;
    eventually("it is put off", || async {
        (trail(&stage, &number).await[0].1 == "put off").then_some(())
    })
    .await;
    // What was said stays said, and it can be kept still.
    let desk = at_desk(&stage, &number).await;
    assert_eq!(
        (&desk["releasing"], &desk["release_at"]),
        (&json!(false), &scheduled["release_at"])
    );
    assert_eq!(
        keep(&stage, &number).await.expect(200)["desk"]["release_at"],
        Value::Null
    );
    stage.release(&ALICE, &number).await.expect(202);
    database.change("UPDATE numbers SET release_try_at = 1").await;
    eventually("it is put off again", || async {
        (trail(&stage, &number).await[0].1 == "put off").then_some(())
    })
    .await;
    assert_eq!(usage(&stage).await["held"], 1);
    stage.close.set(json!({ "key_valid": true })).await;
    database.change("UPDATE numbers SET release_try_at = 1").await;
    is_gone(&stage, &number).await;
    assert!(stage.close.held().await.is_empty());
}

async fn a_policy_that_changes_moves_nothing_that_is_scheduled(database: Database) {
    let stage = Stage::with(database, with_window()).await;
    let number = stage.rent(&ALICE, "key", "DE").await;
    let other = stage.rent(&ALICE, "other", "DE").await;
    let scheduled = stage.release(&ALICE, &number).await.expect(202);
    let old = stage.at_ops("/readyz").await.json()["policy"].clone();
    std::fs::write(stage.folder.path().join("policy.toml"), POLICY).expect("it can be written");
    eventually("the new policy is in force", || async {
        (stage.at_ops("/readyz").await.json()["policy"] != old).then_some(())
    })
    .await;
    assert_eq!(stage.release(&ALICE, &number).await.expect(202), scheduled);
    assert_eq!(
        at_desk(&stage, &number).await["release_at"],
        scheduled["release_at"]
    );
    // What is asked for now goes by the policy of now.
    stage.release(&ALICE, &other).await.empty(204);
    assert_eq!(stage.close.held().await.len(), 1);
}

//! A second person: which orders ask for one, who may be it, and that nothing is sent before, twice or otherwise.

use std::collections::BTreeMap;

use numberdesk::auth::DevIssuer;
use serde_json::{Value, json};

use crate::support::books::usage;
use crate::support::database::{Database, on_both_stores};
use crate::support::eventually;
use crate::support::personas::{ALICE, AUDIENCE, BOB, ISSUER, LENA, NEMO, OLGA, Persona};
use crate::support::response::ApiResponse;
use crate::support::response::assert_indistinguishable;
use crate::support::server::{TestConfig, TestServer, send, text};

on_both_stores! {
    each_condition_asks_for_a_person_and_an_order_below_does_not,
    nothing_is_sent_before_a_person_approves_and_then_it_is_rented_once,
    two_hundred_approvals_at_once_are_one_rent,
    approve_and_reject_at_once_have_one_winner,
    nobody_approves_an_order_of_their_own,
    an_order_of_another_team_does_not_exist_and_a_permission_is_needed,
    a_rejected_order_gives_its_reservation_back_and_its_key_says_so,
    an_order_that_nobody_approves_in_time_is_given_up,
    an_approval_that_comes_too_late_is_none_also_before_the_desk_has_noticed,
    an_order_is_withdrawn_while_it_waits,
    what_is_over_is_not_decided_again,
    orders_that_wait_count_against_every_cap,
    asking_first_tells_whether_a_person_is_needed,
    an_order_that_was_altered_in_the_database_is_never_rented,
    the_audit_trail_names_both_persons,
    a_restart_while_it_waits_loses_nothing,
    a_comment_is_optional_and_bounded,
    a_personal_number_does_not_become_a_group_number_without_approval,
}

/// The second person of sales: another user in Close than Alice is.
const PETRA: Persona = Persona {
    name: "petra@example.com",
    teams: &["sales"],
    permissions: "numbers:read orders:approve audit:read",
    close_user: Some(1),
};

/// Every order of sales needs a second person, unless it is for a personal number in France.
const RULES: &str = "approval = { above_monthly = \"4.50\", group_numbers = true, countries = [\"US\"] }";

/// Every order does.
const RULED: &str = "approval = { countries = [\"DE\"] }";

fn policy(rules: &str) -> TestConfig {
    let policy = format!(
        "[teams.sales]\ncountries = [\"DE\", \"FR\", \"US\"]\ngroup_numbers = true\nassign_to = \"anyone\"\n{rules}\n\
         [teams.support]\ncountries = [\"DE\"]\napproval = {{ countries = [\"DE\"] }}\n\
         [prices]\nDE = \"5.00\"\ndefault = \"4.00\"\n"
    );
    TestConfig {
        policy,
        ..TestConfig::default()
    }
}

fn berlin() -> Value {
    json!({ "country": "DE", "carrier_type": "local" })
}

impl TestServer {
    /// Orders as Alice a number that needs a second person; its id.
    async fn waiting(&self, key: &str) -> String {
        let order = self.order(&ALICE, key, &berlin()).await.expect(202);
        assert_eq!(order["state"], "awaiting_approval", "{order}");
        text(&order["id"])
    }

    async fn says(&self, person: &Persona, word: &str, order: &str) -> ApiResponse {
        send(self.request_as(person, "POST", &format!("/v1/orders/{order}/{word}"))).await
    }

    async fn says_why(&self, person: &Persona, word: &str, order: &str, body: &Value) -> ApiResponse {
        send(
            self.request_as(person, "POST", &format!("/v1/orders/{order}/{word}"))
                .json(body),
        )
        .await
    }

    /// Tokens of another issuer are good as well.
    async fn also_trusts(&mut self, name: &str) -> DevIssuer {
        self.stop().await;
        let issuer =
            DevIssuer::load_or_create(&self.folder.path().join("other"), name).expect("it can be made");
        let file = self.folder.path().join("numberdesk.toml");
        let config = std::fs::read_to_string(&file).expect("the configuration can be read");
        let more = format!(
            "[[auth.issuers]]\nissuer = \"{name}\"\naudiences = [\"{AUDIENCE}\"]\n\
             jwks_file = \"other/jwks.json\"\nalgorithms = [\"EdDSA\"]\n"
        );
        std::fs::write(&file, config + &more).expect("the configuration can be written");
        self.start().await;
        issuer
    }

    async fn shown(&self, order: &str) -> Value {
        self.get(&ALICE, &format!("/v1/orders/{order}")).await.expect(200)
    }
}

async fn each_condition_asks_for_a_person_and_an_order_below_does_not(database: Database) {
    let server = TestServer::with(database, policy(RULES)).await;
    let two = json!({ "country": "FR", "assign_to": [server.user(0), server.user(1)] });
    for (body, rule) in [
        (json!({ "country": "DE" }), "above_monthly"),
        (json!({ "country": "FR", "sharing": "group" }), "group_numbers"),
        (two, "group_numbers"),
        (json!({ "country": "US" }), "countries"),
    ] {
        let answer = server
            .order(&ALICE, &body.to_string().replace(' ', ""), &body)
            .await;
        let order = answer.expect(202);
        let id = text(&order["id"]);
        assert_eq!(answer.header("location"), format!("/v1/orders/{id}"));
        assert!(answer.header("retry-after").parse::<u32>().is_ok(), "{answer}");
        assert_eq!(order["state"], "awaiting_approval", "{order}");
        let approval = &order["approval"];
        assert_eq!(
            approval["rule"],
            format!("teams.sales.approval.{rule}"),
            "{order}"
        );
        assert_eq!(approval["decision"], "pending", "{order}");
        assert!(text(&approval["why"]).contains("orders:approve"), "{order}");
        assert!(
            text(&approval["expires_at"]) > text(&order["created_at"]),
            "{order}"
        );
        for member in ["by", "at", "comment"] {
            assert_eq!(approval[member], Value::Null, "{member} of {order}");
        }
        assert_eq!(server.shown(&id).await, order);
    }
    let below = json!({ "country": "FR", "carrier_type": "local" });
    let order = server.order(&ALICE, "below", &below).await.expect(201);
    assert_eq!(order["approval"], Value::Null, "{order}");
    assert_eq!(server.close.rents().await.len(), 1);
    let waiting = server.list(&ALICE, "/v1/orders?state=awaiting_approval").await;
    assert_eq!(waiting.len(), 4);
    // The rule is shown as it is written.
    let me = server.get(&ALICE, "/v1/me").await.expect(200);
    assert_eq!(
        me["teams"][0]["policy"]["approval"],
        json!({ "above_monthly": "4.50", "group_numbers": true, "countries": ["US"] }),
        "{me}"
    );
}

async fn nothing_is_sent_before_a_person_approves_and_then_it_is_rented_once(database: Database) {
    let server = TestServer::with(database, policy(RULES)).await;
    let id = server.waiting("key").await;
    // The same key, also with a wait, is the same order as it stands.
    let again = server.order(&ALICE, "key", &berlin()).await.expect(202);
    assert_eq!(
        (&again["id"], &again["state"]),
        (&json!(id), &json!("awaiting_approval"))
    );
    // Another order is rented meanwhile: whatever sends orders has had its turn.
    server.rent(&ALICE, "below", "FR").await;
    let sent: Vec<Value> = server.close.rents().await;
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(sent[0]["body"]["country"], "FR");

    let approved = server
        .says_why(&PETRA, "approve", &id, &json!({ "comment": "For the fair" }))
        .await
        .expect(200);
    let approval = &approved["approval"];
    assert_eq!(
        (&approval["decision"], &approval["by"], &approval["comment"]),
        (
            &json!("approved"),
            &json!("petra@example.com"),
            &json!("For the fair")
        ),
        "{approved}"
    );
    assert!(text(&approval["at"]).ends_with('Z'), "{approved}");
    let rented = server.wait_for_state(&ALICE, &id, "fulfilled").await;
    assert_eq!(rented["created_by"], "alice@example.com");
    assert_eq!(
        (&rented["evidence"], &rented["reason"]),
        (&json!("close-201"), &Value::Null)
    );
    assert_eq!(server.order(&ALICE, "key", &berlin()).await.expect(201), rented);
    // Whoever approves it again is told how it stands.
    for person in [&PETRA, &OLGA.with("orders:approve numbers:admin").as_user(None)] {
        assert_eq!(server.says(person, "approve", &id).await.expect(200), rented);
    }
    assert_eq!(server.close.rents().await.len(), 2);
    assert_eq!(
        usage(&server).await,
        json!({ "held": 2, "reserved": 0, "today": 2 })
    );
}

async fn two_hundred_approvals_at_once_are_one_rent(database: Database) {
    let server = TestServer::with(database, policy(RULES)).await;
    let id = server.waiting("key").await;
    let said = (0..200).map(async |_| {
        loop {
            let answer = server.says(&PETRA, "approve", &id).await;
            if answer.status != 503 {
                return answer;
            }
            // So many at once may find the database busy: whoever asks again is answered.
            answer.problem(503, "store-unavailable");
        }
    });
    for answer in futures::future::join_all(said).await {
        assert_eq!(answer.expect(200)["approval"]["decision"], "approved");
    }
    server.wait_for_state(&ALICE, &id, "fulfilled").await;
    assert_eq!(server.close.rents().await.len(), 1);
    assert_eq!(
        server.list(&PETRA, "/v1/audit?action=order.approve").await.len(),
        1
    );
}

async fn approve_and_reject_at_once_have_one_winner(database: Database) {
    let server = TestServer::with(database, policy(RULES)).await;
    let mut rented = 0;
    for round in 0..12 {
        let id = server.waiting(&format!("key-{round}")).await;
        let said = ["approve", "reject"].map(|word| server.says(&PETRA, word, &id));
        let [yes, no]: [ApiResponse; 2] = futures::future::join_all(said)
            .await
            .try_into()
            .expect("two were asked");
        if yes.status == 200 {
            no.problem(409, "order-not-awaiting-approval");
            server.wait_for_state(&ALICE, &id, "fulfilled").await;
            rented += 1;
        } else {
            let problem = yes.problem(409, "order-not-awaiting-approval");
            assert_eq!(problem["state"], "refused", "{problem}");
            no.expect(200);
            assert_eq!(server.shown(&id).await["state"], "refused");
        }
        let decided = server.list(&PETRA, &format!("/v1/audit?order_id={id}")).await;
        let words = ["order.approve", "order.reject"];
        let decided = decided
            .iter()
            .filter(|row| words.contains(&text(&row["action"]).as_str()));
        assert_eq!(decided.count(), 1);
    }
    assert_eq!(server.close.rents().await.len(), rented);
    assert_eq!(
        usage(&server).await,
        json!({ "held": rented, "reserved": 0, "today": rented })
    );
}

async fn nobody_approves_an_order_of_their_own(database: Database) {
    const ORDERS: &str = "numbers:read numbers:rent orders:approve";
    let mut server = TestServer::with(database, policy(RULES)).await;
    let elsewhere = server.also_trusts("https://other.example.com/").await;
    let id = server.waiting("key").await;
    let alice = ALICE.with(ORDERS);
    let other_user = alice.as_user(Some(1));
    // The same user in Close, under another name.
    let namesake = Persona {
        name: "alice-too@example.com",
        ..alice
    };
    for word in ["approve", "reject"] {
        for person in [&alice, &other_user, &alice.as_user(None), &namesake] {
            server.says(person, word, &id).await.problem(403, "own-order");
        }
        // The same subject of another issuer may be the same person.
        let users = server.close.users();
        let mut claims = other_user.claims(&users);
        claims["iss"] = json!("https://other.example.com/");
        let token = elsewhere.sign(&claims).expect("it signs");
        let path = format!("/v1/orders/{id}/{word}");
        let request = server.request("POST", &path).bearer_auth(token);
        let request = request.header("Idempotency-Key", "another");
        send(request).await.problem(403, "own-order");
    }
    // Nor does being an administrator help, or another key for another order.
    let admin = alice
        .with("numbers:read numbers:rent numbers:admin orders:approve")
        .as_user(None);
    let another = server
        .order(&admin, "another", &with_team(&berlin()))
        .await
        .expect(202);
    server
        .says(&admin, "approve", &text(&another["id"]))
        .await
        .problem(403, "own-order");
    assert_eq!(server.shown(&id).await["approval"]["decision"], "pending");
    assert!(server.close.rents().await.is_empty());
    let denied = server.list(&PETRA, "/v1/audit?action=order.approve").await;
    assert!(
        !denied.is_empty() && denied.iter().all(|row| row["outcome"] == "denied"),
        "{denied:?}"
    );
    // Who ordered without a user in Close is known by subject alone.
    server
        .says(&namesake, "approve", &text(&another["id"]))
        .await
        .expect(200);
}

fn with_team(body: &Value) -> Value {
    let mut body = body.clone();
    body["team"] = json!("sales");
    body
}

async fn an_order_of_another_team_does_not_exist_and_a_permission_is_needed(database: Database) {
    let server = TestServer::with(database, policy(RULES)).await;
    let id = server.waiting("key").await;
    let unknown = "ord_01K00000000000000000000000";
    for word in ["approve", "reject"] {
        // Before the permission, and before whose order it is.
        let same = Persona {
            name: ALICE.name,
            ..BOB.with("orders:approve")
        };
        for person in [&BOB, &BOB.with("orders:approve"), &same, &PETRA.of(&[])] {
            let hidden = server.says(person, word, &id).await;
            hidden.problem(404, "not-found");
            assert_indistinguishable(&hidden, &server.says(person, word, unknown).await);
        }
        for person in [&NEMO, &LENA, &ALICE, &OLGA] {
            let answer = server.says(person, word, &id).await;
            let problem = answer.problem(403, "permission-missing");
            assert_eq!(problem["need"], "orders:approve");
        }
    }
    assert_eq!(server.shown(&id).await["state"], "awaiting_approval");
    assert!(server.close.rents().await.is_empty());
    // An administrator of all teams who may approve reaches every team.
    let olga = OLGA
        .with("orders:approve numbers:admin numbers:read")
        .as_user(None);
    server.says(&olga, "approve", &id).await.expect(200);
    server.wait_for_state(&ALICE, &id, "fulfilled").await;
}

async fn a_rejected_order_gives_its_reservation_back_and_its_key_says_so(database: Database) {
    let server = TestServer::with(database, policy(RULES)).await;
    let id = server.waiting("key").await;
    assert_eq!(
        usage(&server).await,
        json!({ "held": 0, "reserved": 1, "today": 1 })
    );
    let comment = json!({ "comment": "Use the line that the team has." });
    let rejected = server.says_why(&PETRA, "reject", &id, &comment).await.expect(200);
    assert_eq!(
        (
            &rejected["state"],
            &rejected["evidence"],
            &rejected["approval"]["decision"]
        ),
        (&json!("refused"), &json!("settled-by-person"), &json!("rejected")),
        "{rejected}"
    );
    assert!(rejected["finished_at"].is_string(), "{rejected}");
    let reason = text(&rejected["reason"]);
    assert!(
        reason.contains("petra@example.com") && reason.contains("Use the line that the team has."),
        "{reason}"
    );
    assert_eq!(
        usage(&server).await,
        json!({ "held": 0, "reserved": 0, "today": 0 })
    );
    let problem = server
        .order(&ALICE, "key", &berlin())
        .await
        .problem(403, "approval-rejected");
    assert_eq!(problem["order_id"], id.as_str());
    assert!(
        text(&problem["detail"]).contains("Use the line that the team has."),
        "{problem}"
    );
    // Rejecting it again tells how it stands; approving it comes too late.
    assert_eq!(server.says(&PETRA, "reject", &id).await.expect(200), rejected);
    let late = server
        .says(&PETRA, "approve", &id)
        .await
        .problem(409, "order-not-awaiting-approval");
    assert_eq!(late["state"], "refused", "{late}");
    assert!(server.close.rents().await.is_empty());
}

async fn an_order_that_nobody_approves_in_time_is_given_up(database: Database) {
    let server = TestServer::with(database.clone(), policy(RULES)).await;
    let id = server.waiting("key").await;
    let in_time = server.waiting("in-time").await;
    database
        .change(&format!("UPDATE orders SET approve_by = 1 WHERE id = '{id}'"))
        .await;
    let order = server.wait_for_state(&ALICE, &id, "cancelled").await;
    assert_eq!(order["approval"]["decision"], "expired", "{order}");
    assert_eq!(
        (&order["approval"]["by"], &order["evidence"]),
        (&Value::Null, &Value::Null),
        "{order}"
    );
    assert!(text(&order["reason"]).contains("in time"), "{order}");
    let problem = server
        .order(&ALICE, "key", &berlin())
        .await
        .problem(409, "order-cancelled");
    assert_eq!(problem["order_id"], id.as_str());
    assert!(
        text(&problem["detail"]).contains("nobody approved it in time"),
        "{problem}"
    );
    let late = server
        .says(&PETRA, "approve", &id)
        .await
        .problem(409, "order-not-awaiting-approval");
    assert_eq!(late["state"], "cancelled", "{late}");
    assert_eq!(server.shown(&in_time).await["state"], "awaiting_approval");
    assert_eq!(
        usage(&server).await,
        json!({ "held": 0, "reserved": 1, "today": 1 })
    );
    assert!(server.close.rents().await.is_empty());
}

async fn an_approval_that_comes_too_late_is_none_also_before_the_desk_has_noticed(database: Database) {
    let server = TestServer::with(database.clone(), policy(RULES)).await;
    for word in ["approve", "reject"] {
        let id = server.waiting(word).await;
        database
            .change("UPDATE orders SET approve_by = 1 WHERE state = 'awaiting_approval'")
            .await;
        let late = server
            .says(&PETRA, word, &id)
            .await
            .problem(409, "order-not-awaiting-approval");
        assert_eq!(late["state"], "cancelled", "{late}");
        assert_eq!(server.shown(&id).await["approval"]["decision"], "expired");
    }
    assert_eq!(
        usage(&server).await,
        json!({ "held": 0, "reserved": 0, "today": 0 })
    );
    assert_eq!(
        server.list(&PETRA, "/v1/audit?action=order.expire").await.len(),
        2
    );
    assert!(server.close.rents().await.is_empty());
}

async fn an_order_is_withdrawn_while_it_waits(database: Database) {
    let server = TestServer::with(database, policy(RULES)).await;
    let id = server.waiting("key").await;
    let cancelled = server.says(&ALICE, "cancel", &id).await.expect(200);
    assert_eq!(
        (&cancelled["state"], &cancelled["reason"]),
        (&json!("cancelled"), &Value::Null),
        "{cancelled}"
    );
    assert_eq!(
        usage(&server).await,
        json!({ "held": 0, "reserved": 0, "today": 0 })
    );
    server
        .order(&ALICE, "key", &berlin())
        .await
        .problem(409, "order-cancelled");
    for word in ["approve", "reject"] {
        let late = server
            .says(&PETRA, word, &id)
            .await
            .problem(409, "order-not-awaiting-approval");
        assert_eq!(late["state"], "cancelled", "{late}");
    }
    assert!(server.close.rents().await.is_empty());
}

async fn what_is_over_is_not_decided_again(database: Database) {
    let server = TestServer::with(database, policy(RULES)).await;
    // It needed nobody.
    let below = json!({ "country": "FR", "carrier_type": "local" });
    let order = server.order(&ALICE, "below", &below).await.expect(201);
    for word in ["approve", "reject"] {
        let problem = server
            .says(&PETRA, word, &text(&order["id"]))
            .await
            .problem(409, "order-not-awaiting-approval");
        assert_eq!(problem["state"], "fulfilled", "{problem}");
    }
    // It was approved, and Close refused; then approved, and withdrawn before it was sent.
    server.close.fault(json!({ "refuse": "error", "times": 1 })).await;
    let refused = server.waiting("refused").await;
    server.says(&PETRA, "approve", &refused).await.expect(200);
    server.wait_for_state(&ALICE, &refused, "refused").await;
    server
        .order(&ALICE, "refused", &berlin())
        .await
        .problem(422, "close-refused");
    server.says(&PETRA, "approve", &refused).await.expect(200);
    server
        .says(&PETRA, "reject", &refused)
        .await
        .problem(409, "order-not-awaiting-approval");
    server.close.set(json!({ "key_valid": false })).await;
    let withdrawn = server.waiting("withdrawn").await;
    server.says(&PETRA, "approve", &withdrawn).await.expect(200);
    eventually("the approved order is withdrawn between two attempts", || async {
        (server.says(&ALICE, "cancel", &withdrawn).await.status == 200).then_some(())
    })
    .await;
    let late = server
        .says(&PETRA, "approve", &withdrawn)
        .await
        .problem(409, "order-not-awaiting-approval");
    assert_eq!(late["state"], "cancelled", "{late}");
    assert_eq!(server.close.held().await.len(), 1);
}

async fn orders_that_wait_count_against_every_cap(database: Database) {
    let caps = [
        (&["sales"], "max_numbers = 1", "quota-exceeded"),
        (&["north"], "max_orders_per_day = 1", "quota-exceeded"),
        (&["south"], "monthly_budget = \"7.00\"", "budget-exceeded"),
    ];
    let teams =
        caps.map(|(team, cap, _)| format!("[teams.{}]\ncountries = [\"DE\"]\n{RULED}\n{cap}\n", team[0]));
    let config = TestConfig {
        policy: format!("{}[prices]\ndefault = \"5.00\"\n", teams.concat()),
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    for (team, cap, problem) in caps {
        let (alice, petra) = (ALICE.of(team), PETRA.of(team));
        let order = server.order(&alice, "first", &berlin()).await.expect(202);
        let full = server
            .order(&alice, "second", &berlin())
            .await
            .problem(403, problem);
        assert!(
            cap.starts_with(text(&full["decision"]["rule"]).rsplit('.').next().unwrap()),
            "{full}"
        );
        server
            .says(&petra, "reject", &text(&order["id"]))
            .await
            .expect(200);
        server.order(&alice, "second", &berlin()).await.expect(202);
    }
    assert!(server.close.rents().await.is_empty());
}

async fn asking_first_tells_whether_a_person_is_needed(database: Database) {
    let server = TestServer::with(database, policy(RULES)).await;
    let ask = async |country: &str| {
        let request = server.request_as(&ALICE, "POST", "/v1/orders?validate_only=true");
        send(request.json(&json!({ "country": country })))
            .await
            .expect(200)
    };
    let asked = ask("DE").await;
    assert_eq!(asked["allowed"], true, "{asked}");
    assert_eq!(asked["decision"]["rule"], "teams.sales", "{asked}");
    let approval = &asked["approval"];
    assert_eq!(approval["rule"], "teams.sales.approval.above_monthly", "{asked}");
    assert_eq!(
        (&approval["have"], &approval["need"]),
        (&json!("5.00"), &json!({ "permission": "orders:approve" })),
        "{asked}"
    );
    assert!(text(&approval["hint"]).contains("4.50"), "{asked}");
    assert_eq!(ask("FR").await["approval"], Value::Null);
    let denied = ask("JP").await;
    assert_eq!(
        (&denied["allowed"], &denied["approval"]),
        (&json!(false), &Value::Null)
    );
    server.assert_nothing_happened().await;
}

async fn an_order_that_was_altered_in_the_database_is_never_rented(database: Database) {
    let server = TestServer::with(database.clone(), policy(RULES)).await;
    // While nothing can be sent, an order that was approved waits in the queue.
    server.close.set(json!({ "key_valid": false })).await;
    let mut altered = BTreeMap::new();
    for key in ["request", "terms", "untouched"] {
        altered.insert(key, server.waiting(key).await);
    }
    // One more is altered before anyone has said anything, and one is never approved.
    let early = server.waiting("early").await;
    let unasked = server.waiting("unasked").await;
    alter(&database, &early, "request").await;
    for id in altered.values() {
        server.says(&PETRA, "approve", id).await.expect(200);
    }
    for column in ["request", "terms"] {
        // Between two attempts: what is on its way is on its way.
        eventually("it is altered in the queue", || async {
            alter(&database, &altered[column], column).await.then_some(())
        })
        .await;
    }
    let before = server.close.rents().await.len();
    server.close.set(json!({ "key_valid": true })).await;
    // Put into the queue past the desk, one that nobody has approved is not sent either.
    let queue = format!("UPDATE orders SET state = 'queued' WHERE id = '{unasked}'");
    database.change(&queue).await;
    // The answer may tell already that the desk has noticed.
    let answer = server.says(&PETRA, "approve", &early).await;
    assert!([200, 409].contains(&answer.status), "{answer}");

    server
        .wait_for_state(&ALICE, &altered["untouched"], "fulfilled")
        .await;
    for id in [&altered["request"], &altered["terms"], &early, &unasked] {
        let order = server.wait_for_state(&ALICE, id, "cancelled").await;
        assert!(
            text(&order["reason"]).contains("not what was approved"),
            "{order}"
        );
        let rows = server
            .list(&PETRA, &format!("/v1/audit?order_id={id}&action=order.cancel"))
            .await;
        assert_eq!(rows[0]["outcome"], "altered", "{rows:?}");
    }
    let rents = server.close.rents().await;
    assert!(
        rents.iter().all(|rent| rent["body"]["carrier_type"] == "local"),
        "{rents:?}"
    );
    assert_eq!(rents.len(), before + 1);
    assert_eq!(server.close.held().await.len(), 1);
    assert_eq!(
        usage(&server).await,
        json!({ "held": 1, "reserved": 0, "today": 1 })
    );
}

/// Makes it an order for a mobile number, unless it is being sent.
async fn alter(database: &Database, order: &str, column: &str) -> bool {
    let of = format!("WHERE id = '{order}' AND state <> 'renting'");
    let statement = format!("UPDATE orders SET {column} = REPLACE({column}, 'local', 'mobile') {of}");
    database.change(&statement).await;
    let question = format!("SELECT COUNT(*) FROM orders {of} AND {column} LIKE '%mobile%'");
    database.ask(&question).await == 1
}

async fn the_audit_trail_names_both_persons(database: Database) {
    let server = TestServer::with(database, policy(RULES)).await;
    let id = server.waiting("key").await;
    let answer = server
        .says_why(&PETRA, "approve", &id, &json!({ "comment": "For the fair" }))
        .await;
    answer.expect(200);
    server.wait_for_state(&ALICE, &id, "fulfilled").await;
    let rows = server.list(&PETRA, &format!("/v1/audit?order_id={id}")).await;
    let told: Vec<(String, String, String)> = rows
        .iter()
        .map(|row| {
            (
                text(&row["action"]),
                text(&row["outcome"]),
                text(&row["actor"]["subject"]),
            )
        })
        .collect();
    let expected = [
        ("order.settle", "fulfilled", "numberdesk"),
        ("order.send", "renting", "numberdesk"),
        ("order.approve", "approved", "petra@example.com"),
        ("order.create", "awaiting_approval", "alice@example.com"),
    ];
    let expected =
        expected.map(|(action, outcome, who)| (action.to_owned(), outcome.to_owned(), who.to_owned()));
    assert_eq!(told, expected);
    let (approved, created) = (&rows[2], &rows[3]);
    assert_eq!(approved["actor"]["issuer"], ISSUER);
    assert_eq!(approved["request_id"], answer.header("x-request-id"));
    assert_eq!(approved["detail"]["comment"], "For the fair", "{approved}");
    assert_eq!(text(&approved["detail"]["fingerprint"]).len(), 64, "{approved}");
    assert_eq!(
        approved["detail"]["ordered_by"],
        json!({ "issuer": ISSUER, "subject": "alice@example.com" })
    );
    assert_eq!(
        (&created["allowed"], &created["rule"]),
        (&json!(true), &json!("teams.sales"))
    );
    assert_eq!(
        created["detail"]["approval"]["rule"], "teams.sales.approval.above_monthly",
        "{created}"
    );
    let rejected = server.waiting("rejected").await;
    server
        .says_why(&PETRA, "reject", &rejected, &json!({ "comment": "No" }))
        .await
        .expect(200);
    let rows = server.list(&PETRA, "/v1/audit?action=order.reject").await;
    assert_eq!(
        (
            &rows[0]["actor"]["subject"],
            &rows[0]["outcome"],
            &rows[0]["detail"]["comment"]
        ),
        (&json!("petra@example.com"), &json!("rejected"), &json!("No")),
        "{rows:?}"
    );
}

async fn a_restart_while_it_waits_loses_nothing(database: Database) {
    let mut server = TestServer::with(database, policy(RULES)).await;
    let id = server.waiting("key").await;
    let before = server.shown(&id).await;
    server.stop().await;
    server.start().await;
    assert_eq!(server.shown(&id).await, before);
    assert_eq!(
        server.order(&ALICE, "key", &berlin()).await.expect(202)["id"],
        id.as_str()
    );
    assert_eq!(
        usage(&server).await,
        json!({ "held": 0, "reserved": 1, "today": 1 })
    );
    assert!(server.close.rents().await.is_empty());
    server.says(&PETRA, "approve", &id).await.expect(200);
    server.wait_for_state(&ALICE, &id, "fulfilled").await;
    assert_eq!(server.close.rents().await.len(), 1);
}

async fn a_comment_is_optional_and_bounded(database: Database) {
    let server = TestServer::with(database, policy(RULES)).await;
    let id = server.waiting("key").await;
    for body in [
        json!({ "comment": "é".repeat(501) }),
        json!({ "comment": 5 }),
        json!({ "comment": "two\nlines" }),
        json!({ "coment": "x" }),
        json!([]),
    ] {
        let problem = server
            .says_why(&PETRA, "approve", &id, &body)
            .await
            .problem(400, "invalid-request");
        assert!(
            !problem["errors"].as_array().expect("a list").is_empty(),
            "{problem}"
        );
    }
    let path = format!("/v1/orders/{id}/approve");
    let asked = || server.request_as(&PETRA, "POST", &path);
    send(asked().body("{\"comment\":\"x\"}"))
        .await
        .problem(415, "unsupported-media-type");
    send(asked().header("Content-Type", "application/json").body("{"))
        .await
        .problem(400, "invalid-request");
    send(server.request_as(&PETRA, "POST", &format!("{path}?comment=x")))
        .await
        .problem(400, "invalid-request");
    assert_eq!(server.shown(&id).await["state"], "awaiting_approval");
    let longest = "é".repeat(500);
    let order = server
        .says_why(&PETRA, "approve", &id, &json!({ "comment": longest }))
        .await
        .expect(200);
    assert_eq!(order["approval"]["comment"], longest.as_str());
    // Nothing, with a type or without, an empty object and an empty comment are all no comment.
    for (key, body) in [
        ("object", "{}"),
        ("null", "{\"comment\":null}"),
        ("nothing", "null"),
        ("empty", "{\"comment\":\" \"}"),
        ("none", ""),
    ] {
        let id = server.waiting(key).await;
        let request = server
            .request_as(&PETRA, "POST", &format!("/v1/orders/{id}/reject"))
            .header("Content-Type", "application/json");
        let order = send(request.body(body)).await.expect(200);
        assert_eq!(order["approval"]["comment"], Value::Null, "{key}");
        assert_eq!(order["reason"], "rejected by petra@example.com", "{key}");
    }
}

async fn a_personal_number_does_not_become_a_group_number_without_approval(database: Database) {
    let server = TestServer::with(database, policy(RULES)).await;
    let number = server.rent(&ALICE, "personal", "FR").await;
    let shared = json!({ "participants": [server.user(0), server.user(1)] });
    let refused = server
        .patch(&ALICE, &number, &shared)
        .await
        .problem(403, "policy-denied");
    assert_eq!(
        refused["decision"]["rule"], "teams.sales.approval.group_numbers",
        "{refused}"
    );
    // One that was approved as a group number may be given to more people.
    let group = json!({ "country": "FR", "carrier_type": "local", "sharing": "group" });
    let order = server.order(&ALICE, "group", &group).await.expect(202);
    let id = text(&order["id"]);
    server.says(&PETRA, "approve", &id).await.expect(200);
    let order = server.wait_for_state(&ALICE, &id, "fulfilled").await;
    server
        .patch(&ALICE, &text(&order["phone_number"]["id"]), &shared)
        .await
        .expect(200);
}

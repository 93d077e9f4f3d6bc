//! A second person: which orders ask for one, who may be it, and that nothing is sent before, twice or otherwise.

mod decision;
mod integrity;
mod waiting;

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
    asking_first_tells_whether_a_person_is_needed,
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

fn with_team(body: &Value) -> Value {
    let mut body = body.clone();
    body["team"] = json!("sales");
    body
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

/// Makes it an order for a mobile number, unless it is being sent.
async fn alter(database: &Database, order: &str, column: &str) -> bool {
    let of = format!("WHERE id = '{order}' AND state <> 'renting'");
    let statement = format!("UPDATE orders SET {column} = REPLACE({column}, 'local', 'mobile') {of}");
    database.change(&statement).await;
    let question = format!("SELECT COUNT(*) FROM orders {of} AND {column} LIKE '%mobile%'");
    database.ask(&question).await == 1
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

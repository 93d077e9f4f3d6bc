//! Approval by a second person: the orders that need it, and that an order is sent only after it and only once.

mod decision;
mod integrity;
mod waiting;

use std::collections::BTreeMap;

use numberdesk::auth::DevIssuer;
use serde_json::{Value, json};

use crate::support::books::usage;
use crate::support::database::Database;
use crate::support::epoch::on_both_stores_and_next_close;
use crate::support::eventually;
use crate::support::personas::{ALICE, AUDIENCE, BOB, ISSUER, LENA, NEMO, OLGA, Persona};
use crate::support::response::ApiResponse;
use crate::support::response::assert_indistinguishable;
use crate::support::server::{TestConfig, TestServer, send, text};

on_both_stores_and_next_close! {
    an_order_needs_approval_if_a_rule_matches_and_not_otherwise,
    an_order_is_sent_only_after_its_approval_and_once,
    validating_an_order_tells_whether_it_needs_approval,
    a_comment_is_optional_and_has_at_most_500_characters,
    a_personal_number_does_not_become_a_group_number_without_approval,
}

/// The approver of sales. She has another user in Close than Alice.
const PETRA: Persona = Persona {
    name: "petra@example.com",
    teams: &["sales"],
    permissions: "numbers:read orders:approve audit:read",
    close_user: Some(1),
};

/// Every order of sales needs an approval, unless it is for a personal number in France.
const APPROVAL_RULES: &str =
    "approval = { above_monthly = \"4.50\", group_numbers = true, countries = [\"US\"] }";

/// Every order for Germany needs an approval.
const APPROVAL_FOR_GERMANY: &str = "approval = { countries = [\"DE\"] }";

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
    /// Orders a number that needs an approval, as Alice. Returns the id of the order.
    async fn create_order_awaiting_approval(&self, key: &str) -> String {
        let order = self.order(&ALICE, key, &berlin()).await.expect(202);
        assert_eq!(order["state"], "awaiting_approval", "{order}");
        text(&order["id"])
    }

    /// Approves, rejects or cancels an order, without a body.
    async fn post_order_action(&self, person: &Persona, action: &str, order: &str) -> ApiResponse {
        send(self.request_as(person, "POST", &format!("/v1/orders/{order}/{action}"))).await
    }

    /// Approves or rejects an order with a body.
    async fn post_order_action_with_body(
        &self,
        person: &Persona,
        action: &str,
        order: &str,
        body: &Value,
    ) -> ApiResponse {
        send(
            self.request_as(person, "POST", &format!("/v1/orders/{order}/{action}"))
                .json(body),
        )
        .await
    }

    /// Adds a trusted token issuer to the configuration, and restarts the server.
    async fn add_token_issuer(&mut self, name: &str) -> DevIssuer {
        self.stop().await;
        let issuer = DevIssuer::load_or_create(&self.folder.path().join("other"), name)
            .expect("the issuer can be created");
        let file = self.folder.path().join("numberdesk.toml");
        let config = std::fs::read_to_string(&file).expect("the configuration can be read");
        let section = format!(
            "[[auth.issuers]]\nissuer = \"{name}\"\naudiences = [\"{AUDIENCE}\"]\n\
             jwks_file = \"other/jwks.json\"\nalgorithms = [\"EdDSA\"]\n"
        );
        std::fs::write(&file, config + &section).expect("the configuration can be written");
        self.start().await;
        issuer
    }

    /// Reads an order as Alice.
    async fn read_order(&self, order: &str) -> Value {
        self.get(&ALICE, &format!("/v1/orders/{order}")).await.expect(200)
    }
}

async fn an_order_needs_approval_if_a_rule_matches_and_not_otherwise(database: Database) {
    let server = TestServer::with(database, policy(APPROVAL_RULES)).await;
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
        assert_eq!(server.read_order(&id).await, order);
    }
    let no_rule = json!({ "country": "FR", "carrier_type": "local" });
    let order = server.order(&ALICE, "no-rule", &no_rule).await.expect(201);
    assert_eq!(order["approval"], Value::Null, "{order}");
    assert_eq!(server.close.rents().await.len(), 1);
    let awaiting = server.list(&ALICE, "/v1/orders?state=awaiting_approval").await;
    assert_eq!(awaiting.len(), 4);
    // `/v1/me` shows the rules as the policy file states them.
    let me = server.get(&ALICE, "/v1/me").await.expect(200);
    assert_eq!(
        me["teams"][0]["policy"]["approval"],
        json!({ "above_monthly": "4.50", "group_numbers": true, "countries": ["US"] }),
        "{me}"
    );
}

async fn an_order_is_sent_only_after_its_approval_and_once(database: Database) {
    let server = TestServer::with(database, policy(APPROVAL_RULES)).await;
    let id = server.create_order_awaiting_approval("key").await;
    // A repeated key returns the same order in its current state.
    let again = server.order(&ALICE, "key", &berlin()).await.expect(202);
    assert_eq!(
        (&again["id"], &again["state"]),
        (&json!(id), &json!("awaiting_approval"))
    );
    // Another order is rented meanwhile, so the worker that sends orders has run.
    server.rent(&ALICE, "no-rule", "FR").await;
    let rents: Vec<Value> = server.close.rents().await;
    assert_eq!(rents.len(), 1, "{rents:?}");
    assert_eq!(rents[0]["body"]["country"], "FR");

    let approved = server
        .post_order_action_with_body(&PETRA, "approve", &id, &json!({ "comment": "For the fair" }))
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
    // A repeated approval returns the order in its current state.
    for person in [&PETRA, &OLGA.with("orders:approve numbers:admin").as_user(None)] {
        assert_eq!(
            server.post_order_action(person, "approve", &id).await.expect(200),
            rented
        );
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

async fn validating_an_order_tells_whether_it_needs_approval(database: Database) {
    let server = TestServer::with(database, policy(APPROVAL_RULES)).await;
    let validate = async |country: &str| {
        let request = server.request_as(&ALICE, "POST", "/v1/orders?validate_only=true");
        send(request.json(&json!({ "country": country })))
            .await
            .expect(200)
    };
    let validated = validate("DE").await;
    assert_eq!(validated["allowed"], true, "{validated}");
    assert_eq!(validated["decision"]["rule"], "teams.sales", "{validated}");
    let approval = &validated["approval"];
    assert_eq!(
        approval["rule"], "teams.sales.approval.above_monthly",
        "{validated}"
    );
    assert_eq!(
        (&approval["have"], &approval["need"]),
        (&json!("5.00"), &json!({ "permission": "orders:approve" })),
        "{validated}"
    );
    assert!(text(&approval["hint"]).contains("4.50"), "{validated}");
    assert_eq!(validate("FR").await["approval"], Value::Null);
    let denied = validate("JP").await;
    assert_eq!(
        (&denied["allowed"], &denied["approval"]),
        (&json!(false), &Value::Null)
    );
    server.assert_nothing_happened().await;
}

/// Changes `local` to `mobile` in a column of the order, unless a rent is in progress. Returns whether it is changed.
async fn alter_order(database: &Database, order: &str, column: &str) -> bool {
    let filter = format!("WHERE id = '{order}' AND state <> 'renting'");
    let statement = format!("UPDATE orders SET {column} = REPLACE({column}, 'local', 'mobile') {filter}");
    database.execute(&statement).await;
    let count = format!("SELECT COUNT(*) FROM orders {filter} AND {column} LIKE '%mobile%'");
    database.query_integer(&count).await == 1
}

async fn a_comment_is_optional_and_has_at_most_500_characters(database: Database) {
    let server = TestServer::with(database, policy(APPROVAL_RULES)).await;
    let id = server.create_order_awaiting_approval("key").await;
    for body in [
        json!({ "comment": "é".repeat(501) }),
        json!({ "comment": 5 }),
        json!({ "comment": "two\nlines" }),
        json!({ "coment": "x" }),
        json!([]),
    ] {
        let problem = server
            .post_order_action_with_body(&PETRA, "approve", &id, &body)
            .await
            .problem(400, "invalid-request");
        assert!(
            !problem["errors"].as_array().expect("a list").is_empty(),
            "{problem}"
        );
    }
    let path = format!("/v1/orders/{id}/approve");
    let request = || server.request_as(&PETRA, "POST", &path);
    send(request().body("{\"comment\":\"x\"}"))
        .await
        .problem(415, "unsupported-media-type");
    send(request().header("Content-Type", "application/json").body("{"))
        .await
        .problem(400, "invalid-request");
    send(server.request_as(&PETRA, "POST", &format!("{path}?comment=x")))
        .await
        .problem(400, "invalid-request");
    assert_eq!(server.read_order(&id).await["state"], "awaiting_approval");
    let longest = "é".repeat(500);
    let order = server
        .post_order_action_with_body(&PETRA, "approve", &id, &json!({ "comment": longest }))
        .await
        .expect(200);
    assert_eq!(order["approval"]["comment"], longest.as_str());
    // An empty object, null, an empty comment and an empty body all mean: no comment.
    for (key, body) in [
        ("object", "{}"),
        ("null", "{\"comment\":null}"),
        ("null-body", "null"),
        ("empty", "{\"comment\":\" \"}"),
        ("no-body", ""),
    ] {
        let id = server.create_order_awaiting_approval(key).await;
        let request = server
            .request_as(&PETRA, "POST", &format!("/v1/orders/{id}/reject"))
            .header("Content-Type", "application/json");
        let order = send(request.body(body)).await.expect(200);
        assert_eq!(order["approval"]["comment"], Value::Null, "{key}");
        assert_eq!(order["reason"], "rejected by petra@example.com", "{key}");
    }
}

async fn a_personal_number_does_not_become_a_group_number_without_approval(database: Database) {
    let server = TestServer::with(database, policy(APPROVAL_RULES)).await;
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
    // A number that was approved as a group number may get more participants.
    let group = json!({ "country": "FR", "carrier_type": "local", "sharing": "group" });
    let order = server.order(&ALICE, "group", &group).await.expect(202);
    let id = text(&order["id"]);
    server.post_order_action(&PETRA, "approve", &id).await.expect(200);
    let order = server.wait_for_state(&ALICE, &id, "fulfilled").await;
    server
        .patch(&ALICE, &text(&order["phone_number"]["id"]), &shared)
        .await
        .expect(200);
}

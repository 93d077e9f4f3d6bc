//! Rights hold per team: who leads one team and is a member of another may only read in the other.
//!
//! The table comes from the OpenAPI document: a new route is included automatically, or the test fails.

use numberdesk::domain::time::Clock;
use serde_json::{Value, json};

use super::isolation::{Operation, body_for, operations};
use crate::support::database::{Database, on_both_stores};
use crate::support::personas::{ALICE, AUDIENCE, BOB, ISSUER, Persona};
use crate::support::response::ApiResponse;
use crate::support::server::{POLICY, TestConfig, TestServer, send, text};

on_both_stores! {
    on_every_route_the_lead_of_one_team_may_only_read_in_the_other,
    a_lead_acts_in_the_own_team,
    a_list_shows_the_teams_in_which_the_caller_has_the_permission,
    administration_of_all_teams_by_a_grant_includes_orphans_and_no_other_permission,
}

const ALL: &str = "\"numbers:read\", \"numbers:rent\", \"numbers:group\", \"numbers:update\", \"numbers:release\", \
                   \"orders:approve\", \"audit:read\", \"spend:read\", \"webhooks:manage\"";

/// The tests' policy, in which groups give rights: leads have all in sales, members may read in support.
fn config() -> TestConfig {
    let grants = format!(
        "[[grants]]\nclaim = \"/groups\"\nvalue = \"sales-leads\"\nteam = \"sales\"\npermissions = [{ALL}]\n\
         [[grants]]\nclaim = \"/groups\"\nvalue = \"support-members\"\nteam = \"support\"\n\
         permissions = [\"numbers:read\"]\n\
         [[grants]]\nclaim = \"/groups\"\nvalue = \"phone-admins\"\neverywhere = true\n\
         permissions = [\"numbers:admin\", \"numbers:read\"]\n\
         [[grants]]\nclaim = \"/groups\"\nvalue = \"auditors\"\neverywhere = true\n\
         permissions = [\"audit:read\", \"spend:read\"]\n"
    );
    TestConfig {
        policy: format!("{POLICY}{grants}"),
        ..TestConfig::default()
    }
}

/// Returns a token that states no team and no permission, only groups.
fn token(server: &TestServer, name: &str, groups: &[&str]) -> String {
    let now = Clock::system().now().as_seconds();
    let claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": name, "iat": now, "exp": now + 3600, "groups": groups,
    });
    server.issuer.sign(&claims).expect("the local issuer signs")
}

/// Returns the query of a spend report by team, for the present month.
fn this_month(before: &str) -> String {
    let now = Clock::system().now().to_string();
    format!("{before}month={}&group_by=team", &now[..7])
}

/// Returns the permission that an operation needs.
fn need(operation: &Operation) -> Option<&'static str> {
    let path = operation.path.as_str();
    Some(match (operation.method.as_str(), path) {
        ("GET", "/v1/me") => return None,
        ("GET", "/v1/audit" | "/v1/audit/export") => "audit:read",
        ("GET", "/v1/spend") => "spend:read",
        (_, path) if path.starts_with("/v1/webhook-endpoints") => "webhooks:manage",
        ("POST", path) if path.ends_with("/approve") || path.ends_with("/reject") => "orders:approve",
        ("POST", path) if path.ends_with("/settle") => "numbers:admin",
        ("PUT", path) if path.ends_with("/team") => "numbers:admin",
        (_, "/v1/hold") => "numbers:admin",
        ("POST", path) if path.starts_with("/v1/orders") => "numbers:rent",
        ("PATCH", path) if path.starts_with("/v1/phone-numbers/") => "numbers:update",
        ("DELETE" | "POST", path) if path.starts_with("/v1/phone-numbers/") => "numbers:release",
        ("GET", path)
            if ["/v1/orders", "/v1/phone-numbers", "/v1/events"]
                .iter()
                .any(|start| path.starts_with(start)) =>
        {
            "numbers:read"
        }
        _ => panic!("add the permission of {} to this test", operation.name()),
    })
}

/// Returns the ids of a number, an order, an endpoint and a delivery of this person's team.
async fn objects(server: &TestServer, person: &Persona) -> [String; 4] {
    let number = server.rent(person, "key", "DE").await;
    let order = text(&server.list(person, "/v1/orders").await[0]["id"]);
    let manager = person.with("webhooks:manage");
    let endpoint = server.request_as(&manager, "POST", "/v1/webhook-endpoints");
    let endpoint = send(endpoint.json(&json!({ "url": "https://127.0.0.1/hook" }))).await;
    let endpoint = text(&endpoint.expect(201)["id"]);
    let test = format!("/v1/webhook-endpoints/{endpoint}/test");
    let delivery = send(server.request_as(&manager, "POST", &test)).await;
    let delivery = text(&delivery.expect(202)["id"]);
    [number, order, endpoint, delivery]
}

/// Sends an operation with a token: about these objects, or about this team.
async fn call(
    server: &TestServer,
    token: &str,
    operation: &Operation,
    objects: &[String; 4],
    team: &str,
) -> ApiResponse {
    let [number, order, endpoint, delivery] = objects;
    let ids = match operation.path.split('/').nth(2) {
        Some("orders") => order.clone(),
        Some("phone-numbers") => number.clone(),
        _ => format!("{endpoint} {delivery}"),
    };
    let path = operation.path_with(&ids);
    let named = !operation.path.contains('{');
    let body = match (operation.method.as_str(), operation.path.as_str()) {
        ("POST", "/v1/orders" | "/v1/orders/validate") => {
            Some(json!({ "country": "DE", "carrier_type": "local", "team": team }))
        }
        ("POST", "/v1/webhook-endpoints") => Some(json!({ "url": "https://127.0.0.1/other", "team": team })),
        _ => body_for(operation),
    };
    let query = match operation.method.as_str() {
        "GET" if named && path != "/v1/hold" => format!(
            "?team={team}{}",
            if path == "/v1/spend" {
                this_month("&")
            } else {
                String::new()
            }
        ),
        _ => String::new(),
    };
    let request = server
        .request(&operation.method, &format!("{path}{query}"))
        .bearer_auth(token);
    let request = request.header("Idempotency-Key", "rights");
    match body {
        Some(body) => send(request.json(&body)).await,
        None => send(request).await,
    }
}

async fn on_every_route_the_lead_of_one_team_may_only_read_in_the_other(database: Database) {
    let server = TestServer::with(database, config()).await;
    let of_support = objects(&server, &BOB).await;
    let lead = token(&server, "lead", &["sales-leads", "support-members"]);
    let rents = server.close.rents().await.len();
    let mut refused = 0;
    for operation in operations(&server).await {
        // A stream does not end by itself; it checks the same scope as the list of events.
        if operation.open || operation.path == "/v1/events/stream" {
            continue;
        }
        let Some(need) = need(&operation) else { continue };
        let response = call(&server, &lead, &operation, &of_support, "support").await;
        if need == "numbers:read" {
            response.expect(200);
            continue;
        }
        let problem = response.problem(403, "permission-missing");
        assert_eq!(problem["need"], need, "{}: {problem}", operation.name());
        if need != "numbers:admin" {
            assert!(
                text(&problem["detail"]).contains("in the team `support`"),
                "{problem}"
            );
        }
        refused += 1;
    }
    assert!(refused >= 20, "only {refused} operations were refused");
    // Nothing has happened in the other team.
    assert_eq!(server.close.rents().await.len(), rents);
    assert_eq!(server.close.held().await.len(), 1);
    let [number, _, endpoint, _] = &of_support;
    let found = server
        .get(&BOB, &format!("/v1/phone-numbers/{number}"))
        .await
        .expect(200);
    assert_eq!(
        (&found["label"], &found["desk"]["team"]),
        (&Value::Null, &json!("support"))
    );
    let path = format!("/v1/webhook-endpoints/{endpoint}");
    let found = server.get(&BOB.with("webhooks:manage"), &path).await.expect(200);
    assert_eq!(found["description"], Value::Null);
}

async fn a_lead_acts_in_the_own_team(database: Database) {
    let server = TestServer::with(database, config()).await;
    let of_sales = objects(&server, &ALICE).await;
    let lead = token(&server, "lead", &["sales-leads", "support-members"]);
    let mut allowed = 0;
    for operation in operations(&server).await {
        // A deleted object would be missing in the next call.
        if operation.open || operation.path == "/v1/events/stream" || operation.method == "DELETE" {
            continue;
        }
        match need(&operation) {
            None => {}
            Some("numbers:admin") => {
                let response = call(&server, &lead, &operation, &of_sales, "sales").await;
                response.problem(403, "permission-missing");
            }
            Some(_) => {
                let response = call(&server, &lead, &operation, &of_sales, "sales").await;
                assert!(
                    ![401, 403, 404].contains(&response.status),
                    "{}: {response}",
                    operation.name()
                );
                allowed += 1;
            }
        }
    }
    assert!(allowed >= 20, "only {allowed} operations were allowed");
}

async fn a_list_shows_the_teams_in_which_the_caller_has_the_permission(database: Database) {
    let server = TestServer::with(database, config()).await;
    server.rent(&ALICE, "a", "DE").await;
    let number = server.rent(&BOB, "b", "DE").await;
    let lead = token(&server, "lead", &["sales-leads", "support-members"]);
    let list = async |token: &str, path: &str| send(server.request("GET", path).bearer_auth(token)).await;
    let teams = |rows: &Value| {
        let rows = rows["data"].as_array().expect("a page");
        let mut teams: Vec<String> = rows
            .iter()
            .map(|row| {
                row["team"]
                    .as_str()
                    .or(row["desk"]["team"].as_str())
                    .unwrap_or("none")
                    .to_owned()
            })
            .collect();
        teams.sort();
        teams.dedup();
        teams
    };
    assert_eq!(
        teams(&list(&lead, "/v1/orders").await.expect(200)),
        ["sales", "support"]
    );
    assert_eq!(
        teams(&list(&lead, "/v1/phone-numbers").await.expect(200)),
        ["sales", "support"]
    );
    assert_eq!(teams(&list(&lead, "/v1/audit").await.expect(200)), ["sales"]);
    let export = list(&lead, "/v1/audit/export").await;
    assert!(
        export.status == 200 && !export.text.contains("support"),
        "{export}"
    );
    let spend = list(&lead, &format!("/v1/spend{}", this_month("?"))).await;
    assert!(
        spend.text.contains("sales") && !spend.text.contains("support"),
        "{spend}"
    );
    // A member without the permission in any team gets an error, and a foreign team does not exist.
    let member = token(&server, "member", &["support-members"]);
    for path in [
        "/v1/audit",
        "/v1/audit/export",
        &format!("/v1/spend{}", this_month("?")),
        "/v1/webhook-endpoints",
    ] {
        list(&member, path).await.problem(403, "permission-missing");
        let separator = if path.contains('?') { '&' } else { '?' };
        list(&member, &format!("{path}{separator}team=sales"))
            .await
            .problem(404, "not-found");
    }
    // Readers of all audit rows see no numbers of other teams.
    let auditor = token(&server, "auditor", &["auditors", "support-members"]);
    assert!(teams(&list(&auditor, "/v1/audit").await.expect(200)).contains(&"sales".to_owned()));
    list(&auditor, "/v1/audit?team=sales").await.expect(200);
    assert_eq!(
        teams(&list(&auditor, "/v1/orders").await.expect(200)),
        ["support"]
    );
    list(&auditor, "/v1/orders?team=sales")
        .await
        .problem(404, "not-found");
    list(&auditor, &format!("/v1/phone-numbers/{number}"))
        .await
        .expect(200);
}

async fn administration_of_all_teams_by_a_grant_includes_orphans_and_no_other_permission(database: Database) {
    let mut config = config();
    config.close.numbers = 1;
    let server = TestServer::with(database, config).await;
    let number = server.rent(&BOB, "b", "DE").await;
    let admin = token(&server, "admin", &["phone-admins"]);
    let call = |method: &str, path: &str| server.request(method, path).bearer_auth(&admin);
    let orphans = send(call("GET", "/v1/phone-numbers?orphan=true"))
        .await
        .expect(200);
    let orphan = text(&orphans["data"][0]["id"]);
    let adopt = call("PUT", &format!("/v1/phone-numbers/{orphan}/team"));
    let adopted = send(adopt.json(&json!({ "team": "sales" }))).await.expect(200);
    assert_eq!(adopted["desk"]["team"], "sales");
    send(call("GET", "/v1/orders?team=support")).await.expect(200);
    // No other permission comes with it.
    send(call("DELETE", &format!("/v1/phone-numbers/{number}")))
        .await
        .problem(403, "permission-missing");
    let order = call("POST", "/v1/orders").header("Idempotency-Key", "k");
    send(order.json(&json!({ "country": "DE", "carrier_type": "local", "team": "support" })))
        .await
        .problem(403, "permission-missing");
    send(call("GET", "/v1/audit"))
        .await
        .problem(403, "permission-missing");
    // The audit trail names the grant.
    let auditor = token(&server, "auditor", &["auditors"]);
    let path = "/v1/audit?action=number.transfer";
    let rows = send(server.request("GET", path).bearer_auth(&auditor))
        .await
        .expect(200);
    assert_eq!(rows["data"][0]["detail"]["grant"], "grants[2]", "{rows}");
}

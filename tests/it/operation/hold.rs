//! Holds by the API: an administrator stops orders and releases, permits them again, and confirms unknown calls.

use serde_json::{Value, json};

use crate::support::close::RENT;
use crate::support::database::{Database, on_both_stores};
use crate::support::eventually;
use crate::support::personas::{ALICE, AUDIENCE, ISSUER, LENA, NEMO, OLGA, Persona};
use crate::support::response::ApiResponse;
use crate::support::server::{POLICY, TestConfig, TestServer, send, text};

on_both_stores! {
    an_administrator_stops_orders_and_releases_and_permits_them_again,
    only_an_administrator_of_all_teams_sees_and_changes_holds,
    an_administrator_confirms_calls_that_the_database_does_not_know,
}

const HOLD: &str = "/v1/hold";

async fn set(server: &TestServer, person: &Persona, body: &Value) -> ApiResponse {
    send(server.request_as(person, "PUT", HOLD).json(body)).await
}

/// Returns the audit rows of an action, newest first.
async fn audit(server: &TestServer, action: &str) -> Vec<Value> {
    server.list(&OLGA, &format!("/v1/audit?action={action}")).await
}

fn german() -> Value {
    json!({ "country": "DE", "carrier_type": "local" })
}

async fn an_administrator_stops_orders_and_releases_and_permits_them_again(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&ALICE, "before", "DE").await;
    let none = json!({ "holds": [], "unknown_calls": [] });
    assert_eq!(server.get(&OLGA, HOLD).await.expect(200), none);

    let on = json!({ "on": true, "reason": "a wrong policy rents too much" });
    let answer = set(&server, &OLGA, &on).await;
    let held = answer.expect(200);
    assert_eq!(held["holds"][0]["cause"], "operator");
    assert_eq!(held["holds"][0]["reason"], on["reason"]);
    assert_eq!(server.get(&OLGA, HOLD).await.expect(200), held);
    let refused = server.order(&ALICE, "held", &german()).await;
    let detail = text(&refused.problem(503, "orders-on-hold")["detail"]);
    assert!(detail.contains("a wrong policy rents too much"), "{detail}");
    let refused = server.release(&LENA, &number).await;
    refused.problem(503, "orders-on-hold");
    server.get(&ALICE, "/v1/orders").await.expect(200);
    // Without a reason, the hold keeps the one that it has.
    let again = set(&server, &OLGA, &json!({ "on": true })).await;
    assert_eq!(again.expect(200), held);
    // The worker that checks the database shows it.
    eventually("the readiness shows the hold", || async {
        let readiness = server.at_ops("/readyz?verbose").await.json();
        text(&readiness["orders"])
            .contains("a wrong policy")
            .then_some(())
    })
    .await;
    assert_eq!(server.close.rents().await.len(), 1);
    let rows = audit(&server, "hold.start").await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["actor"]["subject"], OLGA.name);
    assert_eq!(rows[0]["detail"]["reason"], on["reason"]);
    assert_eq!(rows[0]["request_id"], answer.header("x-request-id"));

    // Turning it off again changes nothing.
    for _ in 0..2 {
        let ended = set(&server, &OLGA, &json!({ "on": false })).await;
        assert_eq!(ended.expect(200), none);
    }
    assert_eq!(audit(&server, "hold.end").await.len(), 1);
    server.order(&ALICE, "held", &german()).await.expect(201);
    for wrong in [
        json!({}),
        json!({ "reason": "x" }),
        json!({ "confirm": true, "reason": "x" }),
        json!({ "on": "yes" }),
        json!({ "on": false, "reason": "x" }),
        json!({ "on": true, "reason": "x".repeat(501) }),
        json!({ "on": true, "reason": "two\nlines" }),
    ] {
        let refused = set(&server, &OLGA, &wrong).await;
        refused.problem(400, "invalid-request");
    }
    assert_eq!(server.get(&OLGA, HOLD).await.expect(200), none);
}

async fn only_an_administrator_of_all_teams_sees_and_changes_holds(database: Database) {
    let grants = "[[grants]]\nclaim = \"/groups\"\nvalue = \"sales-admins\"\nteam = \"sales\"\n\
                  permissions = [\"numbers:read\", \"numbers:admin\"]\n";
    let config = TestConfig {
        policy: format!("{POLICY}{grants}"),
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    let now = numberdesk::domain::time::Clock::system().now().as_seconds();
    let claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "sam", "iat": now, "exp": now + 3600, "groups": ["sales-admins"],
    });
    let of_one_team = server.issuer.sign(&claims).expect("the local issuer signs");
    let lead = LENA.with("numbers:read numbers:rent numbers:release orders:approve audit:read");
    let mut tokens = vec![of_one_team];
    tokens.extend([&ALICE, &lead, &NEMO].map(|person| server.token(person)));
    for token in tokens {
        for (method, path, body) in [
            ("GET", HOLD, None),
            ("PUT", HOLD, Some(json!({ "on": true }))),
            ("PUT", HOLD, Some(json!({ "confirm": true }))),
        ] {
            let mut request = server.request(method, path).bearer_auth(&token);
            if let Some(body) = body {
                request = request.json(&body);
            }
            let problem = send(request).await.problem(403, "permission-missing");
            assert_eq!(problem["need"], "numbers:admin", "{method} {path}");
        }
    }
    server.order(&ALICE, "key", &german()).await.expect(201);
    assert!(audit(&server, "hold.start").await.is_empty());
}

async fn an_administrator_confirms_calls_that_the_database_does_not_know(database: Database) {
    let mut server = TestServer::new(database.clone()).await;
    let confirm = json!({ "confirm": true });
    // There is nothing to confirm.
    let none = json!({ "holds": [], "unknown_calls": [] });
    assert_eq!(set(&server, &OLGA, &confirm).await.expect(200), none);
    server.rent(&ALICE, "own", "DE").await;
    server.stop().await;
    // The database knows all calls since January, and somebody else has rented a number with the service's key.
    database
        .execute("UPDATE settings SET value = '2026-01-01T00:00:00Z' WHERE name = 'knows_calls_since'")
        .await;
    let call = server.close.rents().await[0]["body"].clone();
    let (status, foreign) = server.close.call("POST", RENT, Some(call)).await;
    assert_eq!(status, 201, "{foreign}");
    server.start().await;
    let held = eventually("the service holds orders", || async {
        let held = server.get(&OLGA, HOLD).await.expect(200);
        (held["holds"] != json!([])).then_some(held)
    })
    .await;
    assert_eq!(held["holds"][0]["cause"], "unknown-calls");
    assert_eq!(held["unknown_calls"].as_array().expect("a list").len(), 1);
    let unknown = &held["unknown_calls"][0];
    assert_eq!(
        (&unknown["kind"], &unknown["phone_number_id"], &unknown["number"]),
        (&json!("rent"), &foreign["id"], &foreign["number"])
    );
    let waiting = server
        .order_at_once(&ALICE, "waiting", &german())
        .await
        .expect(202);
    // The hold of the operators does not end this one.
    let still = set(&server, &OLGA, &json!({ "on": false })).await.expect(200);
    assert_eq!(still["holds"][0]["cause"], "unknown-calls");

    let answer = set(&server, &OLGA, &confirm).await;
    assert_eq!(answer.expect(200), none);
    // A repetition, such as after a lost answer, changes nothing.
    assert_eq!(set(&server, &OLGA, &confirm).await.expect(200), none);
    let orphans = server.list(&OLGA, "/v1/phone-numbers?orphan=true").await;
    let orphan = orphans.iter().find(|orphan| orphan["id"] == foreign["id"]);
    let orphan = orphan.expect("the number is an orphan");
    assert_eq!(orphan["desk"]["order_id"], waiting["id"]);
    let rows = audit(&server, "hold.end").await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["actor"]["subject"], OLGA.name);
    let reviews = server
        .list(&OLGA, &format!("/v1/audit?order_id={}", text(&waiting["id"])))
        .await;
    let review = reviews.iter().find(|row| row["outcome"] == "needs_review");
    let review = review.expect("the review is in the audit trail");
    assert_eq!(review["actor"]["subject"], OLGA.name);
    assert_eq!(review["request_id"], answer.header("x-request-id"));
    let american = json!({ "country": "US", "carrier_type": "local" });
    server.order(&ALICE, "later", &american).await.expect(201);
    server.stop().await;
}

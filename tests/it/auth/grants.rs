//! Callers whose rights come from the company's own groups, by `[[grants]]` of the policy.

use numberdesk::domain::time::Clock;
use serde_json::{Value, json};

use crate::support::binary;
use crate::support::database::{Database, on_both_stores, on_sqlite};
use crate::support::eventually;
use crate::support::personas::{ALICE, AUDIENCE, BOB, ISSUER, LENA};
use crate::support::response::ApiResponse;
use crate::support::server::{POLICY, TestConfig, TestServer, send, text};
use crate::support::stream::Stream;

on_both_stores! {
    a_caller_with_only_groups_rents_and_the_audit_trail_names_the_grant,
    a_changed_grant_applies_to_tokens_in_use_and_ends_their_streams,
    a_release_that_was_scheduled_is_audited_with_the_sub_and_the_grant_of_its_requester,
}

on_sqlite! {
    me_shows_the_permissions_of_each_team_and_the_grants_behind_them,
    a_value_is_found_in_every_form_in_which_providers_send_lists,
    names_that_give_no_team_are_shown_with_the_reason,
    a_long_name_that_a_grant_uses_is_not_left_out,
    an_administrator_of_one_team_learns_nothing_about_the_numbers_of_others,
    a_grant_for_another_issuer_gives_nothing,
    the_claim_of_the_token_decides_about_countries_and_group_numbers,
    the_shown_name_is_in_orders_and_audit_rows_and_decides_no_right,
}

const LEADS: &str = "5f1c8a52-0b1e-4b57-9a36-1a2d0c7be901";

fn grant(value: &str, lines: &str) -> String {
    format!("[[grants]]\nclaim = \"/groups\"\nvalue = \"{value}\"\n{lines}\n")
}

fn leads() -> String {
    grant(
        LEADS,
        "team = \"sales\"\npermissions = [\"numbers:read\", \"numbers:rent\", \"audit:read\"]",
    )
}

async fn start(database: Database, grants: &str) -> TestServer {
    let config = TestConfig {
        policy: format!("{POLICY}{grants}"),
        ..TestConfig::default()
    };
    TestServer::with(database, config).await
}

/// Returns a token that has these claims besides the necessary ones.
fn token(server: &TestServer, claims: &Value) -> String {
    let now = Clock::system().now().as_seconds();
    let mut all = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "anna", "iat": now, "exp": now + 3600,
    });
    for (name, value) in claims.as_object().expect("claims are an object") {
        all[name] = value.clone();
    }
    server.issuer.sign(&all).expect("the local issuer signs")
}

async fn get(server: &TestServer, token: &str, path: &str) -> ApiResponse {
    send(server.request("GET", path).bearer_auth(token)).await
}

async fn order(server: &TestServer, token: &str, key: &str, body: &Value) -> ApiResponse {
    let request = server.request("POST", "/v1/orders").bearer_auth(token);
    send(request.header("Idempotency-Key", key).json(body)).await
}

fn write_policy(server: &TestServer, grants: &str) {
    let policy = format!("{POLICY}{grants}");
    std::fs::write(server.folder.path().join("policy.toml"), policy).expect("the policy is written");
}

async fn a_caller_with_only_groups_rents_and_the_audit_trail_names_the_grant(database: Database) {
    let server = start(database, &leads()).await;
    let anna = token(&server, &json!({"groups": ["other", LEADS]}));
    // The one team of the grant is implied.
    let body = json!({"country": "DE", "carrier_type": "local"});
    let rented = order(&server, &anna, "key", &body).await.expect(201);
    assert_eq!(
        (&rented["team"], &rented["created_by"]),
        (&json!("sales"), &json!("anna"))
    );
    // A caller whose token has the permission rents without any grant.
    server.rent(&ALICE, "alice", "DE").await;

    let rows = get(&server, &anna, "/v1/audit?action=order.create")
        .await
        .expect(200);
    let grants: Vec<(&Value, &Value)> = rows["data"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| (&row["actor"]["subject"], &row["detail"]["grant"]))
        .collect();
    assert_eq!(
        grants,
        [
            (&json!("alice@example.com"), &Value::Null),
            (&json!("anna"), &json!("grants[0]"))
        ]
    );
    for row in rows["data"].as_array().expect("rows") {
        assert_eq!(row["detail"]["request"]["country"], "DE", "{row}");
    }
    // The hash chain covers the grant, and the export has it.
    let export = get(&server, &anna, "/v1/audit/export").await;
    let lines: Vec<Value> = export
        .text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect();
    assert!(
        lines.iter().any(|line| line["detail"]["grant"] == "grants[0]"),
        "{export}"
    );
    let file = server.folder.path().join("audit.ndjson");
    std::fs::write(&file, &export.text).expect("the export is written");
    let file = file.display().to_string();
    let verified = binary::run(
        server.folder.path(),
        &["audit", "verify", "--export", &file, "--subset"],
    )
    .await;
    assert_eq!(verified.code, 0, "{verified:?}");
    std::fs::write(&file, export.text.replace("grants[0]", "grants[1]")).expect("the export is written");
    let changed = binary::run(
        server.folder.path(),
        &["audit", "verify", "--export", &file, "--subset"],
    )
    .await;
    assert_eq!(changed.code, 1, "{changed:?}");
}

async fn me_shows_the_permissions_of_each_team_and_the_grants_behind_them(database: Database) {
    let more = grant(
        "agents",
        "teams = [\"support\", \"sales\"]\npermissions = [\"numbers:read\", \"webhooks:manage\"]",
    );
    let auditors = grant("auditors", "everywhere = true\npermissions = [\"audit:read\"]");
    let server = start(database, &format!("{}{more}{auditors}", leads())).await;
    let claims = json!({
        "teams": ["sales"], "scope": "numbers:read numbers:update", "groups": [LEADS, "agents", "auditors"],
    });
    let me = get(&server, &token(&server, &claims), "/v1/me").await.expect(200);
    assert_eq!(
        me["permissions"],
        json!([
            "audit:read",
            "numbers:read",
            "numbers:rent",
            "numbers:update",
            "webhooks:manage"
        ])
    );
    assert_eq!(
        me["everywhere"],
        json!([{"source": "grants[2]", "permissions": ["audit:read"]}])
    );
    let teams: Vec<_> = me["teams"]
        .as_array()
        .expect("teams")
        .iter()
        .map(|team| {
            (
                text(&team["team"]),
                team["permissions"].clone(),
                team["given"].clone(),
            )
        })
        .collect();
    assert_eq!(
        teams,
        [
            (
                "sales".to_owned(),
                json!([
                    "audit:read",
                    "numbers:read",
                    "numbers:rent",
                    "numbers:update",
                    "webhooks:manage"
                ]),
                json!([
                    {"source": "token", "permissions": ["numbers:read", "numbers:update"]},
                    {"source": "grants[0]", "permissions": ["audit:read", "numbers:read", "numbers:rent"]},
                    {"source": "grants[1]", "permissions": ["numbers:read", "webhooks:manage"]},
                ])
            ),
            (
                "support".to_owned(),
                json!(["audit:read", "numbers:read", "webhooks:manage"]),
                json!([{"source": "grants[1]", "permissions": ["numbers:read", "webhooks:manage"]}])
            ),
        ]
    );
    assert_eq!(
        (&me["ignored_teams"], &me["group_overage"]),
        (&json!([]), &Value::Null)
    );
}

async fn a_value_is_found_in_every_form_in_which_providers_send_lists(database: Database) {
    let lines = "team = \"sales\"\npermissions = [\"numbers:read\"]";
    let nested = "[[grants]]\nclaim = [\"/realm_access/roles\", \"/cognito:groups\"]\nvalue = \"leads\"\n";
    let grants = format!(
        "{}{}{nested}team = \"support\"\npermissions = [\"numbers:read\"]\n",
        grant("Sales Leads", lines),
        grant("/sales/emea", lines),
    );
    let server = start(database, &grants).await;
    for (claims, team) in [
        (json!({"groups": ["x", "Sales Leads"]}), Some("sales")),
        (json!({"groups": "Sales Leads"}), Some("sales")),
        (
            json!({"groups": {"Sales Leads": {"org": "acme.example"}}}),
            Some("sales"),
        ),
        (json!({"groups": ["/sales/emea"]}), Some("sales")),
        (json!({"groups": "x /sales/emea y"}), Some("sales")),
        (json!({"realm_access": {"roles": ["leads"]}}), Some("support")),
        (json!({"cognito:groups": "leads"}), Some("support")),
        (
            json!({"groups": ["sales leads", "Sales", "Leads", "/sales", "emea"]}),
            None,
        ),
        (json!({"groups": {"Sales Leads": false}}), None),
        (
            json!({"groups": [["Sales Leads"], {"Sales Leads": true}, 7]}),
            None,
        ),
        (json!({"groups": null, "roles": ["leads"]}), None),
    ] {
        let me = get(&server, &token(&server, &claims), "/v1/me").await.expect(200);
        let teams: Vec<&str> = me["teams"]
            .as_array()
            .expect("teams")
            .iter()
            .filter_map(|team| team["team"].as_str())
            .collect();
        assert_eq!(teams, Vec::from_iter(team), "{claims}");
    }
}

async fn names_that_give_no_team_are_shown_with_the_reason(database: Database) {
    let grants = grant(
        "/sales/emea",
        "team = \"sales\"\npermissions = [\"numbers:rent\"]",
    );
    // The teams claim and the claim of the grant are the same here.
    let grants = grants.replace("/groups", "/teams");
    let server = start(database, &grants).await;
    let anna = token(
        &server,
        &json!({"teams": ["/sales/emea", "Sales Leads", "/sales/apac", "support"]}),
    );
    let me = get(&server, &anna, "/v1/me").await.expect(200);
    let ignored: Vec<&str> = me["ignored_teams"]
        .as_array()
        .expect("names")
        .iter()
        .filter_map(|team| team["name"].as_str())
        .collect();
    // A name that a grant uses is not ignored.
    assert_eq!(ignored, ["Sales Leads", "/sales/apac"], "{me}");
    assert!(
        text(&me["ignored_teams"][0]["reason"]).contains("not a team name"),
        "{me}"
    );
    let body = json!({"country": "DE", "carrier_type": "local"});
    let problem = order(&server, &anna, "key", &body)
        .await
        .problem(400, "team-required");
    assert_eq!(problem["teams"], json!(["support", "sales"]), "{problem}");
    assert_eq!(problem["ignored_teams"], me["ignored_teams"], "{problem}");
    // Without a team, the problem says why there is none.
    for (claims, why) in [
        (json!({"teams": []}), "the token names none"),
        (json!({"teams": ["Sales Leads"]}), "see `ignored_teams`"),
        (
            json!({"teams": [], "_claim_names": {"groups": "src1"}}),
            "left groups out of the token",
        ),
    ] {
        let problem = order(&server, &token(&server, &claims), "key", &body)
            .await
            .problem(400, "team-required");
        let detail = text(&problem["detail"]);
        assert!(detail.contains("no team") && detail.contains(why), "{problem}");
    }
}

/// Directories send the paths of groups, which are longer than what an answer shows of a name.
async fn a_long_name_that_a_grant_uses_is_not_left_out(database: Database) {
    let path = |name: &str| {
        format!(
            "CN={name},{}DC=acme,DC=example",
            "OU=a unit of the company,".repeat(5)
        )
    };
    let grants = grant(
        &path("Leads"),
        "team = \"sales\"\npermissions = [\"numbers:read\"]",
    );
    let server = start(database, &grants.replace("/groups", "/teams")).await;
    // A grant uses the first of many names. It takes no place from one that gives nothing.
    let mut names = vec![path("Leads")];
    names.extend((0..30).map(|number| path(&number.to_string())));
    let anna = token(&server, &json!({"teams": names}));
    let me = get(&server, &anna, "/v1/me").await.expect(200);
    assert_eq!(me["teams"][0]["team"], "sales", "{me}");
    let ignored = me["ignored_teams"].as_array().expect("names");
    assert_eq!(ignored.len(), 20, "{me}");
    for (number, entry) in ignored.iter().enumerate() {
        let start: String = path(&number.to_string()).chars().take(100).collect();
        assert_eq!(entry["name"], start, "{me}");
    }
}

/// A review compares the numbers of all teams with the order, so administration of the order's team is too little.
async fn an_administrator_of_one_team_learns_nothing_about_the_numbers_of_others(database: Database) {
    let rights = "permissions = [\"numbers:read\", \"numbers:admin\"]";
    let of_sales = grant("sales-admins", &format!("team = \"sales\"\n{rights}"));
    let of_all = grant("admins", &format!("everywhere = true\n{rights}"));
    let server = start(database.clone(), &format!("{of_sales}{of_all}")).await;
    let foreign = server.rent(&BOB, "foreign", "DE").await;
    let orphan = text(&server.close.person_rents(json!({"country": "DE"})).await["id"]);
    let lost = json!({"path": "/phone_number/request/internal/", "times": 1, "answer": "drop_before_headers", "effect": false});
    server.close.fault(lost).await;
    let body = json!({"country": "DE", "carrier_type": "local"});
    let alice = server.token(&ALICE);
    let waiting = order(&server, &alice, "lost", &body).await.expect(202);
    let id = text(&waiting["id"]);
    database
        .execute(&format!(
            "UPDATE orders SET state = 'needs_review' WHERE id = '{id}'"
        ))
        .await;
    let settle = async |group: &str, finding: &Value| {
        let anna = token(&server, &json!({"groups": [group]}));
        let request = server.request("POST", &format!("/v1/orders/{id}/settle"));
        send(request.bearer_auth(anna).json(finding)).await
    };
    for finding in [
        json!({"phone_number_id": foreign}),
        json!({"phone_number_id": orphan}),
        json!({"phone_number_id": "phon_unknown"}),
        json!({"absent": true}),
    ] {
        let problem = settle("sales-admins", &finding)
            .await
            .problem(403, "permission-missing");
        assert_eq!(
            (&problem["need"], &problem["detail"]),
            (
                &json!("numbers:admin"),
                &json!(
                    "The request requires the permission `numbers:admin` in all teams, and you have it only in some."
                )
            ),
            "{finding}"
        );
    }
    let contradicted = settle("admins", &json!({"phone_number_id": foreign})).await;
    assert_eq!(contradicted.status, 409, "{contradicted}");
}

async fn a_release_that_was_scheduled_is_audited_with_the_sub_and_the_grant_of_its_requester(
    database: Database,
) {
    let lead = "team = \"sales\"\npermissions = [\"numbers:read\", \"numbers:rent\", \"numbers:release\"]";
    let config = TestConfig {
        policy: format!("{POLICY}{}", grant(LEADS, lead)).replacen(
            "[teams.sales]",
            "[teams.sales]\nrelease_delay = \"24h\"",
            1,
        ),
        // The table belongs to the issuer before it, which signs the tokens of this test.
        issuers: "[auth.issuers.claims]\nsubject = \"/preferred_username\"\n".to_owned(),
        ..TestConfig::default()
    };
    let server = TestServer::with(database.clone(), config).await;
    let claims = json!({"sub": "9f2c", "preferred_username": "anna", "groups": [LEADS]});
    let anna = token(&server, &claims);
    let body = json!({"country": "DE", "carrier_type": "local"});
    let rented = order(&server, &anna, "key", &body).await.expect(201);
    let number = text(&rented["phone_number"]["id"]);
    let release = server.request("DELETE", &format!("/v1/phone-numbers/{number}"));
    send(release.bearer_auth(&anna)).await.expect(202);
    database
        .execute("UPDATE numbers SET release_at = 1, release_try_at = 1 WHERE release_at IS NOT NULL")
        .await;
    let path = format!("/v1/audit?phone_number_id={number}&action=number.release");
    let rows = eventually("the number is released", || async {
        let rows = server.list(&LENA, &path).await;
        (rows[0]["outcome"] == "released").then_some(rows)
    })
    .await;
    let outcomes: Vec<&Value> = rows.iter().map(|row| &row["outcome"]).collect();
    assert_eq!(outcomes, ["released", "releasing", "scheduled"]);
    for row in &rows {
        assert_eq!(
            (
                &row["actor"]["subject"],
                &row["detail"]["sub"],
                &row["detail"]["grant"]
            ),
            (&json!("anna"), &json!("9f2c"), &json!("grants[0]")),
            "{row}"
        );
    }
}

async fn a_changed_grant_applies_to_tokens_in_use_and_ends_their_streams(database: Database) {
    let server = start(database, &leads()).await;
    let anna = token(&server, &json!({"groups": [LEADS, "agents"]}));
    let alice = server.token(&ALICE);
    let stream = |token: &str| server.request("GET", "/v1/events/stream").bearer_auth(token);
    let mut of_anna = Stream::open(stream(&anna), None).await;
    let mut of_alice = Stream::open(stream(&alice), None).await;
    server.rent(&ALICE, "first", "DE").await;
    for _ in 0..4 {
        assert!(of_anna.next().await.is_some() && of_alice.next().await.is_some());
    }
    // An entry before it moves the grant in the file. The rights stay, and so does the stream.
    let agents = grant("agents", "team = \"sales\"\npermissions = [\"numbers:update\"]");
    write_policy(&server, &format!("{agents}{}", leads()));
    eventually("the new grant is in force", || async {
        let me = get(&server, &anna, "/v1/me").await.expect(200);
        me["permissions"]
            .to_string()
            .contains("numbers:update")
            .then_some(())
    })
    .await;
    server.rent(&ALICE, "second", "DE").await;
    for _ in 0..4 {
        assert!(of_anna.next().await.is_some() && of_alice.next().await.is_some());
    }
    // Without the grant, the next request is refused, and the stream ends although nothing happens.
    write_policy(&server, &agents);
    eventually("the grant is gone", || async {
        (get(&server, &anna, "/v1/orders").await.status == 403).then_some(())
    })
    .await;
    let body = json!({"country": "DE", "carrier_type": "local"});
    order(&server, &anna, "key", &body)
        .await
        .problem(403, "permission-missing");
    assert!(
        of_anna.next().await.is_none(),
        "the reader received an event without the right to it"
    );
    server.rent(&ALICE, "third", "DE").await;
    assert!(of_alice.next().await.is_some(), "the other stream ended too");
    let rows = server.list(&LENA, "/v1/audit?action=order.create").await;
    assert_eq!(rows.len(), 3, "{rows:?}");
}

async fn a_grant_for_another_issuer_gives_nothing(database: Database) {
    let elsewhere = leads().replace("[[grants]]", "[[grants]]\nissuer = \"https://other.example/\"");
    let server = start(database, &elsewhere).await;
    let anna = token(&server, &json!({"groups": [LEADS]}));
    let me = get(&server, &anna, "/v1/me").await.expect(200);
    assert_eq!((&me["teams"], &me["permissions"]), (&json!([]), &json!([])));
    write_policy(&server, &elsewhere.replace("https://other.example/", ISSUER));
    eventually("the grant is in force", || async {
        let me = get(&server, &anna, "/v1/me").await.expect(200);
        (me["teams"][0]["team"] == "sales").then_some(())
    })
    .await;
}

async fn the_claim_of_the_token_decides_about_countries_and_group_numbers(database: Database) {
    let policy = "[teams.sales]\ncountries = { claim = \"/phone/countries\" }\n\
                  group_numbers = { claim = \"/phone/group\" }\nassign_to = \"anyone\"\n\
                  [prices]\ndefault = \"5.00\"\n";
    let config = TestConfig {
        policy: policy.to_owned(),
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    let validate = async |phone: Value, country: &str, sharing: &str| {
        let claims = json!({"teams": "sales", "scope": "numbers:rent", "phone": phone});
        let request = server
            .request("POST", "/v1/orders/validate")
            .bearer_auth(token(&server, &claims));
        let body = json!({"country": country, "sharing": sharing, "carrier_type": "local"});
        let decision = send(request.json(&body)).await.expect(200);
        match decision["allowed"].as_bool() {
            Some(true) => None,
            _ => Some(text(&decision["decision"]["rule"])),
        }
    };
    let countries = Some("teams.sales.countries".to_owned());
    let group = Some("teams.sales.group_numbers".to_owned());
    assert_eq!(
        validate(json!({"countries": ["DE", "JP"]}), "JP", "personal").await,
        None
    );
    assert_eq!(
        validate(json!({"countries": ["DE", "JP"]}), "FR", "personal").await,
        countries
    );
    assert_eq!(validate(json!({}), "DE", "personal").await, countries);
    for (value, expected) in [
        (json!(true), None),
        (json!("true"), None),
        (json!(false), group.clone()),
        (json!("yes"), group.clone()),
        (Value::Null, group.clone()),
    ] {
        let phone = json!({"countries": "DE", "group": value});
        assert_eq!(validate(phone.clone(), "DE", "group").await, expected, "{phone}");
    }
}

async fn the_shown_name_is_in_orders_and_audit_rows_and_decides_no_right(database: Database) {
    let policy = "[teams.sales]\ncountries = [\"DE\"]\nassign_to = \"anyone\"\n\
                  approval = { countries = [\"DE\"] }\n[prices]\ndefault = \"5.00\"\n";
    let config = TestConfig {
        policy: policy.to_owned(),
        // The table belongs to the issuer before it, which signs the tokens of this test.
        issuers: "[auth.issuers.claims]\nsubject = \"/preferred_username\"\n".to_owned(),
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    let of = |sub: &str, name: &str| {
        let scope = "numbers:read numbers:rent orders:approve audit:read";
        let claims = json!({"sub": sub, "preferred_username": name, "teams": "sales", "scope": scope});
        token(&server, &claims)
    };
    let me = get(&server, &of("9f2c", "anna"), "/v1/me").await.expect(200);
    assert_eq!((&me["subject"], &me["name"]), (&json!("9f2c"), &json!("anna")));
    let body = json!({"country": "DE", "carrier_type": "local"});
    let waiting = order(&server, &of("9f2c", "anna"), "key", &body)
        .await
        .expect(202);
    assert_eq!(waiting["created_by"], "anna");
    let approve = async |token: &str| {
        let path = format!("/v1/orders/{}/approve", text(&waiting["id"]));
        send(server.request("POST", &path).bearer_auth(token)).await
    };
    // The same person under another name is refused; another person with the same name is not.
    approve(&of("9f2c", "berta")).await.problem(403, "own-order");
    let approved = approve(&of("7d1e", "anna")).await.expect(200);
    assert_eq!(approved["approval"]["by"], "anna");
    let rows = get(&server, &of("7d1e", "anna"), "/v1/audit?actor=anna")
        .await
        .expect(200);
    let shown: Vec<(&Value, &Value)> = rows["data"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| (&row["action"], &row["detail"]["sub"]))
        .collect();
    assert_eq!(
        shown,
        [
            (&json!("order.approve"), &json!("7d1e")),
            (&json!("order.create"), &json!("9f2c"))
        ]
    );
}

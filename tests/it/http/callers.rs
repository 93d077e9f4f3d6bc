//! Authentication and permissions over HTTP: no token, an invalid token, and a token without the permission.

use numberdesk::auth::DevIssuer;
use serde_json::{Value, json};

use crate::support::database::{Database, on_sqlite};
use crate::support::personas::{ALICE, BOB, DORA, ISSUER, LENA, NEMO, OLGA};
use crate::support::scripted::unused_address;
use crate::support::server::{TestConfig, TestServer, send, text};

on_sqlite! {
    a_request_without_one_bearer_token_is_401_with_a_challenge,
    an_invalid_token_is_401_and_not_repeated_in_the_response,
    a_token_that_is_valid_for_years_is_401_and_the_longest_life_named,
    a_missing_permission_is_403_and_named,
    me_accepts_every_valid_token,
    a_caller_in_several_teams_must_name_one_in_an_order,
    a_team_of_others_looks_like_one_that_does_not_exist,
    unavailable_issuer_keys_are_503_but_a_bad_token_is_still_401,
    documents_and_probes_need_no_token_and_unknown_paths_are_404,
}

async fn a_request_without_one_bearer_token_is_401_with_a_challenge(database: Database) {
    let server = TestServer::new(database).await;
    for authorization in [
        None,
        Some(""),
        Some("Bearer"),
        Some("Bearer "),
        Some("Basic YWxhZGRpbjpvcGVu"),
        Some("Bearer x y"),
    ] {
        let mut request = server.request("GET", "/v1/me");
        if let Some(value) = authorization {
            request = request.header("Authorization", value);
        }
        let response = send(request).await;
        response.problem(401, "unauthorized");
        assert!(
            response.header("www-authenticate").starts_with("Bearer"),
            "{response}"
        );
    }
    // Tokens in the URL are not accepted, because proxies log URLs.
    let token = server.token(&ALICE);
    send(server.request("GET", &format!("/v1/me?access_token={token}")))
        .await
        .problem_snapshot(401, "unauthorized");
    // The name of the scheme is case-insensitive.
    send(
        server
            .request("GET", "/v1/me")
            .header("Authorization", format!("bearer {token}")),
    )
    .await
    .expect(200);
    let twice = server
        .request("GET", "/v1/me")
        .bearer_auth(&token)
        .bearer_auth(server.token(&BOB));
    let response = send(twice).await;
    assert!(
        [400, 401].contains(&response.status),
        "two tokens were accepted: {response}"
    );
}

async fn a_token_that_is_valid_for_years_is_401_and_the_longest_life_named(database: Database) {
    let server = TestServer::new(database).await;
    let lasting = |hours: i64| {
        let mut claims = ALICE.claims(&server.close.users());
        claims["exp"] = json!(claims["iat"].as_i64().expect("a time") + hours * 3_600);
        let token = server.issuer.sign(&claims).expect("the claims can be signed");
        send(server.request("GET", "/v1/me").bearer_auth(token))
    };
    lasting(24).await.expect(200);
    for hours in [25, 10 * 365 * 24] {
        let refused = lasting(hours).await;
        let problem = refused.problem(401, "unauthorized");
        let detail = text(&problem["detail"]);
        assert!(
            detail.contains("longer than 24h") && detail.contains("max_lifetime"),
            "{detail}"
        );
        assert!(refused.header("www-authenticate").contains("longer than 24h"));
    }
}

async fn an_invalid_token_is_401_and_not_repeated_in_the_response(database: Database) {
    let server = TestServer::new(database).await;
    let users = server.close.users();
    let elsewhere = tempfile::tempdir().expect("a folder can be made");
    let other_issuer = DevIssuer::load_or_create(elsewhere.path(), ISSUER).expect("an issuer can be made");
    let forged = other_issuer
        .sign(&ALICE.claims(&users))
        .expect("the claims can be signed");
    let changed = |change: fn(&mut Value)| {
        let mut claims = ALICE.claims(&users);
        change(&mut claims);
        server.issuer.sign(&claims).expect("the claims can be signed")
    };
    let good = server.token(&ALICE);
    let (signed, signature) = good.rsplit_once('.').expect("a token has three parts");
    let bad = [
        ("signed with another key", forged),
        (
            "expired",
            changed(|claims| claims["exp"] = json!(claims["iat"].as_i64().expect("a time") - 3600)),
        ),
        (
            "not valid yet",
            changed(|claims| claims["nbf"] = json!(claims["iat"].as_i64().expect("a time") + 3600)),
        ),
        (
            "no expiry",
            changed(|claims| drop(claims.as_object_mut().expect("an object").remove("exp"))),
        ),
        (
            "no audience",
            changed(|claims| drop(claims.as_object_mut().expect("an object").remove("aud"))),
        ),
        (
            "another audience",
            changed(|claims| claims["aud"] = json!("billing")),
        ),
        (
            "another issuer",
            changed(|claims| claims["iss"] = json!("https://evil.example.com/")),
        ),
        ("no signature", format!("{signed}.")),
        (
            "another signature",
            format!("{signed}.{}", signature.chars().rev().collect::<String>()),
        ),
        ("not a JWT", "x".to_owned()),
        ("7000 bytes", "x".repeat(7000)),
    ];
    for (what, token) in bad {
        let response = send(server.request("GET", "/v1/me").bearer_auth(&token)).await;
        let problem = response.problem(401, "unauthorized");
        let challenge = response.header("www-authenticate");
        assert!(
            challenge.starts_with("Bearer") && challenge.contains("invalid_token"),
            "{what}: {challenge}"
        );
        assert!(
            !response.text.contains(&token),
            "{what}: the response repeats the token: {problem}"
        );
    }
}

async fn a_missing_permission_is_403_and_named(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let order = text(&server.list(&ALICE, "/v1/orders").await[0]["id"]);
    for (method, path, body, permission) in [
        (
            "POST",
            "/v1/orders".to_owned(),
            json!({ "country": "DE" }),
            "numbers:rent",
        ),
        (
            "POST",
            "/v1/orders?validate_only=true".to_owned(),
            json!({ "country": "DE" }),
            "numbers:rent",
        ),
        ("GET", "/v1/orders".to_owned(), Value::Null, "numbers:read"),
        ("GET", format!("/v1/orders/{order}"), Value::Null, "numbers:read"),
        (
            "POST",
            format!("/v1/orders/{order}/cancel"),
            Value::Null,
            "numbers:rent",
        ),
        (
            "POST",
            format!("/v1/orders/{order}/settle"),
            json!({ "absent": true }),
            "numbers:admin",
        ),
        (
            "POST",
            format!("/v1/orders/{order}/approve"),
            Value::Null,
            "orders:approve",
        ),
        (
            "POST",
            format!("/v1/orders/{order}/reject"),
            json!({ "comment": "x" }),
            "orders:approve",
        ),
        ("GET", "/v1/phone-numbers".to_owned(), Value::Null, "numbers:read"),
        (
            "GET",
            format!("/v1/phone-numbers/{number}"),
            Value::Null,
            "numbers:read",
        ),
        (
            "PATCH",
            format!("/v1/phone-numbers/{number}"),
            json!({ "label": "x" }),
            "numbers:update",
        ),
        (
            "DELETE",
            format!("/v1/phone-numbers/{number}"),
            Value::Null,
            "numbers:release",
        ),
        (
            "POST",
            format!("/v1/phone-numbers/{number}/keep"),
            Value::Null,
            "numbers:release",
        ),
        (
            "PUT",
            format!("/v1/phone-numbers/{number}/team"),
            json!({ "team": "support" }),
            "numbers:admin",
        ),
        ("GET", "/v1/audit".to_owned(), Value::Null, "audit:read"),
        ("GET", "/v1/audit/export".to_owned(), Value::Null, "audit:read"),
        (
            "GET",
            "/v1/spend?month=2026-11".to_owned(),
            Value::Null,
            "spend:read",
        ),
    ] {
        let mut request = server
            .request_as(&NEMO, method, &path)
            .header("Idempotency-Key", "nemo");
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = send(request).await;
        assert_eq!(
            response.problem(403, "permission-missing")["need"],
            permission,
            "{response}"
        );
    }
    assert_eq!(server.close.rents().await.len(), 1);
    assert_eq!(server.close.held().await[0]["label"], Value::Null);
}

async fn me_accepts_every_valid_token(database: Database) {
    let server = TestServer::new(database).await;
    let me = server.get(&NEMO, "/v1/me").await.expect(200);
    assert_eq!(
        (&me["subject"], &me["issuer"]),
        (&json!("nemo@example.com"), &json!(ISSUER)),
        "{me}"
    );
    assert_eq!(me["permissions"], json!([]), "{me}");
    let me = server.get(&LENA, "/v1/me").await.expect(200);
    assert!(me["permissions"].to_string().contains("numbers:group"), "{me}");
    let me = server.get(&NEMO.of(&[]), "/v1/me").await.expect(200);
    assert_eq!(me["teams"], json!([]), "{me}");
}

async fn a_caller_in_several_teams_must_name_one_in_an_order(database: Database) {
    let server = TestServer::new(database).await;
    let mut body = json!({ "country": "DE", "carrier_type": "local" });
    server
        .order(&DORA, "key", &body)
        .await
        .problem_snapshot(400, "team-required");
    let problem = server
        .order(&NEMO.of(&[]).with("numbers:rent"), "key", &body)
        .await
        .problem(400, "team-required");
    assert!(text(&problem["detail"]).contains("no team"), "{problem}");
    server.assert_nothing_happened().await;
    for team in ["sales", "support"] {
        body["team"] = json!(team);
        assert_eq!(server.order(&DORA, "key", &body).await.expect(201)["team"], team);
    }
    // A list shows all teams of the caller, or the one that is named.
    assert_eq!(server.list(&DORA, "/v1/orders").await.len(), 2);
    assert_eq!(server.list(&DORA, "/v1/orders?team=support").await.len(), 1);
    assert_eq!(server.list(&DORA, "/v1/phone-numbers?team=sales").await.len(), 1);
    assert!(server.list(&DORA.of(&[]), "/v1/orders").await.is_empty());
}

async fn a_team_of_others_looks_like_one_that_does_not_exist(database: Database) {
    let server = TestServer::new(database).await;
    server.rent(&BOB, "key", "DE").await;
    for path in ["/v1/orders", "/v1/phone-numbers", "/v1/audit", "/v1/audit/export"] {
        let foreign = server.get(&LENA, &format!("{path}?team=support")).await;
        let unknown = server.get(&LENA, &format!("{path}?team=no-such-team")).await;
        crate::support::response::assert_indistinguishable(&foreign, &unknown);
    }
    // This check comes before all others, also before the permission.
    for team in ["support", "no-such-team"] {
        server
            .get(&NEMO, &format!("/v1/orders?team={team}"))
            .await
            .problem(404, "not-found");
        let body = json!({ "country": "JP", "team": team });
        server.order(&ALICE, "key", &body).await.problem(404, "not-found");
        server.order(&NEMO, "key", &body).await.problem(404, "not-found");
    }
    // An administrator may use every team.
    server.list(&OLGA, "/v1/orders?team=support").await;
    assert_eq!(server.close.rents().await.len(), 1);
}

async fn unavailable_issuer_keys_are_503_but_a_bad_token_is_still_401(database: Database) {
    let mut server = TestServer::new(database).await;
    server.stop().await;
    let file = server.folder.path().join("numberdesk.toml");
    let config = std::fs::read_to_string(&file).expect("the configuration can be read");
    let unreachable_keys = format!("jwks_url = \"http://{}/jwks\"", unused_address());
    let config = config.replace("jwks_file = \"jwks.json\"", &unreachable_keys);
    std::fs::write(&file, config).expect("the configuration can be written");
    // The service starts although it can't reach the issuer.
    server.start().await;
    let response = server.get(&ALICE, "/v1/me").await;
    response.problem_snapshot(503, "keys-unavailable");
    // A missing or malformed token is the caller's fault, whether or not the keys are there.
    send(server.request("GET", "/v1/me"))
        .await
        .problem(401, "unauthorized");
    send(server.request("GET", "/v1/me").bearer_auth("x"))
        .await
        .problem(401, "unauthorized");
}

async fn documents_and_probes_need_no_token_and_unknown_paths_are_404(database: Database) {
    let server = TestServer::with(database, TestConfig::default()).await;
    for path in ["/openapi.json", "/openapi.yaml", "/problems/policy-denied"] {
        assert_eq!(send(server.request("GET", path)).await.status, 200, "{path}");
    }
    let docs = send(server.request("GET", "/docs")).await;
    assert!([200, 301, 302, 303, 307, 308].contains(&docs.status), "{docs}");
    for path in ["/livez", "/readyz", "/startupz", "/metrics"] {
        assert_eq!(server.at_ops(path).await.status, 200, "{path}");
        // Routes for operators are not on the public port, and API routes are not on the ops port.
        send(server.request("GET", path)).await.problem(404, "not-found");
    }
    for path in ["/v1/me", "/v1/orders", "/docs", "/openapi.json"] {
        assert_eq!(server.at_ops(path).await.status, 404, "{path}");
    }
    for path in [
        "/v1",
        "/v1/",
        "/v2/orders",
        "/api/v1/me/",
        "/_control/world",
        "/.env",
        "/v1/phone_number",
        "/debug/pprof",
    ] {
        let response = send(server.request("GET", path)).await;
        response.problem(404, "not-found");
    }
    send(server.request("GET", "/problems/no-such-problem"))
        .await
        .problem(404, "not-found");
}

//! A certified `OpenID` provider that nobody here wrote (`oidc-provider` of npm): from the first token to a rented
//! number, and its keys rotate while requests run.

mod provider;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use self::provider::Provider;
use crate::support::database::{Database, on_sqlite};
use crate::support::eventually;
use crate::support::response::ApiResponse;
use crate::support::server::{POLICY, TestConfig, TestServer, send, text};

on_sqlite! {
    people_and_apps_of_the_provider_rent_numbers_with_its_access_tokens,
    no_request_with_a_good_token_fails_while_the_provider_rotates_its_keys,
}

/// The number of clients that send requests during a rotation.
const CLIENTS: usize = 8;
/// The requests that each of them sends with tokens of one key.
const REQUESTS: usize = 25;

/// Returns the configuration of a service that trusts the provider.
fn trusting(provider: &Provider) -> TestConfig {
    let issuers = format!(
        "[[auth.issuers]]\nissuer = \"{}\"\naudiences = [\"numberdesk\"]\nalgorithms = [\"ES256\"]\ntyp = \"at+jwt\"\n\
         max_lifetime = \"2h\"\n[auth.issuers.claims]\nteams = [\"/groups\", \"/teams\"]\n",
        provider.issuer
    );
    TestConfig {
        issuers,
        ..TestConfig::default()
    }
}

async fn me(server: &TestServer, token: &str) -> ApiResponse {
    send(server.request("GET", "/v1/me").bearer_auth(token)).await
}

async fn order(server: &TestServer, token: &str, key: &str) -> Value {
    let request = server.request("POST", "/v1/orders").bearer_auth(token);
    let body = json!({"country": "DE", "carrier_type": "local"});
    send(request.header("Idempotency-Key", key).json(&body))
        .await
        .expect(201)
}

/// The app's token states its team and permissions itself. A group of the person gives both by a grant.
async fn people_and_apps_of_the_provider_rent_numbers_with_its_access_tokens(database: Database) {
    let mut provider = Provider::start("numberdesk").await;
    let grant = format!(
        "[[grants]]\nissuer = \"{}\"\nclaim = \"/groups\"\nvalue = \"Sales Leads\"\nteam = \"sales\"\n\
         permissions = [\"numbers:read\", \"numbers:rent\"]\n",
        provider.issuer
    );
    let config = TestConfig {
        policy: format!("{POLICY}{grant}"),
        ..trusting(&provider)
    };
    let (server, _desk) = TestServer::as_process(database, config).await;
    let user = server.user(1).to_owned();
    provider
        .set_claims(&json!({
            "app": {"teams": "sales"},
            "person": {"groups": ["/sales/emea", "Sales Leads"], "close_user_id": user},
        }))
        .await;

    let app = provider.client_credentials("numbers:read numbers:rent").await;
    let rented = order(&server, &app, "by-an-app").await;
    assert_eq!(
        (&rented["created_by"], &rented["team"]),
        (&json!("crm-sync"), &json!("sales"))
    );
    assert_eq!(rented["state"], "fulfilled");

    let tokens = provider
        .log_in("alice", "openid numbers:read numbers:release")
        .await;
    let person = text(&tokens["access_token"]);
    let myself = me(&server, &person).await.expect(200);
    assert_eq!(
        (&myself["subject"], &myself["close_user"]),
        (&json!("alice"), &json!(user))
    );
    assert_eq!(
        (&myself["teams"][0]["team"], &myself["teams"][0]["given"]),
        (
            &json!("sales"),
            &json!([{"source": "grants[0]", "permissions": ["numbers:read", "numbers:rent"]}])
        )
    );
    assert_eq!(myself["ignored_teams"][0]["name"], "/sales/emea");
    let rented = order(&server, &person, "by-a-person").await;
    let number = text(&rented["phone_number"]["id"]);
    let rents = server.close.rents().await;
    let assigned: Vec<&Value> = rents.iter().map(|rent| &rent["body"]["assign_to"]).collect();
    assert_eq!(assigned, [&Value::Null, &json!([user])]);

    // The token names no team of its own, so its scope gives nothing there. The ID token is for the app alone.
    let release = server.request("DELETE", &format!("/v1/phone-numbers/{number}"));
    send(release.bearer_auth(&person))
        .await
        .problem(403, "permission-missing");
    me(&server, &text(&tokens["id_token"]))
        .await
        .problem(401, "unauthorized");
}

async fn no_request_with_a_good_token_fails_while_the_provider_rotates_its_keys(database: Database) {
    let mut provider = Provider::start("numberdesk").await;
    let (server, _desk) = TestServer::as_process(database, trusting(&provider)).await;
    provider
        .set_claims(&json!({"app": {"teams": ["sales"]}, "person": {}}))
        .await;
    let first = provider.client_credentials("numbers:read").await;
    me(&server, &first).await.expect(200);

    let (ended, retired) = (AtomicBool::new(false), AtomicBool::new(false));
    let requests: Vec<AtomicUsize> = (0..CLIENTS).map(|_| AtomicUsize::new(0)).collect();
    let apps = provider.apps();
    let load = requests.iter().map(|count| {
        let (apps, server, first, ended, retired) = (&apps, &server, &first, &ended, &retired);
        async move {
            while !ended.load(Ordering::SeqCst) {
                let fresh = apps.client_credentials("numbers:read").await;
                me(server, &fresh).await.expect(200);
                if !retired.load(Ordering::SeqCst) {
                    me(server, first).await.expect(200);
                }
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    let everybody_sent_more = || async {
        let before: Vec<usize> = requests
            .iter()
            .map(|count| count.load(Ordering::SeqCst))
            .collect();
        eventually("every client has sent its requests", || async {
            let sent = requests.iter().zip(&before);
            let all = sent
                .into_iter()
                .all(|(now, before)| now.load(Ordering::SeqCst) >= before + REQUESTS);
            all.then_some(())
        })
        .await;
    };
    let rotation = async {
        everybody_sent_more().await;
        let old = provider.kid().to_owned();
        provider.rotate().await;
        assert_ne!(provider.kid(), old);
        everybody_sent_more().await;
        retired.store(true, Ordering::SeqCst);
        provider.retire().await;
        everybody_sent_more().await;
        ended.store(true, Ordering::SeqCst);
    };
    futures::join!(futures::future::join_all(load), rotation);
}

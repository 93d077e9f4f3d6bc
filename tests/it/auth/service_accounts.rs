//! Apps with a Kubernetes service account: the cluster authenticates them, the policy grants their permissions.

use numberdesk::domain::time::Clock;
use serde_json::{Value, json};

use crate::auth::idp::{Signer, jwks, service_account_claims};
use crate::support::database::{Database, on_both_stores, on_sqlite};
use crate::support::eventually;
use crate::support::personas::{ALICE, LENA, OLGA};
use crate::support::server::{POLICY, TestConfig, TestServer, send, text};
use crate::support::stream::Stream;

const CLUSTER: &str = "https://kubernetes.default.svc.cluster.local";
const OTHER: &str = "https://oidc.example.com/id/other";
const DIALER: &str = "[[service_accounts]]\nnamespace = \"crm\"\nname = \"dialer\"\nteam = \"sales\"\n\
                      permissions = [\"numbers:read\", \"numbers:rent\"]\n";

on_both_stores! {
    an_app_rents_as_its_service_account_and_the_audit_trail_names_it,
    a_change_of_the_policy_entry_applies_to_tokens_in_use,
    with_two_clusters_an_entry_applies_only_to_its_issuer,
    a_stream_ends_when_the_policy_gives_its_reader_another_team,
}

on_sqlite! {
    an_unmapped_account_gets_the_policy_entry_that_would_map_it,
    an_invalid_service_account_token_is_401,
    an_oidc_issuer_can_not_sign_for_a_service_account,
    claims_of_a_cluster_token_grant_no_rights,
}

/// A cluster: its issuer and the signing key of its API server.
struct Cluster {
    issuer: &'static str,
    signer: Signer,
}

impl Cluster {
    fn new(issuer: &'static str, kid: &str) -> Self {
        let signer = Signer::new("RS256", kid);
        Self { issuer, signer }
    }

    fn claims(&self, namespace: &str, name: &str) -> Value {
        let now = Clock::system().now().as_seconds();
        service_account_claims(self.issuer, namespace, name, now)
    }

    fn token(&self, namespace: &str, name: &str) -> String {
        self.signer.sign_as_kubernetes(&self.claims(namespace, name))
    }

    /// Returns the token of crm/dialer with one claim changed.
    fn token_with(&self, claim: &str, value: Value) -> String {
        let mut claims = self.claims("crm", "dialer");
        claims[claim] = value;
        self.signer.sign_as_kubernetes(&claims)
    }

    /// Returns the `[[auth.issuers]]` entry of this cluster.
    fn entry(&self, file: &str) -> String {
        format!(
            "[[auth.issuers]]\nissuer = \"{}\"\nkind = \"kubernetes\"\naudiences = [\"numberdesk\"]\n\
             algorithms = [\"RS256\", \"ES256\"]\njwks_file = \"{file}\"\n",
            self.issuer
        )
    }
}

/// Starts a server that trusts the cluster, with these entries appended to the usual policy.
async fn start_server(database: Database, cluster: &Cluster, accounts: &str) -> TestServer {
    let config = TestConfig {
        policy: format!("{POLICY}{accounts}"),
        issuers: cluster.entry("cluster.json"),
        files: vec![("cluster.json", jwks(&[&cluster.signer]).to_string())],
        ..TestConfig::default()
    };
    TestServer::with(database, config).await
}

async fn me(server: &TestServer, token: &str) -> crate::support::response::ApiResponse {
    send(server.request("GET", "/v1/me").bearer_auth(token)).await
}

async fn order(server: &TestServer, token: &str, key: &str) -> crate::support::response::ApiResponse {
    let request = server.request("POST", "/v1/orders").bearer_auth(token);
    let body = json!({"country": "DE", "carrier_type": "local"});
    send(request.header("Idempotency-Key", key).json(&body)).await
}

async fn an_app_rents_as_its_service_account_and_the_audit_trail_names_it(database: Database) {
    let cluster = Cluster::new(CLUSTER, "c");
    let server = start_server(database, &cluster, DIALER).await;
    let subject = "system:serviceaccount:crm:dialer";
    let dialer = cluster.token("crm", "dialer");
    let myself = me(&server, &dialer).await.expect(200);
    assert_eq!(
        (&myself["issuer"], &myself["subject"], &myself["permissions"]),
        (
            &json!(CLUSTER),
            &json!(subject),
            &json!(["numbers:read", "numbers:rent"])
        )
    );
    assert_eq!(myself["teams"].as_array().map(Vec::len), Some(1));
    assert_eq!(myself["teams"][0]["team"], "sales");

    let rented = order(&server, &dialer, "key").await.expect(201);
    assert_eq!(rented["created_by"], subject);
    let number = text(&rented["phone_number"]["id"]);
    let path = format!("/v1/phone-numbers/{number}");
    let numbers = send(server.request("GET", &path).bearer_auth(&dialer)).await;
    assert_eq!(numbers.expect(200)["desk"]["team"], "sales");
    // The number belongs to the team, so its other members see it too.
    server.get(&ALICE, &path).await.expect(200);
    // The entry does not grant numbers:release.
    send(server.request("DELETE", &path).bearer_auth(&dialer))
        .await
        .problem(403, "permission-missing");

    let rows = server.list(&LENA, &format!("/v1/audit?actor={subject}")).await;
    assert!(!rows.is_empty(), "the audit trail has no row of the app");
    for row in &rows {
        assert_eq!(
            row["actor"],
            json!({ "issuer": CLUSTER, "subject": subject }),
            "{row}"
        );
    }
}

async fn an_unmapped_account_gets_the_policy_entry_that_would_map_it(database: Database) {
    let cluster = Cluster::new(CLUSTER, "c");
    let server = start_server(database, &cluster, DIALER).await;
    for (namespace, name) in [("crm", "other"), ("default", "dialer"), ("crm-x", "dialer")] {
        let token = cluster.token(namespace, name);
        let problem = me(&server, &token).await.problem(403, "service-account-unmapped");
        assert_eq!(
            (&problem["namespace"], &problem["name"], &problem["issuer"]),
            (&json!(namespace), &json!(name), &json!(CLUSTER))
        );
        order(&server, &token, "key")
            .await
            .problem(403, "service-account-unmapped");
    }
    server.assert_nothing_happened().await;

    // The proposed entry works when it is added to the policy.
    let token = cluster.token("billing", "invoices.v2");
    let problem = me(&server, &token)
        .await
        .problem_snapshot(403, "service-account-unmapped");
    let entry = text(&problem["entry"]).replace("YOUR TEAM", "support");
    write_policy(&server, &format!("{DIALER}{entry}"));
    eventually("the proposed entry is in force", || async {
        (me(&server, &token).await.status == 200).then_some(())
    })
    .await;
    assert_eq!(
        me(&server, &token).await.expect(200)["teams"][0]["team"],
        "support"
    );
}

async fn an_invalid_service_account_token_is_401(database: Database) {
    let cluster = Cluster::new(CLUSTER, "c");
    let server = start_server(database, &cluster, DIALER).await;
    let other_key = Cluster {
        issuer: CLUSTER,
        signer: Signer::new("ES256", "c"),
    };
    let mut no_expiry = cluster.claims("crm", "dialer");
    no_expiry
        .as_object_mut()
        .expect("claims are an object")
        .remove("exp");
    let kubernetes_claim =
        |namespace: &str, name: &str| json!({"namespace": namespace, "serviceaccount": {"name": name}});
    let invalid = [
        (
            "another audience",
            cluster.token_with("aud", json!(["https://kubernetes.default.svc"])),
        ),
        ("no audience", cluster.token_with("aud", json!([]))),
        ("expired", cluster.token_with("exp", json!(1_700_000_000))),
        ("without an expiry", cluster.signer.sign_as_kubernetes(&no_expiry)),
        (
            "another name in the claim kubernetes.io",
            cluster.token_with("kubernetes.io", kubernetes_claim("crm", "admin")),
        ),
        (
            "another namespace in the claim kubernetes.io",
            cluster.token_with("kubernetes.io", kubernetes_claim("ops", "dialer")),
        ),
        (
            "an empty claim kubernetes.io",
            cluster.token_with("kubernetes.io", json!({})),
        ),
        ("a node", cluster.token_with("sub", json!("system:node:crm"))),
        ("a person", cluster.token_with("sub", json!(ALICE.name))),
        (
            "no name",
            cluster.token_with("sub", json!("system:serviceaccount:crm:")),
        ),
        ("another cluster", cluster.token_with("iss", json!(OTHER))),
        ("another key", other_key.token("crm", "dialer")),
    ];
    for (what, token) in invalid {
        let response = me(&server, &token).await;
        assert_eq!(response.status, 401, "{what}: {response}");
        response.problem(401, "unauthorized");
        order(&server, &token, "key").await.problem(401, "unauthorized");
    }
    me(&server, &cluster.token("crm", "dialer")).await.expect(200);
    server.assert_nothing_happened().await;
}

async fn an_oidc_issuer_can_not_sign_for_a_service_account(database: Database) {
    let cluster = Cluster::new(CLUSTER, "c");
    let server = start_server(database, &cluster, DIALER).await;
    let mut claims = cluster.claims("crm", "dialer");
    for (claim, value) in ALICE
        .claims(&server.close.users())
        .as_object()
        .expect("claims are an object")
    {
        if claim != "sub" {
            claims[claim] = value.clone();
        }
    }
    // The issuer of people signs a token with the teams of a person and the subject of a service account.
    let token = server.issuer.sign(&claims).expect("the claims can be signed");
    let problem = me(&server, &token).await.problem(401, "unauthorized");
    assert!(text(&problem["detail"]).contains("kind kubernetes"), "{problem}");
    claims["iss"] = json!(CLUSTER);
    let token = server.issuer.sign(&claims).expect("the claims can be signed");
    order(&server, &token, "key").await.problem(401, "unauthorized");
    server.assert_nothing_happened().await;
}

async fn claims_of_a_cluster_token_grant_no_rights(database: Database) {
    let cluster = Cluster::new(CLUSTER, "c");
    let server = start_server(database, &cluster, DIALER).await;
    let with_claims = |name: &str| {
        let mut claims = cluster.claims("crm", name);
        claims["teams"] = json!(["support", "platform"]);
        claims["scope"] = json!("numbers:admin numbers:release audit:read");
        claims["close_user_id"] = json!(server.user(1));
        cluster.signer.sign_as_kubernetes(&claims)
    };
    let myself = me(&server, &with_claims("dialer")).await.expect(200);
    assert_eq!(myself["permissions"], json!(["numbers:read", "numbers:rent"]));
    assert_eq!(myself["teams"].as_array().map(Vec::len), Some(1));
    assert_eq!(myself["close_user"], Value::Null);
    me(&server, &with_claims("other"))
        .await
        .problem(403, "service-account-unmapped");
}

async fn a_change_of_the_policy_entry_applies_to_tokens_in_use(database: Database) {
    let cluster = Cluster::new(CLUSTER, "c");
    let server = start_server(database, &cluster, DIALER).await;
    // The test uses the same tokens throughout: the cache keeps the identity of a token, not its permissions.
    let (dialer, billing) = (
        cluster.token("crm", "dialer"),
        cluster.token("billing", "invoices"),
    );
    me(&server, &dialer).await.expect(200);
    me(&server, &billing)
        .await
        .problem(403, "service-account-unmapped");
    order(&server, &dialer, "key").await.expect(201);

    let entry = "[[service_accounts]]\nnamespace = \"billing\"\nname = \"invoices\"\nteam = \"support\"\n\
                 permissions = [\"numbers:read\"]\n";
    write_policy(&server, entry);
    eventually("the new entry is in force", || async {
        (me(&server, &billing).await.status == 200).then_some(())
    })
    .await;
    me(&server, &dialer)
        .await
        .problem(403, "service-account-unmapped");
    order(&server, &dialer, "key")
        .await
        .problem(403, "service-account-unmapped");
    assert_eq!(server.close.rents().await.len(), 1);
    // Another team and other permissions apply to a token in use.
    let changed = entry
        .replace("support", "sales")
        .replace("numbers:read", "numbers:rent");
    write_policy(&server, &changed);
    eventually("the changed entry is in force", || async {
        let myself = me(&server, &billing).await.expect(200);
        (myself["teams"][0]["team"] == "sales" && myself["permissions"] == json!(["numbers:rent"]))
            .then_some(())
    })
    .await;
    order(&server, &billing, "other").await.expect(201);
    assert_eq!(server.list(&OLGA, "/v1/orders").await.len(), 2);
}

async fn with_two_clusters_an_entry_applies_only_to_its_issuer(database: Database) {
    let cluster = Cluster::new(CLUSTER, "c");
    // Its key has the same `kid`.
    let other = Cluster {
        issuer: OTHER,
        signer: Signer::new("ES256", "c"),
    };
    let config = TestConfig {
        policy: format!("{POLICY}{DIALER}issuer = \"{CLUSTER}\"\n"),
        issuers: format!("{}{}", cluster.entry("one.json"), other.entry("two.json")),
        files: vec![
            ("one.json", jwks(&[&cluster.signer]).to_string()),
            ("two.json", jwks(&[&other.signer]).to_string()),
        ],
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    me(&server, &cluster.token("crm", "dialer")).await.expect(200);
    let problem = me(&server, &other.token("crm", "dialer"))
        .await
        .problem(403, "service-account-unmapped");
    assert_eq!(problem["issuer"], OTHER);
    // A cluster can't sign tokens of the other one.
    for (signing, claimed_issuer) in [(&cluster, OTHER), (&other, CLUSTER)] {
        me(&server, &signing.token_with("iss", json!(claimed_issuer)))
            .await
            .problem(401, "unauthorized");
    }
}

async fn a_stream_ends_when_the_policy_gives_its_reader_another_team(database: Database) {
    let cluster = Cluster::new(CLUSTER, "c");
    let server = start_server(database, &cluster, DIALER).await;
    let dialer = cluster.token("crm", "dialer");
    let stream = |token: &str| server.request("GET", "/v1/events/stream").bearer_auth(token);
    let mut app = Stream::open(stream(&dialer), None).await;
    let mut person = Stream::open(server.request_as(&ALICE, "GET", "/v1/events/stream"), None).await;
    server.rent(&ALICE, "first", "DE").await;
    for _ in 0..4 {
        let to_app = app.next().await.expect("the stream of the app continues");
        let to_person = person.next().await.expect("the stream of the person continues");
        assert_eq!(to_app.id, to_person.id);
    }

    write_policy(&server, &DIALER.replace("sales", "support"));
    eventually("the changed entry is in force", || async {
        let myself = me(&server, &dialer).await.expect(200);
        (myself["teams"][0]["team"] == "support").then_some(())
    })
    .await;
    assert!(
        app.next().await.is_none(),
        "the app received an event of another team"
    );
    server.rent(&ALICE, "second", "DE").await;
    // The permissions of a person are in the token, so that stream continues.
    assert!(person.next().await.is_some(), "the other stream ended too");
}

fn write_policy(server: &TestServer, accounts: &str) {
    let policy = format!("{POLICY}{accounts}");
    std::fs::write(server.folder.path().join("policy.toml"), policy).expect("the policy is written");
}

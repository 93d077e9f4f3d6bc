//! Apps that are known by their Kubernetes service account: the cluster says who they are, the policy what they may.

use numberdesk::domain::time::Clock;
use serde_json::{Value, json};

use crate::auth::idp::{Signer, jwks, of_account};
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
    an_app_rents_as_its_service_account_and_is_known_by_it,
    an_entry_holds_from_when_it_is_written_until_it_is_taken_away,
    with_two_clusters_an_account_is_that_of_its_own,
    a_stream_ends_before_it_tells_what_its_reader_may_not_see_any_more,
}

on_sqlite! {
    an_account_that_is_not_in_the_policy_is_told_what_would_be_needed,
    what_the_cluster_does_not_say_of_an_account_is_401,
    a_token_of_another_issuer_is_no_account_whatever_it_says,
    a_token_of_a_cluster_gives_no_rights_whatever_it_says,
}

/// A cluster: the key of its API server.
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
        of_account(self.issuer, namespace, name, now)
    }

    fn token(&self, namespace: &str, name: &str) -> String {
        self.signer.sign_for_account(&self.claims(namespace, name))
    }

    /// The token with one claim changed.
    fn token_with(&self, claim: &str, value: Value) -> String {
        let mut claims = self.claims("crm", "dialer");
        claims[claim] = value;
        self.signer.sign_for_account(&claims)
    }

    fn entry(&self, file: &str) -> String {
        format!(
            "[[auth.issuers]]\nissuer = \"{}\"\nkind = \"kubernetes\"\naudiences = [\"numberdesk\"]\n\
             algorithms = [\"RS256\", \"ES256\"]\njwks_file = \"{file}\"\n",
            self.issuer
        )
    }
}

/// A desk that trusts the cluster, with this in its policy beside the usual.
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

async fn an_app_rents_as_its_service_account_and_is_known_by_it(database: Database) {
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
    // It is the team's, and the team's people have it as well.
    server.get(&ALICE, &path).await.expect(200);
    // What the entry does not name it may not do.
    send(server.request("DELETE", &path).bearer_auth(&dialer))
        .await
        .problem(403, "permission-missing");

    let rows = server.list(&LENA, &format!("/v1/audit?actor={subject}")).await;
    assert!(!rows.is_empty(), "nothing was written down of it");
    for row in &rows {
        assert_eq!(
            row["actor"],
            json!({ "issuer": CLUSTER, "subject": subject }),
            "{row}"
        );
    }
}

async fn an_account_that_is_not_in_the_policy_is_told_what_would_be_needed(database: Database) {
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

    // What it was told is what lets it in.
    let token = cluster.token("billing", "invoices.v2");
    let problem = me(&server, &token).await.problem(403, "service-account-unmapped");
    let entry = text(&problem["entry"]).replace("YOUR TEAM", "support");
    write_policy(&server, &format!("{DIALER}{entry}"));
    eventually("the entry that was proposed holds", || async {
        (me(&server, &token).await.status == 200).then_some(())
    })
    .await;
    assert_eq!(
        me(&server, &token).await.expect(200)["teams"][0]["team"],
        "support"
    );
}

async fn what_the_cluster_does_not_say_of_an_account_is_401(database: Database) {
    let cluster = Cluster::new(CLUSTER, "c");
    let server = start_server(database, &cluster, DIALER).await;
    let stranger = Cluster {
        issuer: CLUSTER,
        signer: Signer::new("ES256", "c"),
    };
    let mut endless = cluster.claims("crm", "dialer");
    endless
        .as_object_mut()
        .expect("claims are an object")
        .remove("exp");
    let told =
        |namespace: &str, name: &str| json!({"namespace": namespace, "serviceaccount": {"name": name}});
    let bad = [
        (
            "another audience",
            cluster.token_with("aud", json!(["https://kubernetes.default.svc"])),
        ),
        ("no audience", cluster.token_with("aud", json!([]))),
        ("over", cluster.token_with("exp", json!(1_700_000_000))),
        ("without an end", cluster.signer.sign_for_account(&endless)),
        (
            "another name in parts",
            cluster.token_with("kubernetes.io", told("crm", "admin")),
        ),
        (
            "another namespace in parts",
            cluster.token_with("kubernetes.io", told("ops", "dialer")),
        ),
        ("no parts", cluster.token_with("kubernetes.io", json!({}))),
        ("a node", cluster.token_with("sub", json!("system:node:crm"))),
        ("a person", cluster.token_with("sub", json!(ALICE.name))),
        (
            "no name",
            cluster.token_with("sub", json!("system:serviceaccount:crm:")),
        ),
        ("another cluster", cluster.token_with("iss", json!(OTHER))),
        ("another key", stranger.token("crm", "dialer")),
    ];
    for (what, token) in bad {
        let answer = me(&server, &token).await;
        assert_eq!(answer.status, 401, "{what}: {answer}");
        answer.problem(401, "unauthorized");
        order(&server, &token, "key").await.problem(401, "unauthorized");
    }
    me(&server, &cluster.token("crm", "dialer")).await.expect(200);
    server.assert_nothing_happened().await;
}

async fn a_token_of_another_issuer_is_no_account_whatever_it_says(database: Database) {
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
    // Signed by the issuer of people, with the teams of a person, under the name of an account.
    let token = server.issuer.sign(&claims).expect("it signs");
    let problem = me(&server, &token).await.problem(401, "unauthorized");
    assert!(text(&problem["detail"]).contains("kind kubernetes"), "{problem}");
    claims["iss"] = json!(CLUSTER);
    let token = server.issuer.sign(&claims).expect("it signs");
    order(&server, &token, "key").await.problem(401, "unauthorized");
    server.assert_nothing_happened().await;
}

async fn a_token_of_a_cluster_gives_no_rights_whatever_it_says(database: Database) {
    let cluster = Cluster::new(CLUSTER, "c");
    let server = start_server(database, &cluster, DIALER).await;
    let with_claims = |name: &str| {
        let mut claims = cluster.claims("crm", name);
        claims["teams"] = json!(["support", "platform"]);
        claims["scope"] = json!("numbers:admin numbers:release audit:read");
        claims["close_user_id"] = json!(server.user(1));
        cluster.signer.sign_for_account(&claims)
    };
    let myself = me(&server, &with_claims("dialer")).await.expect(200);
    assert_eq!(myself["permissions"], json!(["numbers:read", "numbers:rent"]));
    assert_eq!(myself["teams"].as_array().map(Vec::len), Some(1));
    assert_eq!(myself["close_user"], Value::Null);
    me(&server, &with_claims("other"))
        .await
        .problem(403, "service-account-unmapped");
}

async fn an_entry_holds_from_when_it_is_written_until_it_is_taken_away(database: Database) {
    let cluster = Cluster::new(CLUSTER, "c");
    let server = start_server(database, &cluster, DIALER).await;
    // The same tokens throughout: what is remembered of one is who it is of, never what it may.
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
    eventually("the other entry holds", || async {
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
    // Another team and other permissions, for the token that is in use.
    let changed = entry
        .replace("support", "sales")
        .replace("numbers:read", "numbers:rent");
    write_policy(&server, &changed);
    eventually("the entry has changed", || async {
        let myself = me(&server, &billing).await.expect(200);
        (myself["teams"][0]["team"] == "sales" && myself["permissions"] == json!(["numbers:rent"]))
            .then_some(())
    })
    .await;
    order(&server, &billing, "other").await.expect(201);
    assert_eq!(server.list(&OLGA, "/v1/orders").await.len(), 2);
}

async fn with_two_clusters_an_account_is_that_of_its_own(database: Database) {
    let cluster = Cluster::new(CLUSTER, "c");
    // It names its key alike.
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
    // Neither speaks for the other.
    for (by, of) in [(&cluster, OTHER), (&other, CLUSTER)] {
        me(&server, &by.token_with("iss", json!(of)))
            .await
            .problem(401, "unauthorized");
    }
}

async fn a_stream_ends_before_it_tells_what_its_reader_may_not_see_any_more(database: Database) {
    let cluster = Cluster::new(CLUSTER, "c");
    let server = start_server(database, &cluster, DIALER).await;
    let dialer = cluster.token("crm", "dialer");
    let stream = |token: &str| server.request("GET", "/v1/events/stream").bearer_auth(token);
    let mut told = Stream::open(stream(&dialer), None).await;
    let mut person = Stream::open(server.request_as(&ALICE, "GET", "/v1/events/stream"), None).await;
    server.rent(&ALICE, "first", "DE").await;
    for _ in 0..4 {
        let both = (told.next().await, person.next().await);
        let (told, person) = (both.0.expect("it goes on"), both.1.expect("it goes on"));
        assert_eq!(told.id, person.id);
    }

    write_policy(&server, &DIALER.replace("sales", "support"));
    eventually("the entry has changed", || async {
        let myself = me(&server, &dialer).await.expect(200);
        (myself["teams"][0]["team"] == "support").then_some(())
    })
    .await;
    server.rent(&ALICE, "second", "DE").await;
    assert!(told.next().await.is_none(), "it was told of another team");
    // Whose token says it all is told on.
    assert!(person.next().await.is_some(), "the other stream ended too");
}

fn write_policy(server: &TestServer, accounts: &str) {
    let policy = format!("{POLICY}{accounts}");
    std::fs::write(server.folder.path().join("policy.toml"), policy).expect("the policy is written");
}

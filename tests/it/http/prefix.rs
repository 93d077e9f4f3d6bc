//! The service below a path of a shared host, behind a real reverse proxy.

use serde_json::{Value, json};

use crate::support::database::{Database, with_sqlite};
use crate::support::personas::ALICE;
use crate::support::proxy::{Forward, Proxy};
use crate::support::response::ApiResponse;
use crate::support::server::{TestConfig, TestServer, send};
use crate::support::site::crawl;

const PREFIX: &str = "/numberdesk";

/// Returns a configuration whose public URL has the path [`PREFIX`].
pub(super) fn below_the_prefix() -> TestConfig {
    TestConfig {
        server: "public_url = \"https://apps.example.com/numberdesk\"",
        ..TestConfig::default()
    }
}

/// Starts the proxy in front of the server.
pub(super) async fn proxy(server: &TestServer, forward: Forward) -> Proxy {
    Proxy::start(PREFIX, &server.api, forward).await
}

async fn get(url: &str) -> ApiResponse {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client is built");
    send(client.get(url)).await
}

#[tokio::test]
async fn all_that_the_service_says_about_itself_follows_the_path_of_its_public_url() {
    with_sqlite(|database| async move {
        let server = TestServer::with(database, below_the_prefix()).await;
        for forward in [Forward::WithoutPrefix, Forward::WithPrefix] {
            let proxy = proxy(&server, forward).await;
            documents_follow(&proxy.url).await;
            answers_follow(&server, &proxy.url, &format!("{forward:?}")).await;
        }
    })
    .await;
}

async fn documents_follow(base: &str) {
    for (path, to) in [("/", "/docs/"), ("/docs", "/docs/"), ("/guides", "/guides/")] {
        let redirect = get(&format!("{base}{path}")).await;
        assert_eq!(redirect.status, 307, "{redirect}");
        assert_eq!(redirect.header("location"), format!("{PREFIX}{to}"), "{redirect}");
    }
    let redirect = get(&format!("{base}/v1/orders/?limit=2")).await;
    assert_eq!(redirect.status, 308, "{redirect}");
    assert_eq!(
        redirect.header("location"),
        format!("{PREFIX}/v1/orders?limit=2"),
        "{redirect}"
    );
    get(&format!("{base}//evil.example.com/"))
        .await
        .problem(404, "not-found");
    for path in ["/openapi.json", "/openapi-3.0.json"] {
        let response = get(&format!("{base}{path}")).await;
        let document = response.json();
        assert_eq!(document["servers"][0]["url"], PREFIX);
        assert!(
            response.text.contains("](/numberdesk/problems/policy-denied)"),
            "{path}"
        );
        for own in ["](/problems/", "](/guides/"] {
            assert!(
                !response.text.contains(own),
                "{path} has a link {own} without the prefix"
            );
        }
    }
    let yaml = get(&format!("{base}/openapi.yaml")).await;
    assert!(yaml.text.contains("- url: /numberdesk\n"));

    let site = crawl(base, &["/docs/", "/guides/", "/problems/"]).await;
    assert!(
        site.pages.len() > 80,
        "only {} pages were found",
        site.pages.len()
    );

    let host = base.strip_suffix(PREFIX).expect("the URL ends with the prefix");
    let list = get(&format!("{base}/llms.txt")).await;
    let links: Vec<&str> = list
        .text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .collect();
    assert!(links.len() > 20, "{list}");
    for link in links {
        assert_eq!(get(&format!("{host}{link}")).await.status, 200, "{link}");
    }
}

async fn answers_follow(server: &TestServer, base: &str, key: &str) {
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client is built");
    let order = client
        .post(format!("{base}/v1/orders"))
        .bearer_auth(server.token(&ALICE))
        .header("Idempotency-Key", key)
        .json(&json!({ "country": "DE", "carrier_type": "local" }));
    let order = send(order).await;
    let id = order.expect(201)["id"].as_str().expect("an id").to_owned();
    assert_eq!(
        order.header("location"),
        format!("{PREFIX}/v1/orders/{id}"),
        "{order}"
    );
    let host = base.strip_suffix(PREFIX).expect("the URL ends with the prefix");
    let location = client.get(format!("{host}{}", order.header("location")));
    assert_eq!(
        send(location.bearer_auth(server.token(&ALICE))).await.expect(200)["id"],
        id
    );

    // `type` and `instance` are the same in every installation; the link is the URL of the page.
    let refused = get(&format!("{base}/v1/me")).await;
    let problem = refused.problem(401, "unauthorized");
    assert_eq!(problem["instance"], "/v1/me");
    assert_eq!(
        refused.header("link"),
        "</numberdesk/problems/unauthorized>; rel=\"help\""
    );
    let validate = |body: Value| {
        let request = client.post(format!("{base}/v1/orders?validate_only=true"));
        send(request.bearer_auth(server.token(&ALICE)).json(&body))
    };
    let refused = validate(json!({ "team": "of-others", "country": "DE" })).await;
    refused.problem(404, "not-found");
    assert_eq!(refused.header("deprecation"), "@1796083200", "{refused}");
    let validated = validate(json!({ "country": "DE", "carrier_type": "local" })).await;
    assert_eq!(validated.header("deprecation"), "@1796083200", "{validated}");
    assert_eq!(
        validated.header("link"),
        "</numberdesk/v1/orders/validate>; rel=\"successor-version\""
    );
}

#[tokio::test]
async fn a_service_below_a_path_also_answers_direct_requests_without_it() {
    with_sqlite(|database| async move {
        let server = TestServer::unsynced(database, below_the_prefix()).await;
        assert_eq!(send(server.request("GET", "/openapi.json")).await.status, 200);
        server.get(&ALICE, "/v1/me").await.expect(200);
        send(server.request("GET", "/numberdesks/v1/me"))
            .await
            .problem(404, "not-found");
    })
    .await;
}

/// The proxy must remove such a path, because `/docs/` would have two meanings.
#[tokio::test]
async fn a_path_that_is_also_one_of_the_service_needs_a_proxy_that_removes_it() {
    with_sqlite(|database: Database| async move {
        let config = TestConfig {
            server: "public_url = \"https://apps.example.com/docs\"",
            ..TestConfig::default()
        };
        let server = TestServer::unsynced(database, config).await;
        let proxy = Proxy::start("/docs", &server.api, Forward::WithoutPrefix).await;
        let redirect = get(&format!("{}/", proxy.url)).await;
        assert_eq!(redirect.header("location"), "/docs/docs/", "{redirect}");
        let page = get(&format!("{}/docs/", proxy.url)).await;
        assert!(page.text.contains("<title>numberdesk API</title>"), "{page}");
    })
    .await;
}

//! Orders in `dev`, as its guides describe them.

use serde_json::json;

use crate::support::dev::{Dev, small_order};
use crate::support::eventually;

#[tokio::test]
async fn an_order_that_close_never_answers_ends_while_one_watches() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let dev = Dev::start(folder.path(), &[]).await;
    dev.arm(
        json!({ "method": "POST", "path": "/phone_number/request/internal/", "times": 1, "answer": "hang" }),
    )
    .await;
    let (status, order) = dev.order("ALICE", "hang", small_order("GB")).await;
    assert_eq!((status, &order["state"]), (202, &json!("unverified")), "{order}");
    let path = format!("/v1/orders/{}", order["id"].as_str().expect("an id"));
    // The limit of `eventually` is a tenth of the time that the service takes with its default settings.
    let ended = eventually("the order ends", || async {
        let order = dev.get("ALICE", &path).await;
        order["finished_at"].is_string().then_some(order)
    })
    .await;
    assert_eq!(
        (&ended["state"], &ended["evidence"]),
        (&json!("refused"), &json!("absent-after-reconciliation"))
    );
    let (status, next) = dev.order("ALICE", "after", small_order("GB")).await;
    assert_eq!(status, 201, "the country is free again: {next}");
    dev.stop().await;
}

#[tokio::test]
async fn lena_approves_an_expensive_order_of_alice_and_sees_what_it_costs() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let dev = Dev::start(folder.path(), &[]).await;
    let (status, order) = dev.order("ALICE", "expensive", small_order("CH")).await;
    assert_eq!(
        (status, &order["state"]),
        (202, &json!("awaiting_approval")),
        "{order}"
    );
    let path = format!("/v1/orders/{}", order["id"].as_str().expect("an id"));
    let (status, own) = dev.send("ALICE", "POST", &format!("{path}/approve"), None).await;
    assert_eq!(
        (status, &own["type"]),
        (403, &json!("/problems/permission-missing")),
        "{own}"
    );
    let (status, approved) = dev.send("LENA", "POST", &format!("{path}/approve"), None).await;
    assert!([200, 202].contains(&status), "{approved}");
    let rented = eventually("the approved order gets its number", || async {
        let order = dev.get("ALICE", &path).await;
        (order["state"] == "fulfilled").then_some(order)
    })
    .await;
    let month = rented["finished_at"].as_str().expect("a time")[..7].to_owned();
    let spend = dev.get("LENA", &format!("/v1/spend?month={month}")).await;
    assert_eq!(spend["total"]["numbers"], 1, "{spend}");
    dev.stop().await;
}

#[tokio::test]
async fn a_webhook_url_that_dev_does_not_allow_is_refused_with_those_that_it_allows() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let dev = Dev::start(folder.path(), &[]).await;
    for (url, setting) in [
        ("https://hooks.example.com/desk", "webhooks.hosts"),
        ("http://localhost:6379/desk", "webhooks.ports"),
        ("http://10.1.2.3:8888/desk", "webhooks.networks"),
    ] {
        let body = json!({ "url": url });
        let (status, refused) = dev
            .send("LENA", "POST", "/v1/webhook-endpoints", Some(body))
            .await;
        assert_eq!(status, 400, "{refused}");
        let message = refused["errors"][0]["message"].as_str().expect("a message");
        for part in [setting, "localhost", "8888"] {
            assert!(message.contains(part), "{part} is not in {message}");
        }
    }
    let body = json!({ "url": "http://localhost:8888/numberdesk", "types": ["order.*"] });
    let (status, made) = dev
        .send("LENA", "POST", "/v1/webhook-endpoints", Some(body))
        .await;
    assert_eq!(status, 201, "{made}");
    dev.stop().await;
}

//! The end of a process: told to probes at once, nothing new taken, what is under way ended, and a second signal obeyed.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::binary::{ask_to_end, command, end};
use crate::support::close::RENT;
use crate::support::database::{Database, on_both_stores};
use crate::support::eventually;
use crate::support::personas::ALICE;
use crate::support::raw;
use crate::support::server::{TestConfig, TestServer, text};

on_both_stores! {
    while_a_rent_is_under_way_a_desk_that_ends_says_so_and_takes_nothing_new,
    while_it_drains_a_desk_answers_and_tells_clients_to_go_elsewhere,
    a_desk_that_ends_leaves_what_waits_in_the_queue_for_the_next_one,
    a_second_signal_ends_a_desk_at_once_and_nothing_is_sent_twice,
    a_request_that_never_ends_does_not_keep_a_desk_from_ending,
}

fn berlin() -> Value {
    json!({ "country": "DE", "carrier_type": "local" })
}

/// Says this on a connection of its own.
async fn say(server: &TestServer, head: &str, body: &str) -> TcpStream {
    let address = server.api.strip_prefix("http://").expect("a URL");
    let mut stream = TcpStream::connect(address).await.expect("the desk listens");
    let token = server.token(&ALICE);
    let request = format!(
        "{head} HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: key\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        berlin().to_string().len()
    );
    stream
        .write_all(request.as_bytes())
        .await
        .expect("the desk hears");
    stream
}

/// Returns once the desk says that it is stopping.
async fn says_so(server: &TestServer) -> Value {
    eventually("the desk says that it is stopping", || async {
        let ready = server.at_ops("/readyz").await;
        (ready.status == 503).then(|| ready.json())
    })
    .await
}

async fn hangs_up(mut stream: TcpStream) {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(std::time::Duration::from_secs(30), stream.read_to_end(&mut rest));
    // A connection that is cut off may end in an error.
    let _ = read.await.expect("the desk hangs up");
    assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
}

async fn while_a_rent_is_under_way_a_desk_that_ends_says_so_and_takes_nothing_new(database: Database) {
    let mut server = TestServer::new(database).await;
    server.stop().await;
    let mut desk = server.start_process().await;
    server.wait_until_synced().await;
    let ready = server.at_ops("/readyz").await;
    assert_eq!((ready.status, &ready.json()["stopping"]), (200, &json!(false)));
    server.close.set(json!({ "rent_latency": "6s" })).await;
    let mut idle = say(&server, "GET /v1/me", &berlin().to_string()).await;
    let heard = raw::listen(&mut idle).await;
    assert!(heard.status == 200 && !heard.closed, "{heard:?}");
    let mut waiting = say(&server, "POST /v1/orders", &berlin().to_string()).await;
    server.close.wait_for_requests("POST", RENT, 1).await;

    ask_to_end(&desk.child).await;
    let said = says_so(&server).await;
    assert_eq!(
        (&said["ready"], &said["stopping"], &said["database"]),
        (&json!(false), &json!(true), &json!("ok"))
    );
    assert_eq!(server.at_ops("/livez").await.status, 200);
    assert_eq!(server.at_ops("/metrics").await.status, 200);
    let address = server.api.strip_prefix("http://").expect("a URL").to_owned();
    eventually("nobody listens for requests", || async {
        TcpStream::connect(&address).await.err().map(drop)
    })
    .await;
    hangs_up(idle).await;
    assert!(server.close.held().await.is_empty(), "the rent was over before");
    // Who waits for it is answered, and told to go.
    let heard = raw::listen(&mut waiting).await;
    assert_eq!(heard.status, 201, "{heard:?}");
    assert!(heard.text.contains("\r\nconnection: close\r\n"), "{heard:?}");
    hangs_up(waiting).await;
    assert_eq!(end(&mut desk.child).await, 0);
    let ops = server.ops.strip_prefix("http://").expect("a URL");
    assert!(TcpStream::connect(ops).await.is_err());

    server.start().await;
    let order = server.order(&ALICE, "key", &berlin()).await.expect(201);
    assert_eq!(order["evidence"], "close-201");
    assert_eq!(server.close.rents().await.len(), 1);
}

async fn while_it_drains_a_desk_answers_and_tells_clients_to_go_elsewhere(database: Database) {
    let config = TestConfig {
        server: "drain = \"2m\"\nheader_timeout = \"2m\"",
        ..TestConfig::default()
    };
    let mut server = TestServer::with(database, config).await;
    server.stop().await;
    let mut desk = server.start_process().await;
    let mut idle = say(&server, "GET /v1/me", &berlin().to_string()).await;
    let heard = raw::listen(&mut idle).await;
    assert!(heard.status == 200 && !heard.closed, "{heard:?}");
    ask_to_end(&desk.child).await;
    assert_eq!(says_so(&server).await["stopping"], true);
    let mut order = say(&server, "POST /v1/orders", &berlin().to_string()).await;
    let heard = raw::listen(&mut order).await;
    assert_eq!(heard.status, 201, "{heard:?}");
    assert!(heard.text.contains("\r\nconnection: close\r\n"), "{heard:?}");
    hangs_up(order).await;
    // A connection from before is still good for one more.
    idle.write_all(b"GET /openapi.json HTTP/1.1\r\nHost: desk\r\n\r\n")
        .await
        .expect("the desk hears");
    let heard = raw::listen(&mut idle).await;
    assert!(
        heard.status == 200 && heard.text.contains("\r\nconnection: close\r\n"),
        "{}",
        heard.status
    );
    ask_to_end(&desk.child).await;
    assert_eq!(end(&mut desk.child).await, 1, "a second signal waits for nothing");
    assert_eq!(server.close.rents().await.len(), 1);
}

async fn a_desk_that_ends_leaves_what_waits_in_the_queue_for_the_next_one(database: Database) {
    let config = TestConfig {
        server: "grace = \"2s\"",
        ..TestConfig::default()
    };
    let mut server = TestServer::with(database.clone(), config).await;
    server.stop().await;
    let mut desk = server.start_process().await;
    server.close.set(json!({ "rent_latency": "4s" })).await;
    let mut orders = Vec::new();
    for place in 0..10 {
        let order = server
            .order_at_once(&ALICE, &format!("key-{place}"), &berlin())
            .await
            .expect(202);
        orders.push(text(&order["id"]));
    }
    server.close.wait_for_requests("POST", RENT, 8).await;
    // This one would wait for 25 s, longer than the grace period; the desk tells it to come back instead.
    let mut waiting = say(&server, "POST /v1/orders", &berlin().to_string()).await;
    let last = eventually("the order is accepted", || async {
        let found = server.list(&ALICE, "/v1/orders?idempotency_key=key").await;
        found.first().map(|order| text(&order["id"]))
    })
    .await;
    orders.push(last);
    ask_to_end(&desk.child).await;
    let heard = raw::listen(&mut waiting).await;
    assert!(
        heard.status == 202 && heard.text.contains("\"state\":\"queued\""),
        "{heard:?}"
    );
    assert_eq!(end(&mut desk.child).await, 0);
    assert_eq!(server.close.rents().await.len(), 8);
    for (state, count) in [("queued", 3), ("fulfilled", 8)] {
        let question = format!("SELECT COUNT(*) FROM orders WHERE state = '{state}'");
        assert_eq!(database.ask(&question).await, count, "{state}");
    }
    server.close.set(json!({ "rent_latency": "0s" })).await;
    server.start().await;
    for order in &orders {
        server.wait_for_state(&ALICE, order, "fulfilled").await;
    }
    assert_eq!(server.close.rents().await.len(), 11);
    assert_eq!(server.close.held().await.len(), 11);
}

async fn a_second_signal_ends_a_desk_at_once_and_nothing_is_sent_twice(database: Database) {
    let mut server = TestServer::new(database.clone()).await;
    server.stop().await;
    let mut desk = server.start_process().await;
    server
        .close
        .fault(json!({ "path": RENT, "times": 1, "answer": "hang", "effect": true }))
        .await;
    let order = server.order_at_once(&ALICE, "key", &berlin()).await.expect(202);
    let id = text(&order["id"]);
    server.close.wait_for_requests("POST", RENT, 1).await;
    ask_to_end(&desk.child).await;
    says_so(&server).await;
    ask_to_end(&desk.child).await;
    assert_eq!(end(&mut desk.child).await, 1);
    assert!(!desk.log().contains("panicked"), "{}", desk.log());

    // The next one finds the order where it was left, and sends nothing on doubt.
    let desk = server.start_process().await;
    let order = server.get(&ALICE, &format!("/v1/orders/{id}")).await.expect(200);
    assert_eq!(order["state"], "renting");
    database
        .change("UPDATE orders SET lease_until = 1 WHERE state = 'renting'")
        .await;
    let order = server.wait_for_state(&ALICE, &id, "fulfilled").await;
    assert_eq!(order["evidence"], "found-by-reconciliation");
    assert_eq!(server.close.rents().await.len(), 1);
    drop(desk);
}

async fn a_request_that_never_ends_does_not_keep_a_desk_from_ending(database: Database) {
    let config = TestConfig {
        server: "grace = \"1s\"",
        timeout: "1s",
        ..TestConfig::default()
    };
    let mut server = TestServer::with(database, config).await;
    server.stop().await;
    let mut desk = server.start_process().await;
    let stream = say(&server, "POST /v1/orders", "{").await;
    // It was heard: what came after it on another connection is answered.
    server.get(&ALICE, "/v1/me").await.expect(200);
    ask_to_end(&desk.child).await;
    assert_eq!(end(&mut desk.child).await, 0);
    hangs_up(stream).await;
    server.start().await;
    server.assert_nothing_happened().await;
}

#[tokio::test]
async fn dev_obeys_a_second_signal_too() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("it has an address").port().to_string();
    let mut dev = command(folder.path(), &["dev", "--dir", "one", "--port", &port]);
    let out = folder.path().join("out");
    let file = std::fs::File::create(&out).expect("it can be written");
    let errors = std::fs::File::create(folder.path().join("errors")).expect("it can be written");
    let mut dev = dev
        .stdout(file)
        .stderr(errors)
        .spawn()
        .expect("it can be started");
    let said = eventually("dev has given its tour", || async {
        let said = std::fs::read_to_string(&out).expect("it can be read");
        said.contains("Press Ctrl-C to stop").then_some(said)
    })
    .await;
    let word = |ends: &str| {
        let found = said.split_whitespace().find(|word| word.ends_with(ends));
        found.expect("it says where").to_owned()
    };
    let close = word("/_control/requests").replace("/requests", "");
    let api = word("/openapi.json").replace("/openapi.json", "");
    let alice = said.lines().find_map(|line| line.trim().strip_prefix("ALICE='"));
    let alice = alice.expect("Alice has a token").trim_end_matches('\'');
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let fault = json!({ "path": RENT, "answer": "hang" });
    let armed = client.post(format!("{close}/faults")).json(&fault).send().await;
    assert!(armed.expect("an answer").status().is_success());
    let order = client
        .post(format!("{api}/v1/orders"))
        .bearer_auth(alice)
        .header("Idempotency-Key", "dev")
        .header("Prefer", "wait=0")
        .json(&json!({ "country": "DE", "carrier_type": "mobile" }));
    assert_eq!(order.send().await.expect("an answer").status(), 202);
    let arrived = format!("{close}/requests?method=POST&path={RENT}&at_least=2&timeout=30s");
    client.get(arrived).send().await.expect("an answer");

    ask_to_end(&dev).await;
    let ready = word("/readyz");
    eventually("dev says that it is stopping", || async {
        let answer = client
            .get(&ready)
            .send()
            .await
            .expect("the operators' port answers");
        (answer.status() == 503).then_some(())
    })
    .await;
    ask_to_end(&dev).await;
    assert_eq!(end(&mut dev).await, 1);
    let errors = std::fs::read_to_string(folder.path().join("errors")).expect("it can be read");
    assert!(errors.contains("second signal"), "{errors}");
    // What it held is free again.
    let again = crate::support::binary::run(
        folder.path(),
        &["dev", "--exit-after-tour", "--dir", "one", "--port", &port],
    )
    .await;
    assert_eq!(again.code, 0, "{again:?}");
}

//! Several replicas on one PostgreSQL, as processes of their own: what one of them does not know, does not do any more,
//! or does too late, never makes a second number.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::binary::{ServerProcess, ask_to_end, end};
use crate::support::books::assert_books_balance;
use crate::support::close::RENT;
use crate::support::database::{Database, with_postgres};
use crate::support::eventually;
use crate::support::outage::Outage;
use crate::support::personas::ALICE;
use crate::support::server::{POLICY, TestConfig, TestServer, send, text};
use crate::support::stream::Stream;

macro_rules! on_postgres_alone {
    ($($name:ident),* $(,)?) => {
        $(mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                super::with_postgres(super::$name).await;
            }
        })*
    };
}

on_postgres_alone! {
    one_key_sent_to_three_replicas_at_once_is_one_order_and_one_rent,
    a_cap_of_three_holds_over_three_replicas_on_the_team_s_first_use,
    a_replica_that_is_stopped_past_its_lease_makes_no_second_number,
    what_a_dead_replica_left_is_settled_by_another,
    what_one_replica_changes_the_others_show,
    an_order_that_one_replica_ended_has_its_number_on_the_others_at_once,
    a_rolling_restart_under_load_loses_no_order,
    a_rolling_restart_behind_a_balancer_that_heeds_readiness_loses_no_request,
    a_database_that_goes_away_under_load_loses_no_order,
}

/// A server whose desk is so many processes.
async fn replicas(database: Database, config: TestConfig, count: usize) -> (TestServer, Vec<ServerProcess>) {
    let mut server = TestServer::with(database, config).await;
    server.stop().await;
    let mut replicas = Vec::new();
    for _ in 0..count {
        replicas.push(server.start_process().await);
    }
    (server, replicas)
}

fn quick() -> TestConfig {
    TestConfig {
        timeout: "3s",
        settle_after: "1s",
        lease_margin: "1s",
        ..TestConfig::default()
    }
}

fn local() -> Value {
    json!({ "country": "DE", "carrier_type": "local" })
}

/// Asks a replica once; `None` when it does not answer.
async fn ask(server: &TestServer, api: &str, key: &str) -> Option<(u16, Value)> {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let request = client
        .post(format!("{api}/v1/orders"))
        .bearer_auth(server.token(&ALICE))
        .header("Idempotency-Key", key)
        .json(&local());
    let answer = request.send().await.ok()?;
    let status = answer.status().as_u16();
    Some((status, answer.json().await.ok()?))
}

async fn one_key_sent_to_three_replicas_at_once_is_one_order_and_one_rent(database: Database) {
    let (server, replicas) = replicas(database, TestConfig::default(), 3).await;
    let asked = (0..30).map(|nth| ask(&server, &replicas[nth % 3].api, "same"));
    let mut ids = std::collections::BTreeSet::new();
    for answer in futures::future::join_all(asked).await {
        let (status, order) = answer.expect("every replica answers");
        assert_eq!(status, 201, "{order}");
        ids.insert(text(&order["id"]));
    }
    assert_eq!((ids.len(), server.close.rents().await.len()), (1, 1));
    println!("replicas: 30 requests with one key to 3 replicas, 1 order, 1 rent");
}

async fn a_cap_of_three_holds_over_three_replicas_on_the_team_s_first_use(database: Database) {
    for (rule, problem) in [
        ("max_numbers = 3", "quota-exceeded"),
        ("monthly_budget = \"15.00\"", "budget-exceeded"),
    ] {
        let policy = format!("[teams.sales]\ncountries = [\"DE\"]\n{rule}\n[prices]\ndefault = \"5.00\"\n");
        let config = TestConfig {
            policy,
            ..TestConfig::default()
        };
        // The second round needs a database that knows nothing of the first.
        if problem == "budget-exceeded" {
            return with_postgres(move |database| cap(database, config, problem)).await;
        }
        Box::pin(cap(database.clone(), config, problem)).await;
    }
}

async fn cap(database: Database, config: TestConfig, problem: &'static str) {
    let (server, replicas) = replicas(database.clone(), config, 3).await;
    let keys: Vec<String> = (0..60).map(|nth| format!("key-{nth}")).collect();
    let asked = keys.iter().enumerate().map(async |(nth, key)| {
        loop {
            let answer = ask(&server, &replicas[nth % 3].api, key).await;
            let (status, body) = answer.expect("every replica answers");
            if status != 503 {
                return (status, body);
            }
        }
    });
    let answers = futures::future::join_all(asked).await;
    let rented = answers.iter().filter(|(status, _)| *status == 201).count();
    assert_eq!(rented, 3, "{answers:?}");
    for (status, body) in &answers {
        assert!(
            *status == 201 || body["type"] == format!("/problems/{problem}"),
            "{status} {body}"
        );
    }
    assert_eq!(server.close.rents().await.len(), 3);
    assert_books_balance(&database).await;
    println!("replicas: 60 orders at once over 3 replicas on a cap of 3 ({problem}), 3 rents");
}

async fn a_replica_that_is_stopped_past_its_lease_makes_no_second_number(database: Database) {
    for (nth, answer) in [json!(null), json!("drop_before_headers")]
        .into_iter()
        .enumerate()
    {
        let database = database.clone();
        let run = move |database: Database| stopped(database, answer);
        if nth == 1 {
            return with_postgres(run).await;
        }
        Box::pin(run(database)).await;
    }
}

async fn stopped(database: Database, answer: Value) {
    let (mut server, replicas) = replicas(database.clone(), quick(), 2).await;
    let mut fault = json!({ "path": RENT, "times": 1, "delay": "1s", "effect": true });
    if !answer.is_null() {
        fault["answer"] = answer;
    }
    server.close.fault(fault).await;
    server.api.clone_from(&replicas[0].api);
    let placed = server.order_at_once(&ALICE, "key", &local()).await.expect(202);
    let id = text(&placed["id"]);
    server.close.wait_for_requests("POST", RENT, 1).await;
    // Whichever has the claim: the one that was asked begins the send at once.
    replicas[0].signal("STOP").await;
    server.api.clone_from(&replicas[1].api);
    let order = server.wait_for_state(&ALICE, &id, "fulfilled").await;
    assert_eq!(order["evidence"], "found-by-reconciliation");
    replicas[0].signal("CONT").await;
    server.api.clone_from(&replicas[0].api);
    let same = eventually("the one that was stopped answers", || async {
        ask(&server, &replicas[0].api, "key").await
    })
    .await;
    assert_eq!(same.0, 201, "{same:?}");
    assert_eq!(same.1["phone_number"]["id"], order["phone_number"]["id"]);
    assert_eq!(
        (server.close.rents().await.len(), server.close.held().await.len()),
        (1, 1)
    );
    assert_books_balance(&database).await;
    println!("replicas: 1 stopped past its lease and continued, 1 rent, 1 number");
}

async fn what_a_dead_replica_left_is_settled_by_another(database: Database) {
    let (mut server, mut replicas) = replicas(database.clone(), quick(), 2).await;
    for (key, effect) in [("with", true), ("without", false)] {
        let hang = json!({ "path": RENT, "times": 1, "answer": "hang", "effect": effect });
        server.close.fault(hang).await;
        server.api.clone_from(&replicas[0].api);
        let before = server.close.rents().await.len();
        let placed = server.order_at_once(&ALICE, key, &local()).await.expect(202);
        server.close.wait_for_requests("POST", RENT, before + 1).await;
        replicas[0].kill().await;
        server.api.clone_from(&replicas[1].api);
        let end = if effect { "fulfilled" } else { "refused" };
        server.wait_for_state(&ALICE, &text(&placed["id"]), end).await;
        replicas[0] = server.start_process().await;
    }
    assert_eq!(
        (server.close.rents().await.len(), server.close.held().await.len()),
        (2, 1)
    );
    assert_books_balance(&database).await;
}

async fn what_one_replica_changes_the_others_show(database: Database) {
    let config = TestConfig {
        full_sync: "1s",
        ..TestConfig::default()
    };
    let (mut server, replicas) = replicas(database, config, 3).await;
    let id = server.rent(&ALICE, "key", "DE").await;
    let path = format!("/v1/phone-numbers/{id}");
    server
        .patch(&ALICE, &id, &json!({ "label": "new" }))
        .await
        .expect(200);
    for replica in &replicas {
        server.api.clone_from(&replica.api);
        let shown = std::sync::Mutex::new(std::collections::BTreeSet::new());
        eventually("it shows the change, and complete listings", || async {
            let number = server.get(&ALICE, &path).await;
            if number.status != 200 || number.json()["label"] != "new" {
                return None;
            }
            let mut shown = shown.lock().expect("the lock is not poisoned");
            shown.insert(text(&number.json()["desk"]["as_of"]));
            (shown.len() == 3).then_some(())
        })
        .await;
    }
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    // What Close goes on to say of it comes to all of them.
    eventually("it has one ETag on all of them", || async {
        let mut etags = std::collections::BTreeSet::new();
        for replica in &replicas {
            let request = client.get(format!("{}{path}", replica.api));
            let answer = send(request.bearer_auth(server.token(&ALICE))).await;
            etags.insert(answer.header("etag").to_owned());
        }
        (etags.len() == 1).then_some(())
    })
    .await;
    assert_eq!(server.release(&ALICE, &id).await.status, 204);
    for replica in &replicas {
        server.api.clone_from(&replica.api);
        eventually("it is gone there, too", || async {
            (server.get(&ALICE, &path).await.status == 404).then_some(())
        })
        .await;
        assert!(server.list(&ALICE, "/v1/phone-numbers").await.is_empty());
    }
}

async fn an_order_that_one_replica_ended_has_its_number_on_the_others_at_once(database: Database) {
    let (mut server, replicas) = replicas(database, TestConfig::default(), 2).await;
    for nth in 0..10 {
        let key = format!("key-{nth}");
        let (status, order) = ask(&server, &replicas[nth % 2].api, &key)
            .await
            .expect("it answers");
        assert_eq!(status, 201);
        server.api.clone_from(&replicas[1 - nth % 2].api);
        let path = format!("/v1/orders/{}", text(&order["id"]));
        let there = server.get(&ALICE, &path).await.expect(200);
        assert_eq!(
            there["phone_number"]["id"], order["phone_number"]["id"],
            "{there}"
        );
        let listed = server.list(&ALICE, "/v1/orders").await;
        assert!(listed.iter().all(|order| order["phone_number"]["id"].is_string()));
    }
}

/// Orders without end, through whichever replica answers, until `stop`; how many.
async fn load(
    server: &TestServer,
    apis: &std::sync::Mutex<Vec<String>>,
    stop: &AtomicBool,
    lane: usize,
) -> usize {
    let mut done = 0;
    while !stop.load(Ordering::SeqCst) {
        let key = format!("lane-{lane}-{done}");
        let mut tries = 0;
        eventually(&format!("{key} is rented"), || {
            tries += 1;
            let api = {
                let apis = apis.lock().expect("the lock is not poisoned");
                apis[(lane + tries) % apis.len()].clone()
            };
            let key = &key;
            async move {
                match ask(server, &api, key).await {
                    Some((201, _)) => Some(()),
                    None | Some((202 | 503, _)) => None,
                    Some((status, body)) => panic!("{key} was answered {status} {body}"),
                }
            }
        })
        .await;
        done += 1;
    }
    done
}

async fn every_order_has_its_number(server: &TestServer, database: &Database, orders: usize) {
    let held = server.close.held().await.len();
    assert_eq!(held, orders, "numbers at Close, and orders that were answered");
    let fulfilled = database
        .ask("SELECT COUNT(*) FROM orders WHERE state = 'fulfilled'")
        .await;
    assert_eq!(fulfilled, i64::try_from(orders).expect("a count"));
    assert_eq!(
        database
            .ask("SELECT COUNT(DISTINCT phone_number_id) FROM orders")
            .await,
        fulfilled
    );
    assert_books_balance(database).await;
}

async fn a_rolling_restart_under_load_loses_no_order(database: Database) {
    let (mut server, mut replicas) = replicas(database.clone(), quick(), 3).await;
    let apis = std::sync::Mutex::new(
        replicas
            .iter()
            .map(|replica| replica.api.clone())
            .collect::<Vec<_>>(),
    );
    let stop = AtomicBool::new(false);
    let folder = server.folder.path().to_owned();
    // Something to follow from.
    server.rent(&ALICE, "before", "DE").await;
    let begin = text(&server.list(&ALICE, "/v1/events").await[0]["id"]);
    server.api.clear();
    let (done, ended) = tokio::sync::watch::channel(None);
    let restart = async {
        for (nth, replica) in replicas.iter_mut().enumerate() {
            assert_eq!(replica.terminate().await, 0, "it ends in good order");
            *replica = ServerProcess::start(&folder).await;
            apis.lock().expect("the lock is not poisoned")[nth].clone_from(&replica.api);
        }
        stop.store(true, Ordering::SeqCst);
    };
    let work = async {
        let (one, two, three, ()) = tokio::join!(
            load(&server, &apis, &stop, 0),
            load(&server, &apis, &stop, 1),
            load(&server, &apis, &stop, 2),
            restart
        );
        let orders = one + two + three;
        every_order_has_its_number(&server, &database, orders + 1).await;
        let api = apis.lock().expect("the lock is not poisoned")[0].clone();
        let feed = whole_feed(&server, &api, &begin).await;
        done.send_replace(feed.last().cloned());
        (orders, feed)
    };
    let ((orders, feed), first, second) = tokio::join!(
        work,
        follow(&server, &apis, ended.clone(), &begin, 0),
        follow(&server, &apis, ended.clone(), &begin, 1),
    );
    for (read, _) in [&first, &second] {
        assert_eq!(*read, feed, "a reader has each event once, in its order");
    }
    println!(
        "replicas: {orders} orders during a rolling restart of 3, each with 1 number; {} events read by 2 streams over {} \
         connections, 0 lost, 0 twice",
        feed.len(),
        first.1 + second.1
    );
}

/// The replicas that a balancer has found ready.
type Ready = std::sync::Mutex<Vec<String>>;

/// Requests without end over connections that are kept, each to the next ready replica and never twice, until `stop`; how
/// many orders and how many lists.
async fn balanced(server: &TestServer, ready: &Ready, stop: &AtomicBool, lane: usize) -> (usize, usize) {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let (mut orders, mut lists) = (0, 0);
    for turn in lane.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let api = {
            let ready = ready.lock().expect("the lock is not poisoned");
            ready[turn % ready.len()].clone()
        };
        let token = server.token(&ALICE);
        let (request, expected) = if turn % 3 == 0 {
            orders += 1;
            let request = client.post(format!("{api}/v1/orders")).json(&local());
            (
                request.header("Idempotency-Key", format!("lane-{lane}-{turn}")),
                201,
            )
        } else {
            lists += 1;
            (client.get(format!("{api}/v1/phone-numbers?limit=5")), 200)
        };
        let answer = request.bearer_auth(token).send().await;
        let answer =
            answer.unwrap_or_else(|error| panic!("request {turn} of lane {lane} was lost: {error:?}"));
        assert_eq!(answer.status(), expected, "{:?}", answer.text().await);
        answer.bytes().await.expect("it is answered whole");
    }
    (orders, lists)
}

async fn a_rolling_restart_behind_a_balancer_that_heeds_readiness_loses_no_request(database: Database) {
    let config = TestConfig {
        server: "drain = \"6s\"",
        // However many orders a fast machine places, none meets a cap.
        policy: POLICY
            .replace("max_numbers = 400", "max_numbers = 100000")
            .replace("max_orders_per_day = 1000\n", "")
            .replace("\"5000.00\"", "\"900000.00\""),
        ..TestConfig::default()
    };
    let (server, mut replicas) = replicas(database.clone(), config, 3).await;
    let folder = server.folder.path().to_owned();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let says = async |replica: &ServerProcess, status: u16| {
        let url = format!("{}/readyz", replica.ops);
        eventually(&format!("it says {status}"), || async {
            let asked = client.get(&url).send().await.ok()?;
            (asked.status() == status).then_some(())
        })
        .await;
    };
    for replica in &replicas {
        says(replica, 200).await;
    }
    let ready: Ready = replicas
        .iter()
        .map(|replica| replica.api.clone())
        .collect::<Vec<_>>()
        .into();
    let stop = AtomicBool::new(false);
    let restart = async {
        for replica in &mut replicas {
            ask_to_end(&replica.child).await;
            says(replica, 503).await;
            ready
                .lock()
                .expect("the lock is not poisoned")
                .retain(|api| *api != replica.api);
            assert_eq!(end(&mut replica.child).await, 0, "it ends in good order");
            *replica = ServerProcess::start(&folder).await;
            says(replica, 200).await;
            ready
                .lock()
                .expect("the lock is not poisoned")
                .push(replica.api.clone());
        }
        stop.store(true, Ordering::SeqCst);
    };
    let (one, two, three, ()) = tokio::join!(
        balanced(&server, &ready, &stop, 0),
        balanced(&server, &ready, &stop, 1),
        balanced(&server, &ready, &stop, 2),
        restart
    );
    let (orders, lists) = (one.0 + two.0 + three.0, one.1 + two.1 + three.1);
    every_order_has_its_number(&server, &database, orders).await;
    println!(
        "replicas: {orders} orders and {lists} lists during a rolling restart of 3 behind a balancer, 0 failed"
    );
}

/// Ids of all events after one, page by page.
async fn whole_feed(server: &TestServer, api: &str, after: &str) -> Vec<String> {
    let (mut ids, mut last) = (Vec::new(), after.to_owned());
    loop {
        let page = server
            .get(&ALICE, &format!("{api}/v1/events?limit=200&after={last}"))
            .await
            .expect(200);
        let events = page["data"].as_array().expect("a page has data");
        let Some(end) = events.last() else { return ids };
        last = text(&end["id"]);
        ids.extend(events.iter().map(|event| text(&event["id"])));
    }
}

/// Follows the feed over one replica after another, up to the event that `ended` names; what it read, and over how many
/// connections.
async fn follow(
    server: &TestServer,
    apis: &std::sync::Mutex<Vec<String>>,
    mut ended: tokio::sync::watch::Receiver<Option<String>>,
    after: &str,
    nth: usize,
) -> (Vec<String>, usize) {
    let (mut ids, mut last, mut connections) = (Vec::new(), after.to_owned(), 0);
    for turn in nth.. {
        let api = {
            let apis = apis.lock().expect("the lock is not poisoned");
            apis[turn % apis.len()].clone()
        };
        let request = server.request_as(&ALICE, "GET", &format!("{api}/v1/events/stream"));
        let Some(mut stream) = Stream::try_open(request, Some(&last)).await else {
            tokio::task::yield_now().await;
            continue;
        };
        connections += 1;
        loop {
            if ended.borrow().as_deref() == Some(&last) {
                return (ids, connections);
            }
            let told = tokio::select! {
                told = stream.next() => told,
                _ = ended.changed() => continue,
            };
            let Some(told) = told else { break };
            last.clone_from(&told.id);
            ids.push(told.id);
        }
    }
    unreachable!("it turns to the next replica for ever")
}

async fn a_database_that_goes_away_under_load_loses_no_order(database: Database) {
    let (server, replicas) = replicas(database.clone(), quick(), 2).await;
    let apis = std::sync::Mutex::new(
        replicas
            .iter()
            .map(|replica| replica.api.clone())
            .collect::<Vec<_>>(),
    );
    let stop = AtomicBool::new(false);
    let outage = async {
        for _ in 0..2 {
            let before = server.close.rents().await.len();
            server.close.wait_for_requests("POST", RENT, before + 5).await;
            let outage = Outage::begin(&database).await;
            eventually("the replicas notice", || async {
                (server.at_ops("/readyz").await.status == 503).then_some(())
            })
            .await;
            outage.end().await;
        }
        stop.store(true, Ordering::SeqCst);
    };
    let (one, two, ()) = tokio::join!(
        load(&server, &apis, &stop, 0),
        load(&server, &apis, &stop, 1),
        outage
    );
    let orders = one + two;
    every_order_has_its_number(&server, &database, orders).await;
    println!("replicas: {orders} orders while the database went away twice, each with 1 number");
}

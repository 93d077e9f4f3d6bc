//! Rolling restarts and database outages while clients send requests.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{order_body, replicas, short_deadlines, try_order};
use crate::support::binary::{ServerProcess, end, send_sigterm};
use crate::support::books::assert_books_balance;
use crate::support::close::RENT;
use crate::support::database::{Database, on_postgres_only};
use crate::support::eventually;
use crate::support::outage::Outage;
use crate::support::personas::ALICE;
use crate::support::server::{POLICY, TestConfig, TestServer, text};
use crate::support::stream::Stream;

on_postgres_only! {
    a_rolling_restart_under_load_loses_no_order,
    a_rolling_restart_behind_a_balancer_that_respects_readiness_loses_no_request,
    database_outages_under_load_lose_no_order,
}

/// Orders numbers one after another until `stop` is set, and returns how many.
///
/// Each order is repeated with the same key, on the next replica, until it is fulfilled.
async fn order_until_stopped(
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
                match try_order(server, &api, key).await {
                    Some((201, _)) => Some(()),
                    None | Some((202 | 503, _)) => None,
                    Some((status, body)) => panic!("the response to {key} was {status} {body}"),
                }
            }
        })
        .await;
        done += 1;
    }
    done
}

async fn assert_every_order_has_its_number(server: &TestServer, database: &Database, orders: usize) {
    let held = server.close.held().await.len();
    assert_eq!(held, orders, "numbers at Close, and orders that were fulfilled");
    let fulfilled = database
        .query_integer("SELECT COUNT(*) FROM orders WHERE state = 'fulfilled'")
        .await;
    assert_eq!(fulfilled, i64::try_from(orders).expect("a count"));
    assert_eq!(
        database
            .query_integer("SELECT COUNT(DISTINCT phone_number_id) FROM orders")
            .await,
        fulfilled
    );
    assert_books_balance(database).await;
}

async fn a_rolling_restart_under_load_loses_no_order(database: Database) {
    let (mut server, mut replicas) = replicas(database.clone(), short_deadlines(), 3).await;
    let apis = std::sync::Mutex::new(
        replicas
            .iter()
            .map(|replica| replica.api.clone())
            .collect::<Vec<_>>(),
    );
    let stop = AtomicBool::new(false);
    let folder = server.folder.path().to_owned();
    // The streams start after the first event of this order.
    server.rent(&ALICE, "before", "DE").await;
    let begin = text(&server.list(&ALICE, "/v1/events").await[0]["id"]);
    server.api.clear();
    let (done, ended) = tokio::sync::watch::channel(None);
    let restart = async {
        for (nth, replica) in replicas.iter_mut().enumerate() {
            assert_eq!(replica.terminate().await, 0, "the replica exits cleanly");
            *replica = ServerProcess::start(&folder).await;
            apis.lock().expect("the lock is not poisoned")[nth].clone_from(&replica.api);
        }
        stop.store(true, Ordering::SeqCst);
    };
    let work = async {
        let (one, two, three, ()) = tokio::join!(
            order_until_stopped(&server, &apis, &stop, 0),
            order_until_stopped(&server, &apis, &stop, 1),
            order_until_stopped(&server, &apis, &stop, 2),
            restart
        );
        let orders = one + two + three;
        assert_every_order_has_its_number(&server, &database, orders + 1).await;
        let api = apis.lock().expect("the lock is not poisoned")[0].clone();
        let events = all_events(&server, &api, &begin).await;
        done.send_replace(events.last().cloned());
        (orders, events)
    };
    let ((orders, events), first, second) = tokio::join!(
        work,
        follow(&server, &apis, ended.clone(), &begin, 0),
        follow(&server, &apis, ended.clone(), &begin, 1),
    );
    for (read, _) in [&first, &second] {
        assert_eq!(*read, events, "a stream delivers each event once, in order");
    }
    println!(
        "replicas: {orders} orders during a rolling restart of 3, each with 1 number; {} events read by 2 streams \
         over {} connections, 0 lost, 0 twice",
        events.len(),
        first.1 + second.1
    );
}

/// The API URLs of the replicas that the balancer considers ready.
type Ready = std::sync::Mutex<Vec<String>>;

/// Sends requests as a load balancer does until `stop` is set. Returns the number of orders and of lists.
///
/// Each request goes to the next ready replica, over connections that are kept open. No request is repeated.
async fn send_balanced(server: &TestServer, ready: &Ready, stop: &AtomicBool, lane: usize) -> (usize, usize) {
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
            let request = client.post(format!("{api}/v1/orders")).json(&order_body());
            (
                request.header("Idempotency-Key", format!("lane-{lane}-{turn}")),
                201,
            )
        } else {
            lists += 1;
            (client.get(format!("{api}/v1/phone-numbers?limit=5")), 200)
        };
        let response = request.bearer_auth(token).send().await;
        let response =
            response.unwrap_or_else(|error| panic!("request {turn} of lane {lane} was lost: {error:?}"));
        assert_eq!(response.status(), expected, "{:?}", response.text().await);
        response.bytes().await.expect("the body arrives completely");
    }
    (orders, lists)
}

async fn a_rolling_restart_behind_a_balancer_that_respects_readiness_loses_no_request(database: Database) {
    let config = TestConfig {
        server: "drain = \"6s\"",
        // The caps are high enough for a fast machine.
        policy: POLICY
            .replace("max_numbers = 400", "max_numbers = 100000")
            .replace("max_orders_per_day = 1000\n", "")
            .replace("\"5000.00\"", "\"900000.00\""),
        ..TestConfig::default()
    };
    let (server, mut replicas) = replicas(database.clone(), config, 3).await;
    let folder = server.folder.path().to_owned();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let wait_for_readyz = async |replica: &ServerProcess, status: u16| {
        let url = format!("{}/readyz", replica.ops);
        eventually(&format!("/readyz responds with {status}"), || async {
            let response = client.get(&url).send().await.ok()?;
            (response.status() == status).then_some(())
        })
        .await;
    };
    for replica in &replicas {
        wait_for_readyz(replica, 200).await;
    }
    let ready: Ready = replicas
        .iter()
        .map(|replica| replica.api.clone())
        .collect::<Vec<_>>()
        .into();
    let stop = AtomicBool::new(false);
    let restart = async {
        for replica in &mut replicas {
            send_sigterm(&replica.child).await;
            wait_for_readyz(replica, 503).await;
            ready
                .lock()
                .expect("the lock is not poisoned")
                .retain(|api| *api != replica.api);
            assert_eq!(end(&mut replica.child).await, 0, "the replica exits cleanly");
            *replica = ServerProcess::start(&folder).await;
            wait_for_readyz(replica, 200).await;
            ready
                .lock()
                .expect("the lock is not poisoned")
                .push(replica.api.clone());
        }
        stop.store(true, Ordering::SeqCst);
    };
    let (one, two, three, ()) = tokio::join!(
        send_balanced(&server, &ready, &stop, 0),
        send_balanced(&server, &ready, &stop, 1),
        send_balanced(&server, &ready, &stop, 2),
        restart
    );
    let (orders, lists) = (one.0 + two.0 + three.0, one.1 + two.1 + three.1);
    assert_every_order_has_its_number(&server, &database, orders).await;
    println!(
        "replicas: {orders} orders and {lists} lists during a rolling restart of 3 behind a balancer, 0 failed"
    );
}

/// Reads the event log page by page, and returns the ids of all events after one.
async fn all_events(server: &TestServer, api: &str, after: &str) -> Vec<String> {
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

/// Streams events from one replica after another until it has read the event that `ended` names.
///
/// Returns the ids of the events, and the number of connections.
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
            let received = tokio::select! {
                received = stream.next() => received,
                _ = ended.changed() => continue,
            };
            let Some(received) = received else { break };
            last.clone_from(&received.id);
            ids.push(received.id);
        }
    }
    unreachable!("the loop has no end")
}

async fn database_outages_under_load_lose_no_order(database: Database) {
    let (server, replicas) = replicas(database.clone(), short_deadlines(), 2).await;
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
            eventually("a replica reports the outage", || async {
                (server.at_ops("/readyz").await.json()["database"] != "ok").then_some(())
            })
            .await;
            outage.end().await;
        }
        stop.store(true, Ordering::SeqCst);
    };
    let (one, two, ()) = tokio::join!(
        order_until_stopped(&server, &apis, &stop, 0),
        order_until_stopped(&server, &apis, &stop, 1),
        outage
    );
    let orders = one + two;
    assert_every_order_has_its_number(&server, &database, orders).await;
    println!("replicas: {orders} orders while the database went away twice, each with 1 number");
}

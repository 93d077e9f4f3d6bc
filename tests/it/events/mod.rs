//! The event API: each change is one event, only its team sees it, and a client that resumes misses none.

pub(crate) mod intermediaries;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::database::{Database, on_both_stores};
use crate::support::eventually_or;
use crate::support::personas::{ALICE, BOB, LENA, OLGA, Persona};
use crate::support::response::assert_indistinguishable;
use crate::support::server::{TestServer, text};
use crate::support::snapshot;
use crate::support::stream::Stream;

on_both_stores! {
    each_step_of_an_order_and_its_number_is_one_event_in_order,
    a_generic_paginator_reads_every_event_by_cursor,
    a_type_ending_in_a_star_selects_a_group,
    a_stream_sends_new_events_and_resumes_after_the_last_event_id,
    a_reader_that_loses_its_stream_before_the_first_event_misses_none,
    a_team_receives_no_event_of_another_team,
    an_event_id_of_another_team_is_refused_like_an_unknown_one,
    a_stream_ends_when_its_token_expires_or_the_process_stops,
}

/// Waits for at least this many events of the caller's teams.
async fn wait_for_events(server: &TestServer, person: &Persona, query: &str, at_least: usize) -> Vec<Value> {
    let path = format!("/v1/events?limit=200{query}");
    let poll = || async {
        let events = server.list(person, &path).await;
        (events.len() >= at_least).then_some(events)
    };
    eventually_or(|| format!("at least {at_least} events"), poll).await
}

fn types(events: &[Value]) -> Vec<String> {
    events.iter().map(|event| text(&event["type"])).collect()
}

async fn each_step_of_an_order_and_its_number_is_one_event_in_order(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    server
        .patch(&LENA, &number, &json!({ "label": "Berlin" }))
        .await
        .expect(200);
    assert_eq!(server.release(&LENA, &number).await.status, 204);
    let events = wait_for_events(&server, &ALICE, "", 7).await;
    assert_eq!(
        types(&events),
        [
            "order.queued",
            "order.renting",
            "phone_number.assigned",
            "order.fulfilled",
            "phone_number.updated",
            "phone_number.releasing",
            "phone_number.released",
        ]
    );
    let fulfilled = &events[3];
    snapshot::assert_json("views/event", fulfilled);
    assert_eq!(fulfilled["data"]["phone_number_id"], number.as_str());
    let changed = events[4]["data"]["changed"].as_array().unwrap();
    assert!(changed.contains(&json!("label")), "{}", events[4]);
    // Events after an id, by type, and by page.
    let after = text(&events[4]["id"]);
    assert_eq!(
        types(&wait_for_events(&server, &ALICE, &format!("&after={after}"), 2).await),
        ["phone_number.releasing", "phone_number.released"]
    );
    assert_eq!(
        types(&wait_for_events(&server, &ALICE, "&type=order.fulfilled,phone_number.released", 2).await),
        ["order.fulfilled", "phone_number.released"]
    );
    let page = server.get(&ALICE, "/v1/events?limit=3").await.expect(200);
    assert_eq!(page["next_cursor"], page["data"][2]["id"]);
    let last = text(&events[6]["id"]);
    let end = server
        .get(&ALICE, &format!("/v1/events?after={last}"))
        .await
        .expect(200);
    assert_eq!(end, json!({ "data": [], "next_cursor": null }));
}

async fn a_generic_paginator_reads_every_event_by_cursor(database: Database) {
    let server = TestServer::new(database).await;
    server.rent(&ALICE, "one", "DE").await;
    server.rent(&ALICE, "two", "FR").await;
    let all = wait_for_events(&server, &ALICE, "", 8).await;
    // The same loop works for every list.
    let (mut read, mut path) = (Vec::new(), "/v1/events?limit=3".to_owned());
    loop {
        let page = server.get(&ALICE, &path).await.expect(200);
        read.extend(page["data"].as_array().expect("a list has data").clone());
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/events?limit=3&cursor={cursor}");
    }
    assert_eq!(read, all);
    let (second, third) = (text(&all[1]["id"]), text(&all[2]["id"]));
    let by_cursor = server.get(&ALICE, &format!("/v1/events?cursor={second}")).await;
    let by_after = server.get(&ALICE, &format!("/v1/events?after={second}")).await;
    assert_eq!(by_cursor.expect(200), by_after.expect(200));
    let both = server
        .get(&ALICE, &format!("/v1/events?cursor={second}&after={third}"))
        .await
        .problem(400, "invalid-request");
    assert_eq!(both["errors"][0]["pointer"], "/query/cursor");
    let message = text(&both["errors"][0]["message"]);
    assert!(message.contains("together with `after`"), "{message}");
    server
        .get(&ALICE, "/v1/events?cursor=elsewhere")
        .await
        .problem(400, "invalid-request");
    // A stream has no pages.
    server
        .get(&ALICE, &format!("/v1/events/stream?cursor={second}"))
        .await
        .problem(400, "invalid-request");
}

async fn a_type_ending_in_a_star_selects_a_group(database: Database) {
    let server = TestServer::new(database).await;
    server.rent(&ALICE, "key", "DE").await;
    wait_for_events(&server, &ALICE, "", 4).await;
    for (query, expected) in [
        (
            "order.*",
            &["order.queued", "order.renting", "order.fulfilled"][..],
        ),
        ("phone_number.*", &["phone_number.assigned"]),
        (
            "phone_number.*,order.queued",
            &["order.queued", "phone_number.assigned"],
        ),
    ] {
        let path = format!("/v1/events?type={query}");
        assert_eq!(types(&server.list(&ALICE, &path).await), expected, "{query}");
    }
    for wrong in ["orders.*", "order*", "*.*", "order.*,", "order.fulfiled"] {
        let problem = server
            .get(&ALICE, &format!("/v1/events?type={wrong}"))
            .await
            .problem(400, "invalid-request");
        assert_eq!(problem["errors"][0]["pointer"], "/query/type", "{wrong}");
    }
}

async fn a_stream_sends_new_events_and_resumes_after_the_last_event_id(database: Database) {
    let server = TestServer::new(database).await;
    server.rent(&ALICE, "before", "DE").await;
    wait_for_events(&server, &ALICE, "", 4).await;
    let stream = || server.request_as(&ALICE, "GET", "/v1/events/stream");
    let mut reader = Stream::open(stream(), None).await;
    server.rent(&ALICE, "first", "DE").await;
    // The stream begins when it is opened, so it sends no event of the order before.
    let (mut ids, mut last) = (Vec::new(), String::new());
    while ids.len() < 2 {
        let event = reader.next().await.expect("the stream goes on");
        last.clone_from(&event.id);
        ids.push(event.id);
    }
    drop(reader);
    // These events come while no stream is open.
    server.rent(&ALICE, "second", "FR").await;
    let mut reader = Stream::open(stream(), Some(&last)).await;
    server.rent(&ALICE, "third", "US").await;
    let all = wait_for_events(&server, &ALICE, "", 16).await;
    let expected: Vec<String> = all.iter().skip(4).map(|event| text(&event["id"])).collect();
    while ids.len() < expected.len() {
        ids.push(reader.next().await.expect("the stream goes on").id);
    }
    assert_eq!(ids, expected, "each event once, in the order of the list");
}

async fn a_reader_that_loses_its_stream_before_the_first_event_misses_none(database: Database) {
    let server = TestServer::new(database).await;
    let stream = |person| server.request_as(person, "GET", "/v1/events/stream");
    server.rent(&ALICE, "first", "DE").await;
    server.rent(&BOB, "bobs", "DE").await;
    let before = wait_for_events(&server, &ALICE, "", 4).await;
    let mut cut = Stream::open(stream(&ALICE), None).await;
    let last = cut.begins_after().await;
    // Bob's later events are not Alice's, and she could not resume after one.
    assert_eq!(last, text(&before[before.len() - 1]["id"]));
    drop(cut);
    server.rent(&ALICE, "second", "US").await;
    let all = wait_for_events(&server, &ALICE, "", before.len() + 4).await;
    let mut resumed = Stream::open(stream(&ALICE), Some(&last)).await;
    for event in &all[before.len()..] {
        assert_eq!(
            resumed.next().await.expect("the stream goes on").id,
            text(&event["id"])
        );
    }
}

async fn a_team_receives_no_event_of_another_team(database: Database) {
    let server = TestServer::new(database).await;
    let mut bobs_stream = Stream::open(server.request_as(&BOB, "GET", "/v1/events/stream"), None).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let path = format!("/v1/phone-numbers/{number}/team");
    let moved = server
        .request_as(&OLGA, "PUT", &path)
        .json(&json!({ "team": "support" }));
    crate::support::server::send(moved).await.expect(200);
    server.rent(&BOB, "bobs", "DE").await;
    // The first event for Bob is the assignment to his team. He receives no earlier event of the number.
    let first = bobs_stream.next().await.unwrap();
    assert_eq!(first.kind, "phone_number.assigned");
    assert_eq!(first.event["data"]["phone_number_id"], number.as_str());
    assert_eq!(bobs_stream.next().await.unwrap().kind, "order.queued");
    let of_sales = wait_for_events(&server, &ALICE, "", 5).await;
    assert_eq!(types(&of_sales).last().unwrap(), "phone_number.unassigned");
    assert!(
        of_sales.iter().all(|event| event["team"] == "sales"),
        "{of_sales:?}"
    );
    let of_both = wait_for_events(&server, &OLGA, "", 9).await;
    let ids: BTreeSet<String> = of_both.iter().map(|event| text(&event["id"])).collect();
    assert_eq!(ids.len(), of_both.len());
    server
        .get(&ALICE, "/v1/events?team=support")
        .await
        .problem(404, "not-found");
    server
        .get(&ALICE, "/v1/events/stream?team=support")
        .await
        .problem(404, "not-found");
}

async fn an_event_id_of_another_team_is_refused_like_an_unknown_one(database: Database) {
    let server = TestServer::new(database).await;
    server.rent(&BOB, "key", "DE").await;
    let foreign = text(&wait_for_events(&server, &BOB, "", 1).await[0]["id"]);
    for path in ["/v1/events", "/v1/events/stream"] {
        let read_after = |id: String| async {
            let id = id;
            server.get(&ALICE, &format!("{path}?after={id}")).await
        };
        let hidden = read_after(foreign.clone()).await;
        hidden.problem(400, "invalid-request");
        let missing = read_after("evt_01K00000000000000000000000".to_owned()).await;
        assert_indistinguishable(&hidden, &missing);
        for bad in [
            "after=",
            "after=ord_1",
            "type=order.unknown",
            "type=",
            "limit=0",
            "since=1",
        ] {
            if bad == "limit=0" && path.ends_with("stream") {
                continue;
            }
            server
                .get(&ALICE, &format!("{path}?{bad}"))
                .await
                .problem(400, "invalid-request");
        }
    }
    let request = server.request_as(&ALICE, "GET", "/v1/events/stream");
    crate::support::server::send(request.header("Last-Event-ID", "1"))
        .await
        .problem(400, "invalid-request");
}

async fn a_stream_ends_when_its_token_expires_or_the_process_stops(database: Database) {
    let mut server = TestServer::new(database).await;
    let stream = server.request("GET", "/v1/events/stream");
    // The token must be valid until the stream is open, also on a slow machine.
    let mut claims = ALICE.claims(&server.close.users());
    claims["exp"] = json!(claims["iat"].as_i64().unwrap() + 10);
    let mut short = Stream::open(stream.bearer_auth(server.issuer.sign(&claims).unwrap()), None).await;
    let mut long = Stream::open(server.request_as(&ALICE, "GET", "/v1/events/stream"), None).await;
    assert!(
        short.next().await.is_none(),
        "the stream ends when the token expires"
    );
    server.rent(&ALICE, "key", "DE").await;
    assert_eq!(long.next().await.unwrap().kind, "order.queued");
    server.stop().await;
    // Events that were sent before the stop can still be read.
    while long.next().await.is_some() {}
}

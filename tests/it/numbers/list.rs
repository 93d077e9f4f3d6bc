//! Lists of numbers: filters, pages and entity tags.

use super::*;

on_both_stores! {
    numbers_are_filtered_by_what_they_are,
    pages_of_numbers_hold_each_number_once,
    an_etag_spares_the_reader_what_did_not_change,
}

async fn numbers_are_filtered_by_what_they_are(database: Database) {
    let server = TestServer::with(database, often()).await;
    server
        .close
        .person_rents(json!({ "country": "GB", "label": "100% off_er" }))
        .await;
    server
        .close
        .person_rents(json!({ "country": "FR", "type": "external", "label": "Other" }))
        .await;
    counted(&server, "/v1/phone-numbers", 2).await;
    let berlin = server.rent(&ALICE, "a", "DE").await;
    server
        .patch(&ALICE, &berlin, &json!({ "label": "Berlin line" }))
        .await
        .expect(200);
    let shared = json!({ "country": "US", "assign_to": [server.user(0), server.user(1)] });
    server.order(&LENA, "b", &shared).await.expect(201);
    server.rent(&BOB, "c", "DE").await;

    let number = text(&shown(&server, &berlin).await["number"]).replace('+', "%2B");
    let (owner, second) = (server.user(0).to_owned(), server.user(1).to_owned());
    for (query, count) in [
        ("country=DE".to_owned(), 2),
        ("country=JP".to_owned(), 0),
        ("team=sales".to_owned(), 2),
        ("team=sales&country=DE".to_owned(), 1),
        (format!("number={number}"), 1),
        ("number=%2B4930".to_owned(), 0),
        ("type=internal".to_owned(), 4),
        ("type=external".to_owned(), 1),
        ("label=line".to_owned(), 1),
        ("label=100%25".to_owned(), 1),
        ("label=0%25%20o".to_owned(), 1),
        ("label=f_e".to_owned(), 1),
        ("label=B_rlin".to_owned(), 0),
        ("label=%25".to_owned(), 1),
        (format!("participant={second}"), 1),
        (format!("participant={owner}&orphan=false"), 3),
        ("orphan=true".to_owned(), 2),
    ] {
        // What the rent left out comes with the next look at Close.
        counted(&server, &format!("/v1/phone-numbers?{query}"), count).await;
    }
}

async fn pages_of_numbers_hold_each_number_once(database: Database) {
    let server = TestServer::new(database).await;
    let mut ids = Vec::new();
    for place in 0..7 {
        ids.push(server.rent(&ALICE, &format!("key-{place}"), "DE").await);
    }
    ids.sort();
    let mut seen = Vec::new();
    let mut path = "/v1/phone-numbers?country=DE&limit=3".to_owned();
    let mut pages = 0;
    loop {
        let page = server.get(&ALICE, &path).await.expect(200);
        seen.extend(
            page["data"]
                .as_array()
                .expect("a list has data")
                .iter()
                .map(|number| text(&number["id"])),
        );
        pages += 1;
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/phone-numbers?country=DE&limit=3&cursor={cursor}");
    }
    assert_eq!(pages, 3);
    seen.sort();
    assert_eq!(seen, ids);
    // A page that ends with the last row says so.
    let page = server.get(&ALICE, "/v1/phone-numbers?limit=7").await.expect(200);
    assert_eq!(page["next_cursor"], Value::Null);
}

async fn an_etag_spares_the_reader_what_did_not_change(database: Database) {
    let server = TestServer::with(database, often()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let path = format!("/v1/phone-numbers/{number}");
    // Settled: Close fills in what the rent left out.
    eventually("the inventory has the whole number", || async {
        shown(&server, &number).await["carrier_type"]
            .is_string()
            .then_some(())
    })
    .await;
    let first = server.get(&ALICE, &path).await;
    first.expect(200);
    let etag = first.header("etag").to_owned();
    assert!(
        etag.starts_with('"') && etag.ends_with('"') && etag.len() > 10,
        "{etag}"
    );
    for condition in [
        etag.clone(),
        format!("\"x\", {etag}"),
        format!("W/{etag}"),
        "*".to_owned(),
    ] {
        let again = send(
            server
                .request_as(&ALICE, "GET", &path)
                .header("If-None-Match", &condition),
        )
        .await;
        again.empty(304);
        assert_eq!(again.header("etag"), etag);
    }
    let other = send(
        server
            .request_as(&ALICE, "GET", &path)
            .header("If-None-Match", "\"other\""),
    )
    .await;
    other.expect(200);
    // Another team's reader is told nothing by a 304.
    send(
        server
            .request_as(&BOB, "GET", &path)
            .header("If-None-Match", &etag),
    )
    .await
    .problem(404, "not-found");
    server
        .patch(&ALICE, &number, &json!({ "label": "New" }))
        .await
        .expect(200);
    let changed = send(
        server
            .request_as(&ALICE, "GET", &path)
            .header("If-None-Match", &etag),
    )
    .await;
    assert_eq!(changed.expect(200)["label"], "New");
    assert_ne!(changed.header("etag"), etag);
}

//! Lists of numbers: filters, pages and entity tags.

use super::*;

on_both_stores! {
    each_filter_finds_the_numbers_that_match,
    the_pages_contain_each_number_once,
    a_matching_etag_is_304_without_a_body,
}

async fn each_filter_finds_the_numbers_that_match(database: Database) {
    let server = TestServer::with(database, frequent_sync()).await;
    server
        .close
        .person_rents(json!({ "country": "GB", "label": "100% off_er" }))
        .await;
    server
        .close
        .person_rents(json!({ "country": "FR", "type": "external", "label": "Other" }))
        .await;
    wait_for_count(&server, "/v1/phone-numbers", 2).await;
    let berlin = server.rent(&ALICE, "a", "DE").await;
    server
        .patch(&ALICE, &berlin, &json!({ "label": "Berlin line" }))
        .await
        .expect(200);
    let shared = json!({ "country": "US", "assign_to": [server.user(0), server.user(1)] });
    server.order(&LENA, "b", &shared).await.expect(201);
    server.rent(&BOB, "c", "DE").await;

    let number = text(&read_number(&server, &berlin).await["number"]).replace('+', "%2B");
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
        // The next sync adds the fields that the answer to a rent leaves out.
        wait_for_count(&server, &format!("/v1/phone-numbers?{query}"), count).await;
    }
}

async fn the_pages_contain_each_number_once(database: Database) {
    let server = TestServer::new(database).await;
    let mut ids = Vec::new();
    for index in 0..7 {
        ids.push(server.rent(&ALICE, &format!("key-{index}"), "DE").await);
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
    // A full page that ends with the last row has no next cursor.
    let page = server.get(&ALICE, "/v1/phone-numbers?limit=7").await.expect(200);
    assert_eq!(page["next_cursor"], Value::Null);
}

async fn a_matching_etag_is_304_without_a_body(database: Database) {
    let server = TestServer::with(database, frequent_sync()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let path = format!("/v1/phone-numbers/{number}");
    // The sync adds the fields that the answer to a rent leaves out.
    eventually("the inventory has every field of the number", || async {
        read_number(&server, &number).await["carrier_type"]
            .is_string()
            .then_some(())
    })
    .await;
    let first = server.get(&ALICE, &path).await;
    snapshot::assert_json("views/phone_number", &first.expect(200));
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
    // A 304 does not reveal the number to another team.
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

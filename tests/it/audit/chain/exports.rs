//! Exports of the audit trail and their verification without the desk.

use super::*;

on_both_stores! {
    an_export_holds_what_the_caller_may_see_and_verifies_without_the_desk,
    an_export_that_was_edited_is_found,
    an_export_that_was_reordered_or_cut_is_found,
    exports_and_checks_go_over_many_pages,
    an_export_that_fails_in_the_middle_ends_in_an_error_on_the_wire,
}

async fn an_export_holds_what_the_caller_may_see_and_verifies_without_the_desk(database: Database) {
    let mut server = TestServer::new(database).await;
    busy(&server).await;
    let answer = server.get(&OLGA, "/v1/audit/export").await;
    let (all, head) = (answer.text.clone(), answer.header("audit-head").to_owned());
    assert_eq!(rows(&all).len(), BUSY);
    // Row by row what the list says, and what makes the chain.
    let mut listed = server.list(&OLGA, "/v1/audit").await;
    listed.reverse();
    let mut before = "numberdesk-audit-1".to_owned();
    for (place, mut row) in rows(&all).into_iter().enumerate() {
        let mut take = |name: &str| {
            row.as_object_mut()
                .expect("an object")
                .remove(name)
                .expect("it is there")
        };
        assert_eq!(take("seq"), place + 1);
        assert_eq!(text(&take("prev")), before);
        before = text(&take("hash"));
        assert_eq!(
            row,
            listed.remove(
                listed
                    .iter()
                    .position(|other| *other == row)
                    .expect("the list has it")
            )
        );
    }
    assert_eq!(head, format!("{BUSY}:{before}"));

    let of = |export: &str| -> Vec<String> { rows(export).iter().map(|row| text(&row["team"])).collect() };
    let lenas = export(&server, &LENA, "").await;
    assert_eq!(of(&lenas), vec!["sales"; 7]);
    assert_eq!(export(&server, &DORA, "?team=sales").await, lenas);
    assert_eq!(export(&server, &OLGA, "?team=sales").await, lenas);
    assert_eq!(rows(&export(&server, &DORA, "").await).len(), BUSY);
    assert_eq!(export(&server, &DORA.of(&[]), "").await, "");
    let fifth = text(&rows(&all)[4]["at"]);
    let later = rows(&export(&server, &OLGA, &format!("?since={fifth}")).await);
    let earlier = rows(&export(&server, &OLGA, &format!("?until={fifth}")).await);
    assert_eq!([earlier, later].concat(), rows(&all));
    for query in [
        "?since=yesterday",
        "?limit=5",
        "?actor=x",
        "?team=a%20b",
        "?since=a&since=b",
    ] {
        let refused = server.get(&OLGA, &format!("/v1/audit/export{query}")).await;
        let pointer = text(&refused.problem(400, "invalid-request")["errors"][0]["pointer"]);
        assert!(pointer.starts_with("/query/"), "{query}: {pointer}");
    }
    let head_only = send(server.request_as(&OLGA, "HEAD", "/v1/audit/export")).await;
    assert_eq!((head_only.status, head_only.text.as_str()), (200, ""));
    server.stop().await;

    let folder = tempfile::tempdir().expect("a folder can be made");
    let file =
        |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("it can be written");
    file("all.ndjson", &all);
    file("lenas.ndjson", &lenas);
    file("none.ndjson", "");
    let said = holds(folder.path(), &["--export", "all.ndjson", "--head", &head]).await;
    assert!(
        said.contains(&format!("rows      {BUSY}, from 1 to {BUSY}: all valid")),
        "{said}"
    );
    holds(folder.path(), &["--export", "all.ndjson", "--subset"]).await;
    holds(folder.path(), &["--export", "none.ndjson"]).await;
    breaks(folder.path(), &["--export", "lenas.ndjson"], &["missing"]).await;
    let said = holds(folder.path(), &["--export", "lenas.ndjson", "--subset"]).await;
    assert!(said.contains("rows      7, from 1 to"), "{said}");
    // A head that is not among the rows can't be checked, and that is said.
    breaks(
        folder.path(),
        &["--export", "none.ndjson", "--subset", "--head", &head],
        &["row 11: not among"],
    )
    .await;
    breaks(
        folder.path(),
        &["--export", "none.ndjson", "--head", &head],
        &["cut off after row 0"],
    )
    .await;
    breaks(
        folder.path(),
        &["--export", "missing.ndjson"],
        &["missing.ndjson can't be read"],
    )
    .await;
    assert_eq!(verify(folder.path(), &["--subset"]).await.code, 2);
}

async fn an_export_that_was_edited_is_found(database: Database) {
    let (_, all) = sealed(database).await;
    let lines: Vec<&str> = all.split_inclusive('\n').collect();
    let named = |seq: usize| format!("row {seq} ({})", text(&rows(&all)[seq - 1]["id"]));
    let edited = |seq: usize, from: &str, to: &str| {
        let line = lines[seq - 1].replacen(from, to, 1);
        assert_ne!(line, lines[seq - 1], "row {seq} has no {from}");
        [&lines[..seq - 1], &[&line], &lines[seq..]].concat().concat()
    };
    let no_row = || "export.ndjson:5: not a row of an export".to_owned();
    let mut texts = vec![
        (
            edited(5, "\"prev\":\"", "\"prev\":\"x"),
            true,
            format!("{}: changed: its `prev`", named(5)),
        ),
        (edited(5, "\"hash\":\"", "\"hash\":\"x"), false, named(5)),
        (
            edited(5, "\"seq\":5", "\"seq\":50"),
            true,
            "row 5: missing, and all up to row 49".to_owned(),
        ),
        (edited(5, "\"team\":", "\"taem\":"), false, no_row()),
        (edited(5, "\"seq\":5,", "\"seq\":5,\"seq\":5,"), false, no_row()),
        (edited(5, "\"at\":\"", "\"at\":\"x"), false, no_row()),
    ];
    for (seq, from, to) in [
        (5, "\"outcome\":\"", "\"outcome\":\"x"),
        (5, "\"at\":\"2", "\"at\":\"1"),
        (5, "\"subject\":\"", "\"subject\":\"x"),
        (4, "\"allowed\":true", "\"allowed\":false"),
        // The same JSON, in another text.
        (4, "\"detail\":{", "\"detail\":{ "),
    ] {
        texts.push((edited(seq, from, to), false, format!("{}: changed", named(seq))));
    }
    all_break(&format!("{BUSY}:{}", text(&rows(&all)[BUSY - 1]["hash"])), texts).await;
}

async fn an_export_that_was_reordered_or_cut_is_found(database: Database) {
    let (_, all) = sealed(database).await;
    let lines: Vec<&str> = all.split_inclusive('\n').collect();
    let named = |seq: usize| format!("row {seq} ({})", text(&rows(&all)[seq - 1]["id"]));
    let swapped = [&lines[..3], &[lines[4], lines[3]], &lines[5..]]
        .concat()
        .concat();
    let out_of_order = format!("{}: out of order: it comes after row 5", named(4));
    let texts = vec![
        (
            [&lines[..4], &lines[5..]].concat().concat(),
            true,
            "row 5: missing: row 4 is followed by row 6".to_owned(),
        ),
        (swapped.clone(), true, out_of_order.clone()),
        (swapped, false, out_of_order),
        (
            [&lines[..5], &lines[4..]].concat().concat(),
            false,
            format!("{}: repeated", named(5)),
        ),
        (lines[1..].concat(), true, "row 1: missing".to_owned()),
        (
            lines[..8].concat(),
            true,
            "row 9: missing: the tail is cut off after row 8".to_owned(),
        ),
        (
            all[..all.len() - 1].to_owned(),
            false,
            "export.ndjson:11: the line has no line break: the export is cut off".to_owned(),
        ),
        (all[..all.len() - 20].to_owned(), false, "cut off".to_owned()),
        (
            "{}\n".to_owned(),
            false,
            "export.ndjson:1: not a row of an export: missing field".to_owned(),
        ),
        (
            "\u{0}\n".to_owned(),
            false,
            "export.ndjson:1: not a row of an export".to_owned(),
        ),
    ];
    all_break(&format!("{BUSY}:{}", text(&rows(&all)[BUSY - 1]["hash"])), texts).await;
}

async fn exports_and_checks_go_over_many_pages(database: Database) {
    let mut server = TestServer::new(database.clone()).await;
    many(&database, 2_345).await;
    let all = export(&server, &OLGA, "").await;
    assert_eq!(rows(&all).len(), 2_345);
    assert!(
        all.contains(r#""detail":{"z":1.10,"a":[2345,1e2]}"#),
        "detail is as it is stored"
    );
    assert_eq!(export(&server, &LENA, "").await, "");
    let said = holds(server.folder.path(), &[]).await;
    assert!(said.contains("2345, from 1 to 2345: all valid"), "{said}");
    server.stop().await;
    database
        .change("UPDATE audit SET outcome = 'x' WHERE seq = 2001")
        .await;
    breaks(server.folder.path(), &[], &["row 2001 (aud_1002001)"]).await;
}

async fn an_export_that_fails_in_the_middle_ends_in_an_error_on_the_wire(database: Database) {
    let server = TestServer::new(database.clone()).await;
    many(&database, 1_200).await;
    export(&server, &OLGA, "").await;
    database
        .change("UPDATE audit SET detail = '{' WHERE seq = 1100")
        .await;
    let response = server
        .request_as(&OLGA, "GET", "/v1/audit/export")
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), StatusCode::OK, "the fault is further on");
    response.bytes().await.expect_err("the connection breaks off");
    // Byte by byte: rows have come, and no last chunk.
    let mut stream = TcpStream::connect(raw::address(&server))
        .await
        .expect("the desk listens");
    let request = format!(
        "GET /v1/audit/export HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {}\r\n\r\n",
        server.token(&OLGA)
    );
    stream
        .write_all(request.as_bytes())
        .await
        .expect("a request can be written");
    let said = raw::to_the_end(&mut stream).await;
    assert!(
        said.contains("\"seq\":1000,") && !said.contains("\"seq\":1100,"),
        "half of it was sent"
    );
    assert!(!said.ends_with("0\r\n\r\n"), "it looks complete");
    server.get(&OLGA, "/v1/me").await.expect(200);
}

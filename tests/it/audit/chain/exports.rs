//! Exports of the audit trail, and their verification without the service.

use reqwest::StatusCode;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::*;
use crate::support::personas::DORA;
use crate::support::raw;
use crate::support::server::send;

on_both_stores! {
    an_export_has_the_rows_of_the_caller_and_verifies_offline,
    an_edited_export_fails_verification,
    a_reordered_or_truncated_export_fails_verification,
    exports_and_verification_span_many_pages,
    an_export_that_fails_midway_ends_with_a_broken_connection,
}

/// Asserts that each text fails the verification with its message: `whole` with the noted head, others as a subset.
async fn assert_all_broken(head: &str, texts: Vec<(String, bool, String)>) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for (text, whole, expected) in texts {
        std::fs::write(folder.path().join("export.ndjson"), text).expect("the export can be written");
        let more: &[&str] = if whole { &["--head", head] } else { &["--subset"] };
        assert_broken(
            folder.path(),
            &[&["--export", "export.ndjson"], more].concat(),
            &[&expected],
        )
        .await;
    }
}

async fn an_export_has_the_rows_of_the_caller_and_verifies_offline(database: Database) {
    let mut server = TestServer::new(database).await;
    create_orders(&server).await;
    let response = server.get(&OLGA, "/v1/audit/export").await;
    let (all, head) = (response.text.clone(), response.header("audit-head").to_owned());
    assert_eq!(rows(&all).len(), ROW_COUNT);
    // Each row has the fields of the list, and the fields of the chain.
    let mut listed = server.list(&OLGA, "/v1/audit").await;
    listed.reverse();
    let mut previous_hash = "numberdesk-audit-1".to_owned();
    for (place, mut row) in rows(&all).into_iter().enumerate() {
        let mut take = |name: &str| {
            row.as_object_mut()
                .expect("an object")
                .remove(name)
                .expect("the row has the field")
        };
        assert_eq!(take("seq"), place + 1);
        assert_eq!(text(&take("prev")), previous_hash);
        previous_hash = text(&take("hash"));
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
    assert_eq!(head, format!("{ROW_COUNT}:{previous_hash}"));

    let teams_in =
        |export: &str| -> Vec<String> { rows(export).iter().map(|row| text(&row["team"])).collect() };
    let sales_export = export(&server, &LENA, "").await;
    assert_eq!(teams_in(&sales_export), vec!["sales"; 7]);
    assert_eq!(export(&server, &DORA, "?team=sales").await, sales_export);
    assert_eq!(export(&server, &OLGA, "?team=sales").await, sales_export);
    assert_eq!(rows(&export(&server, &DORA, "").await).len(), ROW_COUNT);
    assert_eq!(export(&server, &DORA.of(&[]), "").await, "");
    let fifth_time = text(&rows(&all)[4]["at"]);
    let later = rows(&export(&server, &OLGA, &format!("?since={fifth_time}")).await);
    let earlier = rows(&export(&server, &OLGA, &format!("?until={fifth_time}")).await);
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
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("the export can be written");
    };
    write("all.ndjson", &all);
    write("sales.ndjson", &sales_export);
    write("none.ndjson", "");
    let output = assert_intact(folder.path(), &["--export", "all.ndjson", "--head", &head]).await;
    assert!(
        output.contains(&format!(
            "rows      {ROW_COUNT}, from 1 to {ROW_COUNT}: all valid"
        )),
        "{output}"
    );
    assert_intact(folder.path(), &["--export", "all.ndjson", "--subset"]).await;
    assert_intact(folder.path(), &["--export", "none.ndjson"]).await;
    assert_broken(folder.path(), &["--export", "sales.ndjson"], &["missing"]).await;
    let output = assert_intact(folder.path(), &["--export", "sales.ndjson", "--subset"]).await;
    assert!(output.contains("rows      7, from 1 to"), "{output}");
    // A head that is not among the rows can't be checked, which is an error.
    assert_broken(
        folder.path(),
        &["--export", "none.ndjson", "--subset", "--head", &head],
        &["row 11: not among"],
    )
    .await;
    assert_broken(
        folder.path(),
        &["--export", "none.ndjson", "--head", &head],
        &["cut off after row 0"],
    )
    .await;
    assert_broken(
        folder.path(),
        &["--export", "missing.ndjson"],
        &["missing.ndjson can't be read"],
    )
    .await;
    assert_eq!(verify(folder.path(), &["--subset"]).await.code, 2);
}

async fn an_edited_export_fails_verification(database: Database) {
    let (_, all) = chained(database).await;
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
        // Equal JSON with another spelling.
        (4, "\"detail\":{", "\"detail\":{ "),
    ] {
        texts.push((edited(seq, from, to), false, format!("{}: changed", named(seq))));
    }
    assert_all_broken(
        &format!("{ROW_COUNT}:{}", text(&rows(&all)[ROW_COUNT - 1]["hash"])),
        texts,
    )
    .await;
}

async fn a_reordered_or_truncated_export_fails_verification(database: Database) {
    let (_, all) = chained(database).await;
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
    assert_all_broken(
        &format!("{ROW_COUNT}:{}", text(&rows(&all)[ROW_COUNT - 1]["hash"])),
        texts,
    )
    .await;
}

async fn exports_and_verification_span_many_pages(database: Database) {
    let mut server = TestServer::new(database.clone()).await;
    insert_rows(&database, 2_345).await;
    let all = export(&server, &OLGA, "").await;
    assert_eq!(rows(&all).len(), 2_345);
    assert!(
        all.contains(r#""detail":{"z":1.10,"a":[2345,1e2]}"#),
        "detail differs from the stored text"
    );
    assert_eq!(export(&server, &LENA, "").await, "");
    let output = assert_intact(server.folder.path(), &[]).await;
    assert!(output.contains("2345, from 1 to 2345: all valid"), "{output}");
    server.stop().await;
    database
        .execute("UPDATE audit SET outcome = 'x' WHERE seq = 2001")
        .await;
    assert_broken(server.folder.path(), &[], &["row 2001 (aud_1002001)"]).await;
}

async fn an_export_that_fails_midway_ends_with_a_broken_connection(database: Database) {
    let server = TestServer::new(database.clone()).await;
    insert_rows(&database, 1_200).await;
    export(&server, &OLGA, "").await;
    database
        .execute("UPDATE audit SET detail = '{' WHERE seq = 1100")
        .await;
    let response = server
        .request_as(&OLGA, "GET", "/v1/audit/export")
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), StatusCode::OK, "the fault is in a later row");
    response
        .bytes()
        .await
        .expect_err("the connection is closed before the end of the body");
    // The raw bytes have rows, but not the last chunk. Rows that the client has not taken yet may be missing.
    let mut stream = TcpStream::connect(raw::address(&server))
        .await
        .expect("the server listens");
    let request = format!(
        "GET /v1/audit/export HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {}\r\n\r\n",
        server.token(&OLGA)
    );
    stream
        .write_all(request.as_bytes())
        .await
        .expect("a request can be written");
    let output = raw::read_until_closed(&mut stream).await;
    assert!(
        output.contains("\"seq\":1,") && !output.contains("\"seq\":1100,"),
        "the response does not end before row 1100"
    );
    assert!(!output.ends_with("0\r\n\r\n"), "the response has a last chunk");
    server.get(&OLGA, "/v1/me").await.expect(200);
}

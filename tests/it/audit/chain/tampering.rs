//! Changes that an administrator makes in the database: columns, rows and the tail of the chain.

use super::*;

on_both_stores! {
    a_change_of_any_column_is_found_and_the_row_named,
    deleted_inserted_and_swapped_rows_are_found,
    a_truncated_tail_is_found_by_the_stored_head_or_by_a_noted_one,
}

async fn a_change_of_any_column_is_found_and_the_row_named(database: Database) {
    let (server, export) = chained(database.clone()).await;
    let folder = server.folder.path();
    assert_intact(folder, &[]).await;
    database.execute("CREATE TABLE kept AS SELECT * FROM audit").await;
    let row_five = format!("row 5 ({})", text(&rows(&export)[4]["id"]));
    for (column, value) in [
        ("at", "at + 1"),
        ("issuer", "issuer || ' '"),
        ("subject", "'mallory'"),
        ("team", "'other'"),
        ("team", "NULL"),
        ("action", "'order.cancel'"),
        ("allowed", "1 - COALESCE(allowed, 0)"),
        ("rule", "COALESCE(rule, '') || 'x'"),
        ("order_id", "COALESCE(order_id, '') || 'x'"),
        ("phone_number_id", "COALESCE(phone_number_id, '') || 'x'"),
        ("outcome", "'refused'"),
        ("detail", "detail || ' '"),
        ("detail", "'null '"),
        ("request_id", "COALESCE(request_id, '') || 'x'"),
        ("hash", "REPLACE(hash, SUBSTR(hash, 1, 1), 'x')"),
        ("hash", "NULL"),
    ] {
        database
            .execute(&format!("UPDATE audit SET {column} = {value} WHERE seq = 5"))
            .await;
        assert_broken(folder, &[], &["broken", &row_five]).await;
        restore(&database).await;
    }
    // The id is a column too.
    database
        .execute("UPDATE audit SET id = 'aud_other' WHERE seq = 5")
        .await;
    assert_broken(folder, &[], &["row 5 (aud_other)"]).await;
    restore(&database).await;
    // A new hash for the row does not help, because the next row contains the old one.
    let sql = "UPDATE audit SET outcome = 'x', hash = (SELECT hash FROM audit WHERE seq = 6) WHERE seq = 5";
    database.execute("DROP INDEX audit_in_the_chain").await;
    database.execute(sql).await;
    assert_broken(folder, &[], &["row 5 ("]).await;
    restore(&database).await;
    assert_intact(folder, &[]).await;
}

/// Restores all rows, but not the head.
async fn restore(database: &Database) {
    database
        .execute("DELETE FROM audit; INSERT INTO audit SELECT * FROM kept")
        .await;
}

async fn deleted_inserted_and_swapped_rows_are_found(database: Database) {
    let (server, export) = chained(database.clone()).await;
    let folder = server.folder.path();
    let id = |seq: usize| text(&rows(&export)[seq - 1]["id"]);
    database.execute("CREATE TABLE kept AS SELECT * FROM audit").await;
    let columns = "issuer, subject, team, action, allowed, rule, order_id, phone_number_id, outcome, detail, request_id";
    let insert = |seq: &str| {
        format!(
            "INSERT INTO audit (id, at, {columns}, seq, hash) SELECT 'aud_new', at, {columns}, {seq}, hash FROM audit WHERE seq = 4"
        )
    };
    for (statements, expected) in [
        ("DELETE FROM audit WHERE seq = 4".to_owned(), "row 4: missing: row 3 is followed by row 5".to_owned()),
        ("DELETE FROM audit WHERE seq IN (4, 5)".to_owned(), "row 4: missing, and all up to row 5".to_owned()),
        ("DELETE FROM audit WHERE seq = 1".to_owned(), "row 1: missing".to_owned()),
        ("UPDATE audit SET seq = NULL, hash = NULL WHERE seq = 4".to_owned(), "row 4: missing".to_owned()),
        (
            "UPDATE audit SET seq = -seq WHERE seq IN (4, 5); UPDATE audit SET seq = 9 + seq WHERE seq < 0".to_owned(),
            format!("row 4 ({}): changed", id(5)),
        ),
        (
            "UPDATE audit SET seq = seq + 1000 WHERE seq >= 4; UPDATE audit SET seq = seq - 999 WHERE seq > 1000; \
             UPDATE audit_head SET seq = seq + 1; ".to_owned() + &insert("4").replace("seq = 4", "seq = 5"),
            "row 4 (aud_new): changed".to_owned(),
        ),
        (insert("12"), "row 12 (aud_new): changed: the head is at row 11".to_owned()),
        (insert("-1"), "row -1 (aud_new): out of order".to_owned()),
        (format!("DROP INDEX audit_in_the_chain; {}", insert("4")), "row 4 (aud_new): repeated".to_owned()),
        ("UPDATE audit_head SET seq = 10".to_owned(), "row 10: changed: its hash is not that of the head".to_owned()),
        ("DELETE FROM audit_head".to_owned(), "the head of the audit chain is missing from the database".to_owned()),
    ] {
        database.execute(&statements).await;
        assert_broken(folder, &[], &[&expected]).await;
        restore(&database).await;
        let head = text(&rows(&export)[ROW_COUNT - 1]["hash"]);
        database
            .execute(&format!("DELETE FROM audit_head; INSERT INTO audit_head VALUES (1, {ROW_COUNT}, '{head}')"))
            .await;
        assert_intact(folder, &[]).await;
    }
}

async fn a_truncated_tail_is_found_by_the_stored_head_or_by_a_noted_one(database: Database) {
    let (server, export) = chained(database.clone()).await;
    let folder = server.folder.path();
    let hash = |seq: usize| text(&rows(&export)[seq - 1]["hash"]);
    let noted = format!("{ROW_COUNT}:{}", hash(ROW_COUNT));
    assert_intact(folder, &["--head", &noted, "--head", &format!("3:{}", hash(3))]).await;
    assert_broken(
        folder,
        &["--head", &format!("3:{}", hash(4))],
        &["row 3 (", "not that of the head 3:"],
    )
    .await;

    database.execute("DELETE FROM audit WHERE seq > 8").await;
    snapshot::assert_output("cli/audit_verify_truncated", &verify(folder, &[]).await);
    database
        .execute(&format!("UPDATE audit_head SET seq = 8, hash = '{}'", hash(8)))
        .await;
    // Now the database alone does not show the truncation.
    assert_intact(folder, &[]).await;
    assert_broken(
        folder,
        &["--head", &noted],
        &["row 9: missing: the tail is cut off after row 8"],
    )
    .await;
    // After new rows, the chain is intact again, but it no longer contains the noted head.
    let mut server = server;
    server.start().await;
    // Each time only the two refusals leave rows, because the orders repeat their idempotency keys.
    create_orders(&server).await;
    create_orders(&server).await;
    self::export(&server, &OLGA, "").await;
    assert_intact(server.folder.path(), &[]).await;
    assert_broken(
        server.folder.path(),
        &["--head", &noted],
        &["row 11 (", "not that of the head"],
    )
    .await;
    for head in ["11", "x:y", "1:numberdesk-audit-1"] {
        let refused = verify(server.folder.path(), &["--head", head]).await;
        assert!(
            refused.code == 2 && refused.stderr.contains("SEQ:HASH"),
            "{refused:?}"
        );
    }
}

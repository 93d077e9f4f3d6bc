//! Signatures of webhooks from Close.

use super::*;

on_both_stores! {
    a_delivery_without_a_valid_signature_is_refused_and_changes_nothing,
    a_signature_is_accepted_for_as_long_as_close_retries,
}

async fn a_delivery_without_a_valid_signature_is_refused_and_changes_nothing(database: Database) {
    let server = TestServer::new(database.clone()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let body = delivery(&event("1", "updated", &number));
    let time = now().to_string();
    let good = signature(&key(), &time, &body);
    // A signature by the hexadecimal text of the key instead of its bytes.
    let by_text = signature(crate::support::server::WEBHOOK_KEY.as_bytes(), &time, &body);
    let other_key = signature(&[7; 32], &time, &body);
    let other_time = signature(&key(), &(now() - 1).to_string(), &body);
    let other_body = signature(&key(), &time, &format!("{body} "));
    let future = (now() + 400).to_string();
    let future_signature = signature(&key(), &future, &body);
    let (hash, timestamp) = ("close-sig-hash", "close-sig-timestamp");
    let upper = good.to_uppercase();
    let forged: Vec<Vec<(&str, &str)>> = vec![
        vec![],
        vec![(hash, &good)],
        vec![(timestamp, &time)],
        vec![(hash, ""), (timestamp, &time)],
        vec![(hash, &good[..62]), (timestamp, &time)],
        vec![(hash, &upper), (timestamp, &time)],
        vec![(hash, &by_text), (timestamp, &time)],
        vec![(hash, &other_key), (timestamp, &time)],
        vec![(hash, &other_time), (timestamp, &time)],
        vec![(hash, &other_body), (timestamp, &time)],
        vec![(hash, &future_signature), (timestamp, &future)],
        vec![(hash, &good), (timestamp, "")],
        vec![(hash, &good), (timestamp, "1e9")],
        vec![(hash, &good), (timestamp, "-1")],
        vec![(hash, &good), (hash, &good), (timestamp, &time)],
        vec![(hash, &good), (timestamp, &time), ("content-encoding", "gzip")],
    ];
    for headers in &forged {
        deliver_with(&server, headers, &body)
            .await
            .problem(401, "not-from-close");
    }
    // The same event with its members in another order is another body, so its signature is invalid.
    let parsed: Value = serde_json::from_str(&body).unwrap();
    let reordered = format!("{{\"event\":{},\"subscription_id\":\"x\"}}", parsed["event"]);
    deliver_with(&server, &[(hash, &good), (timestamp, &time)], &reordered)
        .await
        .problem(401, "not-from-close");
    assert_eq!(database.query_integer("SELECT COUNT(*) FROM inbox").await, 0);
    assert_eq!(
        (open_refetch_jobs(&database).await, refetch_count(&server).await),
        (0, 0)
    );
    // The valid signature is accepted.
    assert_eq!(
        deliver_with(&server, &[(hash, &good), (timestamp, &time)], &body)
            .await
            .status,
        204
    );
    let large = "x".repeat(300_000);
    deliver_with(&server, &[(hash, &good), (timestamp, &time)], &large)
        .await
        .problem(413, "body-too-large");
}

async fn a_signature_is_accepted_for_as_long_as_close_retries(database: Database) {
    let server = TestServer::new(database.clone()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let hour = 3_600;
    for (index, (age, status)) in [
        (0, 204),
        (71 * hour, 204),
        (73 * hour, 401),
        (-240, 204),
        (-600, 401),
    ]
    .into_iter()
    .enumerate()
    {
        let body = delivery(&event(&format!("{index}"), "updated", &number));
        let answer = deliver_at(&server, now() - age, &body).await;
        assert_eq!(answer.status, status, "{age} s old: {answer}");
    }
    assert_eq!(database.query_integer("SELECT COUNT(*) FROM inbox").await, 3);
}

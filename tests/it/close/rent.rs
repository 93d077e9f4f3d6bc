//! The rent, which costs money: one POST whatever happens, and an outcome is reported only if it is certain.

use std::time::{Duration, Instant};

use futures::future::join_all;
use numberdesk::close::{CloseClient, ReleaseOutcome, RentOutcome};
use tokio::net::TcpListener;

use super::vendor::{Act, Vendor, answer, respond};
use super::{close, close_at, close_with, id, number, rent};

#[tokio::test]
async fn a_rent_is_one_post_and_keeps_every_field_of_the_answer() {
    let vendor = Vendor::start(vec![respond(201, number("phon_A").to_string())]).await;
    let RentOutcome::Rented(facts) = rent(&close(&vendor)).await else {
        panic!("not rented")
    };
    assert_eq!(
        (facts.id.as_str(), facts.number.as_str()),
        ("phon_A", "+493012345")
    );
    assert_eq!(facts.object.members()["organization_id"], "orga_A");
    let requests = vendor.received();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].line(), "POST /api/v1/phone_number/request/internal/");
    assert_eq!(
        requests[0].body, r#"{"country":"DE","prefix":"30"}"#,
        "a personal number is Close's default, so the retired field is not sent"
    );
}

#[tokio::test]
async fn a_rent_sends_only_the_needed_headers() {
    let vendor = Vendor::start(vec![respond(201, number("phon_A").to_string())]).await;
    rent(&close(&vendor)).await;
    let head = vendor.received()[0].head.clone();
    let mut names: Vec<&str> = head
        .lines()
        .skip(1)
        .map(|line| line.split_once(':').unwrap().0)
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept",
            "authorization",
            "content-length",
            "content-type",
            "host",
            "user-agent"
        ]
    );
}

/// The deadline of the calls in this file that run at the same time. Many of them reach it.
const DEADLINE: Duration = Duration::from_secs(3);

/// Answers that do not prove the outcome of a call, each with a name.
fn inconclusive() -> Vec<(&'static str, Act)> {
    let full = number("phon_A").to_string();
    let chunked =
        |body: &str| format!("HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n{body}").into_bytes();
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\xae\x05\x00\x43\xbf\xa6\xa3\x02\x00\x00\x00";
    let duplicate = r#"{"id":"phon_A","id":"phon_B","number":"+1"}"#;
    let tick = Duration::from_millis(20);
    vec![
        ("reset before headers", Act::Reset(Vec::new())),
        ("closed before headers", Act::Close(Vec::new())),
        ("reset in the headers", Act::Reset(b"HTTP/1.1 201 Crea".to_vec())),
        (
            "reset in the body",
            Act::Reset(answer(201, "", &full)[..120].to_vec()),
        ),
        (
            "closed in the body",
            Act::Close(answer(201, "", &full)[..120].to_vec()),
        ),
        ("reset in a chunk", Act::Reset(chunked("10\r\n{\"id\""))),
        ("chunks of nonsense", Act::Close(chunked("zz\r\nxx"))),
        ("no answer", Act::Hang(Vec::new())),
        (
            "no end of the body",
            Act::Hang(answer(201, "", &full)[..120].to_vec()),
        ),
        (
            "a slow drip of headers",
            Act::Endless(b"HTTP/1.1 201 Created\r\n".to_vec(), b"x: y\r\n".to_vec(), tick),
        ),
        (
            "a slow drip of body",
            Act::Endless(chunked(""), b"1\r\n \r\n".to_vec(), tick),
        ),
        (
            "an endless body",
            Act::Endless(
                chunked(""),
                [b"10000\r\n", &[b' '; 65536][..], b"\r\n"].concat(),
                Duration::ZERO,
            ),
        ),
        ("a huge body", Act::Close(answer(201, "", vec![b' '; 2 << 20]))),
        (
            "a huge announced length",
            Act::Hang(b"HTTP/1.1 201 Created\r\ncontent-length: 99999999999\r\n\r\n{".to_vec()),
        ),
        ("200 with nothing", respond(200, "")),
        ("201 with nothing", respond(201, "")),
        ("201 with HTML", respond(201, "<html>")),
        ("201 without a number", respond(201, r#"{"id":"phon_A"}"#)),
        (
            "201 with an invalid id",
            respond(201, r#"{"id":"phon_../me","number":"+1"}"#),
        ),
        ("201 with a list", respond(201, format!("[{full}]"))),
        ("201 with half an object", respond(201, &full[..40])),
        ("201 with a duplicate member", respond(201, duplicate)),
        (
            "201 that is not UTF-8",
            respond(201, b"{\"id\":\"phon_A\",\"number\":\"\xff\"}"),
        ),
        ("201 nested too deeply", respond(201, "[".repeat(100_000))),
        (
            "201 compressed unasked",
            Act::Respond(answer(201, "content-encoding: gzip\r\n", gzip)),
        ),
        ("202", respond(202, &full)),
        ("204", Act::Respond(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())),
        (
            "301",
            Act::Respond(answer(301, "location: /elsewhere/\r\n", "{\"error\":\"moved\"}")),
        ),
        ("307", Act::Respond(answer(307, "location: /again/\r\n", ""))),
        ("400 with HTML", respond(400, "<html>")),
        ("400 with nothing", respond(400, "")),
        ("403 of a gateway", respond(403, r#"{"message":"Forbidden"}"#)),
        ("408", respond(408, r#"{"error":"timeout"}"#)),
        ("500", respond(500, r#"{"status":"error","error":"x"}"#)),
        ("502", respond(502, "<html>")),
        ("503", respond(503, "")),
        ("504", respond(504, "")),
        ("not HTTP at all", Act::Close(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec())),
        (
            "two lengths",
            Act::Close(b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\ncontent-length: 9\r\n\r\n{}".to_vec()),
        ),
        (
            "a thousand headers",
            Act::Close(format!("HTTP/1.1 201 Created\r\n{}\r\n", "x: y\r\n".repeat(1_000)).into_bytes()),
        ),
    ]
}

/// Starts a vendor and a client for each inconclusive answer whose name `filter` accepts.
///
/// They exist before the first call, because creating a client takes time that must not count against a deadline.
async fn prepare(
    deadline: Duration,
    filter: impl Fn(&str) -> bool,
) -> Vec<(&'static str, Vendor, CloseClient)> {
    let mut prepared = Vec::new();
    for (name, act) in inconclusive().into_iter().filter(|(name, _)| filter(name)) {
        let vendor = Vendor::start(vec![act]).await;
        let close = close_with(&vendor, deadline);
        prepared.push((name, vendor, close));
    }
    prepared
}

#[tokio::test]
async fn an_inconclusive_answer_leaves_a_rent_unknown_after_exactly_one_post() {
    let calls = prepare(DEADLINE, |_| true)
        .await
        .into_iter()
        .map(|(name, vendor, close)| async move {
            let started = Instant::now();
            let outcome = rent(&close).await;
            assert!(
                matches!(outcome, RentOutcome::Unknown { .. }),
                "{name}: {outcome:?}"
            );
            // The deadline ended the call. The rest is for a busy machine.
            assert!(started.elapsed() < DEADLINE * 5, "{name}");
            assert_eq!(vendor.count("POST"), 1, "{name}");
            assert_eq!(vendor.connections(), 1, "{name}");
        });
    join_all(calls).await;
}

#[tokio::test]
async fn an_inconclusive_answer_leaves_a_release_unknown_after_exactly_one_delete() {
    // An empty or JSON 2xx confirms a release.
    let is_success = |name: &str| {
        let json = ["nothing", "without a number", "an invalid id", "a list"];
        ["202", "204"].contains(&name) || name.starts_with("20") && json.iter().any(|end| name.ends_with(end))
    };
    let calls = prepare(DEADLINE, |name| !is_success(name)).await.into_iter().map(
        |(name, vendor, close)| async move {
            let outcome = close.release(&id("phon_A")).await;
            assert!(
                matches!(outcome, ReleaseOutcome::Unknown { .. }),
                "{name}: {outcome:?}"
            );
            assert_eq!(vendor.count("DELETE"), 1, "{name}");
        },
    );
    join_all(calls).await;
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_cut_off_before_the_deadline() {
    for name in ["an endless body", "a huge body", "a huge announced length"] {
        let deadline = Duration::from_secs(30);
        let mut prepared = prepare(deadline, |answer| answer == name).await;
        let (_, _vendor, close) = prepared.pop().unwrap();
        let started = Instant::now();
        let reason = "the answer was larger than 1048576 bytes (201)".to_owned();
        assert_eq!(rent(&close).await, RentOutcome::Unknown { reason }, "{name}");
        assert!(started.elapsed() < deadline, "{name}");
    }
}

#[tokio::test]
async fn an_error_in_close_s_format_is_a_refusal() {
    for (status, body, expected_status, forbidden) in [
        (
            400,
            r#"{"status":"has-voice-only"}"#,
            Some("has-voice-only"),
            false,
        ),
        (402, r#"{"status":"billing-error"}"#, Some("billing-error"), false),
        (403, r#"{"error":"not allowed"}"#, None, true),
        (404, r#"{"error":"no such path"}"#, None, false),
        (
            400,
            r#"{"errors":[],"field-errors":{"country":"Field required"}}"#,
            None,
            false,
        ),
    ] {
        let vendor = Vendor::start(vec![respond(status, body)]).await;
        let RentOutcome::Refused {
            close_status,
            close_errors,
            forbidden: is_forbidden,
            ..
        } = rent(&close(&vendor)).await
        else {
            panic!("{body}")
        };
        assert_eq!(
            (close_status.as_deref(), is_forbidden),
            (expected_status, forbidden),
            "{body}"
        );
        assert_eq!(close_errors.is_some(), body.contains("field-errors"), "{body}");
        assert_eq!(vendor.count("POST"), 1);
    }
}

#[tokio::test]
async fn a_401_and_a_429_are_conclusive_even_without_the_end_of_their_body() {
    let head = |status: u16| {
        format!("HTTP/1.1 {status} No\r\nretry-after: 60\r\ncontent-length: 99\r\n\r\n{{").into_bytes()
    };
    for end in [Act::Hang, Act::Reset, Act::Close] {
        let vendor = Vendor::start(vec![end(head(401))]).await;
        assert_eq!(rent(&close(&vendor)).await, RentOutcome::Unauthorized);
        let vendor = Vendor::start(vec![end(head(429))]).await;
        assert!(matches!(
            rent(&close(&vendor)).await,
            RentOutcome::RateLimited { .. }
        ));
    }
}

#[tokio::test]
async fn only_a_connection_that_was_never_made_counts_as_not_sent() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let timeout = Duration::from_secs(2);
    let reason = "the connection was refused".to_owned();
    let refused = close_at(&format!("http://{address}/api/v1"), timeout);
    assert_eq!(rent(&refused).await, RentOutcome::NotSent { reason });
    let unknown_host = close_at("http://no-such-host.invalid/", timeout);
    for close in [refused, unknown_host] {
        assert!(matches!(rent(&close).await, RentOutcome::NotSent { .. }));
        let outcome = close.release(&id("phon_A")).await;
        assert!(matches!(outcome, ReleaseOutcome::NotSent { .. }));
    }
    // The vendor does not speak TLS, so the handshake fails before a request exists.
    let vendor = Vendor::start(vec![respond(201, number("phon_A").to_string())]).await;
    let tls = close_at(
        &format!("https://{}/", vendor.address),
        Duration::from_millis(900),
    );
    let outcome = rent(&tls).await;
    assert!(matches!(outcome, RentOutcome::NotSent { .. }), "{outcome:?}");
    assert_eq!(vendor.count("POST"), 0);
}

#[tokio::test]
async fn each_rent_uses_a_new_connection() {
    let me = r#"{"id":"user_A"}"#;
    let full = number("phon_A").to_string();
    let vendor = Vendor::start(vec![
        respond(200, me),
        respond(201, &full),
        respond(201, &full),
        respond(200, me),
    ])
    .await;
    let close = close(&vendor);
    close.me().await.unwrap();
    rent(&close).await;
    rent(&close).await;
    close.me().await.unwrap();
    let connections: Vec<usize> = vendor
        .received()
        .iter()
        .map(|request| request.connection)
        .collect();
    // The two reads share the first connection. It was open, but no rent used it.
    assert_eq!(connections, [0, 1, 2, 0]);
}

#[tokio::test]
async fn a_rent_is_not_repeated_after_the_vendor_closed_a_kept_connection() {
    let me = r#"{"id":"user_A"}"#;
    let vendor = Vendor::start(vec![respond(200, me), Act::Reset(Vec::new())]).await;
    let close = close(&vendor);
    close.me().await.unwrap();
    vendor.hang_up();
    assert!(matches!(rent(&close).await, RentOutcome::Unknown { .. }));
    assert_eq!(vendor.count("POST"), 1);
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let other = Vendor::start(vec![respond(201, number("phon_A").to_string())]).await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("location: http://{}/api/v1/phone_number/\r\n", other.address);
        let vendor = Vendor::start(vec![Act::Respond(answer(status, &location, ""))]).await;
        let close = close(&vendor);
        assert!(matches!(rent(&close).await, RentOutcome::Unknown { .. }));
        assert!(close.me().await.is_err());
        assert!(close.numbers().await.is_err());
        assert_eq!(vendor.count("POST"), 1);
    }
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn a_rent_is_not_sent_while_its_rate_limit_is_used_up_and_reports_the_reset_time() {
    let head = "ratelimit: limit=5, remaining=0, reset=30.5\r\n";
    let full = number("phon_A").to_string();
    let vendor = Vendor::start(vec![Act::Respond(answer(201, head, &full)), respond(200, "{}")]).await;
    let close = close_with(&vendor, Duration::from_secs(5));
    assert!(matches!(rent(&close).await, RentOutcome::Rented(_)));
    let RentOutcome::RateLimited { until } = rent(&close).await else {
        panic!("sent")
    };
    let remaining = until.since(numberdesk::domain::time::Clock::system().now());
    assert!(remaining > Duration::from_secs(10) && remaining < Duration::from_secs(31));
    assert_eq!(vendor.count("POST"), 1);
    // The rate limit of another group of endpoints does not apply to a release.
    assert_eq!(close.release(&id("phon_A")).await, ReleaseOutcome::Released);
}

#[tokio::test]
async fn the_outcome_of_a_release_follows_close_s_answer() {
    let cases = [
        (respond(200, "{}"), ReleaseOutcome::Released),
        (respond(200, ""), ReleaseOutcome::Released),
        (
            Act::Respond(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
            ReleaseOutcome::Released,
        ),
        (respond(404, r#"{"error":"gone"}"#), ReleaseOutcome::AlreadyGone),
        (respond(401, ""), ReleaseOutcome::Unauthorized),
        (
            respond(403, r#"{"error":"not yours"}"#),
            ReleaseOutcome::Refused {
                status: 403,
                close_status: "error".into(),
                reason: Some("not yours".into()),
                close_errors: None,
            },
        ),
    ];
    for (act, expected) in cases {
        let vendor = Vendor::start(vec![act]).await;
        assert_eq!(close(&vendor).release(&id("phon_A")).await, expected);
        assert_eq!(vendor.received()[0].line(), "DELETE /api/v1/phone_number/phon_A/");
        assert_eq!(vendor.received().len(), 1);
    }
    let vendor = Vendor::start(vec![respond(404, "<html>")]).await;
    assert!(matches!(
        close(&vendor).release(&id("phon_A")).await,
        ReleaseOutcome::Unknown { .. }
    ));
}

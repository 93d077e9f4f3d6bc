//! The life of an issuer's keys: fetched, rotated, removed, out of reach, and under attack.

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use numberdesk::auth::{Auth, KeySource, Rejection};
use serde_json::json;
use tokio::sync::Notify;

use super::idp::{Idp, IdpResponse, Signer, jwks};
use super::{
    COOL_DOWN, ISSUER, START, accepted, auth, claims, claims_with, clock, identified, refused, settings,
};

/// What was answered for a public RSA key of 1024 bits with `kid` `weak`, and a token that its owner did sign.
const WEAK_MODULUS: &str = "rvRiGU3adYT6O639krtyuns-Egx5-TvGnlI_ulTwkUvpjN8zKjheOvDDLTkWtxV6PNNJhCNX4PjnFM326f9FF2UhpOedrDLViip6LOSgIyM9DkCDbJgwYVFp3wSKvHPmyeFF0bCTNA7XBDzjCZm-Jfg1gIIrmGjeFECENK4P-oM";
const WEAK_TOKEN: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6IndlYWsifQ.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0LyIsImF1ZCI6Im51bWJlcmRlc2siLCJzdWIiOiJtYWxsb3J5IiwiZXhwIjoxODAwMDAwMzAwfQ.ku1CcrQwB3WJ97QUoB4ejXDdAm7e0vTMW71sjpHw3DegnDxMw9sdaYeMQm-961PPhHRj6OKwFUHWmd9YSD0iMjljxqUOUp4qmbafC3WRinliQ8d14BVVIsin4ryoXFU46V8Bn1o1mZGE44dbmImSpbCpBgFfl6voudNFxz1tEDk";

fn long_lived(signer: &Signer) -> String {
    signer.sign(&claims_with("exp", (START + 10 * 24 * 3600).into()))
}

fn is_unavailable<T>(result: &Result<T, Rejection>) -> bool {
    matches!(result, Err(Rejection::KeysUnavailable))
}

#[tokio::test]
async fn t3_a_thousand_unknown_kids_cause_one_fetch_in_a_cool_down() {
    let (signer, mallory) = (Signer::new("ES256", "a"), Signer::new("ES256", "m"));
    let (idp, clock) = (Idp::with_keys(&[&signer]).await, clock());
    let auth = auth(&idp, &clock);
    let flood = |round: u32| {
        let (auth, mallory) = (&auth, &mallory);
        async move {
            for n in 0..1000 {
                let mut header = mallory.header();
                header["kid"] = format!("{round}-{n:x}").into();
                refused(
                    auth,
                    &mallory.sign_texts(&header.to_string(), &claims().to_string()),
                    n,
                )
                .await;
            }
        }
    };
    flood(0).await;
    assert_eq!(idp.hits(), 1, "from cold, the first fetch is all");
    flood(1).await;
    assert_eq!(idp.hits(), 1);
    clock.advance(COOL_DOWN);
    flood(2).await;
    assert_eq!(idp.hits(), 2);
    accepted(&auth, &signer.sign(&claims()), "in the middle of it").await;

    clock.advance(COOL_DOWN);
    let parallel = (0..200).map(|n| {
        let mut header = mallory.header();
        header["kid"] = format!("p{n}").into();
        let token = mallory.sign_texts(&header.to_string(), &claims().to_string());
        let auth = auth.clone();
        async move { refused(&auth, &token, n).await }
    });
    futures::future::join_all(parallel).await;
    assert_eq!(idp.hits(), 3);
}

#[tokio::test]
async fn t3_a_kid_is_a_name_and_nothing_else() {
    let mallory = Signer::new("ES256", "m");
    let odd = "../../etc/passwd' OR 1=1;-- http://127.0.0.1/\u{0}é";
    let signer = Signer::new("EdDSA", odd);
    let idp = Idp::with_keys(&[&signer]).await;
    let auth = auth(&idp, &clock());
    accepted(
        &auth,
        &signer.sign(&claims()),
        "whatever the name, it is compared as it is",
    )
    .await;
    let before = idp.hits();
    for kid in ["x".repeat(10_000), "x".repeat(256)] {
        let mut header = mallory.header();
        header["kid"] = kid.into();
        refused(
            &auth,
            &mallory.sign_texts(&header.to_string(), &claims().to_string()),
            "long kid",
        )
        .await;
    }
    assert_eq!(idp.hits(), before, "a kid that can't be is not asked for");
    for kid in ["/dev/null", "..", "' UNION SELECT 'x", "", "\u{0}"] {
        let mut header = mallory.header();
        header["kid"] = kid.into();
        refused(
            &auth,
            &mallory.sign_texts(&header.to_string(), &claims().to_string()),
            kid,
        )
        .await;
    }
}

#[tokio::test]
async fn t9_weak_ambiguous_and_misplaced_keys_are_refused_and_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _local = metrics::set_default_local_recorder(&recorder);
    let (good, one, two) = (
        Signer::new("ES256", "good"),
        Signer::new("ES256", "same"),
        Signer::new("EdDSA", "same"),
    );
    let encrypting = Signer::new("ES384", "enc");
    let mut enc = encrypting.jwk();
    enc["use"] = "enc".into();
    let weak = json!({"kty": "RSA", "n": WEAK_MODULUS, "e": "AQAB", "kid": "weak"});
    let secret = json!({"kty": "oct", "k": "c2hvcnQ", "kid": "hmac", "alg": "HS256"});
    let keys = json!({"keys": [weak, good.jwk(), one.jwk(), two.jwk(), enc, secret]});
    let idp = Idp::start(IdpResponse::Json(keys)).await;
    let auth = auth(&idp, &clock());

    accepted(&auth, &good.sign(&claims()), "the good key among them").await;
    refused(&auth, WEAK_TOKEN, "signed by a 1024 bit key").await;
    refused(&auth, &one.sign(&claims()), "duplicate kid").await;
    refused(&auth, &two.sign(&claims()), "duplicate kid").await;
    refused(&auth, &encrypting.sign(&claims()), "a key for encryption").await;
    assert_eq!(auth.report()[0].keys, 1);

    let metrics = recorder.handle().render();
    for line in [
        r#"numberdesk_jwk_refused_total{reason="weak_rsa"} 1"#,
        r#"numberdesk_jwk_refused_total{reason="duplicate_kid"} 2"#,
        r#"numberdesk_jwk_refused_total{reason="not_for_signatures"} 1"#,
        r#"numberdesk_jwk_refused_total{reason="shared_secret"} 1"#,
        r#"numberdesk_tokens_total{outcome="verified"} 1"#,
        r#"numberdesk_tokens_total{outcome="invalid"} 4"#,
        r#"numberdesk_jwks_age_seconds{issuer="https://idp.test/"} 0"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn t9_a_jwks_that_is_huge_or_elsewhere_is_not_taken() {
    let signer = Signer::new("ES256", "a");
    let token = signer.sign(&claims());
    let elsewhere = Idp::with_keys(&[&signer]).await;
    let idp = Idp::start(IdpResponse::Endless(50 * 1024 * 1024)).await;
    let clock = clock();
    let auth = auth(&idp, &clock);
    assert!(is_unavailable(&identified(&auth, &token).await));
    assert!(auth.report()[0].last_error.as_ref().unwrap().contains("1 MiB"));
    // What the sockets on the way hold is sent besides; it is far from all.
    assert!(idp.sent() < 25 * 1024 * 1024, "{} bytes were taken", idp.sent());

    clock.advance(COOL_DOWN);
    idp.answer(IdpResponse::Text(format!(
        "{{\"keys\":[{}]}}",
        " ".repeat(2 * 1024 * 1024)
    )));
    assert!(is_unavailable(&identified(&auth, &token).await));
    assert!(auth.report()[0].last_error.as_ref().unwrap().contains("1 MiB"));

    clock.advance(COOL_DOWN);
    idp.answer(IdpResponse::Redirect(elsewhere.url.clone()));
    assert!(is_unavailable(&identified(&auth, &token).await));
    assert!(auth.report()[0].last_error.as_ref().unwrap().contains("redirect"));
    assert_eq!(elsewhere.hits(), 0);
}

#[tokio::test]
async fn a_new_key_is_found_at_its_first_token_and_a_removed_one_is_gone_within_five_minutes() {
    let (old, new) = (Signer::new("ES256", "old"), Signer::new("RS256", "new"));
    let (idp, clock) = (Idp::with_keys(&[&old]).await, clock());
    let auth = auth(&idp, &clock);
    let (old_token, new_token) = (long_lived(&old), long_lived(&new));
    accepted(&auth, &old_token, "before").await;
    refused(&auth, &new_token, "before it is published").await;
    clock.advance(COOL_DOWN);

    idp.answer(IdpResponse::Json(jwks(&[&old, &new])));
    accepted(&auth, &new_token, "right after it was published").await;
    accepted(&auth, &old_token, "still published").await;

    idp.answer(IdpResponse::Json(jwks(&[&new])));
    for _ in 0..4 {
        clock.advance(Duration::from_mins(1));
        auth.refresh().await;
    }
    refused(
        &auth,
        &old_token,
        "removed four minutes ago, remembered though it was",
    )
    .await;
    accepted(&auth, &new_token, "untouched").await;
}

#[tokio::test]
async fn a_removed_key_is_gone_even_when_no_worker_refreshes() {
    let (old, new) = (Signer::new("ES256", "old"), Signer::new("ES256", "new"));
    let (idp, clock) = (Idp::with_keys(&[&old]).await, clock());
    let auth = auth(&idp, &clock);
    accepted(&auth, &long_lived(&old), "before").await;
    idp.answer(IdpResponse::Json(jwks(&[&new])));
    clock.advance(Duration::from_secs(4 * 60 + 59));
    refused(&auth, &long_lived(&old), "after").await;
}

#[tokio::test]
async fn refresh_asks_only_when_it_is_time() {
    let signer = Signer::new("ES256", "a");
    let (idp, clock) = (Idp::with_keys(&[&signer]).await, clock());
    let auth = auth(&idp, &clock);
    for _ in 0..10 {
        auth.refresh().await;
    }
    assert_eq!(idp.hits(), 1);
    for _ in 0..60 {
        clock.advance(Duration::from_mins(1));
        auth.refresh().await;
    }
    assert_eq!(idp.hits(), 21, "every three minutes");
}

#[tokio::test]
async fn the_last_good_keys_serve_for_a_day_while_the_issuer_is_down() {
    let signer = Signer::new("EdDSA", "a");
    let (idp, clock) = (Idp::with_keys(&[&signer]).await, clock());
    let auth = auth(&idp, &clock);
    let token = long_lived(&signer);
    accepted(&auth, &token, "up").await;

    let broken = [
        IdpResponse::Status(503),
        IdpResponse::Text("<html>maintenance</html>".into()),
        IdpResponse::Json(json!({"keys": []})),
        IdpResponse::Json(json!({})),
        IdpResponse::Text(String::new()),
        IdpResponse::Status(404),
    ];
    let mut hours = 0;
    for answer in broken.iter().cycle().take(23) {
        idp.answer(answer.clone());
        clock.advance(Duration::from_hours(1));
        hours += 1;
        auth.refresh().await;
        accepted(&auth, &token, format_args!("after {hours} h")).await;
        assert_eq!(auth.report()[0].age, Some(Duration::from_hours(hours)));
        assert!(auth.report()[0].last_error.is_some());
    }
    clock.advance(Duration::from_hours(1));
    assert!(is_unavailable(&identified(&auth, &token).await));
    assert!(!auth.report()[0].usable);

    idp.answer(IdpResponse::Json(jwks(&[&signer])));
    clock.advance(Duration::from_secs(5));
    accepted(&auth, &token, "up again").await;
}

#[tokio::test]
async fn an_issuer_that_is_down_is_neither_hammered_nor_waited_for() {
    let signer = Signer::new("ES256", "a");
    let (idp, clock) = (Idp::start(IdpResponse::Status(500)).await, clock());
    let auth = auth(&idp, &clock);
    let token = long_lived(&signer);
    let parallel = (0..100).map(|_| identified(&auth, &token));
    assert!(
        futures::future::join_all(parallel)
            .await
            .iter()
            .all(is_unavailable)
    );
    assert_eq!(idp.hits(), 1);

    idp.answer(IdpResponse::Json(jwks(&[&signer])));
    clock.advance(Duration::from_secs(5));
    accepted(&auth, &token, "as soon as it is up").await;

    // It hangs: the first caller after a while waits for it, the next ones don't.
    let gate = Arc::new(Notify::new());
    idp.answer(IdpResponse::Status(500));
    clock.advance(Duration::from_mins(5));
    accepted(&auth, &token, "stale keys serve").await;
    idp.answer(IdpResponse::Gated(jwks(&[]), Arc::clone(&gate)));
    clock.advance(Duration::from_secs(10));
    tokio::time::timeout(Duration::from_secs(2), accepted(&auth, &token, "not waiting"))
        .await
        .unwrap();
    idp.asked().await;
    gate.notify_one();
}

#[tokio::test]
async fn one_fetch_serves_all_who_wait_even_when_the_first_hangs_up() {
    let signer = Signer::new("ES256", "a");
    let gate = Arc::new(Notify::new());
    let idp = Idp::start(IdpResponse::Gated(jwks(&[&signer]), Arc::clone(&gate))).await;
    let auth = auth(&idp, &clock());
    let token = signer.sign(&claims());
    tokio::select! {
        biased;
        () = idp.asked() => {}
        _ = identified(&auth, &token) => panic!("the gate is shut"),
    }
    let waiting = futures::future::join_all((0..50).map(|_| identified(&auth, &token)));
    gate.notify_one();
    assert!(waiting.await.iter().all(Result::is_ok));
    assert_eq!(idp.hits(), 1);
}

#[tokio::test]
async fn an_issuer_that_can_not_be_connected_to_is_no_fault_of_the_token() {
    let signer = Signer::new("ES256", "a");
    let idp = Idp::with_keys(&[&signer]).await;
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut url = idp.url.clone();
    url.set_port(Some(nobody.local_addr().unwrap().port())).unwrap();
    drop(nobody);
    let auth = Auth::new(vec![settings(ISSUER, KeySource::Url(url))], clock()).unwrap();
    assert!(is_unavailable(&identified(&auth, &signer.sign(&claims())).await));
    // What is wrong with the token by itself is said all the same.
    refused(&auth, &signer.sign(&claims_with("exp", 0.into())), "expired").await;
}

#[tokio::test]
async fn a_remembered_token_ends_with_its_time() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _local = metrics::set_default_local_recorder(&recorder);
    let signer = Signer::new("ES256", "a");
    let (idp, clock) = (Idp::with_keys(&[&signer]).await, clock());
    let auth = auth(&idp, &clock);
    let token = signer.sign(&claims());
    for _ in 0..3 {
        accepted(&auth, &token, "fresh").await;
    }
    clock.advance(Duration::from_secs(329));
    accepted(&auth, &token, "within the leeway").await;
    clock.advance(Duration::from_secs(1));
    assert!(refused(&auth, &token, "after it").await.contains("expired"));
    let metrics = recorder.handle().render();
    assert!(
        metrics.contains(r#"numberdesk_tokens_total{outcome="verified"} 1"#),
        "{metrics}"
    );
    assert!(
        metrics.contains(r#"numberdesk_tokens_total{outcome="remembered"} 3"#),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_remembered_token_ends_with_its_key_though_the_name_stays() {
    let (before, after) = (Signer::new("ES256", "a"), Signer::new("ES256", "a"));
    let (idp, clock) = (Idp::with_keys(&[&before]).await, clock());
    let auth = auth(&idp, &clock);
    let token = long_lived(&before);
    accepted(&auth, &token, "before").await;
    idp.answer(IdpResponse::Json(jwks(&[&after])));
    clock.advance(Duration::from_mins(3));
    auth.refresh().await;
    refused(&auth, &token, "the key was replaced").await;
    accepted(&auth, &long_lived(&after), "the new one").await;
}

#[tokio::test]
async fn a_token_without_kid_needs_an_only_key() {
    let (one, two) = (Signer::new("ES256", "a"), Signer::new("ES256", "b"));
    let rsa = Signer::new("RS256", "r");
    let (idp, clock) = (Idp::with_keys(&[&one, &rsa]).await, clock());
    let auth = auth(&idp, &clock);
    let nameless = || one.sign_texts(r#"{"alg":"ES256"}"#, &claims().to_string());
    accepted(&auth, &nameless(), "the only one for ES256").await;
    idp.answer(IdpResponse::Json(jwks(&[&one, &two])));
    clock.advance(Duration::from_mins(3));
    auth.refresh().await;
    refused(&auth, &nameless(), "one of two").await;
}

#[tokio::test]
async fn a_file_of_keys_is_followed_and_a_broken_one_keeps_the_last_good() {
    let (old, new) = (Signer::new("ES256", "old"), Signer::new("ES256", "new"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let open = || Auth::new(vec![settings(ISSUER, KeySource::File(path.clone()))], clock());
    for bad in [
        None,
        Some(""),
        Some("{"),
        Some(r#"{"keys":[]}"#),
        Some(r#"{"keys":[{"kty":"oct","k":"AA"}]}"#),
    ] {
        if let Some(text) = bad {
            std::fs::write(&path, text).unwrap();
        }
        assert!(open().is_err(), "{bad:?}");
    }
    std::fs::write(&path, jwks(&[&old]).to_string()).unwrap();
    let clock = clock();
    let auth = Auth::new(
        vec![settings(ISSUER, KeySource::File(path.clone()))],
        clock.clone(),
    )
    .unwrap();
    accepted(&auth, &long_lived(&old), "at the start").await;

    for broken in ["", "{", r#"{"keys":[]}"#] {
        std::fs::write(&path, broken).unwrap();
        auth.refresh().await;
        accepted(&auth, &long_lived(&old), "a broken file").await;
        assert!(auth.report()[0].last_error.is_some());
    }
    std::fs::remove_file(&path).unwrap();
    clock.advance(Duration::from_hours(48));
    auth.refresh().await;
    accepted(
        &auth,
        &long_lived(&old),
        "a file that is gone is no issuer that is gone",
    )
    .await;

    std::fs::write(&path, jwks(&[&new]).to_string()).unwrap();
    auth.refresh().await;
    refused(&auth, &long_lived(&old), "replaced").await;
    accepted(&auth, &long_lived(&new), "replaced").await;
    assert_eq!(auth.report()[0].last_error, None);
}

#[tokio::test]
async fn discovery_finds_the_keys_of_the_issuer_it_was_asked_for_and_no_other() {
    let signer = Signer::new("ES256", "a");
    let (idp, clock) = (Idp::with_keys(&[&signer]).await, clock());
    let issuer = idp.url.as_str().replace("/jwks", "/realms/one/");
    let token = signer.sign(&claims_with("iss", issuer.as_str().into()));
    let auth = Auth::new(vec![settings(&issuer, KeySource::Discovery)], clock.clone()).unwrap();

    for wrong in [
        json!({"issuer": "https://evil.test/", "jwks_uri": idp.url.as_str()}),
        json!({"issuer": issuer.trim_end_matches('/'), "jwks_uri": idp.url.as_str()}),
        json!({"issuer": issuer, "jwks_uri": "http://192.0.2.1/jwks"}),
        json!({"issuer": issuer}),
        json!([]),
    ] {
        idp.discovery(wrong);
        clock.advance(Duration::from_secs(5));
        assert!(is_unavailable(&identified(&auth, &token).await));
    }
    assert_eq!(idp.hits(), 5, "the keys themselves were never asked for");
    idp.discovery(json!({"issuer": issuer, "jwks_uri": idp.url.as_str()}));
    clock.advance(Duration::from_secs(5));
    accepted(&auth, &token, "its own document").await;
}

//! Hostile input about keys: floods of unknown `kid`s, strange `kid`s, unusable keys and oversized key sets.

use numberdesk::telemetry::{Metrics, MetricsFormat};
use serde_json::json;

use super::is_unavailable;
use crate::auth::idp::{Idp, IdpResponse, Signer};
use crate::auth::{UNKNOWN_KEY_PAUSE, accepted, auth, claims, clock, identified, refused};

/// The modulus of an RSA key of 1024 bits with the `kid` `weak`, and a token signed with it.
const WEAK_MODULUS: &str = "rvRiGU3adYT6O639krtyuns-Egx5-TvGnlI_ulTwkUvpjN8zKjheOvDDLTkWtxV6PNNJhCNX4PjnFM326f9FF2UhpOedrDLViip6LOSgIyM9DkCDbJgwYVFp3wSKvHPmyeFF0bCTNA7XBDzjCZm-Jfg1gIIrmGjeFECENK4P-oM";
const WEAK_TOKEN: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6IndlYWsifQ.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0LyIsImF1ZCI6Im51bWJlcmRlc2siLCJzdWIiOiJtYWxsb3J5IiwiZXhwIjoxODAwMDAwMzAwfQ.ku1CcrQwB3WJ97QUoB4ejXDdAm7e0vTMW71sjpHw3DegnDxMw9sdaYeMQm-961PPhHRj6OKwFUHWmd9YSD0iMjljxqUOUp4qmbafC3WRinliQ8d14BVVIsin4ryoXFU46V8Bn1o1mZGE44dbmImSpbCpBgFfl6voudNFxz1tEDk";

#[tokio::test]
async fn a_thousand_unknown_kids_cause_one_fetch_per_pause() {
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
    assert_eq!(
        idp.request_count(),
        1,
        "the first fetch counts for unknown keys too"
    );
    flood(1).await;
    assert_eq!(idp.request_count(), 1);
    clock.advance(UNKNOWN_KEY_PAUSE);
    flood(2).await;
    assert_eq!(idp.request_count(), 2);
    accepted(&auth, &signer.sign(&claims()), "a valid token during the flood").await;

    clock.advance(UNKNOWN_KEY_PAUSE);
    let parallel = (0..200).map(|n| {
        let mut header = mallory.header();
        header["kid"] = format!("p{n}").into();
        let token = mallory.sign_texts(&header.to_string(), &claims().to_string());
        let auth = auth.clone();
        async move { refused(&auth, &token, n).await }
    });
    futures::future::join_all(parallel).await;
    assert_eq!(idp.request_count(), 3);
}

#[tokio::test]
async fn a_kid_is_only_compared_and_never_interpreted() {
    let mallory = Signer::new("ES256", "m");
    let special = "../../etc/passwd' OR 1=1;-- http://127.0.0.1/\u{0}é";
    let signer = Signer::new("EdDSA", special);
    let idp = Idp::with_keys(&[&signer]).await;
    let auth = auth(&idp, &clock());
    accepted(&auth, &signer.sign(&claims()), "a kid with special characters").await;
    let before = idp.request_count();
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
    assert_eq!(
        idp.request_count(),
        before,
        "a kid that is too long causes no fetch"
    );
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
async fn weak_ambiguous_and_misplaced_keys_are_refused_and_counted() {
    let recorder = Metrics::default();
    let _local = metrics::set_default_local_recorder(&recorder);
    let (good, one, two) = (
        Signer::new("ES256", "good"),
        Signer::new("ES256", "same"),
        Signer::new("ES256", "same"),
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

    let metrics = recorder.render(MetricsFormat::Prometheus);
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
async fn a_jwks_that_is_too_large_or_redirected_is_refused() {
    let signer = Signer::new("ES256", "a");
    let token = signer.sign(&claims());
    let elsewhere = Idp::with_keys(&[&signer]).await;
    let idp = Idp::start(IdpResponse::Endless(50 * 1024 * 1024)).await;
    let clock = clock();
    let auth = auth(&idp, &clock);
    assert!(is_unavailable(&identified(&auth, &token).await));
    assert!(auth.report()[0].last_error.as_ref().unwrap().contains("1 MiB"));
    // The server has sent more than was read, because sockets buffer data, but far less than everything.
    assert!(idp.sent() < 25 * 1024 * 1024, "{} bytes were sent", idp.sent());

    clock.advance(UNKNOWN_KEY_PAUSE);
    idp.set_response(IdpResponse::Text(format!(
        "{{\"keys\":[{}]}}",
        " ".repeat(2 * 1024 * 1024)
    )));
    assert!(is_unavailable(&identified(&auth, &token).await));
    assert!(auth.report()[0].last_error.as_ref().unwrap().contains("1 MiB"));

    clock.advance(UNKNOWN_KEY_PAUSE);
    idp.set_response(IdpResponse::Redirect(elsewhere.url.clone()));
    assert!(is_unavailable(&identified(&auth, &token).await));
    assert!(auth.report()[0].last_error.as_ref().unwrap().contains("redirect"));
    assert_eq!(elsewhere.request_count(), 0);
}

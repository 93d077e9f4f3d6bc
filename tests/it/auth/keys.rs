//! The keys of an issuer: how they are loaded, cached, rotated and removed.

mod hostile;
mod outage;
mod variety;

use std::time::Duration;

use numberdesk::auth::{Auth, KeySource, Rejection};
use numberdesk::telemetry::{Metrics, MetricsFormat};
use serde_json::json;

use super::idp::{Idp, IdpResponse, Signer, jwks};
use super::{
    ISSUER, START, UNKNOWN_KEY_PAUSE, accepted, auth, claims, claims_with, clock, identified, refused,
    settings,
};

/// Signs a token that is valid for ten days.
fn long_lived(signer: &Signer) -> String {
    signer.sign(&claims_with("exp", (START + 10 * 24 * 3600).into()))
}

fn is_unavailable<T>(result: &Result<T, Rejection>) -> bool {
    matches!(result, Err(Rejection::KeysUnavailable))
}

#[tokio::test]
async fn a_new_key_is_loaded_at_its_first_token_and_a_removed_one_expires_within_five_minutes() {
    let (old, new) = (Signer::new("ES256", "old"), Signer::new("RS256", "new"));
    let (idp, clock) = (Idp::with_keys(&[&old]).await, clock());
    let auth = auth(&idp, &clock);
    let (old_token, new_token) = (long_lived(&old), long_lived(&new));
    accepted(&auth, &old_token, "before").await;
    refused(&auth, &new_token, "before it is published").await;
    clock.advance(UNKNOWN_KEY_PAUSE);

    idp.set_response(IdpResponse::Json(jwks(&[&old, &new])));
    accepted(&auth, &new_token, "right after it was published").await;
    accepted(&auth, &old_token, "still published").await;

    idp.set_response(IdpResponse::Json(jwks(&[&new])));
    for _ in 0..4 {
        clock.advance(Duration::from_mins(1));
        auth.refresh().await;
    }
    refused(
        &auth,
        &old_token,
        "its key was removed four minutes ago, although the token was cached",
    )
    .await;
    accepted(&auth, &new_token, "its key was not removed").await;
}

#[tokio::test]
async fn a_removed_key_expires_without_a_background_refresh() {
    let (old, new) = (Signer::new("ES256", "old"), Signer::new("ES256", "new"));
    let (idp, clock) = (Idp::with_keys(&[&old]).await, clock());
    let auth = auth(&idp, &clock);
    accepted(&auth, &long_lived(&old), "before").await;
    idp.set_response(IdpResponse::Json(jwks(&[&new])));
    clock.advance(Duration::from_secs(4 * 60 + 59));
    refused(&auth, &long_lived(&old), "after").await;
}

#[tokio::test]
async fn refresh_fetches_only_every_three_minutes() {
    let signer = Signer::new("ES256", "a");
    let (idp, clock) = (Idp::with_keys(&[&signer]).await, clock());
    let auth = auth(&idp, &clock);
    for _ in 0..10 {
        auth.refresh().await;
    }
    assert_eq!(idp.request_count(), 1);
    for _ in 0..60 {
        clock.advance(Duration::from_mins(1));
        auth.refresh().await;
    }
    assert_eq!(idp.request_count(), 21, "every three minutes");
}

#[tokio::test]
async fn a_cached_token_expires_on_time() {
    let recorder = Metrics::default();
    let _local = metrics::set_default_local_recorder(&recorder);
    let signer = Signer::new("ES256", "a");
    let (idp, clock) = (Idp::with_keys(&[&signer]).await, clock());
    let auth = auth(&idp, &clock);
    let token = signer.sign(&claims());
    for _ in 0..3 {
        accepted(&auth, &token, "fresh").await;
    }
    clock.advance(Duration::from_secs(329));
    accepted(&auth, &token, "within the leeway of 30 s").await;
    clock.advance(Duration::from_secs(1));
    assert!(refused(&auth, &token, "after it").await.contains("expired"));
    let metrics = recorder.render(MetricsFormat::Prometheus);
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
async fn a_cached_token_is_refused_when_its_key_is_replaced_under_the_same_kid() {
    let (before, after) = (Signer::new("ES256", "a"), Signer::new("ES256", "a"));
    let (idp, clock) = (Idp::with_keys(&[&before]).await, clock());
    let auth = auth(&idp, &clock);
    let token = long_lived(&before);
    accepted(&auth, &token, "before").await;
    idp.set_response(IdpResponse::Json(jwks(&[&after])));
    clock.advance(Duration::from_mins(3));
    auth.refresh().await;
    refused(&auth, &token, "the key was replaced").await;
    accepted(&auth, &long_lived(&after), "the new one").await;
}

#[tokio::test]
async fn a_token_without_a_kid_is_accepted_only_if_one_key_matches() {
    let (one, two) = (Signer::new("ES256", "a"), Signer::new("ES256", "b"));
    let rsa = Signer::new("RS256", "r");
    let (idp, clock) = (Idp::with_keys(&[&one, &rsa]).await, clock());
    let auth = auth(&idp, &clock);
    let without_kid = || one.sign_texts(r#"{"alg":"ES256"}"#, &claims().to_string());
    accepted(&auth, &without_kid(), "one key for ES256").await;
    idp.set_response(IdpResponse::Json(jwks(&[&one, &two])));
    clock.advance(Duration::from_mins(3));
    auth.refresh().await;
    refused(&auth, &without_kid(), "two keys for ES256").await;
}

#[tokio::test]
async fn a_changed_key_file_is_reloaded_and_a_broken_one_keeps_the_last_good_keys() {
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
        "a missing file keeps the last good keys for longer than a day",
    )
    .await;

    std::fs::write(&path, jwks(&[&new]).to_string()).unwrap();
    auth.refresh().await;
    refused(&auth, &long_lived(&old), "replaced").await;
    accepted(&auth, &long_lived(&new), "replaced").await;
    assert_eq!(auth.report()[0].last_error, None);
}

#[tokio::test]
async fn discovery_accepts_only_the_document_of_the_configured_issuer() {
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
        idp.set_discovery(wrong);
        clock.advance(Duration::from_secs(5));
        assert!(is_unavailable(&identified(&auth, &token).await));
    }
    assert_eq!(
        idp.request_count(),
        5,
        "only the discovery document was requested"
    );
    idp.set_discovery(json!({"issuer": issuer, "jwks_uri": idp.url.as_str()}));
    clock.advance(Duration::from_secs(5));
    accepted(&auth, &token, "the document of the configured issuer").await;
}

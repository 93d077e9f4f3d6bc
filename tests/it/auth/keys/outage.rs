//! An issuer that is down, slow or unreachable.

use std::sync::Arc;
use std::time::Duration;

use numberdesk::auth::{Auth, KeySource};
use serde_json::json;
use tokio::sync::Notify;

use super::{is_unavailable, long_lived};
use crate::auth::idp::{Idp, IdpResponse, Signer, jwks};
use crate::auth::{ISSUER, accepted, auth, claims, claims_with, clock, identified, refused, settings};

#[tokio::test]
async fn the_last_good_keys_are_valid_for_a_day_while_the_issuer_is_down() {
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
    for response in broken.iter().cycle().take(23) {
        idp.set_response(response.clone());
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

    idp.set_response(IdpResponse::Json(jwks(&[&signer])));
    clock.advance(Duration::from_secs(5));
    accepted(&auth, &token, "up again").await;
}

#[tokio::test]
async fn an_issuer_that_is_down_gets_few_requests_and_delays_few_callers() {
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
    assert_eq!(idp.request_count(), 1);

    idp.set_response(IdpResponse::Json(jwks(&[&signer])));
    clock.advance(Duration::from_secs(5));
    accepted(&auth, &token, "as soon as it is up").await;

    // When the keys are stale, one caller waits for a load. The next ones use the keys of the last load.
    let gate = Arc::new(Notify::new());
    idp.set_response(IdpResponse::Status(500));
    clock.advance(Duration::from_mins(5));
    accepted(&auth, &token, "stale keys are still valid").await;
    idp.set_response(IdpResponse::Gated(jwks(&[]), Arc::clone(&gate)));
    clock.advance(Duration::from_secs(10));
    // Shorter than the 5 s after which the service gives up the load.
    tokio::time::timeout(Duration::from_secs(4), accepted(&auth, &token, "not waiting"))
        .await
        .unwrap();
    idp.wait_for_request().await;
    gate.notify_one();
}

#[tokio::test]
async fn one_fetch_serves_all_waiting_callers_even_when_the_first_disconnects() {
    let signer = Signer::new("ES256", "a");
    let gate = Arc::new(Notify::new());
    let idp = Idp::start(IdpResponse::Gated(jwks(&[&signer]), Arc::clone(&gate))).await;
    let auth = auth(&idp, &clock());
    let token = signer.sign(&claims());
    tokio::select! {
        biased;
        () = idp.wait_for_request() => {}
        _ = identified(&auth, &token) => panic!("authenticated before the keys were sent"),
    }
    let waiting = futures::future::join_all((0..50).map(|_| identified(&auth, &token)));
    gate.notify_one();
    assert!(waiting.await.iter().all(Result::is_ok));
    assert_eq!(idp.request_count(), 1);
}

#[tokio::test]
async fn an_unreachable_issuer_means_unavailable_keys_not_an_invalid_token() {
    let signer = Signer::new("ES256", "a");
    let idp = Idp::with_keys(&[&signer]).await;
    let unused = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut url = idp.url.clone();
    url.set_port(Some(unused.local_addr().unwrap().port())).unwrap();
    drop(unused);
    let auth = Auth::new(vec![settings(ISSUER, KeySource::Url(url))], clock()).unwrap();
    assert!(is_unavailable(&identified(&auth, &signer.sign(&claims())).await));
    // A token that is invalid without any key is still refused as invalid.
    refused(&auth, &signer.sign(&claims_with("exp", 0.into())), "expired").await;
}

//! Key sets as real providers publish them: odd keys leave the others usable, and a set without usable keys changes
//! nothing.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use numberdesk::telemetry::{Metrics, MetricsFormat};
use serde_json::{Value, json};

use super::{is_unavailable, long_lived};
use crate::auth::idp::{Idp, IdpResponse, Signer, base64, bytes, jwks};
use crate::auth::{accepted, auth, claims, clock, identified, refused};

/// A key for P-256 whose coordinate `x` begins with a zero byte: one in 256 has that.
fn signer_with_a_leading_zero(kid: &str) -> Signer {
    std::iter::repeat_with(|| Signer::new("ES256", kid))
        .find(|signer| coordinate(signer, "x")[0] == 0)
        .unwrap()
}

fn coordinate(signer: &Signer, name: &str) -> Vec<u8> {
    bytes(signer.jwk()[name].as_str().unwrap())
}

#[tokio::test]
async fn a_p256_key_whose_coordinate_lost_its_leading_zero_verifies_tokens() {
    let signer = signer_with_a_leading_zero("a");
    let x = coordinate(&signer, "x");
    for (x, what) in [
        (x.clone(), "32 bytes"),
        (x[1..].to_vec(), "31 bytes"),
        ([&[0], &x[..]].concat(), "33 bytes"),
    ] {
        let mut jwk = signer.jwk();
        jwk["x"] = base64(x).into();
        let idp = Idp::start(IdpResponse::Json(json!({"keys": [jwk]}))).await;
        accepted(&auth(&idp, &clock()), &signer.sign(&claims()), what).await;
    }
}

#[tokio::test]
async fn an_rsa_modulus_with_a_leading_zero_or_in_plain_base64_verifies_tokens() {
    let signer = Signer::new("RS256", "a");
    let n = coordinate(&signer, "n");
    let with_zero = [&[0], &n[..]].concat();
    let plain = STANDARD.encode(&with_zero);
    for n in [
        base64(&with_zero),
        plain.clone(),
        plain.replace('+', "-").replace('/', "_"),
    ] {
        let mut jwk = signer.jwk();
        jwk["n"] = n.as_str().into();
        let idp = Idp::start(IdpResponse::Json(json!({"keys": [jwk]}))).await;
        accepted(&auth(&idp, &clock()), &signer.sign(&claims()), n).await;
    }
}

#[tokio::test]
async fn null_members_and_keys_for_other_purposes_leave_the_good_keys_usable() {
    let (signer, other) = (Signer::new("ES256", "good"), Signer::new("EdDSA", "good"));
    let (mut key, mut encrypting) = (signer.jwk(), Signer::new("ES384", "enc").jwk());
    for name in ["use", "alg", "key_ops", "x5c", "x5t"] {
        key[name] = Value::Null;
    }
    encrypting["use"] = "enc".into();
    let keys = json!({"keys": [
        encrypting, key, other.jwk(),
        {"kty": "AKP", "alg": "ML-DSA-65", "pub": "AAAA", "kid": "pq"},
        {"kty": "EC", "crv": "P-521", "kid": "p521", "x": "AA", "y": "AA"},
        {"kty": "RSA", "use": "sig", "kid": "cas", "x5c": ["MIIB"]},
        null, "key", 7, {},
    ]});
    let idp = Idp::start(IdpResponse::Json(keys)).await;
    let auth = auth(&idp, &clock());
    accepted(&auth, &signer.sign(&claims()), "null members").await;
    accepted(&auth, &other.sign(&claims()), "another type with the same kid").await;
    assert_eq!(auth.report()[0].keys, 2);

    let mut unnamed = signer.jwk();
    unnamed["kid"] = Value::Null;
    let idp = Idp::start(IdpResponse::Json(json!({"keys": [unnamed]}))).await;
    let without_kid = signer.sign_texts(r#"{"alg":"ES256"}"#, &claims().to_string());
    accepted(
        &crate::auth::auth(&idp, &clock()),
        &without_kid,
        "a kid of null is no kid",
    )
    .await;
}

#[tokio::test]
async fn a_key_that_is_listed_once_for_each_algorithm_verifies_tokens() {
    let signer = Signer::new("RS256", "a");
    let copies = ["RS512", "RS256", "RS384", "PS256"].map(|alg| {
        let mut jwk = signer.jwk();
        jwk["alg"] = alg.into();
        jwk
    });
    let idp = Idp::start(IdpResponse::Json(json!({"keys": copies}))).await;
    accepted(&auth(&idp, &clock()), &signer.sign(&claims()), "copies").await;
}

#[tokio::test]
async fn the_last_good_keys_serve_while_the_issuer_publishes_no_usable_key_and_an_alarm_is_raised() {
    let recorder = Metrics::default();
    let _local = metrics::set_default_local_recorder(&recorder);
    let signer = Signer::new("ES256", "a");
    let (idp, clock) = (Idp::with_keys(&[&signer]).await, clock());
    let auth = auth(&idp, &clock);
    let token = long_lived(&signer);
    accepted(&auth, &token, "good").await;

    let mut encrypting = Signer::new("ES256", "b").jwk();
    encrypting["use"] = "enc".into();
    let is_good = |good: bool| {
        let line = format!(
            "numberdesk_jwks_good{{issuer=\"https://idp.test/\"}} {}",
            u8::from(good)
        );
        let metrics = recorder.render(MetricsFormat::Prometheus);
        assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
    };
    is_good(true);
    for (response, error) in [
        (
            IdpResponse::Json(json!({"keys": [encrypting]})),
            "not_for_signatures: 1",
        ),
        (
            IdpResponse::Json(json!({"keys": [{"kty": "oct", "k": "AA"}, {}]})),
            "malformed: 1, shared_secret: 1",
        ),
        (IdpResponse::Json(json!({"keys": []})), "`keys` is empty"),
        (
            IdpResponse::Json(json!({"message": "maintenance"})),
            "no array `keys`",
        ),
        (IdpResponse::Text("<html>maintenance</html>".into()), "not JSON"),
        (IdpResponse::Status(404), "404"),
        (IdpResponse::Endless(2 * 1024 * 1024), "1 MiB"),
    ] {
        idp.set_response(response);
        clock.advance(Duration::from_mins(10));
        auth.refresh().await;
        accepted(&auth, &token, error).await;
        let report = &auth.report()[0];
        let last = report.last_error.as_deref().unwrap_or_default();
        assert!(
            report.usable && report.keys == 1 && last.contains(error),
            "{report:?}"
        );
        is_good(false);
    }

    // A set that is good again is used at once, and removes the old key.
    let next = Signer::new("ES256", "next");
    idp.set_response(IdpResponse::Json(jwks(&[&next])));
    clock.advance(Duration::from_mins(10));
    auth.refresh().await;
    is_good(true);
    accepted(&auth, &long_lived(&next), "the next key").await;
    refused(&auth, &token, "the removed key").await;
}

/// RFC 7517, section 4: a key with duplicate members is refused. A key with its private part proves nothing.
#[tokio::test]
async fn a_key_with_duplicate_members_or_a_private_part_is_not_used_and_the_others_are() {
    let recorder = Metrics::default();
    let _local = metrics::set_default_local_recorder(&recorder);
    let signers = ["good", "twice", "leaked"].map(|kid| Signer::new("ES256", kid));
    let [good, twice, leaked] = &signers;
    let mut private = leaked.jwk();
    private["d"] = base64([7; 32]).into();
    let double = twice.jwk().to_string().replacen('{', "{\"use\":\"sig\",", 1);
    let set = format!("{{\"keys\":[{double},{private},{}]}}", good.jwk());
    let idp = Idp::start(IdpResponse::Text(set)).await;
    let auth = auth(&idp, &clock());
    accepted(&auth, &good.sign(&claims()), "good").await;
    for signer in [twice, leaked] {
        refused(&auth, &signer.sign(&claims()), "not used").await;
    }
    let metrics = recorder.render(MetricsFormat::Prometheus);
    for reason in ["malformed", "private_key"] {
        let line = format!("numberdesk_jwk_refused_total{{reason=\"{reason}\"}} 1\n");
        assert!(metrics.contains(&line), "{metrics}");
    }
}

#[tokio::test]
async fn keys_that_are_never_usable_are_the_fault_of_the_issuer_not_of_the_caller() {
    let signer = Signer::new("ES256", "a");
    let mut encrypting = signer.jwk();
    encrypting["use"] = "enc".into();
    let idp = Idp::start(IdpResponse::Json(json!({"keys": [encrypting]}))).await;
    let auth = auth(&idp, &clock());
    assert!(is_unavailable(&identified(&auth, &signer.sign(&claims())).await));
    assert!(!auth.report()[0].usable);
}

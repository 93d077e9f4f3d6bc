//! Tokens at the front door: which become callers and which don't. The keys' own life is in `auth/keys.rs`.

#![expect(clippy::unwrap_used, reason = "a test that can't go on stops")]

mod algorithms;
mod cluster;
pub(crate) mod idp;
mod keys;
pub(crate) mod service_accounts;

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::KeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use numberdesk::auth::{
    Access, Algorithm, Auth, ClaimPointers, DevIssuer, IssuerKind, IssuerSettings, KeySource, Rejection,
};
use numberdesk::domain::caller::Caller;
use numberdesk::domain::service_account::Identity;
use numberdesk::domain::time::{Clock, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use self::idp::{Idp, IdpResponse, RSA, Signer, compact};

const ISSUER: &str = "https://idp.test/";
/// Where manual clocks start, in seconds since 1970.
const START: i64 = 1_800_000_000;

fn clock() -> Clock {
    Clock::manual(Timestamp::from_seconds(START))
}

fn settings(issuer: &str, keys: KeySource) -> IssuerSettings {
    IssuerSettings {
        issuer: issuer.into(),
        audiences: vec!["numberdesk".into(), "https://numbers.example.com".into()],
        keys,
        algorithms: Algorithm::ALL.to_vec(),
        kind: IssuerKind::Oidc(ClaimPointers::default()),
        access: Access::default(),
    }
}

fn auth(idp: &Idp, clock: &Clock) -> Auth {
    Auth::new(
        vec![settings(ISSUER, KeySource::Url(idp.url.clone()))],
        clock.clone(),
    )
    .unwrap()
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": "numberdesk", "sub": "alice@example.com", "iat": START, "exp": START + 300,
        "teams": ["sales"], "scope": "numbers:read numbers:rent", "close_user_id": "user_abc"
    })
}

fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn claims_without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

/// The caller of an issuer whose tokens say what they permit.
async fn identified(auth: &Auth, token: &str) -> Result<Arc<Caller>, Rejection> {
    match auth.authenticate(token).await? {
        Identity::Caller(caller) => Ok(caller),
        Identity::ServiceAccount(account) => panic!("{account:?} is no caller yet"),
    }
}

async fn refused(auth: &Auth, token: &str, what: impl std::fmt::Display) -> &'static str {
    match identified(auth, token).await {
        Err(Rejection::Invalid { reason }) => reason,
        other => panic!("{what}: expected a refusal, got {other:?}"),
    }
}

async fn accepted(auth: &Auth, token: &str, what: impl std::fmt::Display) -> Arc<Caller> {
    identified(auth, token)
        .await
        .unwrap_or_else(|rejection| panic!("{what}: {rejection:?}"))
}

#[tokio::test]
async fn a_good_token_of_each_algorithm_becomes_its_caller() {
    let signers: Vec<_> = Algorithm::ALL
        .iter()
        .map(|algorithm| Signer::new(algorithm.as_str(), &format!("kid-{algorithm}")))
        .collect();
    let idp = Idp::with_keys(&signers.iter().collect::<Vec<_>>()).await;
    let auth = auth(&idp, &clock());
    for signer in &signers {
        let caller = accepted(&auth, &signer.sign(&claims()), signer.alg).await;
        assert_eq!(caller.issuer, ISSUER);
        assert_eq!(caller.subject, "alice@example.com");
        assert_eq!(caller.teams[0].as_str(), "sales");
        assert!(caller.permissions.contains("numbers:rent"));
        assert_eq!(caller.close_user.as_ref().unwrap().as_str(), "user_abc");
        assert_eq!(caller.claims["exp"], START + 300);

        let tampered = claims_with("teams", json!(["finance"])).to_string();
        let forged = compact(&signer.header().to_string(), &tampered, |_| vec![7; 64]);
        refused(&auth, &forged, signer.alg).await;
        let (signed, _) = forged.rsplit_once('.').unwrap();
        let (_, signature) = signer
            .sign(&claims())
            .rsplit_once('.')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        refused(&auth, &format!("{signed}.{signature}"), signer.alg).await;
    }
    assert_eq!(idp.hits(), 1);
}

#[tokio::test]
async fn a_token_is_for_the_desk_or_is_refused() {
    let signer = Signer::new("EdDSA", "a");
    let idp = Idp::with_keys(&[&signer]).await;
    let auth = auth(&idp, &clock());
    for aud in [
        json!("other"),
        json!(""),
        json!("Numberdesk"),
        json!("numberdesk "),
        json!("numberdesk other"),
        json!(null),
        json!(7),
        json!({"numberdesk": true}),
        json!([]),
        json!(["other", "billing"]),
        json!(["numberdesk", 7]),
        json!([["numberdesk"]]),
    ] {
        refused(&auth, &signer.sign(&claims_with("aud", aud.clone())), &aud).await;
    }
    refused(&auth, &signer.sign(&claims_without("aud")), "no aud").await;
    for aud in [
        json!("numberdesk"),
        json!(["other", "numberdesk"]),
        json!(["https://numbers.example.com"]),
    ] {
        accepted(&auth, &signer.sign(&claims_with("aud", aud.clone())), &aud).await;
    }
}

#[tokio::test]
async fn times_are_integers_and_hold_within_30_seconds() {
    let signer = Signer::new("EdDSA", "a");
    let idp = Idp::with_keys(&[&signer]).await;
    let auth = auth(&idp, &clock());
    let text = |name: &str, value: &str| {
        let mut claims = claims_without(name).to_string();
        claims.pop();
        signer.sign_texts(
            &signer.header().to_string(),
            &format!("{claims},\"{name}\":{value}}}"),
        )
    };
    for name in ["exp", "nbf", "iat"] {
        for value in [
            "\"1800000300\"",
            "1800000300.0",
            "1800000300.5",
            "1.8e9",
            "1e300",
            "1e999",
            "-1",
            "-1800000300",
            "18446744073709551615",
            "9223372036854775807",
            "99999999999999999999999999",
            "1800000300000",
            "null",
            "true",
            "[1800000300]",
            "{}",
            "NaN",
            "",
        ] {
            refused(&auth, &text(name, value), format_args!("{name}: {value}")).await;
        }
    }
    refused(&auth, &signer.sign(&claims_without("exp")), "no exp").await;
    for (name, seconds, good) in [
        ("exp", START - 29, true),
        ("exp", START - 30, false),
        ("exp", 0, false),
        ("nbf", START + 30, true),
        ("nbf", START + 31, false),
        ("nbf", START - 1000, true),
    ] {
        let token = signer.sign(&claims_with(name, seconds.into()));
        assert_eq!(
            identified(&auth, &token).await.is_ok(),
            good,
            "{name} {}",
            seconds - START
        );
    }
    accepted(&auth, &signer.sign(&claims_without("iat")), "no iat").await;
}

#[tokio::test]
async fn the_key_of_one_issuer_does_not_speak_for_another() {
    // Both name their keys alike.
    let (ours, theirs) = (Signer::new("ES256", "a"), Signer::new("ES256", "a"));
    let (idp, other) = (Idp::with_keys(&[&ours]).await, Idp::with_keys(&[&theirs]).await);
    let mut second = settings("https://other.test/", KeySource::Url(other.url.clone()));
    second.audiences = vec!["sandbox".into()];
    let auth = Auth::new(
        vec![settings(ISSUER, KeySource::Url(idp.url.clone())), second],
        clock(),
    )
    .unwrap();

    refused(&auth, &theirs.sign(&claims()), "iss of one, key of the other").await;
    let mut claims_of_other = claims_with("iss", "https://other.test/".into());
    refused(
        &auth,
        &theirs.sign(&claims_of_other),
        "the audience of the first issuer",
    )
    .await;
    claims_of_other["aud"] = "sandbox".into();
    refused(
        &auth,
        &ours.sign(&claims_of_other),
        "iss of the other, key of the first",
    )
    .await;
    assert_eq!(
        accepted(&auth, &theirs.sign(&claims_of_other), "its own")
            .await
            .issuer,
        "https://other.test/"
    );
    accepted(&auth, &ours.sign(&claims()), "our own").await;

    for iss in [
        json!("https://idp.test"),
        json!("https://IDP.test/"),
        json!("https://idp.test//"),
        json!("https://evil.test/"),
        json!(""),
        json!(null),
        json!([ISSUER]),
        json!({"iss": ISSUER}),
    ] {
        refused(&auth, &ours.sign(&claims_with("iss", iss.clone())), &iss).await;
    }
    refused(&auth, &ours.sign(&claims_without("iss")), "no iss").await;
}

#[tokio::test]
async fn a_token_of_another_kind_is_no_access_token() {
    let signer = Signer::new("ES256", "a");
    let idp = Idp::with_keys(&[&signer]).await;
    let auth = auth(&idp, &clock());
    let typed = |typ: Value| {
        let mut header = signer.header();
        header["typ"] = typ;
        signer.sign_texts(&header.to_string(), &claims().to_string())
    };
    for typ in [
        json!("id_token+jwt"),
        json!("ID"),
        json!("logout+jwt"),
        json!("secevent+jwt"),
        json!("dpop+jwt"),
        json!("JWE"),
        json!(""),
        json!(null),
        json!(["JWT"]),
    ] {
        refused(&auth, &typed(typ.clone()), &typ).await;
    }
    for typ in ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt"] {
        accepted(&auth, &typed(typ.into()), typ).await;
    }
    let untyped = signer.sign_texts(r#"{"alg":"ES256","kid":"a"}"#, &claims().to_string());
    accepted(&auth, &untyped, "no typ").await;
    refused(
        &auth,
        &signer.sign(&claims_with("at_hash", "x".into())),
        "an ID token",
    )
    .await;
    // A token that is bound to a key is worth nothing without proof of the key.
    refused(
        &auth,
        &signer.sign(&claims_with("cnf", json!({"jkt": "x"}))),
        "cnf",
    )
    .await;
}

#[tokio::test]
async fn a_member_that_stands_twice_spoils_the_token() {
    let signer = Signer::new("ES256", "a");
    let idp = Idp::with_keys(&[&signer]).await;
    let auth = auth(&idp, &clock());
    let header = signer.header().to_string();
    let open = |text: &str| text[..text.len() - 1].to_owned();
    for member in [
        r#""aud":"numberdesk""#,
        r#""teams":["finance"]"#,
        r#""\u0073ub":"bob""#,
        r#""exp":1800000300"#,
    ] {
        let twice = format!("{},{member}}}", open(&claims().to_string()));
        refused(&auth, &signer.sign_texts(&header, &twice), member).await;
    }
    let nested = format!("{},\"x\":{{\"a\":1,\"a\":1}}}}", open(&claims().to_string()));
    refused(&auth, &signer.sign_texts(&header, &nested), "nested").await;
    let twice = format!("{},\"alg\":\"ES256\"}}", open(&header));
    refused(&auth, &signer.sign_texts(&twice, &claims().to_string()), "header").await;
}

#[tokio::test]
async fn what_a_token_must_not_hold_is_refused_without_being_repeated() {
    let signer = Signer::new("ES256", "a");
    let idp = Idp::with_keys(&[&signer]).await;
    let auth = auth(&idp, &clock());
    for (member, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("kid", json!(7)),
    ] {
        let mut header = signer.header();
        header[member] = value;
        refused(
            &auth,
            &signer.sign_texts(&header.to_string(), &claims().to_string()),
            member,
        )
        .await;
    }
    let canary = "canary-7f3a";
    for claims in [
        claims_with("iss", canary.into()),
        claims_with("aud", canary.into()),
        claims_with("exp", canary.into()),
        claims_with("sub", format!("{canary}\n").into()),
        claims_with("sub", "".into()),
        claims_without("sub"),
    ] {
        let reason = refused(&auth, &signer.sign(&claims), &claims).await;
        assert!(!reason.contains(canary), "{reason}");
    }
    let long = signer.sign(&claims_with("padding", "x".repeat(13_000).into()));
    assert!(long.len() > 16 * 1024);
    assert!(refused(&auth, &long, "long").await.contains("16 KiB"));
    let fitting = signer.sign(&claims_with("padding", "x".repeat(11_000).into()));
    accepted(&auth, &fitting, "just short enough").await;
}

#[tokio::test]
async fn the_local_issuer_s_tokens_pass_with_its_file_of_keys() {
    let folder = tempfile::tempdir().unwrap();
    let local = DevIssuer::load_or_create(folder.path(), ISSUER).unwrap();
    let source = KeySource::File(folder.path().join("jwks.json"));
    let auth = Auth::new(vec![settings(local.issuer(), source)], clock()).unwrap();
    let caller = accepted(&auth, &local.sign(&claims()).unwrap(), "local").await;
    assert_eq!(caller.subject, "alice@example.com");
    let stranger = DevIssuer::generate(ISSUER).unwrap();
    refused(&auth, &stranger.sign(&claims()).unwrap(), "another key").await;
}

#[test]
fn settings_that_could_never_be_safe_are_refused_at_the_start() {
    let url = |text: &str| KeySource::Url(text.parse().unwrap());
    let good = || settings(ISSUER, url("https://idp.test/jwks"));
    let fault = |settings: Vec<IssuerSettings>| format!("{:#}", Auth::new(settings, clock()).err().unwrap());
    assert!(
        Auth::new(
            vec![good(), settings("https://b.test", KeySource::Discovery)],
            clock()
        )
        .is_ok()
    );

    assert!(
        fault(vec![IssuerSettings {
            audiences: vec![],
            ..good()
        }])
        .contains("audience")
    );
    assert!(
        fault(vec![IssuerSettings {
            audiences: vec![String::new()],
            ..good()
        }])
        .contains("audience")
    );
    assert!(
        fault(vec![IssuerSettings {
            algorithms: vec![],
            ..good()
        }])
        .contains("algorithm")
    );
    assert!(fault(vec![good(), good()]).contains("twice"));
    assert!(fault(vec![settings(ISSUER, url("http://idp.test/jwks"))]).contains("https"));
    assert!(fault(vec![settings(ISSUER, url("https://u:secret@idp.test/"))]).contains("password"));
    assert!(fault(vec![settings("not a url", KeySource::Discovery)]).contains("URL"));
    assert!(fault(vec![settings("http://idp.test", KeySource::Discovery)]).contains("https"));
    let claims = ClaimPointers {
        teams: "teams".into(),
        ..ClaimPointers::default()
    };
    let kind = IssuerKind::Oidc(claims);
    assert!(fault(vec![IssuerSettings { kind, ..good() }]).contains("`teams`"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_make_it_panic_and_none_make_a_caller(header: Vec<u8>, claims: Vec<u8>, signature: Vec<u8>, text: String) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let idp = Idp::start(IdpResponse::Status(503)).await;
            let auth = auth(&idp, &clock());
            let token = format!("{}.{}.{}", idp::base64(&header), idp::base64(&claims), idp::base64(&signature));
            for token in [token, text] {
                let refused = matches!(identified(&auth, &token).await, Err(Rejection::Invalid { .. }));
                prop_assert!(refused, "{:?}", token);
            }
            prop_assert_eq!(idp.hits(), 0);
            Ok(())
        })?;
    }
}

/// How far to move a clock so that what may happen once in 30 s may happen again.
const COOL_DOWN: Duration = Duration::from_secs(30);

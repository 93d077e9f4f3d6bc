//! Which tokens are accepted: audience, times, issuer, type and form, and the settings of an issuer.

mod settings_of_an_issuer;
mod variety;

use numberdesk::auth::DevIssuer;
use proptest::prelude::*;

use super::idp::{self, IdpResponse, Signer, compact};
use super::*;

#[tokio::test]
async fn a_valid_token_of_each_algorithm_identifies_its_caller() {
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
    assert_eq!(idp.request_count(), 1);
}

#[tokio::test]
async fn a_token_for_another_audience_is_refused() {
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
async fn times_must_be_finite_numbers_and_have_a_leeway_of_30_seconds() {
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
            "1e300",
            "1e999",
            "-1",
            "-1800000300",
            "18446744073709551615",
            "9223372036854775807",
            "99999999999999999999999999",
            "1800000300000",
            "-0.5",
            "253402300799.5",
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
    for name in ["exp", "nbf", "iat"] {
        for value in ["1800000029.0", "1800000029.999999", "1.800000029e9"] {
            accepted(&auth, &text(name, value), format_args!("{name}: {value}")).await;
        }
    }
    for (value, valid) in [("1799999970.5", true), ("1799999969.999", false)] {
        let result = identified(&auth, &text("exp", value)).await;
        assert_eq!(result.is_ok(), valid, "exp: {value}");
    }
    refused(&auth, &signer.sign(&claims_without("exp")), "no exp").await;
    for (name, seconds, valid) in [
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
            valid,
            "{name} {}",
            seconds - START
        );
    }
    accepted(&auth, &signer.sign(&claims_without("iat")), "no iat").await;
}

#[tokio::test]
async fn a_key_of_one_issuer_is_not_valid_for_another() {
    // Both issuers use the same `kid`.
    let (first_key, second_key) = (Signer::new("ES256", "a"), Signer::new("ES256", "a"));
    let (idp, other) = (
        Idp::with_keys(&[&first_key]).await,
        Idp::with_keys(&[&second_key]).await,
    );
    let mut second = settings("https://other.test/", KeySource::Url(other.url.clone()));
    second.audiences = vec!["sandbox".into()];
    let auth = Auth::new(
        vec![settings(ISSUER, KeySource::Url(idp.url.clone())), second],
        clock(),
    )
    .unwrap();

    refused(
        &auth,
        &second_key.sign(&claims()),
        "iss of the first, key of the second",
    )
    .await;
    let mut claims_of_second = claims_with("iss", "https://other.test/".into());
    refused(
        &auth,
        &second_key.sign(&claims_of_second),
        "the audience of the first issuer",
    )
    .await;
    claims_of_second["aud"] = "sandbox".into();
    refused(
        &auth,
        &first_key.sign(&claims_of_second),
        "iss of the second, key of the first",
    )
    .await;
    assert_eq!(
        accepted(&auth, &second_key.sign(&claims_of_second), "the second issuer")
            .await
            .issuer,
        "https://other.test/"
    );
    accepted(&auth, &first_key.sign(&claims()), "the first issuer").await;

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
        refused(&auth, &first_key.sign(&claims_with("iss", iss.clone())), &iss).await;
    }
    refused(&auth, &first_key.sign(&claims_without("iss")), "no iss").await;
}

#[tokio::test]
async fn tokens_that_are_not_access_tokens_are_refused() {
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
    for typ in [
        "JWT",
        "jwt",
        "application/jwt",
        "Application/JWT",
        "at+jwt",
        "AT+JWT",
        "application/at+jwt",
        "APPLICATION/AT+JWT",
    ] {
        accepted(&auth, &typed(typ.into()), typ).await;
    }
    let untyped = signer.sign_texts(r#"{"alg":"ES256","kid":"a"}"#, &claims().to_string());
    accepted(&auth, &untyped, "no typ").await;
    let logout = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
    refused(
        &auth,
        &signer.sign(&claims_with("events", logout)),
        "a logout token",
    )
    .await;
    // A token that is bound to a key (`cnf`) needs a proof of possession, which the service does not support.
    refused(
        &auth,
        &signer.sign(&claims_with("cnf", json!({"jkt": "x"}))),
        "cnf",
    )
    .await;
}

#[tokio::test]
async fn a_token_with_a_duplicate_member_is_refused() {
    let signer = Signer::new("ES256", "a");
    let idp = Idp::with_keys(&[&signer]).await;
    let auth = auth(&idp, &clock());
    let header = signer.header().to_string();
    let without_brace = |text: &str| text[..text.len() - 1].to_owned();
    for member in [
        r#""aud":"numberdesk""#,
        r#""teams":["finance"]"#,
        r#""\u0073ub":"bob""#,
        r#""exp":1800000300"#,
    ] {
        let duplicate = format!("{},{member}}}", without_brace(&claims().to_string()));
        refused(&auth, &signer.sign_texts(&header, &duplicate), member).await;
    }
    let nested = format!(
        "{},\"x\":{{\"a\":1,\"a\":1}}}}",
        without_brace(&claims().to_string())
    );
    refused(&auth, &signer.sign_texts(&header, &nested), "nested").await;
    let duplicate = format!("{},\"alg\":\"ES256\"}}", without_brace(&header));
    refused(
        &auth,
        &signer.sign_texts(&duplicate, &claims().to_string()),
        "header",
    )
    .await;
}

#[tokio::test]
async fn forbidden_contents_are_refused_and_not_repeated_in_the_reason() {
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
async fn tokens_of_the_dev_issuer_are_accepted_with_its_key_file() {
    let folder = tempfile::tempdir().unwrap();
    let dev = DevIssuer::load_or_create(folder.path(), ISSUER).unwrap();
    let source = KeySource::File(folder.path().join("jwks.json"));
    let auth = Auth::new(vec![settings(dev.issuer(), source)], clock()).unwrap();
    let caller = accepted(&auth, &dev.sign(&claims()).unwrap(), "the dev issuer").await;
    assert_eq!(caller.subject, "alice@example.com");
    let other = DevIssuer::generate(ISSUER).unwrap();
    refused(&auth, &other.sign(&claims()).unwrap(), "another key").await;
}

#[test]
fn unsafe_issuer_settings_are_refused_at_the_start() {
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
        teams: vec!["teams".into()],
        ..ClaimPointers::default()
    };
    let kind = IssuerKind::Oidc(claims);
    assert!(fault(vec![IssuerSettings { kind, ..good() }]).contains("`teams`"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn random_bytes_neither_panic_nor_authenticate(header: Vec<u8>, claims: Vec<u8>, signature: Vec<u8>, text: String) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let idp = Idp::start(IdpResponse::Status(503)).await;
            let auth = auth(&idp, &clock());
            let token = format!("{}.{}.{}", idp::base64(&header), idp::base64(&claims), idp::base64(&signature));
            for token in [token, text] {
                let refused = matches!(identified(&auth, &token).await, Err(Rejection::Invalid { .. }));
                prop_assert!(refused, "{:?}", token);
            }
            prop_assert_eq!(idp.request_count(), 0);
            Ok(())
        })?;
    }
}

//! The settings of an issuer that decide about its tokens: clock difference, lifetime, type, and several pointers.

use std::time::Duration;

use numberdesk::auth::TokenType;
use serde_json::{Value, json};

use crate::auth::idp::{Idp, Signer};
use crate::auth::*;

/// An authenticator with one issuer that has the usual settings, except what `change` changes.
fn auth_with(idp: &Idp, change: impl FnOnce(&mut IssuerSettings)) -> Auth {
    let mut settings = settings(ISSUER, KeySource::Url(idp.url.clone()));
    change(&mut settings);
    Auth::new(vec![settings], clock()).unwrap()
}

#[tokio::test]
async fn the_leeway_of_an_issuer_covers_clocks_that_are_45_seconds_apart() {
    let signer = Signer::new("EdDSA", "a");
    let idp = Idp::with_keys(&[&signer]).await;
    let auth = auth_with(&idp, |issuer| issuer.leeway = Duration::from_mins(1));
    for (name, seconds, valid) in [
        ("nbf", START + 45, true),
        ("nbf", START + 61, false),
        ("exp", START - 45, true),
        ("exp", START - 60, false),
    ] {
        let result = identified(&auth, &signer.sign(&claims_with(name, seconds.into()))).await;
        assert_eq!(result.is_ok(), valid, "{name} {}", seconds - START);
    }
    let exact = auth_with(&idp, |issuer| issuer.leeway = Duration::ZERO);
    accepted(
        &exact,
        &signer.sign(&claims_with("exp", (START + 1).into())),
        "one second left",
    )
    .await;
    refused(
        &exact,
        &signer.sign(&claims_with("exp", START.into())),
        "expired now",
    )
    .await;
    refused(
        &exact,
        &signer.sign(&claims_with("nbf", (START + 1).into())),
        "in a second",
    )
    .await;
}

#[tokio::test]
async fn a_token_that_lives_longer_than_max_lifetime_is_refused() {
    let signer = Signer::new("EdDSA", "a");
    let idp = Idp::with_keys(&[&signer]).await;
    let auth = auth_with(&idp, |issuer| issuer.max_lifetime = Some(Duration::from_hours(1)));
    let token = |iat: Value, exp: i64| {
        let mut claims = claims_with("exp", exp.into());
        claims["iat"] = iat;
        if claims["iat"].is_null() {
            claims.as_object_mut().unwrap().remove("iat");
        }
        signer.sign(&claims)
    };
    for (iat, exp, valid) in [
        (json!(START), START + 3_600, true),
        (json!(START), START + 3_601, false),
        (json!(START - 3_000), START + 600, true),
        // It has ten minutes left, and lived too long all the same.
        (json!(START - 3_001), START + 600, false),
        // The issuer's clock is ahead.
        (json!(START + 25), START + 3_625, true),
        // Without `iat`, and with one in the future, the rest of its life counts.
        (Value::Null, START + 3_600, true),
        (Value::Null, START + 3_700, false),
        (json!(START + 9_000), START + 10_000, false),
    ] {
        let result = identified(&auth, &token(iat.clone(), exp)).await;
        assert_eq!(result.is_ok(), valid, "iat {iat}, exp {exp}");
    }
    let rejection = identified(&auth, &token(json!(START), START + 86_400)).await;
    let reason = rejection.expect_err("a day is too long").to_string();
    assert!(
        reason.contains("longer than 1h") && reason.contains("max_lifetime"),
        "{reason}"
    );
}

#[tokio::test]
async fn an_issuer_may_require_a_type() {
    let signer = Signer::new("EdDSA", "a");
    let idp = Idp::with_keys(&[&signer]).await;
    let typed = |typ: Option<&str>| {
        let mut header = signer.header();
        match typ {
            Some(typ) => header["typ"] = typ.into(),
            None => drop(header.as_object_mut().unwrap().remove("typ")),
        }
        signer.sign_texts(&header.to_string(), &claims().to_string())
    };
    let access_token = [Some("at+jwt"), Some("AT+JWT"), Some("application/at+jwt")];
    for (required, good, bad) in [
        (
            TokenType::AccessToken,
            &access_token[..],
            &[Some("JWT"), None, Some("ID")][..],
        ),
        (
            TokenType::Jwt,
            &[Some("JWT"), Some("jwt")],
            &[Some("at+jwt"), None],
        ),
    ] {
        let auth = auth_with(&idp, |issuer| issuer.typ = Some(required));
        for typ in good {
            accepted(&auth, &typed(*typ), format_args!("{required:?} {typ:?}")).await;
        }
        for typ in bad {
            refused(&auth, &typed(*typ), format_args!("{required:?} {typ:?}")).await;
        }
    }
}

#[tokio::test]
async fn one_issuer_serves_people_with_one_claim_and_apps_with_another() {
    let signer = Signer::new("EdDSA", "a");
    let idp = Idp::with_keys(&[&signer]).await;
    let pointers = ClaimPointers {
        teams: vec!["/groups".into(), "/roles".into()],
        permissions: vec!["/roles".into(), "/scp".into()],
        subject: vec!["/preferred_username".into(), "/azp".into()],
        ..ClaimPointers::default()
    };
    let auth = auth_with(&idp, |issuer| issuer.kind = IssuerKind::Oidc(pointers));
    let sign = |more: Value| {
        let mut claims = json!({"iss": ISSUER, "aud": "numberdesk", "sub": "opaque", "exp": START + 300});
        claims
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        signer.sign(&claims)
    };
    let person = sign(
        json!({"groups": ["sales"], "scp": "numbers:read numbers:rent", "preferred_username": "alice@x"}),
    );
    let person = accepted(&auth, &person, "a person").await;
    assert_eq!(
        (person.name.as_str(), person.subject.as_str()),
        ("alice@x", "opaque")
    );
    assert_eq!(person.teams[0].as_str(), "sales");
    assert!(person.permissions.contains("numbers:rent"));

    let app = accepted(
        &auth,
        &sign(json!({"roles": ["sales", "numbers:read"], "azp": "crm-sync"})),
        "an app",
    )
    .await;
    assert_eq!((app.name.as_str(), app.teams[0].as_str()), ("crm-sync", "sales"));
    assert!(app.permissions.contains("numbers:read"));
}

#[tokio::test]
async fn the_tokens_of_an_issuer_grant_nothing_if_its_permissions_are_off() {
    let signer = Signer::new("EdDSA", "a");
    let idp = Idp::with_keys(&[&signer]).await;
    let pointers = ClaimPointers {
        permissions: Vec::new(),
        ..ClaimPointers::default()
    };
    let auth = auth_with(&idp, |issuer| issuer.kind = IssuerKind::Oidc(pointers));
    let caller = accepted(
        &auth,
        &signer.sign(&claims_with("scope", "numbers:admin".into())),
        "off",
    )
    .await;
    assert!(caller.permissions.is_empty());
    assert_eq!(caller.teams[0].as_str(), "sales");
}

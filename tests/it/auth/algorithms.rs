//! Tokens with an algorithm or a key that must not be accepted.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::KeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::idp::{IdpResponse, RSA, Signer, compact};
use super::*;

#[tokio::test]
async fn a_missing_or_wrong_algorithm_is_refused_in_every_spelling() {
    let signer = Signer::new("ES256", "a");
    let idp = Idp::with_keys(&[&signer]).await;
    let auth = auth(&idp, &clock());
    let variants = [
        json!("none"),
        json!("None"),
        json!("NONE"),
        json!("nOnE"),
        json!("none "),
        json!(""),
        json!("es256"),
        json!("ES256 "),
        json!("ES256\u{0}"),
        json!("ES512"),
        json!("RS256"),
        json!("PS256"),
        json!("EdDSA"),
        json!("HS256"),
        json!(null),
        json!(0),
        json!(true),
        json!(["ES256"]),
        json!({"name": "ES256"}),
    ];
    let valid = signer.sign(&claims());
    let valid_signature = valid.rsplit_once('.').unwrap().1;
    for alg in variants.into_iter().map(Some).chain([None]) {
        let mut header = json!({"kid": "a", "typ": "JWT"});
        if let Some(alg) = &alg {
            header["alg"] = alg.clone();
        }
        let whole = signer.sign_texts(&header.to_string(), &claims().to_string());
        let unsigned = whole.rsplit_once('.').unwrap().0;
        for token in [
            whole.clone(),
            format!("{unsigned}."),
            unsigned.to_owned(),
            format!("{unsigned}.AA"),
            format!("{unsigned}.{valid_signature}"),
        ] {
            refused(&auth, &token, format_args!("{alg:?} {token}")).await;
        }
    }
    let unsigned = valid.rsplit_once('.').unwrap().0;
    for token in [
        format!("{unsigned}."),
        unsigned.to_owned(),
        format!("{unsigned}.="),
        format!("{valid}."),
    ] {
        refused(&auth, &token, &token).await;
    }
    accepted(&auth, &valid, "the unchanged token").await;
}

#[tokio::test]
async fn a_public_key_is_never_used_as_an_hmac_secret() {
    let signer = Signer::new("RS256", "a");
    let idp = Idp::with_keys(&[&signer]).await;
    let auth = auth(&idp, &clock());
    let pkcs1 = RSA.public_key().as_ref().to_vec();
    let spki = RSA.public_key().as_der().unwrap().as_ref().to_vec();
    let pem = |name: &str, der: &[u8]| {
        let text = STANDARD.encode(der);
        let lines: Vec<_> = text
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        format!(
            "-----BEGIN {name}-----\n{}\n-----END {name}-----\n",
            lines.join("\n")
        )
    };
    let jwk = signer.jwk();
    let secrets: Vec<Vec<u8>> = vec![
        pem("PUBLIC KEY", &spki).into(),
        pem("PUBLIC KEY", &spki).trim_end().into(),
        pem("RSA PUBLIC KEY", &pkcs1).into(),
        spki,
        pkcs1,
        jwk.to_string().into(),
        json!({"keys": [jwk]}).to_string().into(),
        jwk["n"].as_str().unwrap().into(),
        Vec::new(),
    ];
    for secret in &secrets {
        for (alg, hash) in [
            ("HS256", hmac::HMAC_SHA256),
            ("HS384", hmac::HMAC_SHA384),
            ("HS512", hmac::HMAC_SHA512),
            ("RS256", hmac::HMAC_SHA256),
        ] {
            let header = json!({"alg": alg, "kid": "a", "typ": "JWT"}).to_string();
            let forged = compact(&header, &claims().to_string(), |message| {
                hmac::sign(&hmac::Key::new(hash, secret), message)
                    .as_ref()
                    .to_vec()
            });
            refused(&auth, &forged, alg).await;
        }
    }
    accepted(&auth, &signer.sign(&claims()), "the key's own token").await;
}

#[tokio::test]
async fn a_key_that_the_token_contains_or_links_is_never_used_or_fetched() {
    let (signer, mallory) = (Signer::new("ES256", "a"), Signer::new("ES256", "mallory"));
    let idp = Idp::with_keys(&[&signer]).await;
    let trap = Idp::with_keys(&[&mallory]).await;
    let auth = auth(&idp, &clock());
    let trap_url = json!(trap.url.as_str());
    let with_header = |key: &Signer, kid: Option<&str>, member: &str, value: &Value| {
        let mut header = key.header();
        header[member] = value.clone();
        match kid {
            Some(kid) => header["kid"] = kid.into(),
            None => drop(header.as_object_mut().unwrap().remove("kid")),
        }
        key.sign_texts(&header.to_string(), &claims().to_string())
    };
    for (member, value) in [
        ("jku", trap_url.clone()),
        ("x5u", trap_url.clone()),
        ("jwk", mallory.jwk()),
        ("x5c", json!(["MIIB"])),
        ("jku", json!(null)),
    ] {
        for (key, kids) in [
            (&signer, &[Some("mallory")][..]),
            (&mallory, &[Some("a"), Some("mallory"), None]),
        ] {
            for kid in kids {
                let token = with_header(key, *kid, member, &value);
                refused(&auth, &token, format_args!("{member} {kid:?}")).await;
            }
        }
        // Some providers send such a member with every token. The issuer's own key decides.
        for kid in [Some("a"), None] {
            accepted(&auth, &with_header(&signer, kid, member, &value), member).await;
        }
    }
    let mut kid_is_a_url = mallory.header();
    kid_is_a_url["kid"] = trap_url;
    refused(
        &auth,
        &mallory.sign_texts(&kid_is_a_url.to_string(), &claims().to_string()),
        "kid",
    )
    .await;
    assert_eq!(trap.request_count(), 0);
}

#[tokio::test]
async fn an_algorithm_that_the_issuer_does_not_allow_is_refused() {
    let (ec, rsa) = (Signer::new("ES256", "a"), Signer::new("PS256", "b"));
    let idp = Idp::with_keys(&[&ec, &rsa]).await;
    let mut only_rs256 = settings(ISSUER, KeySource::Url(idp.url.clone()));
    only_rs256.algorithms = vec![Algorithm::RS256];
    let auth = Auth::new(vec![only_rs256], clock()).unwrap();
    refused(&auth, &ec.sign(&claims()), "ES256").await;
    refused(&auth, &rsa.sign(&claims()), "PS256").await;
}

#[tokio::test]
async fn a_key_with_an_alg_verifies_no_other_algorithm() {
    let signer = Signer::new("PS256", "a");
    let named = |alg: &str| {
        let mut jwk = signer.jwk();
        jwk["alg"] = alg.into();
        IdpResponse::Json(json!({"keys": [jwk]}))
    };
    for (alg, valid) in [("PS256", true), ("RS256", false), ("RSA-OAEP", false)] {
        let idp = Idp::start(named(alg)).await;
        let result = identified(&auth(&idp, &clock()), &signer.sign(&claims())).await;
        assert_eq!(result.is_ok(), valid, "{alg}");
    }
}

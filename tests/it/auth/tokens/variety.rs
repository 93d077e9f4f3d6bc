//! Tokens as real providers make them: what carries no right is read leniently.

use numberdesk::domain::team::Team;
use serde_json::json;

use crate::auth::idp::{self, Idp, Signer};
use crate::auth::*;

#[tokio::test]
async fn claims_of_id_tokens_do_not_make_a_token_unusable_because_the_audience_decides() {
    let signer = Signer::new("RS256", "a");
    let idp = Idp::with_keys(&[&signer]).await;
    let auth = auth(&idp, &clock());
    for name in ["at_hash", "c_hash", "s_hash", "nonce", "sid", "auth_time", "acr"] {
        accepted(
            &auth,
            &signer.sign(&claims_with(name, "bi96gOXZShvlWYtal9Eqiw".into())),
            name,
        )
        .await;
        let mut for_another = claims_with(name, "bi96gOXZShvlWYtal9Eqiw".into());
        for_another["aud"] = "crm-web".into();
        refused(&auth, &signer.sign(&for_another), name).await;
    }
}

#[tokio::test]
async fn a_kid_of_null_is_no_kid_and_unknown_members_of_the_header_are_ignored() {
    let signer = Signer::new("ES256", "a");
    let idp = Idp::with_keys(&[&signer]).await;
    let auth = auth(&idp, &clock());
    for (member, value) in [
        ("kid", json!(null)),
        ("x5t", json!("p3wyVp08o44UB4W0LDXw8OD2rQw")),
        ("x5t#S256", json!("x")),
        ("cty", json!("JWT")),
        ("nonce", json!("x")),
        ("client_id", json!("x")),
        ("apu", json!({"any": ["value"]})),
    ] {
        let mut header = signer.header();
        header[member] = value;
        let token = signer.sign_texts(&header.to_string(), &claims().to_string());
        accepted(&auth, &token, member).await;
    }
}

#[tokio::test]
async fn ed25519_is_accepted_under_both_of_its_names() {
    let signer = Signer::new("EdDSA", "a");
    let mut jwk = signer.jwk();
    for in_key in [None, Some("EdDSA"), Some("Ed25519")] {
        match in_key {
            Some(alg) => jwk["alg"] = alg.into(),
            None => drop(jwk.as_object_mut().unwrap().remove("alg")),
        }
        let idp = Idp::start(idp::IdpResponse::Json(json!({"keys": [jwk]}))).await;
        let auth = auth(&idp, &clock());
        for alg in ["EdDSA", "Ed25519"] {
            let token = signer.sign_texts(
                &json!({"alg": alg, "kid": "a"}).to_string(),
                &claims().to_string(),
            );
            accepted(&auth, &token, format_args!("{in_key:?} {alg}")).await;
        }
        for alg in ["Ed448", "ed25519", "ES256"] {
            let token = signer.sign_texts(
                &json!({"alg": alg, "kid": "a"}).to_string(),
                &claims().to_string(),
            );
            refused(&auth, &token, alg).await;
        }
    }
}

#[tokio::test]
async fn a_token_that_the_service_can_never_read_is_refused_with_the_usual_cause() {
    let signer = Signer::new("ES256", "a");
    let idp = Idp::with_keys(&[&signer]).await;
    let auth = auth(&idp, &clock());
    let encrypted = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..QR1Owv2ug2WyPBnb.ciphertext.tag";
    for (token, expected) in [
        ("ya29.a0AfB_byC", "opaque"),
        ("v2local", "opaque"),
        (encrypted, "encrypted"),
    ] {
        let reason = refused(&auth, token, token).await;
        assert!(reason.contains(expected), "{token}: {reason}");
    }
    assert_eq!(idp.request_count(), 0);
}

#[tokio::test]
async fn teams_and_permissions_are_read_from_every_form_that_providers_send() {
    let signer = Signer::new("ES256", "a");
    let idp = Idp::with_keys(&[&signer]).await;
    let auth = auth(&idp, &clock());
    for teams in [
        json!(["sales", "ops"]),
        json!("sales ops"),
        json!({"sales": {"227": "acme.zitadel.cloud"}, "ops": {"227": "acme.zitadel.cloud"}}),
        json!(["/sales", "/ops", "/sales/emea"]),
        json!({"sales": true, "ops": true, "admins": false, "legal": null}),
    ] {
        let caller = accepted(&auth, &signer.sign(&claims_with("teams", teams.clone())), &teams).await;
        let names: Vec<_> = caller.teams.iter().map(Team::as_str).collect();
        assert_eq!(names, ["sales", "ops"], "{teams}");
    }
}

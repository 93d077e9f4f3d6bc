//! A token's form and signature: parses the compact JWS strictly and verifies it with one key.
//!
//! It never uses a key that the token contains or names by its address. The module `claims` checks the claims.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::auth::algorithm::Algorithm;
use crate::auth::jwk::Key;
use crate::auth::rejection::{Rejection, invalid};
use crate::auth::settings::TokenType;
use crate::domain::input::json;

/// The maximum length of a token.
const MAX_TOKEN_BYTES: usize = 16 * 1024;
const MAX_KID_CHARS: usize = 255;

/// Header members that change how a token is parsed. A token with one is refused.
///
/// Members that provide a key or name its address (`jku`, `jwk`, `x5u`, `x5c`) are ignored: some providers always send
/// them, and only the issuer's settings decide where its keys are.
const REFUSED_MEMBERS: &[&str] = &["crit", "b64"];
/// Accepted values of `typ`, in lower case.
const TYPES: &[(&str, TokenType)] = &[
    ("jwt", TokenType::Jwt),
    ("application/jwt", TokenType::Jwt),
    ("at+jwt", TokenType::AccessToken),
    ("application/at+jwt", TokenType::AccessToken),
];

/// A parsed token. Its content is not trustworthy before [`Token::verify`].
pub(super) struct Token<'a> {
    /// The `alg` of the header. The key decides whether it may be used.
    pub(super) algorithm: Algorithm,
    pub(super) typ: Option<TokenType>,
    pub(super) kid: Option<String>,
    pub(super) claims: Map<String, Value>,
    signed: &'a str,
    signature: &'a str,
}

impl<'a> Token<'a> {
    /// Parses a compact JWS: three parts in base64url without padding.
    ///
    /// Header and claims must be JSON objects without duplicate members.
    pub(super) fn parse(text: &'a str) -> Result<Self, Rejection> {
        let malformed = || invalid("the token is not a well-formed JWT");
        match text.matches('.').count() {
            2 => {}
            4 => {
                return Err(invalid(
                    "the token is encrypted (JWE); the service needs a signed JWT",
                ));
            }
            _ => {
                return Err(invalid(
                    "the token is not a JWT; some providers issue opaque tokens unless the app asks for this service",
                ));
            }
        }
        let (signed, signature) = text.rsplit_once('.').ok_or_else(malformed)?;
        let (header, claims) = signed.split_once('.').ok_or_else(malformed)?;
        if signature.is_empty() {
            return Err(invalid("the token is not signed"));
        }
        URL_SAFE_NO_PAD.decode(signature).map_err(|_| malformed())?;
        let header = object(header)?;
        for member in REFUSED_MEMBERS {
            if header.contains_key(*member) {
                return Err(invalid(
                    "the token's header has a member that is not accepted (crit, b64)",
                ));
            }
        }
        let typ = token_type(header.get("typ"))?;
        let algorithm = header
            .get("alg")
            .and_then(Value::as_str)
            .and_then(Algorithm::of_header)
            .ok_or(invalid(
                "the token's algorithm (`alg`) is not one of RS256, PS256, ES256, ES384 and EdDSA",
            ))?;
        let kid = match header.get("kid") {
            None | Some(Value::Null) => None,
            Some(Value::String(kid)) if kid.chars().count() <= MAX_KID_CHARS => Some(kid.clone()),
            Some(_) => {
                return Err(invalid(
                    "the token's `kid` must be a string of at most 255 characters",
                ));
            }
        };
        Ok(Self {
            algorithm,
            typ,
            kid,
            claims: object(claims)?,
            signed,
            signature,
        })
    }

    /// Verifies the signature.
    pub(super) fn verify(&self, key: &Key) -> Result<(), Rejection> {
        if key.verify(self.algorithm, self.signed.as_bytes(), self.signature) {
            Ok(())
        } else {
            Err(invalid("the token's signature is not valid"))
        }
    }
}

/// Refuses a token that is too long, before any other work.
pub(super) fn check_size(text: &str) -> Result<(), Rejection> {
    if text.len() > MAX_TOKEN_BYTES {
        Err(invalid("the token is larger than 16 KiB"))
    } else {
        Ok(())
    }
}

/// Reads the type. Refuses tokens that the issuer signed for another purpose, such as logout tokens or security events.
fn token_type(typ: Option<&Value>) -> Result<Option<TokenType>, Rejection> {
    let Some(typ) = typ else {
        return Ok(None);
    };
    let mut types = TYPES.iter();
    let known = types.find(|(name, _)| typ.as_str().is_some_and(|typ| typ.eq_ignore_ascii_case(name)));
    known
        .map(|(_, known)| Some(*known))
        .ok_or(invalid("the token's type (`typ`) is neither JWT nor at+jwt"))
}

fn object(part: &str) -> Result<Map<String, Value>, Rejection> {
    let malformed = invalid("the token is not a well-formed JWT");
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed)?;
    match json::parse(&bytes) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(malformed),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(header: &str, claims: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.c2ln", part(header), part(claims))
    }

    #[test]
    fn a_well_formed_token_is_parsed() {
        let text = token(r#"{"alg":"ES256","kid":"a","typ":"AT+JWT"}"#, r#"{"iss":"x"}"#);
        let token = Token::parse(&text).unwrap();
        assert_eq!(
            (token.algorithm, token.kid.as_deref()),
            (Algorithm::ES256, Some("a"))
        );
        assert_eq!(token.claims["iss"], "x");
        assert_eq!(format!("{}.{}", token.signed, token.signature), text);
    }

    #[test]
    fn only_a_well_formed_signed_jwt_is_accepted() {
        let good = token(r#"{"alg":"ES256"}"#, "{}");
        for bad in [
            String::new(),
            "..".into(),
            "a.b".into(),
            format!("{good}.c2ln"),
            format!("{good}="),
            format!(" {good}"),
            format!("{good}\n"),
            good.replace("c2ln", ""),
            good.replace("c2ln", "c2lo\u{e9}"),
            // The same bytes, encoded with non-zero padding bits.
            good.replace("c2ln", "c2n"),
            token("[]", "{}"),
            token(r#"{"alg":"ES256"}"#, "[]"),
            token(r#"{"alg":"ES256"} "#, "{} {}"),
            token(r#"{"alg":"ES256","alg":"ES256"}"#, "{}"),
            token(r#"{"alg":"ES256"}"#, r#"{"sub":"a","sub":"b"}"#),
            token(r#"{"alg":["ES256"]}"#, "{}"),
            token("{}", "{}"),
        ] {
            assert!(Token::parse(&bad).is_err(), "{bad:?}");
        }
        assert!(Token::parse(&good).is_ok());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>(), header in any::<Vec<u8>>(), claims in any::<Vec<u8>>()) {
            let _ = Token::parse(&text);
            let built = format!("{}.{}.AA", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
            let _ = Token::parse(&built);
        }
    }
}

//! The claims that decide whether a token is valid here: audience, type, times, and what the token is for.
//!
//! This module is pure. `jwt` verifies the signature before, and `identity` reads the caller after.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::auth::rejection::{Rejection, invalid};
use crate::auth::settings::TokenType;
use crate::domain::claim;
use crate::domain::time::Timestamp;

/// What an issuer's tokens must fulfil.
pub(super) struct Rules {
    /// The accepted values of `aud`.
    pub(super) audiences: Vec<String>,
    /// The only accepted `typ` of the header.
    pub(super) typ: Option<TokenType>,
    /// The accepted difference between the issuer's clock and the service's clock.
    pub(super) leeway: Duration,
    /// The longest accepted life of a token.
    pub(super) max_lifetime: Option<Duration>,
}

impl Rules {
    /// Checks that the token is for this service.
    pub(super) fn check_audience(&self, claims: &Map<String, Value>) -> Result<(), Rejection> {
        let accepted = |aud: &str| self.audiences.iter().any(|audience| audience == aud);
        let for_this_service = match claims.get("aud") {
            None => return Err(invalid("the token has no `aud`")),
            Some(Value::String(aud)) => accepted(aud),
            Some(Value::Array(all)) if all.iter().all(Value::is_string) => {
                all.iter().filter_map(Value::as_str).any(accepted)
            }
            Some(_) => {
                return Err(invalid(
                    "the token's `aud` must be a string or an array of strings",
                ));
            }
        };
        if for_this_service {
            Ok(())
        } else {
            Err(invalid("the token is for another audience (`aud`)"))
        }
    }

    /// Checks that the token is a plain bearer token of the required type.
    pub(super) fn check_kind(
        &self,
        typ: Option<TokenType>,
        claims: &Map<String, Value>,
    ) -> Result<(), Rejection> {
        if self.typ.is_some() && typ != self.typ {
            return Err(invalid(
                "the token's type (`typ`) is not the one that its issuer's settings require",
            ));
        }
        if claims.contains_key("cnf") {
            return Err(invalid(
                "the token is bound to a key (`cnf`); the service accepts only plain bearer tokens",
            ));
        }
        // The names of events are URIs (RFC 8417), which keeps a claim of another meaning apart.
        let events = claims.get("events").and_then(Value::as_object);
        if events.is_some_and(|events| events.keys().any(|name| name.contains(':'))) {
            return Err(invalid(
                "the token reports events (`events`), such as a logout; it is not an access token",
            ));
        }
        Ok(())
    }

    /// Checks the times. Returns when the token expires, with the leeway added.
    pub(super) fn check_times(
        &self,
        claims: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<Timestamp, Rejection> {
        let time = |name, fault| {
            let value = claims.get(name);
            value
                .map(|value| claim::time(value).ok_or(invalid(fault)))
                .transpose()
        };
        let exp = time("exp", "the token's `exp` must be a number of seconds since 1970")?
            .ok_or(invalid("the token has no `exp`"))?;
        let nbf = time("nbf", "the token's `nbf` must be a number of seconds since 1970")?;
        let iat = time("iat", "the token's `iat` must be a number of seconds since 1970")?;
        let ends = exp.plus(self.leeway);
        if now >= ends {
            return Err(invalid("the token has expired"));
        }
        if nbf.is_some_and(|nbf| now < nbf.minus(self.leeway)) {
            return Err(invalid("the token is not valid yet"));
        }
        if let Some(longest) = self.max_lifetime {
            // The rest of its life counts too: `iat` may be missing, or later than now.
            let rest = exp.since(now.plus(self.leeway));
            if rest > longest || iat.is_some_and(|iat| exp.since(iat) > longest) {
                return Err(Rejection::LivesTooLong { longest });
            }
        }
        Ok(ends)
    }
}

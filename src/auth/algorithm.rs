//! The signature algorithms that an issuer may be allowed to use.

use std::fmt;
use std::str::FromStr;

/// A signature algorithm with a public key.
///
/// Algorithms with a shared secret, such as HS256, are never accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSA with PKCS #1 v1.5 and SHA-256.
    RS256,
    /// RSA with PSS and SHA-256.
    PS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// Ed25519.
    EdDSA,
}

impl Algorithm {
    /// Every algorithm that can be allowed.
    pub const ALL: &'static [Self] = &[Self::RS256, Self::PS256, Self::ES256, Self::ES384, Self::EdDSA];

    /// Returns the value of `alg` in a token's header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::PS256 => "PS256",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }

    /// Returns the algorithm that `alg` of a token or of a key names.
    ///
    /// RFC 9864 gives `EdDSA` with Ed25519 the second name `Ed25519`.
    pub fn of_header(alg: &str) -> Option<Self> {
        match alg {
            "Ed25519" => Some(Self::EdDSA),
            _ => alg.parse().ok(),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The error for a string that is not the name of an accepted algorithm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be one of RS256, PS256, ES256, ES384, EdDSA")]
pub struct NotAnAlgorithm;

impl FromStr for Algorithm {
    type Err = NotAnAlgorithm;
    fn from_str(text: &str) -> Result<Self, NotAnAlgorithm> {
        Self::ALL
            .iter()
            .copied()
            .find(|algorithm| algorithm.as_str() == text)
            .ok_or(NotAnAlgorithm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_are_parsed_from_their_names_and_others_are_rejected() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(*algorithm));
        }
        for text in ["HS256", "none", "None", "rs256", "RS512", ""] {
            assert_eq!(text.parse::<Algorithm>(), Err(NotAnAlgorithm), "{text}");
        }
    }
}

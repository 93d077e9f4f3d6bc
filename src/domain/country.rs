//! Countries by their ISO 3166-1 alpha-2 code, and three codes of telephony that ISO 3166-1 lacks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::domain::schema::string_schema;

/// Places with a calling code of their own, which have no code of their own in ISO 3166-1.
///
/// ISO reserves `AC` and `TA`, and leaves `XK` to users; Unicode's CLDR and telephone libraries use all three.
const BEYOND_ISO: [(&str, &str); 3] = [
    ("AC", "Ascension Island"),
    ("TA", "Tristan da Cunha"),
    ("XK", "Kosovo"),
];

/// Returns the name of a code that ISO 3166-1 or [`BEYOND_ISO`] lists.
fn name(code: &str) -> Option<&'static str> {
    rust_iso3166::from_alpha2(code)
        .map(|country| country.name)
        .or_else(|| {
            BEYOND_ISO
                .iter()
                .find_map(|(beyond, name)| (*beyond == code).then_some(*name))
        })
}

/// An existing country, as two capital letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Country([u8; 2]);

impl Country {
    /// Returns the country with exactly this code.
    fn known(code: &str) -> Option<Self> {
        match code.as_bytes() {
            [a @ b'A'..=b'Z', b @ b'A'..=b'Z'] if name(code).is_some() => Some(Self([*a, *b])),
            _ => None,
        }
    }
    /// Reads a code of the database, which may be one that only a later version knows.
    pub fn stored<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_bytes() {
            [a @ b'A'..=b'Z', b @ b'A'..=b'Z'] => Ok(Self([*a, *b])),
            _ => Err(serde::de::Error::custom(NotACountry::Malformed)),
        }
    }
    /// Whether only a later version knows the code.
    pub fn is_later(&self) -> bool {
        name(self.as_str()).is_none()
    }
    /// Returns the code, such as `DE`.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("made from two ASCII letters")
    }
    /// Returns the English short name, such as `Germany`.
    pub fn name(&self) -> &'static str {
        name(self.as_str()).unwrap_or_default()
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Codes that the European Union uses for a country instead of its code in ISO 3166-1.
const INSTEAD_OF_ISO: [(&str, &str); 2] = [("EL", "GR"), ("UK", "GB")];

/// The error for a string that is not a country code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotACountry {
    /// The string does not look like a code.
    #[error("must be an ISO 3166 country code of two capital letters, like \"DE\"")]
    Malformed,
    /// The string looks like a code, and no country has it.
    #[error("must be a country code of ISO 3166, which `{0}` is not")]
    Unknown(String),
    /// The string is another way to write the code of a country.
    #[error("must be a country code of ISO 3166, which `{written}` is not; did you mean `{code}`?")]
    Variant {
        /// The string.
        written: String,
        /// The code of the country.
        code: Country,
    },
}

impl NotACountry {
    fn new(text: &str) -> Self {
        let written = text.to_owned();
        let instead = INSTEAD_OF_ISO.iter().find(|(code, _)| *code == text);
        let similar = instead.map_or_else(|| text.to_ascii_uppercase(), |(_, iso)| (*iso).to_owned());
        match (Country::known(&similar), text.as_bytes()) {
            (Some(code), _) => Self::Variant { written, code },
            (None, [b'A'..=b'Z', b'A'..=b'Z']) => Self::Unknown(written),
            _ => Self::Malformed,
        }
    }
}

impl FromStr for Country {
    type Err = NotACountry;
    fn from_str(text: &str) -> Result<Self, NotACountry> {
        Self::known(text).ok_or_else(|| NotACountry::new(text))
    }
}
impl TryFrom<String> for Country {
    type Error = NotACountry;
    fn try_from(text: String) -> Result<Self, NotACountry> {
        text.parse()
    }
}
impl From<Country> for String {
    fn from(country: Country) -> String {
        country.as_str().to_owned()
    }
}

string_schema! {
    Country: "A country, as an ISO 3166-1 alpha-2 code, or `XK` (Kosovo), `AC` (Ascension) or `TA` (Tristan da Cunha).", pattern: "^[A-Z]{2}$", example: "DE"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_existing_codes_in_capital_letters_are_countries() {
        assert_eq!("DE".parse::<Country>().unwrap().name(), "Germany");
        for (beyond_iso, name) in BEYOND_ISO {
            assert_eq!(beyond_iso.parse::<Country>().unwrap().name(), name);
        }
        for bad in ["de", "xk", "XX", "UK", "EU", "DEU", "D", "", "ÄÖ"] {
            assert!(bad.parse::<Country>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_unknown_code_is_named_and_a_variant_of_a_code_is_corrected() {
        let fault = |text: &str| text.parse::<Country>().unwrap_err().to_string();
        for (variant, code) in [("UK", "GB"), ("EL", "GR"), ("de", "DE"), ("xK", "XK")] {
            assert_eq!(
                fault(variant),
                format!(
                    "must be a country code of ISO 3166, which `{variant}` is not; did you mean `{code}`?"
                )
            );
        }
        for unknown in ["ZZ", "EU"] {
            assert_eq!(
                fault(unknown),
                format!("must be a country code of ISO 3166, which `{unknown}` is not")
            );
        }
        for malformed in ["DEU", "Germany", "D", "", "zz", "ÄÖ", "\u{1b}["] {
            assert_eq!(
                fault(malformed),
                "must be an ISO 3166 country code of two capital letters, like \"DE\""
            );
        }
    }
}

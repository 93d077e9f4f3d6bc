//! Phone numbers in E.164, and their countries.
//!
//! The service validates the numbers that callers send. It does not validate the numbers that Close reports.

use std::fmt;
use std::str::FromStr;

use rlibphonenumber::{PhoneNumber, PhoneNumberType};
use serde::{Deserialize, Serialize};

use crate::domain::country::Country;

/// A valid phone number in E.164, such as `+4930901820`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct E164(String);

impl E164 {
    /// Returns the number with its `+`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the number's country; `None` for numbers without one, such as satellite phones.
    pub fn country(&self) -> Option<Country> {
        parsed(&self.0)?.get_region_code()?.to_string().parse().ok()
    }

    /// Whether a call to it can cost extra: premium-rate, shared-cost, personal and corporate numbers.
    ///
    /// Toll fraud uses such numbers.
    pub fn premium(&self) -> bool {
        use PhoneNumberType::{FixedLine, FixedLineOrMobile, Mobile, TollFree, VoIP};
        parsed(&self.0).is_none_or(|number| {
            !matches!(
                number.get_type(),
                FixedLine | FixedLineOrMobile | Mobile | TollFree | VoIP
            )
        })
    }
}

fn parsed(text: &str) -> Option<PhoneNumber> {
    let digits = text.strip_prefix('+')?;
    if !(2..=15).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse::<PhoneNumber>().ok().filter(PhoneNumber::is_valid)
}

/// Returns the digits after the country code of a number with a `+`, even if it is invalid.
pub fn national(text: &str) -> Option<String> {
    let number = text.parse::<PhoneNumber>().ok()?;
    Some(number.get_national_significant_number())
}

impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The error for a string that is not a valid phone number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a valid phone number in E.164, like \"+4930901820\"")]
pub struct NotANumber;

impl FromStr for E164 {
    type Err = NotANumber;
    fn from_str(text: &str) -> Result<Self, NotANumber> {
        parsed(text).map(|_| Self(text.to_owned())).ok_or(NotANumber)
    }
}
impl TryFrom<String> for E164 {
    type Error = NotANumber;
    fn try_from(text: String) -> Result<Self, NotANumber> {
        text.parse()
    }
}
impl From<E164> for String {
    fn from(number: E164) -> String {
        number.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_country_and_the_premium_rate_follow_from_the_number() {
        let berlin: E164 = "+4930901820".parse().unwrap();
        assert_eq!(berlin.country().unwrap().as_str(), "DE");
        assert!(!berlin.premium());
        let premium: E164 = "+499001234567".parse().unwrap();
        assert!(premium.premium());
        // Several countries share the calling code +1.
        assert_eq!(
            "+18765230123"
                .parse::<E164>()
                .unwrap()
                .country()
                .unwrap()
                .as_str(),
            "JM"
        );
    }

    #[test]
    fn invalid_numbers_are_rejected() {
        for bad in [
            "",
            "+",
            "4930901820",
            "+49 30 901820",
            "+0",
            "+491",
            "tel:+4930901820",
            "+49309018201234567",
            "+1555",
        ] {
            assert!(bad.parse::<E164>().is_err(), "{bad}");
        }
    }
}

//! Phone numbers in E.164: their countries, and what calls to them cost.
//!
//! The service validates the numbers that callers send. It does not validate the numbers that Close reports.

mod charge;
mod home;
mod prefix;

use std::fmt;
use std::str::FromStr;

use rlibphonenumber::{PhoneNumber, PhoneNumberFormat};
use serde::{Deserialize, Serialize};

use crate::domain::country::Country;
use crate::domain::input::list::Item;
use crate::domain::schema::string_schema;

pub use crate::domain::phone::charge::{Charge, Kind};
pub use crate::domain::phone::home::{Home, main_country, sharing_calling_code, without_trunk_zero};
pub use crate::domain::phone::prefix::{NationalPrefix, has_prefix};

/// A valid phone number in E.164, such as `+4930901820`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct E164(String);

impl E164 {
    /// Returns the number with its `+`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the country, or the countries, that the number belongs to.
    pub fn home(&self) -> Home {
        parsed(&self.0).map_or_else(Home::default, |number| home::of(&number, self.digits()))
    }

    /// Returns the kind of number, and what a call to it costs.
    pub fn kind(&self) -> Kind {
        parsed(&self.0).map_or(charge::UNKNOWN, |number| charge::of(&number, self.digits()))
    }

    fn digits(&self) -> &str {
        self.0.trim_start_matches('+')
    }
}

/// Reads a number with a `+` and 2 to 15 digits, if it is valid.
fn parsed(text: &str) -> Option<PhoneNumber> {
    let digits = text.strip_prefix('+')?;
    if !(2..=15).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse::<PhoneNumber>().ok().filter(PhoneNumber::is_valid)
}

/// Whether the number can be one of `country` although it is listed in `listed`.
///
/// Where several countries share a calling code, a list may name the main one for all of them.
pub fn is_listed_as(number: &str, country: Country, listed: Country) -> bool {
    country == listed
        || listed == main_country(country)
            && number
                .parse::<E164>()
                .is_ok_and(|number| number.home().fits(country))
}

/// Whether the digits of a number allow `country`; a number that no plan has allows every country.
pub fn can_be_of(number: &str, country: Country) -> bool {
    number
        .parse::<E164>()
        .map_or(true, |number| number.home().fits(country))
}

impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The error for a string that is not a valid phone number in E.164.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotANumber {
    /// No numbering plan has the number.
    #[error("must be a valid phone number in E.164, like \"+4930901820\"")]
    Invalid,
    /// The number has digits that are only dialled inside its country, such as the zero of an area code.
    #[error("must be in E.164, without the prefixes that are dialled inside a country: {0}")]
    WithPrefix(String),
}

impl FromStr for E164 {
    type Err = NotANumber;
    fn from_str(text: &str) -> Result<Self, NotANumber> {
        let number = parsed(text).ok_or(NotANumber::Invalid)?;
        let canonical = number.format_as(PhoneNumberFormat::E164);
        // The parser drops prefixes such as the zero in +4403…. Close and its carriers would dial them.
        if canonical == text {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotANumber::WithPrefix(canonical.into_owned()))
        }
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

impl Item for E164 {
    const PLURAL: &'static str = "phone numbers";
}
string_schema! {
    E164: "A phone number in E.164.", pattern: r"^\+[1-9][0-9]{1,14}$", example: "+4930901820"
}

#[cfg(test)]
mod tests;

//! Area codes and prefixes of national numbers, and the digits that some plans write before them.
//!
//! The zeros of Italy and others, the 9 of mobile numbers in Argentina, and the 1 of old mobile numbers in Mexico are
//! optional: a number has a prefix with and without them.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, Region};

use crate::domain::country::Country;

/// The digit that a plan may write before an area code; empty for most plans.
const fn optional_digit(calling_code: i32) -> &'static str {
    match calling_code {
        52 => "1",
        54 => "9",
        _ => "",
    }
}

/// Whether the number can have this area code or prefix; `None` if the number is unreadable. The number may be invalid.
pub fn has_prefix(number: &str, prefix: &str) -> Option<bool> {
    let number = number.parse::<PhoneNumber>().ok()?;
    let national = number.get_national_significant_number();
    let optional = optional_digit(number.country_code);
    let without_digit = national.strip_prefix(optional).unwrap_or(&national);
    Some(
        national.starts_with(prefix)
            || without_digit.starts_with(prefix)
            || bare(without_digit).starts_with(bare(prefix)),
    )
}

fn bare(digits: &str) -> &str {
    digits.trim_start_matches('0')
}

/// A prefix of a country's numbers, in the forms that [`has_prefix`] tells apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NationalPrefix {
    /// Without zeros in front: as written, and without the plan's optional digit.
    forms: Vec<String>,
}

impl NationalPrefix {
    /// Reads a prefix of this country; an empty one means all numbers.
    pub fn new(country: Country, prefix: &str) -> Self {
        let code = Region::try_from(country.as_str())
            .ok()
            .and_then(|region| PHONE_NUMBER_UTIL.get_country_code_for_region(region));
        let optional = optional_digit(code.unwrap_or_default());
        let without_digit = prefix.strip_prefix(optional).unwrap_or(prefix);
        let mut forms = vec![bare(prefix).to_owned(), bare(without_digit).to_owned()];
        forms.dedup();
        Self { forms }
    }

    /// Whether one number can have both prefixes.
    pub fn is_compatible(&self, other: &Self) -> bool {
        self.forms.iter().any(|one| {
            let fits = |two: &String| one.starts_with(two.as_str()) || two.starts_with(one.as_str());
            other.forms.iter().any(fits)
        })
    }
}

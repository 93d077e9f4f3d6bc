//! The country that a phone number belongs to, also where several countries share a calling code.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, Region};

use crate::domain::country::Country;

/// The calling code of the North American Numbering Plan, the only shared code without a main country.
const NANP: i32 = 1;

/// Area codes that the library gives to the main country of the calling code.
///
/// +212 528 8 and 528 9 are Laayoune and Dakhla; the library lists them for `MA` and for `EH`.
const OF_TERRITORIES: [(&str, &str); 2] = [("2125288", "EH"), ("2125289", "EH")];

/// The countries that a number can belong to, as far as its digits tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Home {
    /// The country calling code, such as 44; 0 if unknown.
    pub calling_code: i32,
    /// The country whose number it counts as.
    ///
    /// If the digits fit several countries, it is the main country of the calling code. `None`: the number belongs to
    /// no country, such as a satellite number, or to all countries of +1, such as a toll-free number.
    pub country: Option<Country>,
    /// The other countries in which the number is valid, in alphabetical order.
    pub shared_with: Vec<Country>,
}

impl Home {
    /// Whether one of these countries allows the number.
    ///
    /// A number of all countries of +1 needs any one of them.
    pub fn is_in(&self, allowed: &[Country]) -> bool {
        match &self.country {
            Some(country) => allowed.contains(country),
            None => self.shared_with.iter().any(|country| allowed.contains(country)),
        }
    }

    /// Whether the digits fit a number of this country.
    pub fn fits(&self, country: Country) -> bool {
        self.country == Some(country) || self.shared_with.contains(&country)
    }

    /// The countries among these that have the same calling code.
    pub fn same_calling_code(&self, countries: &[Country]) -> Vec<Country> {
        let of_code = of_code(self.calling_code);
        countries
            .iter()
            .copied()
            .filter(|country| of_code.contains(country))
            .collect()
    }
}

/// Returns the home of a valid number; `digits` are those after its `+`.
pub(super) fn of(number: &PhoneNumber, digits: &str) -> Home {
    let calling_code = number.country_code;
    let mut fits: Vec<Country> = regions(calling_code)
        .filter(|region| number.is_valid_for_region(*region))
        .filter_map(country)
        .collect();
    fits.sort_unstable();
    let of_whole_plan = calling_code == NANP && fits.len() > 1;
    let home = OF_TERRITORIES
        .iter()
        .find(|(prefix, _)| digits.starts_with(prefix))
        .and_then(|(_, code)| code.parse().ok())
        .or_else(|| number.get_region_code().and_then(country))
        .filter(|_| !of_whole_plan);
    fits.retain(|country| Some(*country) != home);
    Home {
        calling_code,
        country: home,
        shared_with: fits,
    }
}

/// Returns the main country of the calling code of a country, such as GB for GG; for most countries, itself.
pub fn main_country(of: Country) -> Country {
    Region::try_from(of.as_str())
        .ok()
        .and_then(|region| PHONE_NUMBER_UTIL.get_country_code_for_region(region))
        .and_then(|code| PHONE_NUMBER_UTIL.get_region_for_country_code(code))
        .and_then(country)
        .unwrap_or(of)
}

/// Returns the countries that share the calling code of `country`, itself among them.
pub fn sharing_calling_code(country: Country) -> Vec<Country> {
    let code = Region::try_from(country.as_str())
        .ok()
        .and_then(|region| PHONE_NUMBER_UTIL.get_country_code_for_region(region));
    let mut countries = code.map(of_code).unwrap_or_default();
    if !countries.contains(&country) {
        countries.push(country);
    }
    countries
}

/// Returns the prefix without its zero, if that zero is dialled only inside the country; otherwise `None`.
///
/// In most countries such a zero stands before an area code, and no number in E.164 has it. Elsewhere, such as in
/// Italy, a zero is a part of the number.
pub fn without_trunk_zero(country: Country, prefix: &str) -> Option<&str> {
    let rest = prefix.strip_prefix('0')?.trim_start_matches('0');
    let region = Region::try_from(country.as_str()).ok()?;
    let example = PHONE_NUMBER_UTIL.get_example_number(region).ok()?;
    let national = example.get_national_significant_number();
    let dialled = PHONE_NUMBER_UTIL
        .parse(format!("0{national}"), Some(region))
        .ok()?;
    (!national.starts_with('0') && dialled.get_national_significant_number() == national).then_some(rest)
}

fn of_code(calling_code: i32) -> Vec<Country> {
    regions(calling_code).filter_map(country).collect()
}

fn regions(calling_code: i32) -> impl Iterator<Item = Region> {
    PHONE_NUMBER_UTIL
        .get_regions_for_country_calling_code(calling_code)
        .into_iter()
        .flatten()
}

/// `None` for the region 001, to which satellite phones and other networks without a country belong.
fn country(region: Region) -> Option<Country> {
    region.to_string().parse().ok()
}

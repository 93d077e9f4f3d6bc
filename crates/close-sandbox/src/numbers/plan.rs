//! Numbering plans: generates phone numbers that are valid in a country.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, PhoneNumberType, Region};

use crate::random::Random;

/// The carrier types, in the order in which they are tried if the request names none.
pub(crate) const CARRIER_TYPES: [&str; 4] = ["local", "mobile", "national", "tollfree"];

/// An available number.
pub(crate) struct Available {
    /// E.164.
    pub(crate) number: String,
    /// One of [`CARRIER_TYPES`].
    pub(crate) carrier_type: &'static str,
}

/// Whether the numbering plan of this country is known.
pub(crate) fn has_plan(country: &str) -> bool {
    region(country).is_some_and(|region| PHONE_NUMBER_UTIL.get_example_number(region).is_ok())
}

/// Returns the region of a country whose numbering plan is known. The library logs a warning for each other one.
fn region(country: &str) -> Option<Region> {
    // The library accepts small letters too, but Close does not.
    if country.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return None;
    }
    let region = Region::try_from(country).ok()?;
    PHONE_NUMBER_UTIL
        .get_supported_regions()
        .any(|known| known == region)
        .then_some(region)
}

/// Finds a valid number with this prefix that is not taken, or `None` if the plan has none.
pub(crate) fn find(
    random: &mut Random,
    country: &str,
    prefix: &str,
    carrier_type: Option<&str>,
    taken: impl Fn(&str) -> bool,
) -> Option<Available> {
    let region = region(country)?;
    let wanted = CARRIER_TYPES
        .into_iter()
        .filter(|known| carrier_type.is_none_or(|asked| asked == *known));
    for carrier_type in wanted {
        for kind in kinds(carrier_type) {
            if let Some(number) = generate(random, region, prefix, *kind, carrier_type, &taken) {
                return Some(Available { number, carrier_type });
            }
        }
    }
    None
}

/// Formats a number as `+49 30 1234567`; returns other text unchanged.
pub(crate) fn format(number: &str) -> String {
    match PHONE_NUMBER_UTIL.parse(number, None) {
        Ok(parsed) => parsed.format_as(PhoneNumberFormat::International).into_owned(),
        Err(_) => number.to_owned(),
    }
}

/// Whether the text is a plus sign and 2 to 15 digits, the first not zero.
pub(crate) fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (2..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0')
    })
}

fn kinds(carrier_type: &str) -> &'static [PhoneNumberType] {
    match carrier_type {
        "local" => &[PhoneNumberType::FixedLine],
        "mobile" => &[PhoneNumberType::Mobile],
        "tollfree" => &[PhoneNumberType::TollFree],
        _ => &[
            PhoneNumberType::UAN,
            PhoneNumberType::VoIP,
            PhoneNumberType::SharedCost,
        ],
    }
}

fn generate(
    random: &mut Random,
    region: Region,
    prefix: &str,
    kind: PhoneNumberType,
    carrier_type: &str,
    taken: &impl Fn(&str) -> bool,
) -> Option<String> {
    let example = PHONE_NUMBER_UTIL
        .get_example_number_for_type_and_region(region, kind)
        .ok()?;
    let national = example.get_national_significant_number();
    let code = example.country_code;
    // Without a prefix, keep the first digits of the example: the digits after them are the subscriber's.
    let start = if prefix.is_empty() {
        &national[..national.len().min(3)]
    } else {
        prefix
    };
    let usual = national.len();
    for length in [
        usual,
        usual + 1,
        usual + 2,
        usual.saturating_sub(1),
        usual.saturating_sub(2),
    ] {
        for _ in 0..40 {
            let mut candidate = format!("+{code}{start}");
            for _ in start.len()..length {
                candidate.push(char::from(
                    b'0' + u8::try_from(random.below(10)).expect("a digit fits"),
                ));
            }
            if !taken(&candidate) && is_valid(&candidate, region, carrier_type) {
                return Some(candidate);
            }
        }
    }
    None
}

fn is_valid(candidate: &str, region: Region, carrier_type: &str) -> bool {
    let Ok(parsed) = PHONE_NUMBER_UTIL.parse(candidate, None) else {
        return false;
    };
    parsed.is_valid_for_region(region)
        && type_matches(&parsed, carrier_type)
        && parsed.format_as(PhoneNumberFormat::E164) == candidate
}

fn type_matches(parsed: &PhoneNumber, carrier_type: &str) -> bool {
    match parsed.get_type() {
        PhoneNumberType::FixedLine => carrier_type == "local",
        PhoneNumberType::Mobile => carrier_type == "mobile",
        PhoneNumberType::FixedLineOrMobile => carrier_type == "local" || carrier_type == "mobile",
        PhoneNumberType::TollFree => carrier_type == "tollfree",
        PhoneNumberType::UAN | PhoneNumberType::VoIP | PhoneNumberType::SharedCost => {
            carrier_type == "national"
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sampled_countries_have_distinct_valid_local_numbers() {
        let mut random = Random::new(7);
        for country in [
            "DE", "FR", "GB", "US", "CA", "ES", "IT", "NL", "AT", "CH", "BE", "SE", "NO", "DK", "PL", "IE",
            "PT", "AU",
        ] {
            let first = find(&mut random, country, "", Some("local"), |_| false).expect(country);
            let second = find(&mut random, country, "", Some("local"), |known| {
                known == first.number
            })
            .expect(country);
            assert_ne!(first.number, second.number, "{country}");
            assert!(is_e164(&first.number), "{country}: {}", first.number);
        }
    }

    #[test]
    fn most_countries_have_numbers() {
        let mut random = Random::new(7);
        let countries = rust_iso3166::ALL.iter().map(|country| country.alpha2);
        let (with, without): (Vec<&str>, Vec<&str>) =
            countries.partition(|country| find(&mut random, country, "", None, |_| false).is_some());
        println!(
            "{} countries with numbers, {} without: {without:?}",
            with.len(),
            without.len()
        );
        assert!(with.len() > 235, "none in {without:?}");
    }

    #[test]
    fn the_prefix_determines_the_carrier_type_if_none_is_requested() {
        let mut random = Random::new(7);
        for (country, prefix, starts, kind) in [
            ("DE", "30", "+4930", "local"),
            ("DE", "1512", "+491512", "mobile"),
            ("US", "415", "+1415", "local"),
            ("GB", "20", "+4420", "local"),
            ("IT", "06", "+3906", "local"),
            ("FR", "6", "+336", "mobile"),
        ] {
            let found = find(&mut random, country, prefix, None, |_| false).expect(country);
            assert!(
                found.number.starts_with(starts),
                "{country} {prefix}: {}",
                found.number
            );
            assert_eq!(found.carrier_type, kind, "{country} {prefix}: {}", found.number);
        }
    }

    #[test]
    fn an_unknown_prefix_finds_no_number() {
        let mut random = Random::new(7);
        assert!(find(&mut random, "US", "000", None, |_| false).is_none());
        assert!(find(&mut random, "CA", "415", None, |_| false).is_none());
        assert!(!has_plan("XX"));
    }
}

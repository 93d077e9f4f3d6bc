//! Makes phone numbers that a country's numbering plan allows. Knows no organization and no price.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, PhoneNumberType, Region};

use crate::state::Random;

/// Kinds of number that can be rented, in the order in which they are tried when none is asked for.
pub(crate) const CARRIER_TYPES: [&str; 4] = ["local", "mobile", "national", "tollfree"];

/// A number that can be rented.
pub(crate) struct Available {
    /// E.164.
    pub(crate) number: String,
    /// One of [`CARRIER_TYPES`].
    pub(crate) carrier_type: &'static str,
}

/// Whether numbers of this country can be made at all.
pub(crate) fn has_plan(country: &str) -> bool {
    Region::try_from(country).is_ok_and(|region| PHONE_NUMBER_UTIL.get_example_number(region).is_ok())
}

/// A valid number of the country that begins with the prefix and is not taken; none when the plan has no such.
pub(crate) fn find(
    random: &mut Random,
    country: &str,
    prefix: &str,
    carrier_type: Option<&str>,
    taken: impl Fn(&str) -> bool,
) -> Option<Available> {
    let region = Region::try_from(country).ok()?;
    let wanted = CARRIER_TYPES
        .into_iter()
        .filter(|known| carrier_type.is_none_or(|asked| asked == *known));
    for carrier_type in wanted {
        for kind in kinds(carrier_type) {
            if let Some(number) = of_kind(random, region, prefix, *kind, carrier_type, &taken) {
                return Some(Available { number, carrier_type });
            }
        }
    }
    None
}

/// `+49 30 1234567`; the text itself when it is no number.
pub(crate) fn format(number: &str) -> String {
    match PHONE_NUMBER_UTIL.parse(number, None) {
        Ok(parsed) => parsed.format_as(PhoneNumberFormat::International).into_owned(),
        Err(_) => number.to_owned(),
    }
}

/// A plus sign and 2 to 15 digits, the first not zero.
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

fn of_kind(
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
    // Without a prefix the example's own beginning is kept: what follows it is subscriber's digits.
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
            if !taken(&candidate) && fits(&candidate, region, carrier_type) {
                return Some(candidate);
            }
        }
    }
    None
}

fn fits(candidate: &str, region: Region, carrier_type: &str) -> bool {
    let Ok(parsed) = PHONE_NUMBER_UTIL.parse(candidate, None) else {
        return false;
    };
    parsed.is_valid_for_region(region)
        && type_fits(&parsed, carrier_type)
        && parsed.format_as(PhoneNumberFormat::E164) == candidate
}

fn type_fits(parsed: &PhoneNumber, carrier_type: &str) -> bool {
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
    fn every_country_of_the_sample_has_valid_local_numbers_that_differ() {
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
    fn most_of_the_world_has_numbers_to_rent() {
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
    fn the_prefix_is_honoured_and_decides_the_kind_when_none_is_asked_for() {
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
    fn a_prefix_that_the_plan_does_not_have_finds_nothing() {
        let mut random = Random::new(7);
        assert!(find(&mut random, "US", "000", None, |_| false).is_none());
        assert!(find(&mut random, "CA", "415", None, |_| false).is_none());
        assert!(!has_plan("XX"));
    }
}

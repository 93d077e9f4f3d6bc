//! Tests of phone numbers: their form, and that no text makes their classification panic.
//!
//! The kinds and countries of numbers are tested as a policy sees them, in `policy::forwarding`.

use super::*;
use proptest::prelude::*;
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberType};

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
        "+４９30901820",
        "+49٣٠901820",
        "+4930901820;ext=5",
    ] {
        assert_eq!(bad.parse::<E164>(), Err(NotANumber::Invalid), "{bad}");
    }
}

#[test]
fn a_number_with_a_prefix_of_domestic_calls_is_rejected_with_its_right_form() {
    for (dialled, right) in [
        ("+4403333212345", "+443333212345"),
        ("+49030901820", "+4930901820"),
        ("+114155550123", "+14155550123"),
        ("+54111523456789", "+5491123456789"),
        ("+550151155256325", "+551155256325"),
    ] {
        let fault = dialled.parse::<E164>().unwrap_err();
        assert_eq!(fault, NotANumber::WithPrefix(right.to_owned()), "{dialled}");
        assert!(right.parse::<E164>().is_ok(), "{right}");
    }
    // These zeros belong to the number.
    for right in ["+390212345678", "+2250101234567", "+3780549886377"] {
        assert!(right.parse::<E164>().is_ok(), "{right}");
    }
}

#[test]
fn the_main_country_of_a_shared_calling_code_is_known() {
    for (country, main) in [
        ("GG", "GB"),
        ("GB", "GB"),
        ("PR", "US"),
        ("KZ", "RU"),
        ("SJ", "NO"),
        ("CX", "AU"),
        ("EH", "MA"),
        ("YT", "RE"),
        ("AX", "FI"),
        ("MF", "GP"),
        ("BQ", "CW"),
        ("VA", "IT"),
        ("TA", "SH"),
        ("XK", "XK"),
        ("DE", "DE"),
        // Antarctica has no numbering plan.
        ("AQ", "AQ"),
    ] {
        assert_eq!(main_country(country.parse().unwrap()).as_str(), main, "{country}");
    }
}

#[test]
fn a_zero_before_an_area_code_is_found_where_it_is_not_a_part_of_the_number() {
    for (country, prefix, right) in [
        ("DE", "030", Some("30")),
        ("DE", "0", Some("")),
        ("DE", "0030", Some("30")),
        ("GB", "020", Some("20")),
        ("DE", "30", None),
        ("DE", "", None),
        // The zero is a part of these numbers.
        ("IT", "06", None),
        ("VA", "06", None),
        ("SM", "0549", None),
        ("CI", "07", None),
        // No single zero is dialled there, so Close decides.
        ("US", "01", None),
        ("HU", "061", None),
        ("FI", "30", None),
        ("AQ", "0", None),
    ] {
        let country: Country = country.parse().unwrap();
        assert_eq!(without_trunk_zero(country, prefix), right, "{country} {prefix}");
    }
}

#[test]
fn no_number_of_a_country_begins_with_its_trunk_zero() {
    const KINDS: [PhoneNumberType; 4] = [
        PhoneNumberType::FixedLine,
        PhoneNumberType::Mobile,
        PhoneNumberType::TollFree,
        PhoneNumberType::VoIP,
    ];
    let mut checked = 0;
    for region in PHONE_NUMBER_UTIL.get_supported_regions() {
        let Ok(country) = region.to_string().parse::<Country>() else {
            continue;
        };
        for kind in KINDS {
            let example = PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(region, kind);
            let Ok(example) = example else { continue };
            let number = example.get_national_significant_number();
            assert_eq!(
                without_trunk_zero(country, &number),
                None,
                "{country} {kind:?} {number}"
            );
            checked += 1;
        }
    }
    assert!(checked > 400, "{checked}");
}

fn listed(text: &str) -> bool {
    is_listed_as(text, "PR".parse().unwrap(), "US".parse().unwrap())
}

fn classify(text: &str) {
    let Ok(number) = text.parse::<E164>() else { return };
    assert_eq!(number.as_str(), text);
    let (home, kind) = (number.home(), number.kind());
    assert!(!kind.name.is_empty());
    assert!(
        home.country
            .is_none_or(|country| !home.shared_with.contains(&country)),
        "{home:?}"
    );
}

proptest! {
    #[test]
    fn digits_never_make_the_classification_panic(text in "\\+[0-9]{1,17}") {
        classify(&text);
        let _ = (listed(&text), has_prefix(&text, "030"));
    }

    #[test]
    fn digits_of_known_calling_codes_never_make_the_classification_panic(
        text in "\\+(1|7|39|44|47|49|52|54|55|61|212|262|290|358|383|590|599|672|8[0-9]{2}|979)[0-9]{4,13}"
    ) {
        classify(&text);
        let _ = (listed(&text), has_prefix(&text, "0"));
    }

    #[test]
    fn no_text_makes_the_classification_panic(text in any::<String>(), prefix in any::<String>()) {
        classify(&text);
        let _ = (listed(&text), has_prefix(&text, &prefix));
    }

    #[test]
    fn digits_of_other_scripts_and_marks_never_make_the_classification_panic(
        text in "[+\u{ff0b}][0-9\u{660}-\u{669}\u{ff10}-\u{ff19} ();x#\u{200b}-]{0,20}"
    ) {
        classify(&text);
        let _ = (listed(&text), has_prefix(&text, "1"));
    }
}

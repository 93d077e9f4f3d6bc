//! Tests of forward targets: every kind of number, and every way in which countries share a calling code.

use super::*;
use crate::domain::decision::{Decision, Explanation};
use crate::domain::input::read::read;
use crate::policy::sample::{number, policy, sales};

const BERLIN: &str = "+4930901820";
const KINGSTON: &str = "+18765230123";
const PREMIUM: &str = "+499001234567";
const SATELLITE: &str = "+881612345678";

fn denied(rules: &str, present: &Value, patch: &Value) -> Option<Explanation> {
    let (policy, team) = (policy(rules), sales());
    let team_policy = TeamPolicy::of(&policy, &team).unwrap();
    let mut number = number();
    let forwarded = [("forward_to".to_owned(), present.clone())];
    number.facts.object = serde_json::Map::from_iter(forwarded).into();
    let patch = read::<NumberPatch>(patch).unwrap();
    let denial = check(&team_policy, &number, &patch).err()?;
    Some(Decision::from(denial).explanation().clone())
}

fn hint(rules: &str, present: &Value, patch: &Value) -> Option<String> {
    Some(denied(rules, present, patch)?.hint)
}

/// Forwards calls to `target` under a policy that allows these countries.
fn forwarded(allowed: &[&str], target: &str) -> Result<(), Box<Explanation>> {
    let rules = format!("forward_to_countries = {}", json!(allowed));
    denied(&rules, &Value::Null, &json!({"forward_to": target})).map_or(Ok(()), |why| Err(why.into()))
}

const GERMANY: &str = "forward_to_countries = [\"DE\"]";

#[test]
fn calls_may_be_forwarded_only_to_listed_countries() {
    let berlin = json!({"forward_to": BERLIN, "phone_numbers": [BERLIN]});
    assert_eq!(hint(GERMANY, &Value::Null, &berlin), None);
    assert!(hint("", &Value::Null, &berlin).is_some());
    assert_eq!(
        hint(
            GERMANY,
            &Value::Null,
            &json!({"phone_numbers": [BERLIN, KINGSTON]})
        )
        .unwrap(),
        "use a number in one of DE, or ask the platform team to add JM to teams.sales.forward_to_countries"
    );
}

#[test]
fn premium_numbers_and_numbers_without_a_country_are_never_allowed() {
    let premium = hint(GERMANY, &Value::Null, &json!({"forward_to": PREMIUM})).unwrap();
    assert!(premium.contains("premium-rate"), "{premium}");
    assert!(hint(GERMANY, &Value::Null, &json!({"forward_to": SATELLITE})).is_some());
}

#[test]
fn a_patch_that_enables_forwarding_checks_the_present_target() {
    let on = json!({"forward_to_enabled": true});
    for (present, allowed) in [
        (json!(BERLIN), true),
        (json!(KINGSTON), false),
        (json!(PREMIUM), false),
        (json!("call me"), false),
        (json!(""), true),
        (Value::Null, true),
    ] {
        assert_eq!(hint(GERMANY, &present, &on).is_none(), allowed, "{present}");
    }
    assert_eq!(
        hint(GERMANY, &json!(KINGSTON), &json!({"forward_to_enabled": false})),
        None
    );
    let replaced = json!({"forward_to_enabled": true, "forward_to": BERLIN});
    assert_eq!(hint(GERMANY, &json!(KINGSTON), &replaced), None);
}

/// The reasons for which a kind of number is never allowed, as the hint gives them.
const COSTS_EXTRA: &str = "can cost more than an ordinary call";
const PAYS_THE_CALLED_PARTY: &str = "costs extra and pays the called party";
const NO_LIMIT: &str = "no known rule limits the price";
/// The call is ordinary, or free.
const ORDINARY: &str = "";

/// Numbers with the country that a policy must allow, their kind, and the reason why no policy can allow them.
const KINDS: &[(&str, &str, &str, &str)] = &[
    // United Kingdom and the Crown dependencies: +44.
    ("+442079460000", "GB", "landline number", ORDINARY),
    ("+447924123456", "GB", "mobile number", ORDINARY),
    ("+443333212345", "GB", "national-rate number", ORDINARY),
    ("+443001234567", "GB", "national-rate number", ORDINARY),
    ("+443453331234", "GB", "national-rate number", ORDINARY),
    ("+443701234567", "GB", "national-rate number", ORDINARY),
    ("+448081570192", "GB", "toll-free number", ORDINARY),
    ("+445612345678", "GB", "VoIP number", ORDINARY),
    ("+445512345678", "GB", "universal access number", NO_LIMIT),
    ("+448435231234", "GB", "service-charge number", COSTS_EXTRA),
    ("+448443210321", "GB", "service-charge number", COSTS_EXTRA),
    ("+448453331234", "GB", "service-charge number", COSTS_EXTRA),
    ("+448702345678", "GB", "service-charge number", COSTS_EXTRA),
    ("+448712345678", "GB", "service-charge number", COSTS_EXTRA),
    (
        "+449012345678",
        "GB",
        "premium-rate number",
        PAYS_THE_CALLED_PARTY,
    ),
    ("+447012345678", "GB", "personal number", NO_LIMIT),
    ("+447640123456", "GB", "pager", NO_LIMIT),
    ("+441481256789", "GG", "landline number", ORDINARY),
    ("+447781123456", "GG", "mobile number", ORDINARY),
    ("+441534456789", "JE", "landline number", ORDINARY),
    ("+447797712345", "JE", "mobile number", ORDINARY),
    ("+447509123456", "JE", "mobile number", ORDINARY),
    ("+441624756789", "IM", "landline number", ORDINARY),
    ("+447624123456", "IM", "mobile number", ORDINARY),
    // Germany.
    ("+4930901820", "DE", "landline number", ORDINARY),
    ("+4932212345678", "DE", "VoIP number", ORDINARY),
    ("+498001234567", "DE", "toll-free number", ORDINARY),
    ("+491801234567", "DE", "shared-cost number", COSTS_EXTRA),
    (
        "+491371234567",
        "DE",
        "premium-rate number",
        PAYS_THE_CALLED_PARTY,
    ),
    (
        "+499001234567",
        "DE",
        "premium-rate number",
        PAYS_THE_CALLED_PARTY,
    ),
    ("+4970012345678", "DE", "personal number", NO_LIMIT),
    ("+4918500123456", "DE", "universal access number", NO_LIMIT),
    ("+4916412345", "DE", "pager", NO_LIMIT),
    ("+49177991234567", "DE", "voicemail access number", NO_LIMIT),
    // France and its territories.
    ("+33801123456", "FR", "toll-free number", ORDINARY),
    ("+33805123456", "FR", "toll-free number", ORDINARY),
    ("+33806123456", "FR", "national-rate number", ORDINARY),
    ("+33809123456", "FR", "national-rate number", ORDINARY),
    ("+33912345678", "FR", "VoIP number", ORDINARY),
    ("+33810123456", "FR", "shared-cost number", COSTS_EXTRA),
    ("+33821123456", "FR", "shared-cost number", COSTS_EXTRA),
    ("+33892123456", "FR", "premium-rate number", PAYS_THE_CALLED_PARTY),
    ("+262262161234", "RE", "landline number", ORDINARY),
    ("+262692123456", "RE", "mobile number", ORDINARY),
    ("+262269601234", "YT", "landline number", ORDINARY),
    ("+262639012345", "YT", "mobile number", ORDINARY),
    ("+590590201234", "GP", "landline number", ORDINARY),
    ("+590590271234", "BL", "landline number", ORDINARY),
    ("+590690001234", "GP", "mobile number", ORDINARY),
    // +1: the area code tells the country.
    ("+12025550123", "US", "landline or mobile number", ORDINARY),
    ("+14165550123", "CA", "landline or mobile number", ORDINARY),
    ("+17872345678", "PR", "landline or mobile number", ORDINARY),
    ("+18765230123", "JM", "landline or mobile number", ORDINARY),
    ("+16585230123", "JM", "landline number", ORDINARY),
    ("+12844961234", "VG", "mobile number", ORDINARY),
    ("+17215421234", "SX", "landline number", ORDINARY),
    ("+12129761234", "US", "premium-rate number", PAYS_THE_CALLED_PARTY),
    ("+16002012345", "CA", "non-geographic number", NO_LIMIT),
    ("+16222012345", "CA", "personal number", NO_LIMIT),
    ("+13101234", "CA", "universal access number", NO_LIMIT),
    ("+12422250123", "BS", "universal access number", NO_LIMIT),
    // Italy, Spain, Benelux, Switzerland, Austria, Ireland, the Nordic countries.
    ("+393123456789", "IT", "mobile number", ORDINARY),
    ("+395512345678", "IT", "VoIP number", ORDINARY),
    ("+39800123456", "IT", "toll-free number", ORDINARY),
    ("+390669812345", "VA", "landline number", ORDINARY),
    ("+39840123456", "IT", "shared-cost number", COSTS_EXTRA),
    ("+39848123456", "IT", "shared-cost number", COSTS_EXTRA),
    ("+39199123456", "IT", "shared-cost number", COSTS_EXTRA),
    ("+391781234567", "IT", "personal number", NO_LIMIT),
    ("+39899123456", "IT", "premium-rate number", PAYS_THE_CALLED_PARTY),
    ("+34900123456", "ES", "toll-free number", ORDINARY),
    ("+34901123456", "ES", "shared-cost number", COSTS_EXTRA),
    ("+34902123456", "ES", "shared-cost number", COSTS_EXTRA),
    ("+34803123456", "ES", "premium-rate number", PAYS_THE_CALLED_PARTY),
    ("+34806123456", "ES", "premium-rate number", PAYS_THE_CALLED_PARTY),
    ("+31881234567", "NL", "national-rate number", ORDINARY),
    ("+31851234567", "NL", "VoIP number", ORDINARY),
    (
        "+319001234567",
        "NL",
        "premium-rate number",
        PAYS_THE_CALLED_PARTY,
    ),
    ("+3270233456", "BE", "premium-rate number", PAYS_THE_CALLED_PARTY),
    ("+3278791234", "BE", "shared-cost number", COSTS_EXTRA),
    ("+3278150123", "BE", "universal access number", NO_LIMIT),
    ("+3290012345", "BE", "premium-rate number", PAYS_THE_CALLED_PARTY),
    ("+41581234567", "CH", "national-rate number", ORDINARY),
    ("+41848123456", "CH", "shared-cost number", COSTS_EXTRA),
    ("+41900123456", "CH", "premium-rate number", PAYS_THE_CALLED_PARTY),
    ("+4232345678", "LI", "landline number", ORDINARY),
    ("+43720123456", "AT", "VoIP number", ORDINARY),
    ("+43810123456", "AT", "shared-cost number", COSTS_EXTRA),
    ("+43820123456", "AT", "shared-cost number", COSTS_EXTRA),
    ("+43900123456", "AT", "premium-rate number", PAYS_THE_CALLED_PARTY),
    ("+353818123456", "IE", "national-rate number", ORDINARY),
    ("+3531850123456", "IE", "shared-cost number", COSTS_EXTRA),
    ("+3531890123456", "IE", "shared-cost number", COSTS_EXTRA),
    ("+46102345678", "SE", "national-rate number", ORDINARY),
    ("+46771234567", "SE", "shared-cost number", COSTS_EXTRA),
    (
        "+469001234567",
        "SE",
        "premium-rate number",
        PAYS_THE_CALLED_PARTY,
    ),
    ("+4741234567", "NO", "mobile number", ORDINARY),
    ("+4779123456", "SJ", "landline number", ORDINARY),
    ("+4781021234", "NO", "shared-cost number", COSTS_EXTRA),
    ("+4702000", "NO", "universal access number", NO_LIMIT),
    ("+358412345678", "FI", "mobile number", ORDINARY),
    ("+358181234567", "AX", "landline number", ORDINARY),
    ("+35810112345", "FI", "universal access number", NO_LIMIT),
    // Other continents.
    ("+61412345678", "AU", "mobile number", ORDINARY),
    ("+61891641234", "CX", "landline number", ORDINARY),
    ("+61891621234", "CC", "landline number", ORDINARY),
    ("+611800123456", "AU", "toll-free number", ORDINARY),
    ("+61131234", "AU", "shared-cost number", COSTS_EXTRA),
    ("+611300123456", "AU", "shared-cost number", COSTS_EXTRA),
    ("+61147101234", "AU", "satellite number", COSTS_EXTRA),
    (
        "+611900123456",
        "AU",
        "premium-rate number",
        PAYS_THE_CALLED_PARTY,
    ),
    ("+64900123456", "NZ", "premium-rate number", PAYS_THE_CALLED_PARTY),
    ("+553001234567", "BR", "shared-cost number", COSTS_EXTRA),
    ("+5540041234", "BR", "shared-cost number", COSTS_EXTRA),
    ("+81570123456", "JP", "universal access number", NO_LIMIT),
    ("+40372123456", "RO", "national-rate number", ORDINARY),
    ("+212650123456", "MA", "mobile number", ORDINARY),
    ("+212528812345", "EH", "landline number", ORDINARY),
    ("+79161234567", "RU", "mobile number", ORDINARY),
    ("+77172123456", "KZ", "landline number", ORDINARY),
    ("+77011234567", "KZ", "mobile number", ORDINARY),
    ("+78001234567", "RU", "toll-free number", ORDINARY),
    ("+78091234567", "RU", "premium-rate number", PAYS_THE_CALLED_PARTY),
    ("+59997361234", "CW", "landline number", ORDINARY),
    ("+5997151234", "BQ", "landline number", ORDINARY),
    // Codes that ISO 3166-1 lacks.
    ("+29022158", "SH", "landline number", ORDINARY),
    ("+2908999", "TA", "landline number", ORDINARY),
    ("+24740123", "AC", "mobile number", ORDINARY),
    ("+38328012345", "XK", "landline number", ORDINARY),
    ("+38343201234", "XK", "mobile number", ORDINARY),
    ("+38390001234", "XK", "premium-rate number", PAYS_THE_CALLED_PARTY),
];

#[test]
fn a_target_needs_its_country_and_a_kind_that_costs_no_more_than_an_ordinary_call() {
    for (target, country, kind, reason) in KINDS.iter().copied() {
        let here = forwarded(&[country], target);
        let elsewhere = forwarded(&["HN"], target).expect_err(target);
        assert_eq!(elsewhere.rule, "teams.sales.forward_to_countries", "{target}");
        assert_eq!(elsewhere.have["number"], target);
        assert_eq!(elsewhere.have["country"], country, "{target}");
        assert_eq!(elsewhere.have["kind"], kind, "{target}");
        if reason == ORDINARY {
            assert_eq!(here, Ok(()), "{target}");
            assert_eq!(elsewhere.need, json!(["HN"]), "{target}");
            let add = format!("add {country} to teams.sales.forward_to_countries");
            assert!(elsewhere.hint.ends_with(&add), "{target}: {}", elsewhere.hint);
        } else {
            let why = here.expect_err(target);
            assert_eq!(why.need, json!({"kind": Kind::ORDINARY}), "{target}");
            assert!(why.hint.contains(kind), "{target}: {}", why.hint);
            assert!(why.hint.contains(reason), "{target}: {}", why.hint);
            let premium = reason == PAYS_THE_CALLED_PARTY;
            assert_eq!(
                why.have.get("premium").is_some(),
                premium,
                "{target}: {}",
                why.have
            );
        }
    }
}

#[test]
fn a_number_of_all_countries_of_plus_1_needs_any_one_of_them() {
    let toll_free = "+18002345678";
    for country in ["US", "CA", "JM", "PR"] {
        assert_eq!(forwarded(&[country], toll_free), Ok(()), "{country}");
    }
    let why = forwarded(&["DE"], toll_free).unwrap_err();
    assert_eq!(why.have["country"], Value::Null);
    let countries = why.have["shared_with"].as_array().unwrap();
    assert!(
        countries.contains(&json!("US")) && countries.contains(&json!("CA")),
        "{countries:?}"
    );
    assert_eq!(
        why.hint,
        "use a number in one of DE, or ask the platform team to add a country of +1 to \
         teams.sales.forward_to_countries"
    );
    for (target, kind) in [
        ("+19002345678", "premium-rate number"),
        ("+15002345678", "personal number"),
    ] {
        let why = forwarded(&["US", "CA"], target).unwrap_err();
        assert_eq!(
            (&why.have["country"], &why.have["kind"]),
            (&Value::Null, &json!(kind)),
            "{target}"
        );
    }
}

#[test]
fn numbers_of_no_country_are_denied_by_the_name_of_their_network() {
    for (target, reason) in [
        (
            "+80012345678",
            "this international toll-free number belongs to none",
        ),
        (
            "+80812345678",
            "this international shared-cost number can cost more",
        ),
        ("+870773111632", "this satellite number can cost more"),
        ("+878101234567890", "this universal personal number can cost more"),
        ("+881612345678", "this satellite number can cost more"),
        (
            "+8823421234",
            "this number of an international network can cost more",
        ),
        (
            "+883510012345",
            "this number of an international network can cost more",
        ),
        (
            "+88812345678901",
            "this number of an international network can cost more",
        ),
        (
            "+979123456789",
            "this international premium-rate number costs extra",
        ),
    ] {
        let why = forwarded(&["DE", "US", "GB"], target).expect_err(target);
        assert_eq!(why.have["country"], Value::Null, "{target}");
        assert!(why.hint.contains(reason), "{target}: {}", why.hint);
        assert_eq!(
            why.have.get("premium").is_some(),
            target.starts_with("+979"),
            "{target}"
        );
    }
}

#[test]
fn a_denial_explains_that_countries_share_a_calling_code() {
    for (allowed, target, reason) in [
        (
            "GB",
            "+441481256789",
            "; GG is Guernsey, which shares the calling code +44 with GB",
        ),
        ("NO", "+4779123456", "which shares the calling code +47 with NO"),
        (
            "RU",
            "+77011234567",
            "; KZ is Kazakhstan, which shares the calling code +7 with RU",
        ),
        (
            "US",
            "+18765230123",
            "; JM is Jamaica, which shares the calling code +1 with US",
        ),
        // The digits do not exclude the main country, so an allowed territory does not suffice.
        ("CX", "+61412345678", "which shares the calling code +61 with CX"),
        (
            "AX",
            "+358412345678",
            "which shares the calling code +358 with AX",
        ),
        ("JE", "+443333212345", "which shares the calling code +44 with JE"),
    ] {
        let why = forwarded(&[allowed], target).expect_err(target);
        assert!(why.hint.contains(reason), "{target}: {}", why.hint);
    }
    let mobile = forwarded(&["CX"], "+61412345678").unwrap_err();
    assert_eq!(
        mobile.have,
        json!({"number": "+61412345678", "kind": "mobile number", "country": "AU", "shared_with": ["CC", "CX"]})
    );
}

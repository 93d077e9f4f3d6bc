//! What a call to a phone number costs, by the kind of number.
//!
//! The library's metadata gives the type of a number. A type alone does not tell the price of shared-cost and universal
//! access numbers, so [`EXCEPTIONS`] lists the ranges whose price a regulator fixes, and the ranges that cost more than
//! their type says. A type without a known price is never taken for an ordinary one.

use rlibphonenumber::{PhoneNumber, PhoneNumberType};

/// What a call to a number costs the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charge {
    /// As much as a call to a landline or a mobile phone in the same country.
    Ordinary,
    /// Nothing: the called party pays.
    Free,
    /// Possibly more than an ordinary call, and no known rule limits the price.
    Unlimited,
    /// More than an ordinary call, or a share that the called party sets.
    Extra,
    /// A price that pays the called party.
    Premium,
}

/// A kind of phone number, and what a call to it costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The name, such as `shared-cost number`.
    pub name: &'static str,
    /// What a call costs.
    pub charge: Charge,
}

impl Kind {
    /// The names of the kinds to which a call costs no more than an ordinary one.
    pub const ORDINARY: [&'static str; 5] = [
        LANDLINE.name,
        MOBILE.name,
        VOIP.name,
        TOLL_FREE.name,
        NATIONAL_RATE.name,
    ];

    /// Whether a call costs no more than an ordinary one.
    pub const fn is_ordinary(&self) -> bool {
        matches!(self.charge, Charge::Ordinary | Charge::Free)
    }
}

const fn kind(name: &'static str, charge: Charge) -> Kind {
    Kind { name, charge }
}

const LANDLINE: Kind = kind("landline number", Charge::Ordinary);
const MOBILE: Kind = kind("mobile number", Charge::Ordinary);
const VOIP: Kind = kind("VoIP number", Charge::Ordinary);
const TOLL_FREE: Kind = kind("toll-free number", Charge::Free);
const NATIONAL_RATE: Kind = kind("national-rate number", Charge::Ordinary);
const PREMIUM: Kind = kind("premium-rate number", Charge::Premium);
const SHARED_COST: Kind = kind("shared-cost number", Charge::Extra);
const SERVICE_CHARGE: Kind = kind("service-charge number", Charge::Extra);
const SATELLITE: Kind = kind("satellite number", Charge::Extra);
const NETWORK: Kind = kind("number of an international network", Charge::Extra);
const NON_GEOGRAPHIC: Kind = kind("non-geographic number", Charge::Unlimited);
/// A number about which the library knows no more than that it exists.
pub(super) const UNKNOWN: Kind = kind("number of an unknown kind", Charge::Unlimited);

/// Ranges of digits, after the `+`, whose price differs from the price of their type.
///
/// The source is the regulator's rule about the range. No range begins with another one of this list.
const EXCEPTIONS: [(&str, Kind); 22] = [
    // GB 03: charged like geographic numbers. Ofcom, General Conditions B1 and National Telephone Numbering Plan, A1.
    ("443", NATIONAL_RATE),
    // GB 0843 to 0845 and 087: an access charge and a service charge. Ofcom, National Telephone Numbering Plan, A1.
    ("44843", SERVICE_CHARGE),
    ("44844", SERVICE_CHARGE),
    ("44845", SERVICE_CHARGE),
    ("44870", SERVICE_CHARGE),
    ("44871", SERVICE_CHARGE),
    ("44872", SERVICE_CHARGE),
    ("44873", SERVICE_CHARGE),
    // FR 0806 to 0809: a free service at the price of an ordinary call. Arcep, decision 2018-0881.
    ("33806", NATIONAL_RATE),
    ("33807", NATIONAL_RATE),
    ("33808", NATIONAL_RATE),
    ("33809", NATIONAL_RATE),
    // IE 0818: no more than a call to a landline. ComReg, decision D15/18, in force since 1 December 2019.
    ("353818", NATIONAL_RATE),
    // NL 088: priced like geographic numbers. Besluit Interoperabiliteit, article 5; see also CJEU, case C-85/14.
    ("3188", NATIONAL_RATE),
    // CH 058: business numbers, charged like the fixed network. OFCOM, numbering plan E.164/2002.
    ("4158", NATIONAL_RATE),
    // RO 037: location-independent numbers of the fixed network. ANCOM, decision 375/2013.
    ("4037", NATIONAL_RATE),
    // DE 032: national subscriber numbers, used for VoIP; the library calls them landlines. Bundesnetzagentur.
    ("4932", VOIP),
    // DE 0137: televoting, paid by the call; the library calls it shared cost. Bundesnetzagentur.
    ("49137", PREMIUM),
    // IT 199: shared cost; the library calls it personal. AGCOM, national numbering plan.
    ("39199", SHARED_COST),
    // AU 014: satellite phones; the library calls them VoIP. ACMA, Telecommunications Numbering Plan.
    ("6114", SATELLITE),
    // CA 600: data, satellite and other special services; the library calls them VoIP. Canadian Numbering Administrator.
    ("1600", NON_GEOGRAPHIC),
    // SE 010: location-independent numbers, charged like landlines. PTS, Swedish numbering plan.
    ("4610", NATIONAL_RATE),
];

/// The networks and services that have a calling code and no country. ITU-T E.164, list of assigned country codes.
const WITHOUT_A_COUNTRY: [(i32, Kind); 9] = [
    (800, kind("international toll-free number", Charge::Free)),
    (808, kind("international shared-cost number", Charge::Extra)),
    (870, SATELLITE),
    (878, kind("universal personal number", Charge::Extra)),
    (881, SATELLITE),
    (882, NETWORK),
    (883, NETWORK),
    (888, NETWORK),
    (979, kind("international premium-rate number", Charge::Premium)),
];

/// Returns the kind of a valid number; `digits` are those after its `+`.
pub(super) fn of(number: &PhoneNumber, digits: &str) -> Kind {
    let exception = EXCEPTIONS.iter().find(|(range, _)| digits.starts_with(range));
    let without_a_country = || {
        WITHOUT_A_COUNTRY
            .iter()
            .find(|(code, _)| *code == number.country_code)
    };
    if information_service(digits) {
        PREMIUM
    } else if let Some((_, kind)) = exception {
        *kind
    } else if let Some((_, kind)) = without_a_country() {
        *kind
    } else {
        of_type(number.get_type())
    }
}

/// Whether the number is one of +1 whose central office code is 976: local premium-rate services in every area code.
///
/// The library calls it an ordinary number. NANPA reserves 976 for information delivery services.
fn information_service(digits: &str) -> bool {
    digits.starts_with('1') && digits.get(4..7) == Some("976")
}

const fn of_type(library: PhoneNumberType) -> Kind {
    match library {
        PhoneNumberType::FixedLine => LANDLINE,
        PhoneNumberType::Mobile => MOBILE,
        PhoneNumberType::FixedLineOrMobile => kind("landline or mobile number", Charge::Ordinary),
        PhoneNumberType::VoIP => VOIP,
        PhoneNumberType::TollFree => TOLL_FREE,
        PhoneNumberType::PremiumRate => PREMIUM,
        PhoneNumberType::SharedCost => SHARED_COST,
        PhoneNumberType::PersonalNumber => kind("personal number", Charge::Unlimited),
        PhoneNumberType::Pager => kind("pager", Charge::Unlimited),
        PhoneNumberType::UAN => kind("universal access number", Charge::Unlimited),
        PhoneNumberType::VoiceMail => kind("voicemail access number", Charge::Unlimited),
        PhoneNumberType::Unknown => UNKNOWN,
    }
}

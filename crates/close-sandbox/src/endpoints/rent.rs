//! `POST /phone_number/request/internal/`: rents a number, or refuses as Close does.

use serde_json::{Map, Value};

use crate::events::Actor;
use crate::numbers::number::Number;
use crate::numbers::number::PhoneNumber;
use crate::numbers::plan::{self, Available, CARRIER_TYPES};
use crate::request::Request;
use crate::response::{Outcome, Response};
use crate::settings::Epoch;
use crate::state::State;
use crate::time::with_offset;
use crate::validation::Fields;

/// Countries in which Close supports SMS.
const SMS_COUNTRIES: [&str; 10] = ["US", "CA", "GB", "AU", "BE", "DK", "FR", "IL", "PR", "ZA"];
/// Countries in which Close supports MMS.
const MMS_COUNTRIES: [&str; 2] = ["US", "CA"];

/// A valid request to rent a number.
struct RentRequest {
    country: String,
    group: bool,
    prefix: String,
    carrier_type: Option<String>,
    bundle_id: Option<String>,
    with_sms: Option<bool>,
    with_mms: Option<bool>,
    assign_to: Option<Vec<String>>,
}

/// Rents a number.
///
/// 201 with the number; 400 with `field-errors`, or with a `status` if no number can be rented; 403 without the
/// permission.
pub(crate) fn rent(state: &mut State, request: &Request, actor: &Actor) -> Outcome {
    let wanted = read(state, request.object()?)?;
    check_assignees(state, &wanted)?;
    let needs_permission = wanted.group
        || wanted
            .assign_to
            .as_ref()
            .is_some_and(|users| users.iter().any(|user| *user != state.key.owner));
    if needs_permission && !state.settings.manage_group_numbers {
        return Err(Response::error(
            403,
            "You do not have permission to manage group phone numbers.",
        ));
    }
    let found = find_number(state, &wanted)?;
    let number = build(state, &wanted, &found);
    let response = Response::json(201, &number.fresh_view(state.settings.epoch));
    state.add_number(number, Some(actor));
    Ok(response)
}

/// A personal number of the key's owner that was rented in the Close application.
pub(crate) fn rented_by_person(state: &mut State, country: &str, found: &Available) -> Number {
    let wanted = RentRequest {
        country: country.to_owned(),
        group: false,
        prefix: String::new(),
        carrier_type: None,
        bundle_id: None,
        with_sms: None,
        with_mms: None,
        assign_to: None,
    };
    let number = build(state, &wanted, found);
    Number {
        made_by: "person".into(),
        ..number
    }
}

/// Validates the body against the API version of the settings.
fn read(state: &State, body: Map<String, Value>) -> Result<RentRequest, Response> {
    let epoch = state.settings.epoch;
    let mut fields = Fields::new(body);
    let country = fields.text("country");
    if country.is_none() {
        fields.reject("country", "Field required");
    }
    let country = country.unwrap_or_default();
    if !(country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase())) {
        fields.reject("country", "Input should be an ISO 3166-1 alpha-2 country code");
    }
    let sharing = if epoch < Epoch::Future {
        fields.text("sharing")
    } else {
        None
    };
    match sharing.as_deref() {
        None if epoch == Epoch::June2026 => fields.reject("sharing", "Field required"),
        None | Some("personal" | "group") => {}
        Some(_) => fields.reject("sharing", "Input should be 'personal' or 'group'"),
    }
    let prefix = fields.text("prefix").unwrap_or_default();
    if prefix.chars().count() > 5 {
        fields.reject("prefix", "String should have at most 5 characters");
    } else if !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
        fields.reject("prefix", "String should contain digits only");
    }
    let carrier_type = fields.text("carrier_type");
    if carrier_type
        .as_deref()
        .is_some_and(|kind| !CARRIER_TYPES.contains(&kind))
    {
        fields.reject(
            "carrier_type",
            "Input should be 'local', 'national', 'mobile' or 'tollfree'",
        );
    }
    let bundle_id = fields.text("bundle_id");
    let (sms, mms) = (fields.flag("with_sms"), fields.flag("with_mms"));
    if mms == Some(true) && sms != Some(true) {
        fields.reject("with_mms", "MMS requires with_sms to be true");
    }
    let assign_to = if epoch >= Epoch::September2026 {
        fields.texts("assign_to")
    } else {
        None
    };
    fields.finish(state.settings.reject_unknown_fields)?;
    let group =
        sharing.as_deref() == Some("group") || assign_to.as_ref().is_some_and(|users| users.len() > 1);
    Ok(RentRequest {
        country,
        group,
        prefix,
        carrier_type,
        bundle_id,
        with_sms: sms,
        with_mms: mms,
        assign_to,
    })
}

fn check_assignees(state: &State, wanted: &RentRequest) -> Result<(), Response> {
    let Some(users) = &wanted.assign_to else {
        return Ok(());
    };
    if users.is_empty() {
        return Err(Response::invalid_field(
            "assign_to",
            "List should have at least 1 item",
        ));
    }
    for id in users {
        let may_call = state.user(id).map(|user| user.can_call);
        match may_call {
            Some(true) => {}
            Some(false) => {
                return Err(Response::invalid_field(
                    "assign_to",
                    &format!("User {id} is not allowed to make calls."),
                ));
            }
            None => {
                let text = format!("User {id} is not an active member of this organization.");
                return Err(Response::invalid_field("assign_to", &text));
            }
        }
    }
    Ok(())
}

/// Finds an available number, or the reason why there is none.
fn find_number(state: &mut State, wanted: &RentRequest) -> Result<Available, Response> {
    if !plan::has_plan(&wanted.country) {
        return Err(Response::rent_refused(
            "error",
            Some("No numbers are available for this country."),
        ));
    }
    if wanted.bundle_id.is_none() && state.settings.needs_more_info.contains(&wanted.country) {
        return Err(Response::rent_refused("needs-more-info", None));
    }
    let State { random, numbers, .. } = state;
    let taken = |number: &str| numbers.iter().any(|known| known.data.number == number);
    let found = plan::find(
        random,
        &wanted.country,
        &wanted.prefix,
        wanted.carrier_type.as_deref(),
        taken,
    )
    .ok_or_else(|| Response::rent_refused("error", Some("No numbers are available for this prefix.")))?;
    let sms = has_sms(&wanted.country, found.carrier_type);
    let country_has_sms = SMS_COUNTRIES.contains(&wanted.country.as_str());
    let needs_sms = wanted.with_sms.unwrap_or(country_has_sms);
    if needs_sms && !sms {
        return Err(Response::rent_refused("has-voice-only", None));
    }
    if wanted.with_mms == Some(true) && !MMS_COUNTRIES.contains(&wanted.country.as_str()) {
        return Err(Response::rent_refused(
            "error",
            Some("No numbers with MMS are available."),
        ));
    }
    let spent: f64 = numbers
        .iter()
        .filter(|number| number.released_at.is_none())
        .map(|number| number.price)
        .sum();
    let price = price(&wanted.country, found.carrier_type);
    if state.settings.budget.is_some_and(|budget| spent + price > budget) {
        return Err(Response::rent_refused("billing-error", None));
    }
    Ok(found)
}

fn build(state: &mut State, wanted: &RentRequest, found: &Available) -> Number {
    let now = state.now();
    let owner = state.key.owner.clone();
    let users = wanted.assign_to.clone().unwrap_or_else(|| vec![owner]);
    let sms = has_sms(&wanted.country, found.carrier_type) && wanted.with_sms != Some(false);
    let mms = sms && MMS_COUNTRIES.contains(&wanted.country.as_str()) && wanted.with_mms != Some(false);
    let list = |on: bool, texts: &[&str]| {
        if on {
            texts.iter().map(ToString::to_string).collect()
        } else {
            Vec::new()
        }
    };
    let sms_reach: &[&str] = match wanted.country.as_str() {
        "US" | "CA" | "PR" => &["CA", "PR", "US"],
        own => &[own],
    };
    let data = PhoneNumber {
        id: state.random.id("phon_", 43),
        organization_id: state.organization_id.clone(),
        number_formatted: plan::format(&found.number),
        number: found.number.clone(),
        country: Some(wanted.country.clone()),
        label: None,
        kind: "internal".into(),
        carrier: Some("twilio".into()),
        carrier_type: Some(found.carrier_type.into()),
        address_id: None,
        bundle_id: wanted.bundle_id.clone(),
        is_premium: false,
        is_verified: true,
        was_ported: false,
        sms_enabled: sms,
        mms_enabled: mms,
        supports_sms_to_countries: list(sms, sms_reach),
        supports_mms_to_countries: list(mms, &MMS_COUNTRIES),
        last_billed_price: None,
        next_billing_on: None,
        forward_to: None,
        forward_to_enabled: false,
        forward_to_formatted: None,
        inbound_ring_duration: None,
        press_1_to_accept: false,
        voicemail_greeting_url: None,
        participants: if wanted.group { users.clone() } else { Vec::new() },
        participant_groups: Vec::new(),
        phone_numbers: Vec::new(),
        phone_numbers_formatted: Vec::new(),
        is_group_number: wanted.group,
        user_id: if wanted.group {
            None
        } else {
            users.first().cloned()
        },
        date_created: with_offset(now),
        date_updated: with_offset(now),
        more: Map::new(),
    };
    Number {
        data,
        price: price(&wanted.country, found.carrier_type),
        rented_at: now,
        released_at: None,
        made_by: "api".into(),
        billed: false,
        shown: Map::new(),
    }
}

/// Whether the number has SMS: all in North America, elsewhere local and mobile ones where Close supports SMS.
fn has_sms(country: &str, carrier_type: &str) -> bool {
    let north_america = matches!(country, "US" | "CA" | "PR");
    north_america || (SMS_COUNTRIES.contains(&country) && matches!(carrier_type, "local" | "mobile"))
}

/// USD per month, close to real carrier prices.
fn price(country: &str, carrier_type: &str) -> f64 {
    match (country, carrier_type) {
        (_, "tollfree") => 2.15,
        ("US" | "CA" | "PR" | "GB" | "DE" | "FR", "local" | "national") | ("US" | "CA" | "GB", "mobile") => {
            1.15
        }
        ("AU", "local") => 2.5,
        ("AU", "mobile") => 6.0,
        (_, "mobile") => 5.0,
        _ => 2.0,
    }
}

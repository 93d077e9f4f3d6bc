//! `POST /phone_number/request/internal/`: rents a number, or refuses in one of Close's ways.

use serde_json::{Map, Value};

use crate::json::{self, PhoneNumber};
use crate::numbers::number::Number;
use crate::numbers::plan::{self, Available, CARRIER_TYPES};
use crate::request::Call;
use crate::response::{Answer, Outcome};
use crate::settings::Epoch;
use crate::state::{Actor, World};
use crate::validation::Fields;

/// Where Close can send SMS at all.
const SMS_COUNTRIES: [&str; 10] = ["US", "CA", "GB", "AU", "BE", "DK", "FR", "IL", "PR", "ZA"];
const MMS_COUNTRIES: [&str; 2] = ["US", "CA"];

/// A rent as asked for, its shape checked.
struct Wish {
    country: String,
    group: bool,
    prefix: String,
    carrier_type: Option<String>,
    bundle_id: Option<String>,
    with_sms: Option<bool>,
    with_mms: Option<bool>,
    assign_to: Option<Vec<String>>,
}

/// Rents: 201 with the number, 400 with `field-errors` or a refusal's `status`, 403 without permission.
pub(crate) fn rent(world: &mut World, call: &Call, actor: &Actor) -> Outcome {
    let wish = read(world, call.object()?)?;
    check_assignees(world, &wish)?;
    let needs_permission = wish.group
        || wish
            .assign_to
            .as_ref()
            .is_some_and(|users| users.iter().any(|user| *user != world.key.owner));
    if needs_permission && !world.settings.manage_group_numbers {
        return Err(Answer::error(
            403,
            "You do not have permission to manage group phone numbers.",
        ));
    }
    let found = supply(world, &wish)?;
    let number = build(world, &wish, &found);
    let answer = Answer::json(201, &number.fresh_view(world.settings.epoch));
    world.add_number(number, Some(actor));
    Ok(answer)
}

/// A number that was rented by somebody in Close, personal to the owner of the key.
pub(crate) fn furnished(world: &mut World, country: &str, found: &Available) -> Number {
    let wish = Wish {
        country: country.to_owned(),
        group: false,
        prefix: String::new(),
        carrier_type: None,
        bundle_id: None,
        with_sms: None,
        with_mms: None,
        assign_to: None,
    };
    let number = build(world, &wish, found);
    Number {
        made_by: "person",
        ..number
    }
}

/// What the rent takes, in the state of the API that is shown.
fn read(world: &World, body: Map<String, Value>) -> Result<Wish, Answer> {
    let epoch = world.settings.epoch;
    let mut fields = Fields::new(body);
    let country = fields.text("country");
    if country.is_none() {
        fields.fault("country", "Field required");
    }
    let country = country.unwrap_or_default();
    if !(country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase())) {
        fields.fault("country", "Input should be an ISO 3166-1 alpha-2 country code");
    }
    let sharing = if epoch < Epoch::Future {
        fields.text("sharing")
    } else {
        None
    };
    match sharing.as_deref() {
        None if epoch == Epoch::June2026 => fields.fault("sharing", "Field required"),
        None | Some("personal" | "group") => {}
        Some(_) => fields.fault("sharing", "Input should be 'personal' or 'group'"),
    }
    let prefix = fields.text("prefix").unwrap_or_default();
    if prefix.chars().count() > 5 {
        fields.fault("prefix", "String should have at most 5 characters");
    } else if !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
        fields.fault("prefix", "String should contain digits only");
    }
    let carrier_type = fields.text("carrier_type");
    if carrier_type
        .as_deref()
        .is_some_and(|kind| !CARRIER_TYPES.contains(&kind))
    {
        fields.fault(
            "carrier_type",
            "Input should be 'local', 'national', 'mobile' or 'tollfree'",
        );
    }
    let bundle_id = fields.text("bundle_id");
    let (sms, mms) = (fields.flag("with_sms"), fields.flag("with_mms"));
    if mms == Some(true) && sms != Some(true) {
        fields.fault("with_mms", "MMS requires with_sms to be true");
    }
    let assign_to = if epoch >= Epoch::September2026 {
        fields.texts("assign_to")
    } else {
        None
    };
    fields.finish(world.settings.reject_unknown_fields)?;
    let group =
        sharing.as_deref() == Some("group") || assign_to.as_ref().is_some_and(|users| users.len() > 1);
    Ok(Wish {
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

fn check_assignees(world: &World, wish: &Wish) -> Result<(), Answer> {
    let Some(users) = &wish.assign_to else {
        return Ok(());
    };
    if users.is_empty() {
        return Err(Answer::invalid_field(
            "assign_to",
            "List should have at least 1 item",
        ));
    }
    for id in users {
        let may_call = world.user(id).map(|user| user.can_call);
        match may_call {
            Some(true) => {}
            Some(false) => {
                return Err(Answer::invalid_field(
                    "assign_to",
                    &format!("User {id} is not allowed to make calls."),
                ));
            }
            None => {
                let text = format!("User {id} is not an active member of this organization.");
                return Err(Answer::invalid_field("assign_to", &text));
            }
        }
    }
    Ok(())
}

/// Finds a number that can be rented, or says why there is none.
fn supply(world: &mut World, wish: &Wish) -> Result<Available, Answer> {
    if !plan::has_plan(&wish.country) {
        return Err(Answer::refused(
            "error",
            Some("No numbers are available for this country."),
        ));
    }
    if wish.bundle_id.is_none() && world.settings.needs_more_info.contains(&wish.country) {
        return Err(Answer::refused("needs-more-info", None));
    }
    let World { random, numbers, .. } = world;
    let taken = |number: &str| numbers.iter().any(|known| known.wire.number == number);
    let found = plan::find(
        random,
        &wish.country,
        &wish.prefix,
        wish.carrier_type.as_deref(),
        taken,
    )
    .ok_or_else(|| Answer::refused("error", Some("No numbers are available for this prefix.")))?;
    let sms = has_sms(&wish.country, found.carrier_type);
    let country_has_sms = SMS_COUNTRIES.contains(&wish.country.as_str());
    let needs_sms = wish.with_sms.unwrap_or(country_has_sms);
    if needs_sms && !sms {
        return Err(Answer::refused("has-voice-only", None));
    }
    if wish.with_mms == Some(true) && !MMS_COUNTRIES.contains(&wish.country.as_str()) {
        return Err(Answer::refused(
            "error",
            Some("No numbers with MMS are available."),
        ));
    }
    let spent: f64 = numbers
        .iter()
        .filter(|number| number.released_at.is_none())
        .map(|number| number.price)
        .sum();
    let price = price(&wish.country, found.carrier_type);
    if world.settings.budget.is_some_and(|budget| spent + price > budget) {
        return Err(Answer::refused("billing-error", None));
    }
    Ok(found)
}

fn build(world: &mut World, wish: &Wish, found: &Available) -> Number {
    let now = world.now();
    let owner = world.key.owner.clone();
    let users = wish.assign_to.clone().unwrap_or_else(|| vec![owner]);
    let sms = has_sms(&wish.country, found.carrier_type) && wish.with_sms != Some(false);
    let mms = sms && MMS_COUNTRIES.contains(&wish.country.as_str()) && wish.with_mms != Some(false);
    let list = |on: bool, texts: &[&str]| {
        if on {
            texts.iter().map(ToString::to_string).collect()
        } else {
            Vec::new()
        }
    };
    let reach: &[&str] = match wish.country.as_str() {
        "US" | "CA" | "PR" => &["CA", "PR", "US"],
        own => &[own],
    };
    let wire = PhoneNumber {
        id: world.random.id("phon_", 43),
        organization_id: world.organization_id.clone(),
        number_formatted: plan::format(&found.number),
        number: found.number.clone(),
        country: Some(wish.country.clone()),
        label: None,
        kind: "internal".into(),
        carrier: Some("twilio".into()),
        carrier_type: Some(found.carrier_type.into()),
        address_id: None,
        bundle_id: wish.bundle_id.clone(),
        is_premium: false,
        is_verified: true,
        was_ported: false,
        sms_enabled: sms,
        mms_enabled: mms,
        supports_sms_to_countries: list(sms, reach),
        supports_mms_to_countries: list(mms, &MMS_COUNTRIES),
        last_billed_price: None,
        next_billing_on: None,
        forward_to: None,
        forward_to_enabled: false,
        forward_to_formatted: None,
        inbound_ring_duration: None,
        press_1_to_accept: false,
        voicemail_greeting_url: None,
        participants: if wish.group { users.clone() } else { Vec::new() },
        participant_groups: Vec::new(),
        phone_numbers: Vec::new(),
        phone_numbers_formatted: Vec::new(),
        is_group_number: wish.group,
        user_id: if wish.group { None } else { users.first().cloned() },
        date_created: json::with_offset(now),
        date_updated: json::with_offset(now),
        more: Map::new(),
    };
    Number {
        wire,
        price: price(&wish.country, found.carrier_type),
        rented_at: now,
        released_at: None,
        made_by: "api",
        billed: false,
    }
}

/// In North America every number has SMS; elsewhere, where Close supports it, local and mobile ones.
fn has_sms(country: &str, carrier_type: &str) -> bool {
    let everywhere = matches!(country, "US" | "CA" | "PR");
    everywhere || (SMS_COUNTRIES.contains(&country) && matches!(carrier_type, "local" | "mobile"))
}

/// USD per month, near what a carrier asks.
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

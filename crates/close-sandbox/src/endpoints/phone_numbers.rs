//! Listing, reading, changing and releasing phone numbers, as Close lets the owner of the key.

use serde_json::{Map, Value, json};

use crate::numbers::number::{Number, has_passed, overlay};
use crate::numbers::plan::is_e164;
use crate::request::Call;
use crate::response::{Answer, Outcome};
use crate::settings::Epoch;
use crate::state::{Actor, World};
use crate::validation::Fields;

const PARTICIPANT_GROUPS_MAX: usize = 40;

/// `GET /phone_number/`
pub(crate) fn list(world: &mut World, call: &Call) -> Outcome {
    let epoch = world.settings.epoch;
    let (now, lag) = (world.now(), world.settings.listing_lag);
    let is_group = match call.param("is_group_number").filter(|_| epoch < Epoch::Future) {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => {
            return Err(Answer::invalid_field(
                "is_group_number",
                "Input should be a valid boolean",
            ));
        }
    };
    let owner = call.param("user_id").filter(|_| epoch < Epoch::Future);
    let participant = call
        .param("participant_user_id")
        .filter(|_| epoch >= Epoch::July2026);
    // A plus sign that nobody encoded arrives as a space.
    let wanted = call.param("number").map(|number| number.replace(' ', "+"));
    let mut found: Vec<Value> = world
        .numbers
        .iter()
        .filter(|number| {
            let released = number.released_at.is_some_and(|at| has_passed(at, lag, now));
            has_passed(number.rented_at, lag, now) && !released
        })
        .filter(|number| wanted.as_ref().is_none_or(|wanted| number.wire.number == *wanted))
        .filter(|number| is_group.is_none_or(|is_group| number.wire.is_group_number == is_group))
        .filter(|number| participant.is_none_or(|user_id| number.has_participant(user_id, world)))
        .map(|number| number.view(epoch))
        .filter(|view| owner.is_none_or(|owner| view["user_id"] == owner))
        .collect();
    if world.settings.list_shuffled {
        for index in (1..found.len()).rev() {
            let other = world.noise.below(index as u64 + 1);
            found.swap(index, usize::try_from(other).expect("below the length of a list"));
        }
    }
    call.page(found, world.settings.page_cap)
}

/// `GET /phone_number/{id}/`
pub(crate) fn read(world: &World, call: &Call, id: &str) -> Outcome {
    let (now, lag) = (world.now(), world.settings.read_lag);
    let seen = |number: &&Number| {
        let released = number.released_at.is_some_and(|at| has_passed(at, lag, now));
        number.wire.id == id && has_passed(number.rented_at, lag, now) && !released
    };
    let number = world
        .numbers
        .iter()
        .find(seen)
        .ok_or_else(|| Answer::unknown("PhoneNumber"))?;
    Ok(Answer::json(200, &call.select(number.view(world.settings.epoch))))
}

/// `PUT /phone_number/{id}/`: changes what is sent, leaves the rest.
pub(crate) fn update(world: &mut World, call: &Call, id: &str, actor: &Actor) -> Outcome {
    let number = world.rented(id).ok_or_else(|| Answer::unknown("PhoneNumber"))?;
    check_may_change(world, number)?;
    let patch = read_patch(world, call.object()?)?;
    let may_manage = world.settings.manage_group_numbers;
    let current = world.rented(id).ok_or_else(|| Answer::unknown("PhoneNumber"))?;
    let mut wire = overlay(&current.wire, patch).map_err(|_| Answer::invalid("Invalid phone number."))?;
    if !wire.is_group_number {
        // A number stays personal while exactly one person has it.
        match wire.participants.as_slice() {
            _ if !wire.participant_groups.is_empty() => wire.is_group_number = true,
            [] => {}
            [only] => wire.user_id = Some(only.clone()),
            _ => wire.is_group_number = true,
        }
        if wire.is_group_number {
            let owner = wire.user_id.take();
            if wire.participants.is_empty() {
                wire.participants.extend(owner);
            }
        } else {
            wire.participants.clear();
        }
    }
    let given_away =
        wire.user_id != current.wire.user_id || wire.is_group_number != current.wire.is_group_number;
    if given_away && !may_manage {
        return Err(forbidden());
    }
    world.change_number(id, Some(actor), |number| *number = wire);
    let changed = world.rented(id).ok_or_else(|| Answer::unknown("PhoneNumber"))?;
    Ok(Answer::json(
        200,
        &call.select(changed.view(world.settings.epoch)),
    ))
}

/// `DELETE /phone_number/{id}/`: 200 `{}`; 404 the second time.
pub(crate) fn release(world: &mut World, id: &str, actor: &Actor) -> Outcome {
    let number = world.rented(id).ok_or_else(|| Answer::unknown("PhoneNumber"))?;
    check_may_change(world, number)?;
    world.release_number(id, Some(actor));
    Ok(Answer::json(200, &json!({})))
}

fn check_may_change(world: &World, number: &Number) -> Result<(), Answer> {
    let may_manage = world.settings.manage_group_numbers;
    if number.wire.is_group_number {
        return if may_manage { Ok(()) } else { Err(forbidden()) };
    }
    let is_own = number.wire.user_id.as_ref() == Some(&world.key.owner);
    if is_own || (may_manage && world.settings.others_personal_numbers_writable) {
        return Ok(());
    }
    Err(Answer::error(
        403,
        "You can only update your own personal numbers.",
    ))
}

fn forbidden() -> Answer {
    Answer::error(403, "You do not have permission to manage group phone numbers.")
}

/// The writable fields that were sent, each checked.
fn read_patch(world: &World, body: Map<String, Value>) -> Result<Map<String, Value>, Answer> {
    let epoch = world.settings.epoch;
    let mut fields = Fields::new(body);
    let mut patch = Map::new();
    for name in ["label", "forward_to"] {
        match fields.take(name) {
            None => {}
            Some(Value::String(text)) if name == "forward_to" && !(text.is_empty() || is_e164(&text)) => {
                fields.fault(name, "Input should be a phone number in E.164 format");
            }
            Some(text @ Value::String(_)) => drop(patch.insert(name.into(), text)),
            Some(_) => fields.fault(name, "Input should be a valid string"),
        }
    }
    for name in ["forward_to_enabled", "press_1_to_accept"] {
        match fields.take(name) {
            None => {}
            Some(flag @ Value::Bool(_)) => drop(patch.insert(name.into(), flag)),
            Some(_) => fields.fault(name, "Input should be a valid boolean"),
        }
    }
    match fields.take("voicemail_greeting_url") {
        None => {}
        Some(Value::Null) => drop(patch.insert("voicemail_greeting_url".into(), Value::Null)),
        Some(url) if is_greeting(&url) => drop(patch.insert("voicemail_greeting_url".into(), url)),
        Some(_) => fields.fault(
            "voicemail_greeting_url",
            "Input should be an https URL of an mp3 file",
        ),
    }
    if epoch >= Epoch::September2026 {
        match fields.take("inbound_ring_duration") {
            None => {}
            Some(seconds)
                if seconds
                    .as_u64()
                    .is_some_and(|seconds| (15..=90).contains(&seconds)) =>
            {
                patch.insert("inbound_ring_duration".into(), seconds);
            }
            Some(_) => fields.fault(
                "inbound_ring_duration",
                "Input should be an integer between 15 and 90",
            ),
        }
    }
    for (name, since, text, known) in LISTS {
        if epoch < since {
            continue;
        }
        let Some(items) = fields.texts(name) else { continue };
        if items.iter().all(|item| known(world, item)) {
            patch.insert(name.into(), json!(items));
        } else {
            fields.fault(name, text);
        }
    }
    let groups = patch.get("participant_groups").and_then(Value::as_array);
    if groups.is_some_and(|groups| groups.len() > PARTICIPANT_GROUPS_MAX) {
        fields.fault("participant_groups", "List should have at most 40 items");
    }
    fields.finish(world.settings.reject_unknown_fields)?;
    if patch.contains_key("participant_groups") && !world.settings.manage_group_numbers {
        return Err(forbidden());
    }
    Ok(patch)
}

type IsKnown = fn(&World, &str) -> bool;

/// Fields that hold lists: since when, what is said of a wrong item, what an item must be.
const LISTS: [(&str, Epoch, &str, IsKnown); 3] = [
    (
        "participants",
        Epoch::June2026,
        "Object does not exist.",
        |world, id| world.user(id).is_some(),
    ),
    (
        "phone_numbers",
        Epoch::June2026,
        "Input should be phone numbers in E.164 format",
        |_, text| is_e164(text),
    ),
    (
        "participant_groups",
        Epoch::LateSeptember2026,
        "Object does not exist.",
        |world, id| world.groups.iter().any(|group| group.id == id),
    ),
];

fn is_greeting(value: &Value) -> bool {
    let url = value.as_str().and_then(|text| url::Url::parse(text).ok());
    url.is_some_and(|url| url.scheme() == "https" && url.path().to_ascii_lowercase().ends_with(".mp3"))
}

//! `/phone_number/`: lists, reads, changes and releases phone numbers with the permissions of the key's owner.

use serde_json::{Map, Value, json};

use crate::events::Actor;
use crate::numbers::number::{Number, apply_patch};
use crate::numbers::plan::is_e164;
use crate::request::Request;
use crate::response::{Outcome, Response};
use crate::settings::Epoch;
use crate::state::State;
use crate::time::has_elapsed;
use crate::validation::Fields;

/// The fields that the only member of a number may change without the permission to manage numbers.
const MEMBER_SETTINGS: [&str; 4] = [
    "label",
    "forward_to",
    "forward_to_enabled",
    "voicemail_greeting_url",
];
/// How many groups Close allows per number.
const MAX_PARTICIPANT_GROUPS: usize = 40;

/// `GET /phone_number/`
pub(crate) fn list(state: &mut State, request: &Request) -> Outcome {
    let epoch = state.settings.epoch;
    let (now, lag) = (state.now(), state.settings.listing_lag);
    let is_group = match request.param("is_group_number").filter(|_| epoch < Epoch::Future) {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => {
            return Err(Response::invalid_field(
                "is_group_number",
                "Input should be a valid boolean",
            ));
        }
    };
    let owner = request.param("user_id").filter(|_| epoch < Epoch::Future);
    let participant = request
        .param("participant_user_id")
        .filter(|_| epoch >= Epoch::July2026);
    // A plus sign that the client did not encode arrives as a space.
    let wanted = request.param("number").map(|number| number.replace(' ', "+"));
    let mut found: Vec<Value> = state
        .numbers
        .iter()
        .filter(|number| {
            let released = number.released_at.is_some_and(|at| has_elapsed(at, lag, now));
            has_elapsed(number.rented_at, lag, now) && !released
        })
        .filter(|number| wanted.as_ref().is_none_or(|wanted| number.data.number == *wanted))
        .filter(|number| is_group.is_none_or(|is_group| number.data.is_group_number == is_group))
        .filter(|number| participant.is_none_or(|user_id| number.has_participant(user_id, &state.groups)))
        .map(|number| number.view(epoch))
        .filter(|view| owner.is_none_or(|owner| view["user_id"] == owner))
        .collect();
    if state.settings.list_shuffled {
        for index in (1..found.len()).rev() {
            let other = state.ephemeral.below(index as u64 + 1);
            found.swap(index, usize::try_from(other).expect("below the length of a list"));
        }
    }
    request.page(found, state.settings.page_cap)
}

/// `GET /phone_number/{id}/`
pub(crate) fn read(state: &State, request: &Request, id: &str) -> Outcome {
    let (now, lag) = (state.now(), state.settings.read_lag);
    let visible = |number: &&Number| {
        let released = number.released_at.is_some_and(|at| has_elapsed(at, lag, now));
        number.data.id == id && has_elapsed(number.rented_at, lag, now) && !released
    };
    let number = state
        .numbers
        .iter()
        .find(visible)
        .ok_or_else(|| Response::not_found("PhoneNumber"))?;
    Ok(Response::json(
        200,
        &request.select(number.view(state.settings.epoch)),
    ))
}

/// `PUT /phone_number/{id}/`: changes the fields in the body and keeps the others.
pub(crate) fn update(state: &mut State, request: &Request, id: &str, actor: &Actor) -> Outcome {
    let number = state
        .rented(id)
        .ok_or_else(|| Response::not_found("PhoneNumber"))?;
    let body = request.object()?;
    let only_settings = body.keys().all(|field| MEMBER_SETTINGS.contains(&field.as_str()));
    check_may_change(state, number, only_settings)?;
    let patch = read_patch(state, body)?;
    let may_manage = state.settings.manage_group_numbers;
    let current = state
        .rented(id)
        .ok_or_else(|| Response::not_found("PhoneNumber"))?;
    let mut data =
        apply_patch(&current.data, patch).map_err(|_| Response::invalid("Invalid phone number."))?;
    if !data.is_group_number {
        // A number stays personal while exactly one user has it.
        match data.participants.as_slice() {
            _ if !data.participant_groups.is_empty() => data.is_group_number = true,
            [] => {}
            [only] => data.user_id = Some(only.clone()),
            _ => data.is_group_number = true,
        }
        if data.is_group_number {
            let owner = data.user_id.take();
            if data.participants.is_empty() {
                data.participants.extend(owner);
            }
        } else {
            data.participants.clear();
        }
    }
    let changes_owner =
        data.user_id != current.data.user_id || data.is_group_number != current.data.is_group_number;
    if changes_owner && !may_manage {
        return Err(forbidden());
    }
    state.change_number(id, Some(actor), |number| *number = data);
    let changed = state
        .rented(id)
        .ok_or_else(|| Response::not_found("PhoneNumber"))?;
    Ok(Response::json(
        200,
        &request.select(changed.view(state.settings.epoch)),
    ))
}

/// `DELETE /phone_number/{id}/`: 200 with `{}`, and 404 if the number was released before.
pub(crate) fn release(state: &mut State, id: &str, actor: &Actor) -> Outcome {
    let number = state
        .rented(id)
        .ok_or_else(|| Response::not_found("PhoneNumber"))?;
    check_may_change(state, number, false)?;
    state.release_number(id, Some(actor));
    Ok(Response::json(200, &json!({})))
}

/// Checks the permission to change or release a number.
///
/// `only_settings`: the change has only fields that the only member of a number may change without the permission.
fn check_may_change(state: &State, number: &Number, only_settings: bool) -> Result<(), Response> {
    let may_manage = state.settings.manage_group_numbers;
    if state.settings.epoch == Epoch::Future {
        return if may_manage || (only_settings && number.is_only_member(&state.key.owner)) {
            Ok(())
        } else {
            Err(Response::error(
                403,
                "You do not have permission to manage team phone numbers.",
            ))
        };
    }
    if number.data.is_group_number {
        return if may_manage { Ok(()) } else { Err(forbidden()) };
    }
    let is_own = number.data.user_id.as_ref() == Some(&state.key.owner);
    if is_own || (may_manage && state.settings.others_personal_numbers_writable) {
        return Ok(());
    }
    Err(Response::error(
        403,
        "You can only update your own personal numbers.",
    ))
}

fn forbidden() -> Response {
    Response::error(403, "You do not have permission to manage group phone numbers.")
}

/// Validates the writable fields of the body.
fn read_patch(state: &State, body: Map<String, Value>) -> Result<Map<String, Value>, Response> {
    let epoch = state.settings.epoch;
    let mut fields = Fields::new(body);
    let mut patch = Map::new();
    for name in ["label", "forward_to"] {
        match fields.take(name) {
            None => {}
            Some(Value::String(text)) if name == "forward_to" && !(text.is_empty() || is_e164(&text)) => {
                fields.reject(name, "Input should be a phone number in E.164 format");
            }
            Some(text @ Value::String(_)) => drop(patch.insert(name.into(), text)),
            Some(_) => fields.reject(name, "Input should be a valid string"),
        }
    }
    for name in ["forward_to_enabled", "press_1_to_accept"] {
        match fields.take(name) {
            None => {}
            Some(flag @ Value::Bool(_)) => drop(patch.insert(name.into(), flag)),
            Some(_) => fields.reject(name, "Input should be a valid boolean"),
        }
    }
    match fields.take("voicemail_greeting_url") {
        None => {}
        Some(Value::Null) => drop(patch.insert("voicemail_greeting_url".into(), Value::Null)),
        Some(url) if is_mp3_url(&url) => drop(patch.insert("voicemail_greeting_url".into(), url)),
        Some(_) => fields.reject(
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
            Some(_) => fields.reject(
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
        if items.iter().all(|item| known(state, item)) {
            patch.insert(name.into(), json!(items));
        } else {
            fields.reject(name, text);
        }
    }
    let groups = patch.get("participant_groups").and_then(Value::as_array);
    if groups.is_some_and(|groups| groups.len() > MAX_PARTICIPANT_GROUPS) {
        fields.reject("participant_groups", "List should have at most 40 items");
    }
    fields.finish(state.settings.reject_unknown_fields)?;
    if patch.contains_key("participant_groups") && !state.settings.manage_group_numbers {
        return Err(forbidden());
    }
    Ok(patch)
}

type IsKnown = fn(&State, &str) -> bool;

/// Fields that hold lists: the API version that introduced them, the error text, and the check of an item.
const LISTS: [(&str, Epoch, &str, IsKnown); 3] = [
    (
        "participants",
        Epoch::June2026,
        "Object does not exist.",
        |state, id| state.user(id).is_some(),
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
        |state, id| state.groups.iter().any(|group| group.id == id),
    ),
];

fn is_mp3_url(value: &Value) -> bool {
    let url = value.as_str().and_then(|text| url::Url::parse(text).ok());
    url.is_some_and(|url| url.scheme() == "https" && url.path().to_ascii_lowercase().ends_with(".mp3"))
}

//! The control routes under `/_control/`: what Close does not have, for those who test against it. No key needed.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use crate::endpoints::rent;
use crate::faults::fault::{Armed, faults_from_json};
use crate::numbers::number::overlay;
use crate::numbers::plan;
use crate::request::Call;
use crate::response::{Answer, Outcome};
use crate::server::State;
use crate::settings::Settings;
use crate::state::World;

/// Longest that `at_least` waits.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Answers a control request; errors are `{"error": text}` with 400 or 404.
pub(crate) async fn answer(state: &State, call: &Call) -> Answer {
    let waited = call.param("at_least").is_some();
    if waited && call.method == "GET" {
        return wait_for(state, call).await.unwrap_or_else(|refusal| refusal);
    }
    dispatch(&mut state.world(), call).unwrap_or_else(|refusal| refusal)
}

fn dispatch(world: &mut World, call: &Call) -> Outcome {
    let path = call.path.trim_start_matches("/_control/").trim_end_matches('/');
    let segments: Vec<&str> = path.split('/').collect();
    match (call.method.as_str(), segments.as_slice()) {
        ("GET", ["world"]) => Ok(Answer::json(200, &world.describe())),
        ("GET", ["settings"]) => Ok(Answer::json(200, &world.settings)),
        ("POST", ["settings"]) => change_settings(world, call),
        ("GET", ["faults"]) => Ok(listing(world.faults.iter().map(Armed::describe))),
        ("POST", ["faults"]) => arm(world, call),
        ("DELETE", ["faults"]) => {
            world.faults.clear();
            Ok(Answer::empty(204))
        }
        ("GET", ["requests"]) => Ok(listing(world.recorded(call.param("method"), call.param("path")))),
        ("DELETE", ["requests"]) => {
            world.requests.clear();
            Ok(Answer::empty(204))
        }
        ("GET", ["deliveries"]) => Ok(listing(
            world
                .attempts
                .iter()
                .map(crate::webhooks::delivery::Attempt::describe),
        )),
        ("DELETE", ["deliveries"]) => {
            world.attempts.clear();
            Ok(Answer::empty(204))
        }
        ("GET", ["numbers"]) => {
            world.bill();
            Ok(listing(
                world.numbers.iter().map(crate::numbers::number::Number::describe),
            ))
        }
        ("POST", ["numbers"]) => make_number(world, call),
        ("PATCH", ["numbers", id]) => change_number(world, call, id),
        ("DELETE", ["numbers", id]) => delete_number(world, call, id),
        ("PATCH", ["users", id]) => change_user(world, call, id),
        ("POST", ["reset"]) => {
            world.reset();
            Ok(Answer::empty(204))
        }
        ("GET", [""]) => {
            let routes = ROUTES.map(|(route, does)| (route.to_owned(), Value::from(does)));
            Ok(Answer::json(200, &Map::from_iter(routes)))
        }
        _ => Err(Answer::error(
            404,
            "No such control route: GET /_control/ lists them.",
        )),
    }
}

/// What there is; answered to `GET /_control/`.
const ROUTES: [(&str, &str); 12] = [
    (
        "GET /_control/world",
        "organization, API key, users and groups with their ids",
    ),
    ("GET /_control/settings", "every setting as it stands"),
    (
        "POST /_control/settings",
        "changes the settings that are sent, nested ones too",
    ),
    (
        "GET, DELETE /_control/faults",
        "the armed faults, how often each was met; disarms all",
    ),
    ("POST /_control/faults", "arms a fault or a list of faults"),
    (
        "GET, DELETE /_control/requests",
        "what was asked of Close; ?method= ?path= ?at_least=N&timeout=10s waits",
    ),
    (
        "GET, DELETE /_control/deliveries",
        "each attempt to deliver a webhook; ?at_least=N&timeout=10s waits",
    ),
    ("GET /_control/numbers", "every number, released ones too"),
    (
        "POST /_control/numbers",
        "rents one as a person in Close; country, prefix, carrier_type, silent, any field",
    ),
    (
        "PATCH, DELETE /_control/numbers/{id}",
        "changes or releases one as a person; silent: without an event",
    ),
    ("PATCH /_control/users/{id}", "can_call"),
    ("POST /_control/reset", "everything as it was at the start"),
];

fn listing(items: impl IntoIterator<Item = Value>) -> Answer {
    let items: Vec<Value> = items.into_iter().collect();
    Answer::json(200, &items)
}

/// `at_least=N`: answers as soon as the list is so long; as it then is when `timeout` (10 s) is over.
async fn wait_for(state: &State, call: &Call) -> Outcome {
    let at_least = call.count("at_least", 0, usize::MAX)?;
    let timeout = match call.param("timeout") {
        None => Duration::from_secs(10),
        Some(text) => text
            .parse::<SignedDuration>()
            .ok()
            .and_then(|timeout| Duration::try_from(timeout).ok())
            .ok_or_else(|| wrong("`timeout` is a duration such as 5s"))?,
    };
    let deadline = tokio::time::Instant::now() + timeout.min(LONGEST_WAIT);
    loop {
        let mut happened = std::pin::pin!(state.happened.notified());
        happened.as_mut().enable();
        let answer = dispatch(&mut state.world(), call)?;
        let length =
            serde_json::from_slice::<Vec<Value>>(&answer.body).map_or(usize::MAX, |items| items.len());
        if length >= at_least || tokio::time::timeout_at(deadline, happened).await.is_err() {
            return Ok(answer);
        }
    }
}

fn change_settings(world: &mut World, call: &Call) -> Outcome {
    let mut value = serde_json::to_value(&world.settings).expect("settings have string keys only");
    merge(&mut value, Value::Object(body(call)?));
    let settings: Settings = serde_json::from_value(value).map_err(|failure| wrong(&failure.to_string()))?;
    world.settings = settings;
    Ok(Answer::json(200, &world.settings))
}

/// Objects are merged; everything else, null included, replaces.
fn merge(target: &mut Value, patch: Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (name, value) in patch {
                merge(target.entry(name).or_insert(Value::Null), value);
            }
        }
        (target, patch) => *target = patch,
    }
}

fn arm(world: &mut World, call: &Call) -> Outcome {
    let text = String::from_utf8_lossy(&call.body);
    let faults = faults_from_json(&text).map_err(|failure| wrong(&failure))?;
    world.faults.extend(faults.into_iter().map(Armed::new));
    Ok(Answer {
        status: 201,
        ..listing(world.faults.iter().map(Armed::describe))
    })
}

/// `{"country": "DE", "prefix": "30", "silent": true, …}`: any field of a phone number may follow.
fn make_number(world: &mut World, call: &Call) -> Outcome {
    let mut fields = body(call)?;
    let silent = take_flag(&mut fields, "silent")?;
    let text = |value: Option<Value>| value.and_then(|value| value.as_str().map(str::to_owned));
    let country = text(fields.shift_remove("country")).unwrap_or_else(|| "US".into());
    let prefix = text(fields.shift_remove("prefix")).unwrap_or_default();
    let carrier_type = text(fields.shift_remove("carrier_type"));
    let World { random, numbers, .. } = world;
    let taken = |number: &str| numbers.iter().any(|known| known.wire.number == number);
    let found = plan::find(random, &country, &prefix, carrier_type.as_deref(), taken)
        .ok_or_else(|| wrong("no such number exists in that country's plan"))?;
    let mut number = rent::furnished(world, &country, &found);
    number.wire = overlay(&number.wire, fields).map_err(|failure| wrong(&failure.to_string()))?;
    let view = number.describe();
    let actor = world.person();
    world.add_number(number, (!silent).then_some(&actor));
    Ok(Answer::json(201, &view))
}

/// Any field, unknown ones included; `"silent": true` writes no event.
fn change_number(world: &mut World, call: &Call, id: &str) -> Outcome {
    let mut fields = body(call)?;
    let silent = take_flag(&mut fields, "silent")?;
    let number = world.rented(id).ok_or_else(|| Answer::unknown("PhoneNumber"))?;
    let wire = overlay(&number.wire, fields).map_err(|failure| wrong(&failure.to_string()))?;
    let actor = world.person();
    world.change_number(id, (!silent).then_some(&actor), |number| *number = wire);
    let number = world.rented(id).ok_or_else(|| Answer::unknown("PhoneNumber"))?;
    Ok(Answer::json(200, &number.describe()))
}

fn delete_number(world: &mut World, call: &Call, id: &str) -> Outcome {
    world.rented(id).ok_or_else(|| Answer::unknown("PhoneNumber"))?;
    let silent = call.param("silent") == Some("true");
    let actor = world.person();
    world.release_number(id, (!silent).then_some(&actor));
    Ok(Answer::empty(204))
}

fn change_user(world: &mut World, call: &Call, id: &str) -> Outcome {
    let mut fields = body(call)?;
    let can_call = take_flag(&mut fields, "can_call")?;
    let user = world
        .users
        .iter_mut()
        .find(|user| user.id == id)
        .ok_or_else(|| Answer::unknown("User"))?;
    user.can_call = can_call;
    Ok(Answer::json(
        200,
        &json!({ "id": user.id, "can_call": user.can_call }),
    ))
}

fn body(call: &Call) -> Result<Map<String, Value>, Answer> {
    if call.body.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(&call.body)
        .map_err(|failure| wrong(&format!("a JSON object is needed: {failure}")))
}

fn take_flag(fields: &mut Map<String, Value>, name: &str) -> Result<bool, Answer> {
    match fields.shift_remove(name) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(flag),
        Some(_) => Err(wrong(&format!("`{name}` is true or false"))),
    }
}

fn wrong(text: &str) -> Answer {
    Answer::error(400, text)
}

//! The control routes under `/_control/`: what tests need and Close does not have. They need no key.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use crate::endpoints::rent;
use crate::faults::fault::{ArmedFault, faults_from_json};
use crate::numbers::number::{Number, apply_patch};
use crate::numbers::plan;
use crate::request::Request;
use crate::response::{Outcome, Response};
use crate::seed::reset;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::state::State;
use crate::webhooks::queue::DeliveryAttempt;

/// The longest `timeout` of a request with `at_least`.
const MAX_WAIT: Duration = Duration::from_mins(1);

/// Handles a control request. Errors are `{"error": text}` with status 400 or 404.
pub(crate) async fn handle(shared: &Shared, request: &Request) -> Response {
    let waited = request.param("at_least").is_some();
    if waited && request.method == "GET" {
        return wait_for(shared, request).await.unwrap_or_else(|error| error);
    }
    let response = {
        let mut state = shared.state();
        let response = dispatch(&mut state, request).unwrap_or_else(|error| error);
        if request.method != "GET" {
            state.save();
        }
        response
    };
    // Rents may wait for a setting to change.
    shared.activity.notify_waiters();
    response
}

fn dispatch(state: &mut State, request: &Request) -> Outcome {
    let path = request
        .path
        .trim_start_matches("/_control/")
        .trim_end_matches('/');
    let segments: Vec<&str> = path.split('/').collect();
    match (request.method.as_str(), segments.as_slice()) {
        ("GET", ["world"]) => Ok(Response::json(200, &state.describe())),
        ("GET", ["settings"]) => Ok(Response::json(200, &state.settings)),
        ("POST", ["settings"]) => change_settings(state, request),
        ("GET", ["faults"]) => Ok(listing(state.faults.iter().map(ArmedFault::describe))),
        ("POST", ["faults"]) => arm(state, request),
        ("DELETE", ["faults"]) => {
            state.faults.clear();
            Ok(Response::empty(204))
        }
        ("GET", ["requests"]) => Ok(listing(
            state
                .requests
                .list(request.param("method"), request.param("path")),
        )),
        ("DELETE", ["requests"]) => {
            state.requests.clear();
            Ok(Response::empty(204))
        }
        ("GET", ["deliveries"]) => Ok(listing(state.attempts.iter().map(DeliveryAttempt::describe))),
        ("DELETE", ["deliveries"]) => {
            state.attempts.clear();
            Ok(Response::empty(204))
        }
        ("GET", ["numbers"]) => {
            state.bill();
            Ok(listing(state.numbers.iter().map(Number::describe)))
        }
        ("POST", ["numbers"]) => make_number(state, request),
        ("PATCH", ["numbers", id]) => change_number(state, request, id),
        ("DELETE", ["numbers", id]) => delete_number(state, request, id),
        ("POST", ["events"]) => {
            let shown = body(request)?;
            state.emit_odd(shown);
            Ok(Response::empty(204))
        }
        ("PATCH", ["users", id]) => change_user(state, request, id),
        ("POST", ["reset"]) => {
            reset(state);
            Ok(Response::empty(204))
        }
        ("GET", [""]) => {
            let routes = ROUTES.map(|(route, does)| (route.to_owned(), Value::from(does)));
            Ok(Response::json(200, &Map::from_iter(routes)))
        }
        _ => Err(Response::error(
            404,
            "No such control route: GET /_control/ lists them.",
        )),
    }
}

/// The response to `GET /_control/`.
const ROUTES: [(&str, &str); 13] = [
    (
        "GET /_control/world",
        "organization, API key, users and groups with their ids",
    ),
    ("GET /_control/settings", "the current settings"),
    (
        "POST /_control/settings",
        "changes the settings in the body; nested objects are merged",
    ),
    (
        "GET, DELETE /_control/faults",
        "lists the armed faults and how often each matched; removes all",
    ),
    ("POST /_control/faults", "arms a fault or a list of faults"),
    (
        "GET, DELETE /_control/requests",
        "lists the received requests; ?method= and ?path= filter, ?at_least=N&timeout=10s waits; clears the list",
    ),
    (
        "GET, DELETE /_control/deliveries",
        "lists the webhook delivery attempts; ?at_least=N&timeout=10s waits; clears the list",
    ),
    ("GET /_control/numbers", "all numbers, including released ones"),
    (
        "POST /_control/numbers",
        "rents a number as a person in Close: country (US), prefix, carrier_type, silent, and any field of a number",
    ),
    (
        "PATCH, DELETE /_control/numbers/{id}",
        "changes or releases a number as a person in Close; silent: true writes no event; shown: what clients see instead",
    ),
    (
        "POST /_control/events",
        "writes an event about a number that does not exist; clients see the members in the body instead of its own",
    ),
    ("PATCH /_control/users/{id}", "changes can_call"),
    ("POST /_control/reset", "restores the initial state"),
];

fn listing(items: impl IntoIterator<Item = Value>) -> Response {
    let items: Vec<Value> = items.into_iter().collect();
    Response::json(200, &items)
}

/// `at_least=N`: responds when the list has N items, or after `timeout` (default 10 s) with what it has.
async fn wait_for(shared: &Shared, request: &Request) -> Outcome {
    let at_least = request.count("at_least", 0, usize::MAX)?;
    let timeout = match request.param("timeout") {
        None => Duration::from_secs(10),
        Some(text) => text
            .parse::<SignedDuration>()
            .ok()
            .and_then(|timeout| Duration::try_from(timeout).ok())
            .ok_or_else(|| invalid("`timeout` must be a duration such as 5s"))?,
    };
    let deadline = tokio::time::Instant::now() + timeout.min(MAX_WAIT);
    loop {
        let mut activity = std::pin::pin!(shared.activity.notified());
        activity.as_mut().enable();
        let response = dispatch(&mut shared.state(), request)?;
        let length =
            serde_json::from_slice::<Vec<Value>>(&response.body).map_or(usize::MAX, |items| items.len());
        if length >= at_least || tokio::time::timeout_at(deadline, activity).await.is_err() {
            return Ok(response);
        }
    }
}

fn change_settings(state: &mut State, request: &Request) -> Outcome {
    let mut value = serde_json::to_value(&state.settings).expect("settings have string keys only");
    merge(&mut value, Value::Object(body(request)?));
    let settings: Settings = serde_json::from_value(value).map_err(|error| invalid(&error.to_string()))?;
    state.settings = settings;
    Ok(Response::json(200, &state.settings))
}

/// Merges objects; every other value, null included, replaces.
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

fn arm(state: &mut State, request: &Request) -> Outcome {
    let text = String::from_utf8_lossy(&request.body);
    let faults = faults_from_json(&text).map_err(|error| invalid(&error))?;
    state.faults.extend(faults.into_iter().map(ArmedFault::new));
    Ok(Response {
        status: 201,
        ..listing(state.faults.iter().map(ArmedFault::describe))
    })
}

/// Rents a number: `{"country": "DE", "prefix": "30", "silent": true, …}` plus any field of a phone number.
fn make_number(state: &mut State, request: &Request) -> Outcome {
    let mut fields = body(request)?;
    let silent = take_flag(&mut fields, "silent")?;
    let country = take_text(&mut fields, "country")?.unwrap_or_else(|| "US".into());
    if !plan::has_plan(&country) {
        return Err(invalid(&format!(
            "`{country}` is no country whose numbering plan is known"
        )));
    }
    let prefix = take_text(&mut fields, "prefix")?.unwrap_or_default();
    let carrier_type = take_text(&mut fields, "carrier_type")?;
    let State { random, numbers, .. } = state;
    let taken = |number: &str| numbers.iter().any(|known| known.data.number == number);
    let found = plan::find(random, &country, &prefix, carrier_type.as_deref(), taken)
        .ok_or_else(|| invalid("the numbering plan of the country has no such number"))?;
    let mut number = rent::rented_by_person(state, &country, &found);
    number.data = apply_patch(&number.data, fields).map_err(|error| invalid(&error.to_string()))?;
    let view = number.describe();
    let actor = state.person();
    state.add_number(number, (!silent).then_some(&actor));
    Ok(Response::json(201, &view))
}

/// Changes any field, unknown ones included. `"silent": true` writes no event.
///
/// `"shown": {"number": null}` makes clients see these values, of any type, without a change of the number.
fn change_number(state: &mut State, request: &Request, id: &str) -> Outcome {
    let mut fields = body(request)?;
    let silent = take_flag(&mut fields, "silent")?;
    match fields.shift_remove("shown") {
        None => {}
        Some(Value::Object(shown)) => state.show_number_as(id, &shown),
        Some(_) => return Err(invalid("`shown` must be an object")),
    }
    let number = state
        .rented(id)
        .ok_or_else(|| Response::not_found("PhoneNumber"))?;
    let data = apply_patch(&number.data, fields).map_err(|error| invalid(&error.to_string()))?;
    let actor = state.person();
    state.change_number(id, (!silent).then_some(&actor), |number| *number = data);
    let number = state
        .rented(id)
        .ok_or_else(|| Response::not_found("PhoneNumber"))?;
    Ok(Response::json(200, &number.describe()))
}

fn delete_number(state: &mut State, request: &Request, id: &str) -> Outcome {
    state
        .rented(id)
        .ok_or_else(|| Response::not_found("PhoneNumber"))?;
    let silent = request.param("silent") == Some("true");
    let actor = state.person();
    state.release_number(id, (!silent).then_some(&actor));
    Ok(Response::empty(204))
}

fn change_user(state: &mut State, request: &Request, id: &str) -> Outcome {
    let mut fields = body(request)?;
    let can_call = take_flag(&mut fields, "can_call")?;
    let user = state
        .users
        .iter_mut()
        .find(|user| user.id == id)
        .ok_or_else(|| Response::not_found("User"))?;
    user.can_call = can_call;
    Ok(Response::json(
        200,
        &json!({ "id": user.id, "can_call": user.can_call }),
    ))
}

fn body(request: &Request) -> Result<Map<String, Value>, Response> {
    if request.body.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(&request.body)
        .map_err(|error| invalid(&format!("the body must be a JSON object: {error}")))
}

fn take_text(fields: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Response> {
    match fields.shift_remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(invalid(&format!("`{name}` must be a string"))),
    }
}

fn take_flag(fields: &mut Map<String, Value>, name: &str) -> Result<bool, Response> {
    match fields.shift_remove(name) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(flag),
        Some(_) => Err(invalid(&format!("`{name}` must be true or false"))),
    }
}

fn invalid(text: &str) -> Response {
    Response::error(400, text)
}

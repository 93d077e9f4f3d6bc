//! The routes of the API: which endpoint handles which method and path.

use crate::endpoints::event_log;
use crate::endpoints::groups;
use crate::endpoints::phone_numbers;
use crate::endpoints::rent;
use crate::endpoints::users;
use crate::endpoints::webhooks;
use crate::events::Actor;
use crate::request::Request;
use crate::response::{Outcome, Response};
use crate::state::State;

/// Handles a request that passed key check, rate limit and faults.
pub(crate) fn route(state: &mut State, request: &Request) -> Response {
    dispatch(state, request).unwrap_or_else(|error| error)
}

/// The id by which events show the API key of the request.
fn key_id(state: &State, request: &Request) -> String {
    match request.basic_key() {
        Some(key) if Some(&key) == state.settings.other_key.as_ref() => {
            key.split('.').next().unwrap_or_default().to_owned()
        }
        _ => state.key.id.clone(),
    }
}

fn dispatch(state: &mut State, request: &Request) -> Outcome {
    // All paths of Close end with a slash.
    let Some(path) = request.resource().strip_suffix('/') else {
        return Err(Response::error(404, "Not Found"));
    };
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let actor = Actor {
        user_id: Some(state.key.owner.clone()),
        api_key_id: Some(key_id(state, request)),
        request_id: Some(request.request_id.clone()),
        request: Some((request.method.clone(), request.path.clone())),
    };
    match (request.method.as_str(), segments.as_slice()) {
        ("GET", ["phone_number"]) => phone_numbers::list(state, request),
        ("POST", ["phone_number", "request", "internal"]) => rent::rent(state, request, &actor),
        (_, ["phone_number", "request", "internal"]) => not_allowed("POST"),
        ("GET", ["phone_number", id]) => phone_numbers::read(state, request, id),
        ("PUT", ["phone_number", id]) => phone_numbers::update(state, request, id, &actor),
        ("DELETE", ["phone_number", id]) => phone_numbers::release(state, id, &actor),
        ("GET", ["me"]) => users::me(state, request),
        ("GET", ["user"]) => users::list(state, request),
        ("GET", ["user", id]) => users::read(state, request, id),
        ("GET", ["organization", id]) => users::organization(state, request, id),
        ("GET", ["membership", id]) => users::membership(state, request, id),
        ("GET", ["group"]) => groups::list(state, request),
        ("POST", ["group"]) => groups::create(state, request, &actor),
        ("GET", ["group", id]) => groups::read(state, request, id),
        ("PUT", ["group", id]) => groups::update(state, request, id, &actor),
        ("DELETE", ["group", id]) => groups::delete(state, id, &actor),
        ("POST", ["group", id, "member"]) => groups::add_member(state, request, id, &actor),
        ("DELETE", ["group", id, "member", user_id]) => groups::remove_member(state, id, user_id, &actor),
        ("GET", ["webhook"]) => webhooks::list(state, request),
        ("POST", ["webhook"]) => webhooks::create(state, request),
        ("GET", ["webhook", id]) => webhooks::read(state, request, id),
        ("PUT", ["webhook", id]) => webhooks::update(state, request, id),
        ("DELETE", ["webhook", id]) => webhooks::delete(state, id),
        ("GET", ["event"]) => event_log::list(state, request),
        ("GET", ["event", id]) => event_log::read(state, request, id),
        (_, ["group" | "webhook"]) => not_allowed("GET, POST"),
        (_, ["phone_number" | "group" | "webhook", _]) => not_allowed("GET, PUT, DELETE"),
        (
            _,
            ["phone_number" | "me" | "user" | "event"]
            | ["user" | "event" | "organization" | "membership", _],
        ) => not_allowed("GET"),
        _ => Err(Response::error(404, "Not Found")),
    }
}

fn not_allowed(allow: &str) -> Outcome {
    Err(Response::error(405, "Method Not Allowed").with_header("allow", allow))
}

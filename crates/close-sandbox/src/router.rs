//! The table of contents: which path and method is answered by what.

use crate::endpoints::event_log;
use crate::endpoints::groups;
use crate::endpoints::phone_numbers;
use crate::endpoints::rent;
use crate::endpoints::users;
use crate::endpoints::webhooks;
use crate::request::Call;
use crate::response::{Answer, Outcome};
use crate::state::{Actor, World};

/// Answers a request that was let through.
pub(crate) fn answer(world: &mut World, call: &Call) -> Answer {
    dispatch(world, call).unwrap_or_else(|refusal| refusal)
}

fn dispatch(world: &mut World, call: &Call) -> Outcome {
    // Every path of Close ends in a slash; what does not is no path of Close's.
    let Some(path) = call.resource().strip_suffix('/') else {
        return Err(Answer::error(404, "Not Found"));
    };
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let actor = Actor {
        user_id: Some(world.key.owner.clone()),
        api_key_id: Some(world.key.id.clone()),
        request_id: Some(call.request_id.clone()),
        request: Some((call.method.clone(), call.path.clone())),
    };
    match (call.method.as_str(), segments.as_slice()) {
        ("GET", ["phone_number"]) => phone_numbers::list(world, call),
        ("POST", ["phone_number", "request", "internal"]) => rent::rent(world, call, &actor),
        (_, ["phone_number", "request", "internal"]) => not_allowed("POST"),
        ("GET", ["phone_number", id]) => phone_numbers::read(world, call, id),
        ("PUT", ["phone_number", id]) => phone_numbers::update(world, call, id, &actor),
        ("DELETE", ["phone_number", id]) => phone_numbers::release(world, id, &actor),
        ("GET", ["me"]) => users::me(world, call),
        ("GET", ["user"]) => users::list(world, call),
        ("GET", ["user", id]) => users::read(world, call, id),
        ("GET", ["organization", id]) => users::organization(world, call, id),
        ("GET", ["membership", id]) => users::membership(world, call, id),
        ("GET", ["group"]) => groups::list(world, call),
        ("POST", ["group"]) => groups::create(world, call, &actor),
        ("GET", ["group", id]) => groups::read(world, call, id),
        ("PUT", ["group", id]) => groups::update(world, call, id, &actor),
        ("DELETE", ["group", id]) => groups::delete(world, id, &actor),
        ("POST", ["group", id, "member"]) => groups::add_member(world, call, id, &actor),
        ("DELETE", ["group", id, "member", user_id]) => groups::remove_member(world, id, user_id, &actor),
        ("GET", ["webhook"]) => webhooks::list(world, call),
        ("POST", ["webhook"]) => webhooks::create(world, call),
        ("GET", ["webhook", id]) => webhooks::read(world, call, id),
        ("PUT", ["webhook", id]) => webhooks::update(world, call, id),
        ("DELETE", ["webhook", id]) => webhooks::delete(world, id),
        ("GET", ["event"]) => event_log::list(world, call),
        ("GET", ["event", id]) => event_log::read(world, call, id),
        (_, ["group" | "webhook"]) => not_allowed("GET, POST"),
        (_, ["phone_number" | "group" | "webhook", _]) => not_allowed("GET, PUT, DELETE"),
        (
            _,
            ["phone_number" | "me" | "user" | "event"]
            | ["user" | "event" | "organization" | "membership", _],
        ) => not_allowed("GET"),
        _ => Err(Answer::error(404, "Not Found")),
    }
}

fn not_allowed(allow: &str) -> Outcome {
    Err(Answer::error(405, "Method Not Allowed").with_header("allow", allow))
}

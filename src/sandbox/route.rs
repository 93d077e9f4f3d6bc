//! The table of contents: which path and method is answered by what.

use super::answer::{Answer, Outcome};
use super::call::Call;
use super::world::{Actor, World};
use super::{group, log, phone_number, rent, user, webhook};

/// Answers a request that was let through.
pub(super) fn answer(world: &mut World, call: &Call) -> Answer {
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
        ("GET", ["phone_number"]) => phone_number::list(world, call),
        ("POST", ["phone_number", "request", "internal"]) => rent::rent(world, call, &actor),
        (_, ["phone_number", "request", "internal"]) => not_allowed("POST"),
        ("GET", ["phone_number", id]) => phone_number::read(world, call, id),
        ("PUT", ["phone_number", id]) => phone_number::update(world, call, id, &actor),
        ("DELETE", ["phone_number", id]) => phone_number::release(world, id, &actor),
        ("GET", ["me"]) => user::me(world, call),
        ("GET", ["user"]) => user::list(world, call),
        ("GET", ["user", id]) => user::read(world, call, id),
        ("GET", ["organization", id]) => user::organization(world, call, id),
        ("GET", ["membership", id]) => user::membership(world, call, id),
        ("GET", ["group"]) => group::list(world, call),
        ("POST", ["group"]) => group::create(world, call, &actor),
        ("GET", ["group", id]) => group::read(world, call, id),
        ("PUT", ["group", id]) => group::update(world, call, id, &actor),
        ("DELETE", ["group", id]) => group::delete(world, id, &actor),
        ("POST", ["group", id, "member"]) => group::add_member(world, call, id, &actor),
        ("DELETE", ["group", id, "member", user_id]) => group::remove_member(world, id, user_id, &actor),
        ("GET", ["webhook"]) => webhook::list(world, call),
        ("POST", ["webhook"]) => webhook::create(world, call),
        ("GET", ["webhook", id]) => webhook::read(world, call, id),
        ("PUT", ["webhook", id]) => webhook::update(world, call, id),
        ("DELETE", ["webhook", id]) => webhook::delete(world, id),
        ("GET", ["event"]) => log::list(world, call),
        ("GET", ["event", id]) => log::read(world, call, id),
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

//! `/group/`: groups of users and their members.

use serde_json::json;

use crate::events::{Actor, Change};
use crate::organization::Group;
use crate::request::Request;
use crate::response::{Outcome, Response};
use crate::state::State;
use crate::validation::Fields;

/// `GET /group/`: the groups, with `members` null.
pub(crate) fn list(state: &State, request: &Request) -> Outcome {
    let groups = state.groups.iter().map(|group| {
        json!({ "id": group.id, "name": group.name, "organization_id": state.organization_id, "members": null })
    });
    request.page(groups.collect(), state.settings.page_cap)
}

/// `GET /group/{id}/`
pub(crate) fn read(state: &State, request: &Request, id: &str) -> Outcome {
    let index = find(state, id)?;
    Ok(Response::json(
        200,
        &request.select(state.groups[index].view(&state.organization_id)),
    ))
}

/// `POST /group/`: 201.
pub(crate) fn create(state: &mut State, request: &Request, actor: &Actor) -> Outcome {
    let name = read_name(state, request, None)?;
    let id = state.random.id("group_", 22);
    let group = Group {
        id: id.clone(),
        name,
        members: Vec::new(),
    };
    let view = group.view(&state.organization_id);
    state.groups.push(group);
    state.emit(actor, Change::created("group", id, view.clone()));
    Ok(Response::json(201, &view))
}

/// `PUT /group/{id}/`
pub(crate) fn update(state: &mut State, request: &Request, id: &str, actor: &Actor) -> Outcome {
    let index = find(state, id)?;
    let name = read_name(state, request, Some(id))?;
    Ok(change(state, index, actor, 200, |group| group.name = name))
}

/// `DELETE /group/{id}/`: 204.
pub(crate) fn delete(state: &mut State, id: &str, actor: &Actor) -> Outcome {
    let index = find(state, id)?;
    let group = state.groups.remove(index);
    let before = group.view(&state.organization_id);
    state.emit(actor, Change::deleted("group", group.id, before));
    Ok(Response::empty(204))
}

/// `POST /group/{id}/member/`: 201, even if the user is already a member.
pub(crate) fn add_member(state: &mut State, request: &Request, id: &str, actor: &Actor) -> Outcome {
    let index = find(state, id)?;
    let mut fields = Fields::new(request.object()?);
    let user_id = fields.text("user_id");
    if user_id.is_none() {
        fields.reject("user_id", "Field required");
    }
    fields.finish(state.settings.reject_unknown_fields)?;
    let user_id = user_id.filter(|id| state.user(id).is_some());
    let user_id = user_id.ok_or_else(|| Response::invalid_field("user_id", "Object does not exist."))?;
    Ok(change(state, index, actor, 201, |group| {
        if !group.members.contains(&user_id) {
            group.members.push(user_id);
        }
    }))
}

/// `DELETE /group/{id}/member/{user_id}/`: 204, even if the user is not a member.
pub(crate) fn remove_member(state: &mut State, id: &str, user_id: &str, actor: &Actor) -> Outcome {
    let index = find(state, id)?;
    change(state, index, actor, 204, |group| {
        group.members.retain(|member| member != user_id);
    });
    Ok(Response::empty(204))
}

fn find(state: &State, id: &str) -> Result<usize, Response> {
    state
        .groups
        .iter()
        .position(|group| group.id == id)
        .ok_or_else(|| Response::not_found("Group"))
}

fn change(
    state: &mut State,
    index: usize,
    actor: &Actor,
    status: u16,
    change: impl FnOnce(&mut Group),
) -> Response {
    let group = &mut state.groups[index];
    let before = group.view(&state.organization_id);
    change(group);
    let (id, after) = (group.id.clone(), group.view(&state.organization_id));
    if before != after {
        state.emit(actor, Change::updated("group", id, &before, after.clone()));
    }
    Response::json(status, &after)
}

fn read_name(state: &State, request: &Request, own_id: Option<&str>) -> Result<String, Response> {
    let mut fields = Fields::new(request.object()?);
    let name = fields.text("name").filter(|name| !name.trim().is_empty());
    match &name {
        None => fields.reject("name", "Field required"),
        Some(name) => {
            if state
                .groups
                .iter()
                .any(|group| group.name == *name && own_id != Some(&group.id))
            {
                fields.reject("name", "A group with this name already exists.");
            }
        }
    }
    fields.finish(state.settings.reject_unknown_fields)?;
    name.ok_or_else(|| Response::invalid_field("name", "Field required"))
}

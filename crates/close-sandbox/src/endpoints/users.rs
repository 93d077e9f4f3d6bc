//! `/me/`, `/user/`, `/membership/` and `/organization/`, all read-only.

use serde_json::{Value, json};

use crate::organization::User;
use crate::request::Request;
use crate::response::{Outcome, Response};
use crate::state::State;
use crate::time::with_offset;

/// `GET /me/`: the key's owner with memberships, organizations and phone numbers.
pub(crate) fn me(state: &State, request: &Request) -> Outcome {
    let owner = state
        .user(&state.key.owner)
        .ok_or_else(|| Response::not_found("User"))?;
    let mut view = view(owner, state);
    let numbers: Vec<Value> = state
        .numbers
        .iter()
        .filter(|number| number.released_at.is_none() && number.has_participant(&owner.id, &state.groups))
        .map(|number| number.view(state.settings.epoch))
        .collect();
    let mut organizations = vec![json!({"id": state.organization_id, "name": "Example Telephony"})];
    let mut memberships = vec![membership_view(owner, state)];
    if let Some(other) = &state.settings.first_membership {
        organizations.insert(0, json!({"id": other, "name": "Example Elsewhere"}));
        let mut membership = memberships[0].clone();
        membership["organization_id"] = json!(other);
        memberships.insert(0, membership);
    }
    view["organizations"] = json!(organizations);
    view["memberships"] = json!(memberships);
    view["phone_numbers"] = json!(numbers);
    Ok(Response::json(200, &request.select(view)))
}

/// `GET /user/`: ordered by last name, or by first name with `_order_by=first_name,last_name`.
pub(crate) fn list(state: &State, request: &Request) -> Outcome {
    let by_first = request
        .param("_order_by")
        .is_some_and(|order| order.starts_with("first_name"));
    let mut users: Vec<&User> = state.users.iter().collect();
    users.sort_by_key(|user| {
        let (first, last) = (user.first_name.clone(), user.last_name.clone());
        if by_first { (first, last) } else { (last, first) }
    });
    request.page(
        users.into_iter().map(|user| view(user, state)).collect(),
        state.settings.page_cap,
    )
}

/// `GET /user/{id}/`
pub(crate) fn read(state: &State, request: &Request, id: &str) -> Outcome {
    let user = state.user(id).ok_or_else(|| Response::not_found("User"))?;
    Ok(Response::json(200, &request.select(view(user, state))))
}

/// `GET /organization/{id}/`: `_expand=memberships__user` includes the users.
pub(crate) fn organization(state: &State, request: &Request, id: &str) -> Outcome {
    if id != state.organization_id {
        return Err(Response::not_found("Organization"));
    }
    let expand = request
        .param("_expand")
        .is_some_and(|expand| expand.contains("memberships__user"));
    let memberships: Vec<Value> = state
        .users
        .iter()
        .map(|user| {
            let mut membership = membership_view(user, state);
            if expand {
                membership["user"] = view(user, state);
            }
            membership
        })
        .collect();
    let view = json!({
        "id": state.organization_id,
        "name": "Example Telephony",
        "memberships": memberships,
        "inactive_memberships": [],
    });
    Ok(Response::json(200, &request.select(view)))
}

/// `GET /membership/{id}/`
pub(crate) fn membership(state: &State, request: &Request, id: &str) -> Outcome {
    let found = state.users.iter().find(|user| user.membership_id == id);
    let user = found.ok_or_else(|| Response::not_found("Membership"))?;
    Ok(Response::json(200, &request.select(membership_view(user, state))))
}

fn view(user: &User, state: &State) -> Value {
    json!({
        "id": user.id,
        "email": user.email,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "image": null,
        "organizations": [state.organization_id],
        "date_created": with_offset(user.created),
        "date_updated": with_offset(user.created),
    })
}

fn membership_view(user: &User, state: &State) -> Value {
    let is_owner = user.id == state.key.owner;
    let mut permissions = Vec::new();
    if user.can_call {
        permissions.push("calling");
    }
    if is_owner {
        permissions.push("manage_organization");
        if state.settings.manage_group_numbers {
            permissions.push("manage_group_numbers");
        }
    }
    json!({
        "id": user.membership_id,
        "user_id": user.id,
        "organization_id": state.organization_id,
        "role_id": if is_owner { "admin" } else { "user" },
        "permissions_granted": permissions,
        "auto_record_calls": "unset",
        "default_caller_id": null,
        "primary_personal_number": null,
        "user_email": user.email,
        "user_first_name": user.first_name,
        "user_last_name": user.last_name,
        "user_is_active": true,
        "date_created": with_offset(user.created),
        "date_updated": with_offset(user.created),
    })
}

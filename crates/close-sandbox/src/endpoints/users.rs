//! Users, the membership that ties them to the organization, and `/me/`. Read only.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::json::with_offset;
use crate::request::Call;
use crate::response::{Answer, Outcome};
use crate::state::{Random, World};

/// A member of the organization.
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) membership_id: String,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) email: String,
    pub(crate) can_call: bool,
    born: Timestamp,
}

impl User {
    pub(crate) fn new(random: &mut Random, first: &str, last: &str, can_call: bool, born: Timestamp) -> Self {
        Self {
            id: random.id("user_", 43),
            membership_id: random.id("memb_", 43),
            first_name: first.to_owned(),
            last_name: last.to_owned(),
            email: format!("{}.{}@example.com", first.to_lowercase(), last.to_lowercase()),
            can_call,
            born,
        }
    }

    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name)
    }

    fn view(&self, world: &World) -> Value {
        json!({
            "id": self.id,
            "email": self.email,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "image": null,
            "organizations": [world.organization_id],
            "date_created": with_offset(self.born),
            "date_updated": with_offset(self.born),
        })
    }

    fn membership(&self, world: &World) -> Value {
        let is_owner = self.id == world.key.owner;
        let mut permissions = Vec::new();
        if self.can_call {
            permissions.push("calling");
        }
        if is_owner {
            permissions.push("manage_organization");
            if world.settings.manage_group_numbers {
                permissions.push("manage_group_numbers");
            }
        }
        json!({
            "id": self.membership_id,
            "user_id": self.id,
            "organization_id": world.organization_id,
            "role_id": if is_owner { "admin" } else { "user" },
            "permissions_granted": permissions,
            "auto_record_calls": "unset",
            "default_caller_id": null,
            "primary_personal_number": null,
            "user_email": self.email,
            "user_first_name": self.first_name,
            "user_last_name": self.last_name,
            "user_is_active": true,
            "date_created": with_offset(self.born),
            "date_updated": with_offset(self.born),
        })
    }
}

/// `GET /me/`: the owner of the key, with memberships, organizations and phone numbers.
pub(crate) fn me(world: &World, call: &Call) -> Outcome {
    let owner = world
        .user(&world.key.owner)
        .ok_or_else(|| Answer::unknown("User"))?;
    let mut view = owner.view(world);
    let numbers: Vec<Value> = world
        .numbers
        .iter()
        .filter(|number| number.released_at.is_none() && number.has_participant(&owner.id, world))
        .map(|number| number.view(world.settings.epoch))
        .collect();
    view["organizations"] = json!([{"id": world.organization_id, "name": "Example Telephony"}]);
    view["memberships"] = json!([owner.membership(world)]);
    view["phone_numbers"] = json!(numbers);
    Ok(Answer::json(200, &call.select(view)))
}

/// `GET /user/`, by last name or, with `_order_by=first_name,last_name`, by first.
pub(crate) fn list(world: &World, call: &Call) -> Outcome {
    let by_first = call
        .param("_order_by")
        .is_some_and(|order| order.starts_with("first_name"));
    let mut users: Vec<&User> = world.users.iter().collect();
    users.sort_by_key(|user| {
        let (first, last) = (user.first_name.clone(), user.last_name.clone());
        if by_first { (first, last) } else { (last, first) }
    });
    call.page(
        users.into_iter().map(|user| user.view(world)).collect(),
        world.settings.page_cap,
    )
}

/// `GET /user/{id}/`
pub(crate) fn read(world: &World, call: &Call, id: &str) -> Outcome {
    let user = world.user(id).ok_or_else(|| Answer::unknown("User"))?;
    Ok(Answer::json(200, &call.select(user.view(world))))
}

/// `GET /organization/{id}/`, with `_expand=memberships__user` the users in full.
pub(crate) fn organization(world: &World, call: &Call, id: &str) -> Outcome {
    if id != world.organization_id {
        return Err(Answer::unknown("Organization"));
    }
    let expand = call
        .param("_expand")
        .is_some_and(|expand| expand.contains("memberships__user"));
    let memberships: Vec<Value> = world
        .users
        .iter()
        .map(|user| {
            let mut membership = user.membership(world);
            if expand {
                membership["user"] = user.view(world);
            }
            membership
        })
        .collect();
    let view = json!({
        "id": world.organization_id,
        "name": "Example Telephony",
        "memberships": memberships,
        "inactive_memberships": [],
    });
    Ok(Answer::json(200, &call.select(view)))
}

/// `GET /membership/{id}/`
pub(crate) fn membership(world: &World, call: &Call, id: &str) -> Outcome {
    let found = world.users.iter().find(|user| user.membership_id == id);
    let user = found.ok_or_else(|| Answer::unknown("Membership"))?;
    Ok(Answer::json(200, &call.select(user.membership(world))))
}

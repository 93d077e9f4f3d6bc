//! Groups of users and their members.

use serde_json::{Value, json};

use crate::events::Change;
use crate::request::Call;
use crate::response::{Answer, Outcome};
use crate::state::{Actor, World};
use crate::validation::Fields;

/// A group; its name is unique.
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) members: Vec<String>,
}

impl Group {
    fn view(&self, organization_id: &str) -> Value {
        let members: Vec<Value> = self.members.iter().map(|id| json!({ "user_id": id })).collect();
        json!({ "id": self.id, "name": self.name, "organization_id": organization_id, "members": members })
    }
}

/// `GET /group/`, without members.
pub(crate) fn list(world: &World, call: &Call) -> Outcome {
    let groups = world.groups.iter().map(|group| {
        json!({ "id": group.id, "name": group.name, "organization_id": world.organization_id, "members": null })
    });
    call.page(groups.collect(), world.settings.page_cap)
}

/// `GET /group/{id}/`
pub(crate) fn read(world: &World, call: &Call, id: &str) -> Outcome {
    let index = find(world, id)?;
    Ok(Answer::json(
        200,
        &call.select(world.groups[index].view(&world.organization_id)),
    ))
}

/// `POST /group/`: 201.
pub(crate) fn create(world: &mut World, call: &Call, actor: &Actor) -> Outcome {
    let name = read_name(world, call, None)?;
    let id = world.random.id("group_", 22);
    let group = Group {
        id: id.clone(),
        name,
        members: Vec::new(),
    };
    let view = group.view(&world.organization_id);
    world.groups.push(group);
    world.emit(actor, Change::created("group", id, view.clone()));
    Ok(Answer::json(201, &view))
}

/// `PUT /group/{id}/`
pub(crate) fn update(world: &mut World, call: &Call, id: &str, actor: &Actor) -> Outcome {
    let index = find(world, id)?;
    let name = read_name(world, call, Some(id))?;
    Ok(change(world, index, actor, 200, |group| group.name = name))
}

/// `DELETE /group/{id}/`: 204.
pub(crate) fn delete(world: &mut World, id: &str, actor: &Actor) -> Outcome {
    let index = find(world, id)?;
    let group = world.groups.remove(index);
    let before = group.view(&world.organization_id);
    world.emit(actor, Change::deleted("group", group.id, before));
    Ok(Answer::empty(204))
}

/// `POST /group/{id}/member/`: 201, also when the user is a member already.
pub(crate) fn add_member(world: &mut World, call: &Call, id: &str, actor: &Actor) -> Outcome {
    let index = find(world, id)?;
    let mut fields = Fields::new(call.object()?);
    let user_id = fields.text("user_id");
    if user_id.is_none() {
        fields.fault("user_id", "Field required");
    }
    fields.finish(world.settings.reject_unknown_fields)?;
    let user_id = user_id.filter(|id| world.user(id).is_some());
    let user_id = user_id.ok_or_else(|| Answer::invalid_field("user_id", "Object does not exist."))?;
    Ok(change(world, index, actor, 201, |group| {
        if !group.members.contains(&user_id) {
            group.members.push(user_id);
        }
    }))
}

/// `DELETE /group/{id}/member/{user_id}/`: 204, also when the user is no member.
pub(crate) fn remove_member(world: &mut World, id: &str, user_id: &str, actor: &Actor) -> Outcome {
    let index = find(world, id)?;
    change(world, index, actor, 204, |group| {
        group.members.retain(|member| member != user_id);
    });
    Ok(Answer::empty(204))
}

fn find(world: &World, id: &str) -> Result<usize, Answer> {
    world
        .groups
        .iter()
        .position(|group| group.id == id)
        .ok_or_else(|| Answer::unknown("Group"))
}

fn change(
    world: &mut World,
    index: usize,
    actor: &Actor,
    status: u16,
    change: impl FnOnce(&mut Group),
) -> Answer {
    let group = &mut world.groups[index];
    let before = group.view(&world.organization_id);
    change(group);
    let (id, after) = (group.id.clone(), group.view(&world.organization_id));
    if before != after {
        world.emit(actor, Change::updated("group", id, &before, after.clone()));
    }
    Answer::json(status, &after)
}

fn read_name(world: &World, call: &Call, own_id: Option<&str>) -> Result<String, Answer> {
    let mut fields = Fields::new(call.object()?);
    let name = fields.text("name").filter(|name| !name.trim().is_empty());
    match &name {
        None => fields.fault("name", "Field required"),
        Some(name) => {
            if world
                .groups
                .iter()
                .any(|group| group.name == *name && own_id != Some(&group.id))
            {
                fields.fault("name", "A group with this name already exists.");
            }
        }
    }
    fields.finish(world.settings.reject_unknown_fields)?;
    name.ok_or_else(|| Answer::invalid_field("name", "Field required"))
}

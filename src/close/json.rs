//! Close's JSON: the bodies of requests, and how responses are read.
//!
//! Close adds members without notice and leaves out members that its own schema requires. So only the members that
//! identify an object are required; any other member of an unexpected type counts as missing.

use std::collections::BTreeSet;
use std::str::FromStr;

use serde_json::{Map, Value, json};

use crate::close::odd::{self, Listed, text_fault};
use crate::close::response::Reply;
use crate::close::sharing;
use crate::domain::id::{GroupId, PhoneNumberId, UserId};
use crate::domain::money::Money;
use crate::domain::number::Facts;
use crate::domain::odd_record::{OddKind, OddRecord};
use crate::domain::order::{Request, Terms};

/// The user that the API key belongs to. In Close, this user is the author of everything that the service does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// The user; `None` if Close shows no readable id.
    pub user_id: Option<UserId>,
    /// The organizations that the key sees, `orga_…`, without repetitions. A key belongs to one.
    pub organization_ids: Vec<String>,
    /// The user's permissions in Close, such as `manage_group_numbers`.
    pub permissions: BTreeSet<String>,
    /// The memberships that could not be read.
    pub odd: Vec<OddRecord>,
}

/// The body of the paid call: the order's request with the policy's values, and nothing else.
///
/// `with_sharing`: whether the body has the deprecated field `sharing`.
pub(super) fn rent(request: &Request, terms: &Terms, with_sharing: bool) -> Map<String, Value> {
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            body.insert(name.to_owned(), value);
        }
    };
    put("country", json!(request.country));
    if with_sharing {
        let several = request.several_people();
        put(sharing::FIELD, json!(if several { "group" } else { "personal" }));
    }
    put("prefix", json!(request.prefix));
    put("carrier_type", json!(terms.carrier_type));
    put("bundle_id", json!(request.bundle_id));
    put("with_sms", json!(request.with_sms));
    put("with_mms", json!(request.with_mms));
    put(
        "assign_to",
        json!(terms.assign_to.as_ref().filter(|users| !users.is_empty())),
    );
    body
}

/// Reads a phone number; `None` without an id and a number.
pub(super) fn facts(body: Value) -> Option<Facts> {
    let Value::Object(object) = body else {
        return None;
    };
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let items = |name: &str| object.get(name).and_then(Value::as_array).map_or(0, Vec::len);
    let yes = |name: &str| object.get(name).and_then(Value::as_bool);
    Some(Facts {
        id: text("id")?.parse().ok()?,
        number: text("number").filter(|number| !number.is_empty())?.to_owned(),
        organization: text("organization_id").map(str::to_owned),
        country: text("country").and_then(|country| country.parse().ok()),
        // Without a type the number counts as rented, so that its price is not missing in a budget.
        kind: text("type").unwrap_or("internal").to_owned(),
        label: text("label").map(str::to_owned),
        carrier_type: text("carrier_type").map(str::to_owned),
        participants: ids(object.get("participants")),
        participant_groups: ids(object.get("participant_groups")),
        user: text("user_id").and_then(|user| user.parse().ok()),
        // Unreadable participants count too: they are people who share it.
        group: yes("is_group_number") == Some(true)
            || items("participants") > 1
            || items("participant_groups") > 0,
        sms: yes("sms_enabled"),
        billed: object.get("last_billed_price").and_then(price),
        created_at: text("date_created").and_then(|time| time.parse().ok()),
        updated_at: text("date_updated").and_then(|time| time.parse().ok()),
        object: object.into(),
    })
}

/// Reads a row that should be a phone number.
pub(super) fn number(row: Value) -> Result<Facts, OddRecord> {
    let fault = match &row {
        Value::Object(object) => text_fault(object, "id", |id| id.parse::<PhoneNumberId>().is_ok())
            .or_else(|| text_fault(object, "number", |_| true)),
        _ => Some("it is not a JSON object".to_owned()),
    };
    if let Some(fault) = fault {
        return Err(odd::number(&row, fault));
    }
    let unreadable = OddRecord::new(OddKind::PhoneNumber, odd::name(&row), "it can't be read");
    facts(row).ok_or(unreadable)
}

/// One page of a listing.
pub(super) struct Page {
    pub(super) numbers: Listed<Facts>,
    pub(super) has_more: bool,
}

/// Reads a page row by row; `None` unless the status is 200, and both members are there.
pub(super) fn page(reply: Reply) -> Option<Page> {
    let Value::Object(mut body) = reply.body else {
        return None;
    };
    let has_more = body.get("has_more")?.as_bool()?;
    let Value::Array(rows) = body.remove("data")? else {
        return None;
    };
    let numbers = Listed::read(rows, number);
    (reply.status == 200).then_some(Page { numbers, has_more })
}

/// Reads the user that the key belongs to; `None` if the body names neither a user nor an organization.
pub(super) fn me(body: &Value) -> Option<Me> {
    let memberships = list(body.get("memberships"));
    let user_id = body
        .get("id")
        .and_then(Value::as_str)
        .and_then(|id| id.parse().ok());
    let mut organization_ids = Vec::new();
    let named = memberships
        .iter()
        .filter_map(|membership| membership.get("organization_id")?.as_str());
    let shown = list(body.get("organizations"))
        .iter()
        .filter_map(|organization| organization.get("id")?.as_str());
    for id in named.chain(shown).filter(|id| !id.is_empty()) {
        if !organization_ids.iter().any(|known| known == id) {
            organization_ids.push(id.to_owned());
        }
    }
    let granted = memberships
        .iter()
        .flat_map(|membership| list(membership.get("permissions_granted")));
    if user_id.is_none() && organization_ids.is_empty() {
        return None;
    }
    let mut odd = Listed::<()>::default();
    for membership in memberships {
        let fault = match membership {
            Value::Object(object) => text_fault(object, "organization_id", |_| true),
            _ => Some("it is not a JSON object".to_owned()),
        };
        if let Some(fault) = fault {
            odd.push_odd(OddRecord::new(OddKind::Membership, odd::name(membership), fault));
        }
    }
    if user_id.is_none() {
        let fault = "`id` of `/me/` is not the id of a user";
        odd.push_odd(OddRecord::new(OddKind::Membership, "me", fault));
    }
    Some(Me {
        user_id,
        organization_ids,
        odd: odd.odd,
        permissions: granted
            .filter_map(|word| word.as_str().map(str::to_owned))
            .collect(),
    })
}

/// Reads the members of this group one by one; `None` for another group, and for one that does not show its members.
pub(super) fn members(id: &GroupId, body: &Value) -> Option<Listed<UserId>> {
    if body.get("id")?.as_str()? != id.as_str() {
        return None;
    }
    let members = body.get("members")?.as_array()?;
    let mut listed = Listed::default();
    for member in members {
        let user = member.get("user_id").and_then(Value::as_str);
        match user.and_then(|user| user.parse().ok()) {
            Some(user) => listed.items.push(user),
            None if listed.odd.is_empty() => {
                let fault = "a member has no `user_id`, or one of an unexpected form";
                listed.push_odd(OddRecord::new(OddKind::Group, id.as_str(), fault));
            }
            None => {}
        }
    }
    Some(listed)
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn ids<T: FromStr>(value: Option<&Value>) -> Vec<T> {
    list(value)
        .iter()
        .filter_map(|id| id.as_str()?.parse().ok())
        .collect()
}

/// Reads dollars, as a number or as text.
fn price(value: &Value) -> Option<Money> {
    let dollars = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    Money::from_reported(dollars)
}

#[cfg(test)]
mod tests;

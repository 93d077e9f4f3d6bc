//! The people of the organization: users, groups and the credentials of the API.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::random::Random;

/// The credentials that the API accepts: an API key and an OAuth token of the same user.
pub(crate) struct Key {
    pub(crate) text: String,
    /// The part of the API key that events show.
    pub(crate) id: String,
    pub(crate) oauth_token: String,
    /// The user that both belong to.
    pub(crate) owner: String,
}

/// A member of the organization.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) membership_id: String,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) email: String,
    pub(crate) can_call: bool,
    pub(crate) created: Timestamp,
}

impl User {
    pub(crate) fn new(
        random: &mut Random,
        first: &str,
        last: &str,
        can_call: bool,
        created: Timestamp,
    ) -> Self {
        Self {
            id: random.id("user_", 43),
            membership_id: random.id("memb_", 43),
            first_name: first.to_owned(),
            last_name: last.to_owned(),
            email: format!("{}.{}@example.com", first.to_lowercase(), last.to_lowercase()),
            can_call,
            created,
        }
    }

    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name)
    }
}

/// A group; its name is unique.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) members: Vec<String>,
}

impl Group {
    pub(crate) fn view(&self, organization_id: &str) -> Value {
        let members: Vec<Value> = self.members.iter().map(|id| json!({ "user_id": id })).collect();
        json!({ "id": self.id, "name": self.name, "organization_id": organization_id, "members": members })
    }
}

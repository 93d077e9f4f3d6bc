//! A phone number: Close's facts about it, and the service's own data.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::domain::country::Country;
use crate::domain::id::{GroupId, OrderId, PhoneNumberId, UserId};
use crate::domain::money::Money;
use crate::domain::raw_object::RawObject;
use crate::domain::scope::Owned;
use crate::domain::string_enum::string_enum;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;

string_enum! {
    /// Whether a number is for one person or for several.
    Sharing: kept {
        /// It is for one person, unless the order names several users.
        Personal = "personal",
        /// It is for several people.
        Group = "group",
    }
}
string_enum! {
    /// The kind of line that can be ordered.
    CarrierType: kept {
        /// A number of one town or area.
        Local = "local",
        /// A number of a whole country.
        National = "national",
        /// A mobile number.
        Mobile = "mobile",
        /// A number that is free of charge for callers.
        TollFree = "tollfree",
    }
}

/// Close's facts about a number, at one moment.
///
/// The typed fields are read from `object`. The service keeps the whole object and passes unknown fields on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The number's id in Close.
    pub id: PhoneNumberId,
    /// The Close organization that owns the number.
    pub organization: Option<String>,
    /// The phone number in E.164.
    pub number: String,
    /// The number's country, if Close names an existing one.
    ///
    /// A code that this version does not know was stored by another one, and counts as missing: one row must not hide
    /// the others.
    #[serde(default, deserialize_with = "known_country")]
    pub country: Option<Country>,
    /// `internal` (rented), `external` or `virtual`; Close may add others.
    pub kind: String,
    /// The label.
    pub label: Option<String>,
    /// The kind of line, as Close writes it, such as `local` or `mobile`.
    pub carrier_type: Option<String>,
    /// The users for whom it rings.
    pub participants: Vec<UserId>,
    /// The groups for which it rings.
    pub participant_groups: Vec<GroupId>,
    /// The only user of a number, while Close names that user apart from the participants.
    pub user: Option<UserId>,
    /// Whether several people share it: it has several users or any group, or Close says so.
    pub group: bool,
    /// Whether it can send SMS.
    pub sms: Option<bool>,
    /// The price of the last billed month in US dollars; `None` before the first bill.
    pub billed: Option<Money>,
    /// When Close created the number.
    pub created_at: Option<Timestamp>,
    /// When Close last changed the number.
    #[serde(default)]
    pub updated_at: Option<Timestamp>,
    /// Close's object, with all its fields.
    pub object: RawObject,
}

fn known_country<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Country>, D::Error> {
    let code = Option::<String>::deserialize(deserializer)?;
    Ok(code.and_then(|code| code.parse().ok()))
}

impl Facts {
    /// Whether the number is rented, and therefore has a monthly price.
    ///
    /// A number of a type that Close adds later counts as rented, so that its price is not missing in a budget, and an
    /// order can find it.
    pub fn rented(&self) -> bool {
        !matches!(self.kind.as_str(), "external" | "virtual")
    }
    /// Returns the names of the fields of Close's object that differ in `later`, sorted.
    pub fn changed(&self, later: &Self) -> Vec<String> {
        let (known, later) = (self.object.members(), later.object.members());
        let names: BTreeSet<&String> = known.keys().chain(later.keys()).collect();
        names
            .into_iter()
            .filter(|name| known.get(*name) != later.get(*name))
            .cloned()
            .collect()
    }
    /// Whether the user is a participant, or the only user.
    pub fn involves(&self, user: &UserId) -> bool {
        self.participants.contains(user) || self.user.as_ref() == Some(user)
    }
}

/// How a number was added to the organization, according to Close.
///
/// It helps a person to decide about a number that no order accounts for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Provenance {
    /// When the number was added, by Close's clock. `null` if Close has no record of the time.
    #[schema(required)]
    pub at: Option<Timestamp>,
    /// The user in Close who added the number.
    #[schema(required)]
    pub user_id: Option<UserId>,
    /// The id in Close of the API key that added the number.
    ///
    /// `null` if a person added it, or if Close has no record.
    #[schema(required, example = "api_4eRtYuIoPaSdFgHjKlZxCv")]
    pub api_key_id: Option<String>,
    /// Whether the number was added by a rent request. `null` if Close has no record.
    #[schema(required)]
    pub by_renting: Option<bool>,
}

/// A number of the inventory.
#[derive(Debug, Clone, PartialEq)]
pub struct Number {
    /// Close's facts.
    pub facts: Facts,
    /// The team that owns the number; `None` for an orphan.
    pub team: Option<Team>,
    /// The order for which it was rented.
    pub order_id: Option<OrderId>,
    /// The monthly price in US dollars: the billed one, or an estimate before the first bill.
    pub monthly: Money,
    /// When the service read the facts from Close.
    pub as_of: Timestamp,
    /// Whether a release was sent to Close and its outcome is not known yet.
    pub releasing: bool,
    /// When the number is to be released; `None` if no release is scheduled.
    pub release_at: Option<Timestamp>,
    /// How the number was added to the organization; known only for orphans.
    pub provenance: Option<Provenance>,
}

impl Owned for Number {
    fn owner(&self) -> Option<&Team> {
        self.team.as_ref()
    }
}

impl Number {
    /// Returns the number's ETag, which changes with every visible field except `as_of`.
    pub fn version(&self) -> String {
        let visible = serde_json::json!([
            self.facts.object,
            self.team,
            self.order_id,
            self.releasing,
            self.release_at,
            self.monthly,
            self.provenance
        ]);
        hex::encode(&Sha256::digest(visible.to_string())[..16])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_stored_number_with_a_country_of_another_version_is_read_without_it() {
        for (country, read) in [
            (json!("DE"), Some("DE")),
            (json!("QX"), None),
            (json!(null), None),
        ] {
            let stored = json!({
                "id": "phon_A", "organization": null, "number": "+49", "country": country, "kind": "internal",
                "label": null, "carrier_type": null, "participants": [], "participant_groups": [], "user": null,
                "group": false, "sms": null, "billed": null, "created_at": null, "object": {"country": country},
            });
            let facts: Facts = serde_json::from_str(&stored.to_string()).unwrap();
            assert_eq!(facts.country.as_ref().map(Country::as_str), read);
        }
    }
}

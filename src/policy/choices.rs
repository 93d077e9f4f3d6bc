//! Rules that the policy file can write in several forms, such as `true` or `{ permission = "…" }`.

use serde::de::Error as _;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::country::Country;
use crate::domain::id::{GroupId, UserId};
use crate::domain::input::json_type::{ByType, JsonType, by_type};
use crate::domain::input::pointer::Pointer;
use crate::domain::schema::{ComposeSchema, string};
use crate::policy::permission_name::PermissionName;

/// The countries in which a team may order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum AllowedCountries {
    /// These countries.
    List(Vec<Country>),
    /// The countries that a claim of the token names.
    Claim(ClaimedCountries),
}

/// The countries that a claim of the token names, limited to `within` if the rule has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimedCountries {
    /// The claim that names the countries: an array, a string with spaces, or an object with the countries as names.
    #[serde(rename = "claim")]
    pub pointer: Pointer,
    /// The only countries that a token can allow. Every country by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Vec<Country>>,
}

impl AllowedCountries {
    /// Returns the only countries that the rule can allow; `None` if a token can name any country.
    pub fn most(&self) -> Option<&[Country]> {
        match self {
            Self::List(countries) => Some(countries),
            Self::Claim(ClaimedCountries { within, .. }) => within.as_deref(),
        }
    }
}
impl Default for AllowedCountries {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}
impl ByType for AllowedCountries {
    fn of_type<'de, D: Deserializer<'de>>(json_type: JsonType, value: D) -> Result<Self, D::Error> {
        match json_type {
            JsonType::Array => Vec::deserialize(value).map(Self::List),
            JsonType::Object => ClaimedCountries::deserialize(value).map(Self::Claim),
            _ => Err(D::Error::custom(
                "must be a list like [\"DE\", \"FR\"], or { claim = \"/phone/countries\" } with or without \
                 within = [\"DE\", \"FR\"]",
            )),
        }
    }
}

/// The callers who may have numbers for several people.
///
/// In the file: `false`, `true`, `{ permission = "…" }` or `{ claim = "/…" }`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum GroupRule {
    /// No caller of the team.
    #[default]
    Nobody,
    /// Every caller of the team.
    Everybody,
    /// Callers who have this permission in the team.
    Permission(String),
    /// Callers whose token has the value true at this claim.
    Claim(Pointer),
}

/// Callers with a permission, or whose token has a true claim.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1, max_properties = 1)]
struct GroupCondition {
    /// The permission that the caller must have in the team.
    #[schema(nullable = false)]
    permission: Option<PermissionName>,
    /// The claim that must be `true`, or the string `"true"`. Any other value denies.
    #[schema(nullable = false)]
    claim: Option<Pointer>,
}

const GROUP_RULE: &str =
    "must be true, false, { permission = \"numbers:group\" }, or { claim = \"/may_rent_group\" }";

impl ByType for GroupRule {
    fn of_type<'de, D: Deserializer<'de>>(json_type: JsonType, value: D) -> Result<Self, D::Error> {
        match json_type {
            JsonType::Boolean => bool::deserialize(value)
                .map(|everybody| if everybody { Self::Everybody } else { Self::Nobody }),
            JsonType::Object => match GroupCondition::deserialize(value)? {
                GroupCondition {
                    permission: Some(permission),
                    claim: None,
                } => Ok(Self::Permission(permission.into())),
                GroupCondition {
                    permission: None,
                    claim: Some(claim),
                } => Ok(Self::Claim(claim)),
                _ => Err(D::Error::custom(GROUP_RULE)),
            },
            _ => Err(D::Error::custom(GROUP_RULE)),
        }
    }
}
impl Serialize for GroupRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nobody => serializer.serialize_bool(false),
            Self::Everybody => serializer.serialize_bool(true),
            Self::Permission(permission) => entry(serializer, "permission", permission),
            Self::Claim(claim) => entry(serializer, "claim", claim.as_str()),
        }
    }
}

/// The users who may get a number.
///
/// In the file: `"self"`, `"anyone"`, a list of users or `{ group = "group_…" }`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Assignees {
    /// Only the caller's own user in Close.
    #[default]
    SelfOnly,
    /// The listed users.
    Users(Vec<UserId>),
    /// The members of this Close group.
    Group(GroupId),
    /// Any user of the Close organization.
    Anyone,
}

/// The members of a group in Close.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct InGroup {
    /// The group.
    group: GroupId,
}

const ASSIGNEES: &str =
    "must be \"self\", \"anyone\", a list of Close user ids like [\"user_…\"], or { group = \"group_…\" }";

impl ByType for Assignees {
    fn of_type<'de, D: Deserializer<'de>>(json_type: JsonType, value: D) -> Result<Self, D::Error> {
        match json_type {
            JsonType::Array => Vec::deserialize(value).map(Self::Users),
            JsonType::Object => InGroup::deserialize(value).map(|within| Self::Group(within.group)),
            JsonType::String => match String::deserialize(value)?.as_str() {
                "self" => Ok(Self::SelfOnly),
                "anyone" => Ok(Self::Anyone),
                _ => Err(D::Error::custom(ASSIGNEES)),
            },
            _ => Err(D::Error::custom(ASSIGNEES)),
        }
    }
}
impl Serialize for Assignees {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::SelfOnly => serializer.serialize_str("self"),
            Self::Anyone => serializer.serialize_str("anyone"),
            Self::Users(users) => users.serialize(serializer),
            Self::Group(group) => entry(serializer, "group", group.as_str()),
        }
    }
}

fn entry<S: Serializer>(serializer: S, name: &str, value: &str) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(name, value)?;
    map.end()
}

/// Implements reading by type, and the schema with its choices.
macro_rules! choices {
    ($name:ident: $description:literal, [$($choice:expr),* $(,)?], $inner:ty) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                by_type(deserializer)
            }
        }
        impl ComposeSchema for $name {
            fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
                let choices = OneOfBuilder::new().description(Some($description));
                $(let choices = choices.item($choice);)*
                choices.into()
            }
        }
        impl ToSchema for $name {
            fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                schemas.push((<$inner>::name().into_owned(), <$inner>::schema()));
                <$inner>::schemas(schemas);
            }
        }
    };
}
choices! {
    AllowedCountries: "A list, or the countries in a claim of the token.",
    [ArrayBuilder::new().items(Country::schema()), ClaimedCountries::schema()], ClaimedCountries
}
choices! {
    GroupRule: "`true` for everybody, `false` for nobody, `{ permission = \"…\" }`, or `{ claim = \"/…\" }`.",
    [ObjectBuilder::new().schema_type(Type::Boolean), GroupCondition::schema()], GroupCondition
}
choices! {
    Assignees: "`\"self\"` for the caller's own user, `\"anyone\"`, a list of users, or `{ group = \"group_…\" }`.",
    [
        string().enum_values(Some(["self", "anyone"])),
        ArrayBuilder::new().items(UserId::schema()),
        InGroup::schema(),
    ],
    InGroup
}

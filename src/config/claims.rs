//! The keys `claims` of an issuer: which claims of its tokens the service reads.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

use crate::domain::input::json_type::{ByType, JsonType, by_type};
use crate::domain::input::pointer::Pointer;
use crate::domain::input::pointers::Pointers;
use crate::domain::schema::ComposeSchema;

/// The claims that Numberdesk reads, each as one JSON pointer or as a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Claims {
    /// The claims with the caller's teams: an array, an object whose keys are the names, or a string with spaces.
    ///
    /// The names at several pointers are united.
    pub teams: Pointers,
    /// The claims with the caller's permissions, of the same types as `teams`; false if the tokens grant nothing.
    pub permissions: PermissionPointers,
    /// The claim with the id of the caller's user in Close: the first one that exists.
    pub close_user: Pointers,
    /// The claim with the name that the audit trail, orders and logs show: the first one that exists.
    ///
    /// It decides no right. The service identifies callers by `sub`.
    pub subject: Pointers,
}

impl Default for Claims {
    fn default() -> Self {
        Self {
            teams: one("/teams"),
            permissions: PermissionPointers(Some(one("/scope"))),
            close_user: one("/close_user_id"),
            subject: one("/sub"),
        }
    }
}

fn one(text: &str) -> Pointers {
    let pointer: Pointer = text.parse().expect("the defaults are pointers");
    pointer.into()
}

/// The pointers to the permissions, or `false`: the tokens of the issuer grant nothing by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermissionPointers(Option<Pointers>);

impl PermissionPointers {
    /// Returns the pointers as strings; none if the tokens grant nothing.
    pub fn to_strings(&self) -> Vec<String> {
        self.0.as_ref().map(Pointers::to_strings).unwrap_or_default()
    }
}
impl ByType for PermissionPointers {
    fn of_type<'de, D: Deserializer<'de>>(json_type: JsonType, value: D) -> Result<Self, D::Error> {
        let is_off = match json_type {
            JsonType::String | JsonType::Array => {
                return Pointers::of_type(json_type, value).map(|pointers| Self(Some(pointers)));
            }
            JsonType::Boolean => !bool::deserialize(value)?,
            _ => false,
        };
        if is_off {
            return Ok(Self(None));
        }
        Err(D::Error::custom(
            "must be a JSON pointer like \"/scope\", a list like [\"/roles\", \"/scp\"], or false",
        ))
    }
}
impl Serialize for PermissionPointers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(pointers) => pointers.serialize(serializer),
            None => serializer.serialize_bool(false),
        }
    }
}
impl<'de> Deserialize<'de> for PermissionPointers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        by_type(deserializer)
    }
}
impl ComposeSchema for PermissionPointers {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        let off = ObjectBuilder::new()
            .schema_type(Type::Boolean)
            .enum_values(Some([false]));
        Pointers::forms().item(off).into()
    }
}
impl ToSchema for PermissionPointers {}

//! The name of a permission in the policy file: one of the service's own, or one that only the policy knows.

use serde::Deserialize;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use crate::domain::input::list::Item;
use crate::domain::permission::Permission;
use crate::domain::schema::{ComposeSchema, string};

/// The name of a permission: visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct PermissionName(String);

impl TryFrom<String> for PermissionName {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, &'static str> {
        if (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text))
        } else {
            Err("must be a permission like \"numbers:group\", without spaces")
        }
    }
}
impl From<PermissionName> for String {
    fn from(name: PermissionName) -> String {
        name.0
    }
}
impl Item for PermissionName {
    const PLURAL: &'static str = "permissions";
    const NONE: Option<&'static str> = Some("must name at least one permission, such as \"numbers:read\"");
}
impl ComposeSchema for PermissionName {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        let known = Permission::ALL.iter().map(|permission| permission.as_str());
        string()
            .description(Some("A permission, such as `numbers:read`."))
            .pattern(Some("^[!-~]{1,128}$"))
            .examples(known)
            .into()
    }
}
impl ToSchema for PermissionName {}

//! Permissions, as values and as types.

use std::fmt;
use std::str::FromStr;

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {
        /// A permission, which a token or the policy grants to a caller.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Permission { $($(#[$doc])* $name),* }

        impl Permission {
            /// Every permission.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
            /// Returns the permission as a token contains it, such as `numbers:rent`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }

        /// One type for each permission: a use case names the permission that it needs in its signature.
        pub mod needs {
            use super::Permission;

            /// Connects the type of a permission with its value.
            pub trait Needs: Copy + Send + Sync {
                /// The permission.
                const PERMISSION: Permission;
            }

            /// The use case needs no permission.
            #[derive(Debug, Clone, Copy)]
            pub struct Nothing;

            $(
                $(#[$doc])*
                #[derive(Debug, Clone, Copy)]
                pub struct $name;

                impl Needs for $name {
                    const PERMISSION: Permission = Permission::$name;
                }
            )*
        }
    };
}
permissions! {
    /// Read the team's numbers and orders.
    NumbersRead = "numbers:read",
    /// Order numbers and cancel orders.
    NumbersRent = "numbers:rent",
    /// Rent numbers for several people, if the policy requires this permission.
    NumbersGroup = "numbers:group",
    /// Change numbers.
    NumbersUpdate = "numbers:update",
    /// Release numbers.
    NumbersRelease = "numbers:release",
    /// Approve or reject another person's order.
    OrdersApprove = "orders:approve",
    /// Access all teams; adopt and transfer numbers; settle manual reviews; hold orders.
    NumbersAdmin = "numbers:admin",
    /// Read the audit trail.
    AuditRead = "audit:read",
    /// Read spend reports.
    SpendRead = "spend:read",
    /// Manage outgoing webhooks.
    WebhooksManage = "webhooks:manage",
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl FromStr for Permission {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .iter()
            .copied()
            .find(|permission| permission.as_str() == text)
            .ok_or_else(|| {
                let known: Vec<_> = Self::ALL.iter().map(|permission| permission.as_str()).collect();
                format!("must be a permission: one of {}", known.join(", "))
            })
    }
}

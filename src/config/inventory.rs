//! The section `[inventory]`.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::input::values::BoundedSpan;

/// The synchronization of the inventory with Close.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Inventory {
    /// The time between two complete comparisons with Close.
    pub full_sync: BoundedSpan<1, 's', 24, 'h'>,
    /// The time between two reads of Close's event log.
    pub catch_up: BoundedSpan<1, 's', 24, 'h'>,
}

impl Default for Inventory {
    fn default() -> Self {
        Self {
            full_sync: BoundedSpan::of(15, 'm'),
            catch_up: BoundedSpan::of(5, 'm'),
        }
    }
}

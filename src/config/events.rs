//! The section `[events]`.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::input::values::BoundedSpan;

/// The events for apps.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Events {
    /// How long Numberdesk keeps events.
    pub keep: BoundedSpan<1, 'h', 365, 'd'>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            keep: BoundedSpan::of(30, 'd'),
        }
    }
}

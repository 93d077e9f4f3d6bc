//! Views: the JSON of responses, and the schemas of JSON bodies in the OpenAPI document.

mod audit;
mod csv;
mod event;
mod hold;
mod ignored_team;
mod number;
mod order;
mod spend;
mod team;
mod webhook;

use serde::Serialize;
use utoipa::ToSchema;

pub(super) use audit::{AuditView, audit_row};
pub(super) use event::{EventView, event};
pub(super) use hold::{HoldsView, holds};
pub(super) use ignored_team::{IgnoredTeamView, ignored_team};
pub(super) use number::{NumberView, ReleaseView, number, release};
pub(super) use order::{OrderView, order};
pub(super) use spend::{SpendView, spend, spend_csv};
pub(super) use team::{MeView, OVERAGE, ValidationView, me, validation};
pub(super) use webhook::{
    DeliveryView, EndpointView, NewEndpointView, QueuedView, SecretView, delivery, endpoint, new_endpoint,
    queued, secret,
};

/// One page of a list.
#[derive(Serialize, ToSchema)]
#[schema(as = Page)]
pub(super) struct PageView<T> {
    /// The rows of this page.
    data: Vec<T>,
    /// The cursor of the next page: send this value as `cursor`. `null` on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
}

impl<T> PageView<T> {
    pub(super) fn new(data: Vec<T>, next_cursor: Option<String>) -> Self {
        Self { data, next_cursor }
    }
}

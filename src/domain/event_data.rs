//! The data of an event, by the kind of the changed object. Receivers must ignore members that they do not know.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::close_drift::Drift;
use crate::domain::id::{EndpointId, GroupId, OrderId, PhoneNumberId};
use crate::domain::number::{Facts, Provenance};
use crate::domain::order::State;
use crate::domain::webhook::DisabledReason;

/// The data of the events `order.*`: an order has reached a state.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OrderData<'a> {
    /// The id of the order.
    pub order_id: &'a OrderId,
    /// The new state of the order.
    pub state: State,
    /// The rented number.
    #[schema(required)]
    pub phone_number_id: Option<&'a PhoneNumberId>,
}

/// The data of the events `phone_number.*`: a number has changed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PhoneNumberData<'a> {
    /// The id of the number in Close.
    pub phone_number_id: &'a PhoneNumberId,
    /// The number in E.164.
    #[schema(example = "+493012345678")]
    pub number: &'a str,
    /// The names of the fields that changed in Close.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = json!(["label"]))]
    pub changed: Option<Vec<String>>,
    /// The origin of a number without a team, once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub provenance: Option<&'a Provenance>,
    /// The order to which the number may belong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub order_id: Option<&'a OrderId>,
}

impl<'a> PhoneNumberData<'a> {
    /// Returns the data that every event of the number has.
    pub fn new(facts: &'a Facts) -> Self {
        Self {
            phone_number_id: &facts.id,
            number: &facts.number,
            changed: None,
            provenance: None,
            order_id: None,
        }
    }
}

/// The data of `group.changed`: the members of a group in Close have changed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct GroupData<'a> {
    /// The id of the group in Close.
    pub group_id: &'a GroupId,
}

/// The data of `webhook_endpoint.disabled`: the service has disabled a webhook endpoint.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WebhookEndpointData<'a> {
    /// The id of the endpoint.
    pub webhook_endpoint_id: &'a EndpointId,
    /// Why the endpoint is disabled.
    pub reason: DisabledReason,
}

/// The data of `webhook_endpoint.test`: a person or an app asked for a test event.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WebhookTestData<'a> {
    /// The id of the endpoint.
    pub webhook_endpoint_id: &'a EndpointId,
}

/// The data of `inventory.compared`: the whole inventory was compared with Close. It has no members.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct InventoryData {}

/// The data of `close.api_changed`: differences between Close's API and the known one that were not reported before.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CloseApiData<'a> {
    /// The differences: the names of calls and fields, never values.
    pub differences: &'a [Drift],
}

/// The data of `policy.changed`: another policy is in force.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PolicyChangedData<'a> {
    /// The fingerprint of the policy before.
    pub old: &'a str,
    /// The fingerprint of the policy in force.
    pub new: &'a str,
}

/// The data of `policy.rejected`: the policy file has faults, so the last valid policy stays in force.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PolicyRejectedData<'a> {
    /// The fingerprint of the policy in force.
    pub in_force: &'a str,
    /// The faults, each with its line and key.
    pub faults: &'a [String],
}

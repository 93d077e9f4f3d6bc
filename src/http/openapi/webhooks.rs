//! The webhooks in the OpenAPI document: the request that a receiver gets for each event type, with its data.

use utoipa::ToSchema;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, PathItem, PathsBuilder,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder};
use utoipa::openapi::{OpenApi, Ref, RefOr, Required, ResponseBuilder, Schema};

use crate::domain::event_data::{
    CloseApiData, GroupData, InventoryData, OrderData, PhoneNumberData, PolicyChangedData,
    PolicyRejectedData, WebhookEndpointData, WebhookTestData,
};
use crate::domain::event_kind::{EventKind, TEST};
use crate::domain::schema::string;

/// The headers of every delivery (Standard Webhooks).
const HEADERS: [(&str, &str); 3] = [
    (
        "webhook-id",
        "The id of the event. A repeated delivery has the same id.",
    ),
    (
        "webhook-timestamp",
        "The time of the attempt, in seconds since 1970 (Unix time).",
    ),
    (
        "webhook-signature",
        "The signatures of id, timestamp and body, separated by spaces, such as `v1,…`.",
    ),
];

/// The tag of the webhooks. Generators make a file of each tag, so no operation has this one.
pub(super) const TAG: &str = "received events";

/// Adds a webhook for every event type.
pub(super) fn add_to(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    let mut paths = PathsBuilder::new();
    let kinds = EventKind::ALL.iter().map(|kind| (kind.as_str(), data_of(*kind)));
    for (name, data) in kinds.chain([(TEST, data::<WebhookTestData<'_>>())]) {
        let event = format!("{}Event", data.name.trim_end_matches("Data"));
        components.schemas.extend(data.schemas);
        components
            .schemas
            .entry(event.clone())
            .or_insert_with(|| typed_event(&data.name));
        paths = paths.path(name, PathItem::new(HttpMethod::Post, operation(name, &event)));
    }
    document.webhooks = Some(paths.build());
}

/// The data of an event, with its name in the document.
struct Data {
    name: String,
    /// Its own schema, and those that it refers to.
    schemas: Vec<(String, RefOr<Schema>)>,
}

fn data<T: ToSchema>() -> Data {
    let name = T::name().into_owned();
    let mut schemas = vec![(name.clone(), T::schema())];
    T::schemas(&mut schemas);
    Data { name, schemas }
}

fn data_of(kind: EventKind) -> Data {
    match kind {
        EventKind::OrderAwaitingApproval
        | EventKind::OrderQueued
        | EventKind::OrderRenting
        | EventKind::OrderUnverified
        | EventKind::OrderNeedsReview
        | EventKind::OrderFulfilled
        | EventKind::OrderRefused
        | EventKind::OrderCancelled => data::<OrderData<'_>>(),
        EventKind::NumberAdded
        | EventKind::NumberUpdated
        | EventKind::NumberAssigned
        | EventKind::NumberUnassigned
        | EventKind::NumberReleaseScheduled
        | EventKind::NumberReleaseCalledOff
        | EventKind::NumberReleasing
        | EventKind::NumberReleased
        | EventKind::NumberVanished => data::<PhoneNumberData<'_>>(),
        EventKind::GroupChanged => data::<GroupData<'_>>(),
        EventKind::EndpointDisabled => data::<WebhookEndpointData<'_>>(),
        EventKind::InventoryCompared => data::<InventoryData>(),
        EventKind::CloseApiChanged => data::<CloseApiData<'_>>(),
        EventKind::PolicyChanged => data::<PolicyChangedData<'_>>(),
        EventKind::PolicyRejected => data::<PolicyRejectedData<'_>>(),
    }
}

/// Returns the schema of an event whose `data` has this type.
fn typed_event(data: &str) -> RefOr<Schema> {
    let typed = ObjectBuilder::new()
        // `Event` lists all types. Without this property, each schema of an event would repeat the list.
        .property("type", string().description(Some("The type of the event.")))
        .property("data", Ref::from_schema_name(data))
        .required("data");
    AllOfBuilder::new()
        .item(Ref::from_schema_name("Event"))
        .item(typed)
        .into()
}

fn operation(name: &str, event: &str) -> utoipa::openapi::path::Operation {
    let body = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(event)))
        .build();
    let body = RequestBodyBuilder::new()
        .content("application/json", body)
        .required(Some(Required::True))
        .build();
    let id = name.replace(['.', '_'], "-");
    let mut operation = OperationBuilder::new()
        .operation_id(Some(format!("webhook-{id}")))
        .tag(TAG)
        .summary(Some(format!("The event `{name}`")))
        .request_body(Some(body))
        .response(
            "2XX",
            ResponseBuilder::new()
                .description("The receiver has accepted the event")
                .build(),
        )
        .response(
            "410",
            ResponseBuilder::new()
                .description("The receiver wants no more events: the service disables the endpoint")
                .build(),
        );
    for (name, description) in HEADERS {
        let header = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::True)
            .description(Some(description))
            .schema(Some(string()));
        operation = operation.parameter(header);
    }
    operation.build()
}

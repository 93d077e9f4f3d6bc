//! String types of the OpenAPI document.
//!
//! The values of enums come from the domain types, so that both always agree.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::audit::Action;
use crate::domain::country::Country;
use crate::domain::delivery::DeliveryState;
use crate::domain::event::EventKind;
use crate::domain::number::{CarrierType, Sharing};
use crate::domain::order::approval::Verdict;
use crate::domain::order::{Evidence, State};
use crate::domain::spend::GroupBy;
use crate::domain::webhook::{DisabledReason, EndpointState};

macro_rules! string_enums {
    ($($doc:ident = $name:literal, $description:literal, $values:expr;)*) => {$(
        #[doc = $description]
        pub(in crate::http) struct $doc;

        impl PartialSchema for $doc {
            fn schema() -> RefOr<Schema> {
                let text = ObjectBuilder::new().schema_type(Type::String).description(Some($description));
                text.enum_values(Some($values)).into()
            }
        }
        impl ToSchema for $doc {
            fn name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
        }
    )*};
}

string_enums! {
    StateEnum = "OrderState", "The state of an order. `fulfilled`, `refused` and `cancelled` are final. `unverified`: Numberdesk does not know yet whether Close rented a number, and is finding out.",
        State::ALL.iter().map(|value| value.as_str());
    VerdictEnum = "ApprovalDecision", "The decision of a second person about an order.",
        Verdict::ALL.iter().map(|value| value.as_str());
    EvidenceEnum = "Evidence", "The evidence for the final state of an order.",
        Evidence::ALL.iter().map(|value| value.as_str());
    SharingEnum = "Sharing", "Whether a number belongs to one person or to a group.",
        Sharing::ALL.iter().map(|value| value.as_str());
    CarrierTypeEnum = "CarrierType", "The type of the phone line.",
        CarrierType::ALL.iter().map(|value| value.as_str());
    ActionEnum = "AuditAction", "The action that was executed or denied.",
        Action::ALL.iter().map(|value| value.as_str());
    GroupByEnum = "GroupBy", "How a spend report groups the cost.",
        GroupBy::ALL.iter().map(|value| value.as_str());
    EndpointStateEnum = "WebhookEndpointState", "Whether an endpoint receives events.",
        EndpointState::ALL.iter().map(|value| value.as_str());
    DisabledReasonEnum = "WebhookDisabledReason", "Why an endpoint is disabled: on request, because it responded with 410 Gone, or because all deliveries failed until the service gave up retrying.",
        DisabledReason::ALL.iter().map(|value| value.as_str());
    DeliveryStateEnum = "WebhookDeliveryState", "The state of a delivery: waiting for its first or next attempt, delivered, or given up.",
        DeliveryState::ALL.iter().map(|value| value.as_str());
    FormatEnum = "Format", "The format of the response.",
        ["json", "csv"].into_iter();
    EventTypeEnum = "EventType", "The type of an event.",
        EventKind::ALL.iter().map(|value| value.as_str());
    CountryCode = "Country", "A country by its ISO 3166-1 alpha-2 code.", countries();
}

fn countries() -> impl Iterator<Item = String> {
    let pairs = ('A'..='Z').flat_map(|first| ('A'..='Z').map(move |second| format!("{first}{second}")));
    pairs.filter(|code| code.parse::<Country>().is_ok())
}

/// A user in Close.
#[derive(ToSchema)]
#[schema(as = UserId, pattern = "^user_[A-Za-z0-9]{1,64}$", example = "user_8hTbLmcDO8XyP4fXbqrPEnGf2tSDnHRSzWkWzlqQM6k")]
#[expect(dead_code, reason = "describes a string")]
pub(in crate::http) struct UserIdText(String);

/// A group of users in Close.
#[derive(ToSchema)]
#[schema(as = GroupId, pattern = "^group_[A-Za-z0-9]{1,64}$", example = "group_4Xb1zQm7Kc0vT9sRj2Ld5w")]
#[expect(dead_code, reason = "describes a string")]
pub(in crate::http) struct GroupIdText(String);

/// A phone number in E.164, except premium-rate numbers.
#[derive(ToSchema)]
#[schema(as = E164, pattern = r"^\+[1-9][0-9]{1,14}$", example = "+4930901820")]
#[expect(dead_code, reason = "describes a string")]
pub(in crate::http) struct E164Text(String);

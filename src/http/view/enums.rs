//! Fixed words in the OpenAPI document, taken from the types that know them, so that no list can fall behind.

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
    ($($doc:ident = $name:literal, $description:literal, $words:expr;)*) => {$(
        #[doc = $description]
        pub(in crate::http) struct $doc;

        impl PartialSchema for $doc {
            fn schema() -> RefOr<Schema> {
                let words = ObjectBuilder::new().schema_type(Type::String).description(Some($description));
                words.enum_values(Some($words)).into()
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
    StateEnum = "OrderState", "Where an order stands. `fulfilled`, `refused` and `cancelled` are final; `unverified` means that nobody knows yet whether Close rented.",
        State::ALL.iter().map(|word| word.as_str());
    VerdictEnum = "ApprovalDecision", "What a second person said of an order.",
        Verdict::ALL.iter().map(|word| word.as_str());
    EvidenceEnum = "Evidence", "What a final state rests on.",
        Evidence::ALL.iter().map(|word| word.as_str());
    SharingEnum = "Sharing", "Whether a number is one person's or a group's.",
        Sharing::ALL.iter().map(|word| word.as_str());
    CarrierTypeEnum = "CarrierType", "The kind of line that can be ordered.",
        CarrierType::ALL.iter().map(|word| word.as_str());
    ActionEnum = "AuditAction", "What was done or tried.",
        Action::ALL.iter().map(|word| word.as_str());
    GroupByEnum = "GroupBy", "What a month's cost is told by.",
        GroupBy::ALL.iter().map(|word| word.as_str());
    EndpointStateEnum = "WebhookEndpointState", "Whether an endpoint is told of events.",
        EndpointState::ALL.iter().map(|word| word.as_str());
    DisabledReasonEnum = "WebhookDisabledReason", "Why an endpoint is disabled: somebody asked for it, it answered 410 Gone, or nothing got through for as long as one delivery is tried.",
        DisabledReason::ALL.iter().map(|word| word.as_str());
    DeliveryStateEnum = "WebhookDeliveryState", "Where a delivery stands: it is tried, or tried again; the receiver has it; it was given up.",
        DeliveryState::ALL.iter().map(|word| word.as_str());
    FormatEnum = "Format", "How the answer is written.",
        ["json", "csv"].into_iter();
    EventTypeEnum = "EventType", "What happened.",
        EventKind::ALL.iter().map(|word| word.as_str());
    CountryCode = "Country", "A country by its ISO 3166-1 alpha-2 code.", countries();
}

fn countries() -> impl Iterator<Item = String> {
    let pairs = ('A'..='Z').flat_map(|first| ('A'..='Z').map(move |second| format!("{first}{second}")));
    pairs.filter(|code| code.parse::<Country>().is_ok())
}

/// A user in Close.
#[derive(ToSchema)]
#[schema(as = UserId, pattern = "^user_[A-Za-z0-9]{1,64}$", example = "user_8hTbLmcDO8XyP4fXbqrPEnGf2tSDnHRSzWkWzlqQM6k")]
#[expect(dead_code, reason = "describes a text")]
pub(in crate::http) struct UserIdText(String);

/// A group of users in Close.
#[derive(ToSchema)]
#[schema(as = GroupId, pattern = "^group_[A-Za-z0-9]{1,64}$", example = "group_4Xb1zQm7Kc0vT9sRj2Ld5w")]
#[expect(dead_code, reason = "describes a text")]
pub(in crate::http) struct GroupIdText(String);

/// A number that can be dialled, E.164; no premium-rate number.
#[derive(ToSchema)]
#[schema(as = E164, pattern = r"^\+[1-9][0-9]{1,14}$", example = "+4930901820")]
#[expect(dead_code, reason = "describes a text")]
pub(in crate::http) struct E164Text(String);

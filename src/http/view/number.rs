//! The JSON of a number: Close's own object, with Numberdesk's data in the member `desk`.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::desk::RentedNumber;
use crate::domain::id::{OrderId, PhoneNumberId};
use crate::domain::money::Money;
use crate::domain::number::{Number, Provenance};
use crate::domain::team::Team;
use crate::domain::time::Timestamp;

/// Renders Close's object of the number, and adds Numberdesk's data in `desk`.
pub(in crate::http) fn number(number: &Number) -> Value {
    let mut object = number.facts.object.members();
    let desk = DeskView {
        team: number.team.as_ref(),
        order_id: number.order_id.as_ref(),
        as_of: number.as_of,
        orphan: number.team.is_none(),
        releasing: number.releasing,
        release_at: number.release_at,
        monthly_price: number.monthly,
        provenance: number.provenance.as_ref().filter(|_| number.team.is_none()),
    };
    let desk = serde_json::to_value(desk).expect("a view is plain data");
    object.insert("desk".to_owned(), desk);
    Value::Object(object)
}

/// Renders the number of an order: in full, or what is left of a released number.
pub(in crate::http) fn order_number(rented: RentedNumber) -> Value {
    match rented {
        RentedNumber::Held(held) => number(&held),
        RentedNumber::Released {
            id,
            number,
            released_at,
        } => json!({ "id": id, "number": number, "released_at": released_at }),
    }
}

/// Renders a release: scheduled for `at`, or already in progress if `at` is `None`.
pub(in crate::http) fn release(id: &PhoneNumberId, at: Option<Timestamp>) -> ReleaseView {
    ReleaseView {
        id: id.to_string(),
        state: if at.is_some() {
            "release_scheduled"
        } else {
            "releasing"
        },
        release_at: at,
    }
}

/// The members of Close's object that clients use most.
#[derive(Serialize, ToSchema)]
#[schema(as = ClosePhoneNumber)]
struct CloseNumberView {
    /// The id in Close.
    #[schema(example = "phon_0DYgvcsvwhAAHzTgdOPg9nPAnYlDdb6sCxSbWtxBIRe")]
    id: String,
    /// The number in E.164.
    #[schema(example = "+493012345678")]
    number: String,
    /// The number, formatted for display.
    #[schema(example = "+49 30 12345678")]
    number_formatted: Option<String>,
    /// The country, as an ISO 3166-1 alpha-2 code.
    #[schema(example = "DE")]
    country: Option<String>,
    /// The label in Close.
    #[schema(example = "Berlin line")]
    label: Option<String>,
    /// `internal` (rented through Close), `external`, `virtual`, or a type that is new in Close's API.
    #[schema(example = "internal")]
    r#type: Option<String>,
    /// The type of the phone line: `local`, `national`, `mobile`, `tollfree`, `shortcode`, or a new one of Close.
    #[schema(example = "local")]
    carrier_type: Option<String>,
    /// Whether the number can send SMS.
    sms_enabled: Option<bool>,
    /// Whether the number can send MMS.
    mms_enabled: Option<bool>,
    /// The price that Close billed last for one month, in US dollars.
    ///
    /// `null` until Close has billed the number.
    #[schema(example = 1.15)]
    last_billed_price: Option<f64>,
    /// The number to which calls are forwarded.
    forward_to: Option<String>,
    /// Whether calls are forwarded.
    forward_to_enabled: Option<bool>,
    /// Users whose phones ring.
    participants: Option<Vec<String>>,
    /// Groups whose phones ring.
    participant_groups: Option<Vec<String>>,
    /// Whether Close calls it a group number. Missing once Close removes the field: count `participants` instead.
    is_group_number: Option<bool>,
}

/// A number: the object that Close returns, with Numberdesk's data in `desk`.
///
/// Numberdesk passes on new fields of Close, so expect more fields than these.
#[derive(Serialize, ToSchema)]
#[schema(as = PhoneNumber)]
pub(in crate::http) struct NumberView {
    #[serde(flatten)]
    #[schema(inline)]
    object: CloseNumberView,
    /// Numberdesk's data about the number.
    desk: DeskView<'static>,
}

/// The number of an order, with all members of a phone number.
///
/// Once the number is released, only `id`, `number` and `released_at` are left.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderPhoneNumber)]
pub(in crate::http) struct OrderNumberView {
    #[serde(flatten)]
    #[schema(inline)]
    object: CloseNumberView,
    /// Numberdesk's data about the number. Missing once the number is released.
    #[schema(nullable = false)]
    desk: Option<DeskView<'static>>,
    /// When the number was released, or was found to be gone from Close. Missing while the team has the number.
    #[schema(nullable = false, example = "2026-11-24T10:00:00.000000Z")]
    released_at: Option<Timestamp>,
}

/// Numberdesk's data about a number.
#[derive(Serialize, ToSchema)]
#[schema(as = PhoneNumberAtDesk)]
struct DeskView<'a> {
    /// The team that owns the number. `null` for an orphan.
    #[schema(required)]
    team: Option<&'a Team>,
    /// The order that rented the number. `null` if no order did.
    #[schema(required)]
    order_id: Option<&'a OrderId>,
    /// The time of the last update from Close.
    as_of: Timestamp,
    /// Whether the number has no team. Only callers with `numbers:admin` see orphans.
    orphan: bool,
    /// Whether Numberdesk has asked Close to release the number and does not know the outcome yet.
    releasing: bool,
    /// When Numberdesk will release the number, unless a person cancels the release.
    ///
    /// `null` without a scheduled release.
    #[schema(required)]
    release_at: Option<Timestamp>,
    /// The monthly price in US dollars. An estimate until Close has billed the number.
    monthly_price: Money,
    /// The origin of an orphan.
    ///
    /// `null` until Numberdesk has read it from Close, and for a number with a team.
    #[schema(required)]
    provenance: Option<&'a Provenance>,
}

/// A release that is scheduled, or whose outcome Numberdesk does not know yet and is finding out.
#[derive(Serialize, ToSchema)]
#[schema(as = PendingRelease)]
pub(in crate::http) struct ReleaseView {
    /// The id of the number.
    #[schema(example = "phon_0DYgvcsvwhAAHzTgdOPg9nPAnYlDdb6sCxSbWtxBIRe")]
    id: String,
    /// `release_scheduled` or `releasing`.
    #[schema(example = "release_scheduled")]
    state: &'static str,
    /// When Numberdesk asks Close to release the number. `null` if Numberdesk has already asked.
    #[schema(required, example = "2026-11-24T10:00:00.000000Z")]
    release_at: Option<Timestamp>,
}

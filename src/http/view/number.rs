//! The JSON of a number: Close's own object, with Numberdesk's data in the member `desk`.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::domain::id::PhoneNumberId;
use crate::domain::number::Number;
use crate::domain::time::Timestamp;
use crate::http::view::enums::{E164Text, GroupIdText, UserIdText};

/// Renders Close's object of the number, and adds Numberdesk's data in `desk`.
pub(in crate::http) fn number(number: &Number) -> Value {
    let mut object = number.facts.object.members();
    let desk = json!({
        "team": number.team,
        "order_id": number.order_id,
        "as_of": number.as_of,
        "orphan": number.team.is_none(),
        "releasing": number.releasing,
        "release_at": number.release_at,
        "monthly_price": number.monthly,
        "provenance": number.provenance.as_ref().filter(|_| number.team.is_none()),
    });
    object.insert("desk".to_owned(), desk);
    Value::Object(object)
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

/// A number: the object that Close returns, with Numberdesk's data in `desk`.
///
/// Numberdesk passes on new fields of Close, so expect more fields than these.
#[derive(ToSchema)]
#[schema(as = PhoneNumber)]
#[expect(dead_code, reason = "describes what `number` writes")]
pub(in crate::http) struct NumberView {
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
    /// `internal` (rented through Close), `external` or `virtual`.
    #[schema(example = "internal")]
    r#type: Option<String>,
    /// The type of the phone line: `local`, `national`, `mobile`, `tollfree` or `shortcode`.
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
    /// Whether several people share the number.
    is_group_number: Option<bool>,
    /// Numberdesk's data about the number.
    desk: DeskView,
}

/// Numberdesk's data about a number.
#[derive(ToSchema)]
#[schema(as = PhoneNumberAtDesk)]
#[expect(dead_code, reason = "describes what `number` writes")]
struct DeskView {
    /// The team that owns the number. `null` for an orphan.
    #[schema(required, example = "sales-emea")]
    team: Option<String>,
    /// The order that rented the number. `null` if no order did.
    #[schema(required, example = "ord_01KATV8ZJ3E0T9C4M6N2P5Q7RS")]
    order_id: Option<String>,
    /// The time of the last update from Close.
    #[schema(format = DateTime, example = "2026-11-23T10:00:01Z")]
    as_of: String,
    /// Whether the number has no team. Only callers with `numbers:admin` see orphans.
    orphan: bool,
    /// Whether Numberdesk has asked Close to release the number and does not know the outcome yet.
    releasing: bool,
    /// When Numberdesk will release the number, unless a person cancels the release.
    ///
    /// `null` without a scheduled release.
    #[schema(required, format = DateTime, example = "2026-11-24T10:00:00Z")]
    release_at: Option<String>,
    /// The monthly price in US dollars. An estimate until Close has billed the number.
    #[schema(example = "5.00")]
    monthly_price: String,
    /// The origin of an orphan.
    ///
    /// `null` until Numberdesk has read it from Close, and for a number with a team.
    #[schema(required)]
    provenance: Option<ProvenanceView>,
}

/// How a number came into the Close organization, as far as Close records it.
#[derive(ToSchema)]
#[schema(as = Provenance)]
#[expect(dead_code, reason = "describes what `number` writes")]
struct ProvenanceView {
    /// When the number was added. `null` if Close has no record of the time.
    #[schema(required, format = DateTime, example = "2026-11-23T10:00:00Z")]
    at: Option<String>,
    /// The user in Close who added the number.
    #[schema(required, example = "user_8hTbLmcDO8XyP4fXbqrPEnGf2tSDnHRSzWkWzlqQM6k")]
    user_id: Option<String>,
    /// The id in Close of the API key that added the number.
    ///
    /// `null` if a person added it, or if Close has no record.
    #[schema(required, example = "api_4eRtYuIoPaSdFgHjKlZxCv")]
    api_key_id: Option<String>,
    /// Whether the number was added by a rent request.
    #[schema(required)]
    by_renting: Option<bool>,
}

/// A JSON merge patch (RFC 7396).
///
/// Fields that you leave out stay unchanged. A list replaces the whole list.
#[derive(ToSchema, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[schema(as = PhoneNumberPatch, min_properties = 1, example = json!({"label": "Berlin line"}))]
#[expect(dead_code, reason = "describes what the handler reads")]
pub(in crate::http) struct NumberPatch {
    /// The label in Close.
    #[schema(max_length = 255, nullable = false)]
    label: Option<String>,
    /// The number to which calls are forwarded, in E.164. The team's policy lists the allowed countries.
    #[schema(pattern = r"^\+[1-9][0-9]{1,14}$", nullable = false)]
    forward_to: Option<String>,
    /// Whether calls are forwarded.
    #[schema(nullable = false)]
    forward_to_enabled: Option<bool>,
    /// Whether the person who answers a call must press 1 to accept it.
    #[schema(nullable = false)]
    press_1_to_accept: Option<bool>,
    /// The https URL of an MP3 file on a public host. `null` removes the greeting.
    #[schema(pattern = "^https://", max_length = 2048)]
    voicemail_greeting_url: Option<String>,
    /// How long a call rings, in seconds.
    #[schema(minimum = 15, maximum = 90, nullable = false)]
    inbound_ring_duration: Option<i64>,
    /// Users in Close whose phones ring. With more than one user, the number becomes a group number.
    #[schema(nullable = false, value_type = Option<Vec<UserIdText>>)]
    participants: Option<Vec<String>>,
    /// Phone numbers outside Close that ring too, in E.164.
    #[schema(nullable = false, value_type = Option<Vec<E164Text>>)]
    phone_numbers: Option<Vec<String>>,
    /// Groups in Close whose phones ring.
    #[schema(max_items = 40, nullable = false, value_type = Option<Vec<GroupIdText>>)]
    participant_groups: Option<Vec<String>>,
}

/// The new team of a number.
#[derive(ToSchema, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[schema(as = Transfer)]
#[expect(dead_code, reason = "describes what the handler reads")]
pub(in crate::http) struct TransferBody {
    /// The name of the new team.
    #[schema(pattern = r"^[A-Za-z0-9._-]{1,64}$", example = "sales-emea")]
    team: String,
}

/// A release that is scheduled, or whose outcome Numberdesk does not know yet and is finding out.
#[derive(Serialize, ToSchema)]
#[schema(as = Release)]
pub(in crate::http) struct ReleaseView {
    /// The id of the number.
    #[schema(example = "phon_0DYgvcsvwhAAHzTgdOPg9nPAnYlDdb6sCxSbWtxBIRe")]
    id: String,
    /// `release_scheduled` or `releasing`.
    #[schema(example = "release_scheduled")]
    state: &'static str,
    /// When Numberdesk asks Close to release the number. `null` if Numberdesk has already asked.
    #[schema(required, value_type = Option<String>, format = DateTime, example = "2026-11-24T10:00:00Z")]
    release_at: Option<Timestamp>,
}

//! A number as JSON: Close's own object, with the desk's data in `desk`.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::domain::id::PhoneNumberId;
use crate::domain::number::Number;
use crate::domain::time::Timestamp;
use crate::http::view::enums::{E164Text, GroupIdText, UserIdText};

/// Renders Close's object of the number and adds the desk's data.
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

/// Renders a release that is scheduled for `at`, or under way if there is no `at`.
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

/// A number: the object that Close returns, with the desk's data in `desk`. New fields of Close are passed on, so expect
/// more fields than these.
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
    /// The number, formatted for people.
    #[schema(example = "+49 30 12345678")]
    number_formatted: Option<String>,
    /// The country.
    #[schema(example = "DE")]
    country: Option<String>,
    /// The label.
    #[schema(example = "Berlin line")]
    label: Option<String>,
    /// `internal` (rented through Close), `external` or `virtual`.
    #[schema(example = "internal")]
    r#type: Option<String>,
    /// `local`, `national`, `mobile`, `tollfree`, `shortcode`.
    #[schema(example = "local")]
    carrier_type: Option<String>,
    /// Whether it can send SMS.
    sms_enabled: Option<bool>,
    /// Whether it can send MMS.
    mms_enabled: Option<bool>,
    /// The price of the last month, in US dollars, once Close has billed one.
    #[schema(example = 1.15)]
    last_billed_price: Option<f64>,
    /// The number that calls are forwarded to.
    forward_to: Option<String>,
    /// Whether calls are forwarded.
    forward_to_enabled: Option<bool>,
    /// Users whose phones ring.
    participants: Option<Vec<String>>,
    /// Groups whose phones ring.
    participant_groups: Option<Vec<String>>,
    /// Whether several people share it.
    is_group_number: Option<bool>,
    /// The data of the desk.
    desk: DeskView,
}

/// The desk's data about a number.
#[derive(ToSchema)]
#[schema(as = PhoneNumberAtDesk)]
#[expect(dead_code, reason = "describes what `number` writes")]
struct DeskView {
    /// The team that owns it. `null` for an orphan.
    #[schema(required, example = "sales-emea")]
    team: Option<String>,
    /// The order that rented it.
    #[schema(required, example = "ord_01KATV8ZJ3E0T9C4M6N2P5Q7RS")]
    order_id: Option<String>,
    /// The time of the last update from Close.
    #[schema(format = DateTime, example = "2026-11-23T10:00:01Z")]
    as_of: String,
    /// Whether it has no team. Only `numbers:admin` sees orphans.
    orphan: bool,
    /// Whether the desk has asked Close to release it and does not know the outcome yet.
    releasing: bool,
    /// When the desk will release it, unless someone keeps it. `null` without a scheduled release.
    #[schema(required, format = DateTime, example = "2026-11-24T10:00:00Z")]
    release_at: Option<String>,
    /// The monthly price in US dollars: billed, or estimated until Close bills it.
    #[schema(example = "5.00")]
    monthly_price: String,
    /// The origin of an orphan, once the desk has looked it up in Close. `null` for a number with a team.
    #[schema(required)]
    provenance: Option<ProvenanceView>,
}

/// How a number came into the Close organization, as far as Close records it.
#[derive(ToSchema)]
#[schema(as = Provenance)]
#[expect(dead_code, reason = "describes what `number` writes")]
struct ProvenanceView {
    /// When it came. `null` if Close does not record it, or no longer.
    #[schema(required, format = DateTime, example = "2026-11-23T10:00:00Z")]
    at: Option<String>,
    /// The user in Close who added it.
    #[schema(required, example = "user_8hTbLmcDO8XyP4fXbqrPEnGf2tSDnHRSzWkWzlqQM6k")]
    user_id: Option<String>,
    /// The id in Close of the API key that added it. `null` for a person, or if Close does not record it.
    #[schema(required, example = "api_4eRtYuIoPaSdFgHjKlZxCv")]
    api_key_id: Option<String>,
    /// Whether it was added by a rent request.
    #[schema(required)]
    by_renting: Option<bool>,
}

/// A JSON merge patch (RFC 7396): missing fields stay unchanged, and a list replaces the whole list.
#[derive(ToSchema, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[schema(as = PhoneNumberPatch, min_properties = 1, example = json!({"label": "Berlin line"}))]
#[expect(dead_code, reason = "describes what the desk reads")]
pub(in crate::http) struct NumberPatch {
    /// The label.
    #[schema(max_length = 255, nullable = false)]
    label: Option<String>,
    /// The number that calls are forwarded to, in E.164. The team's policy lists the allowed countries.
    #[schema(pattern = r"^\+[1-9][0-9]{1,14}$", nullable = false)]
    forward_to: Option<String>,
    /// Whether calls are forwarded.
    #[schema(nullable = false)]
    forward_to_enabled: Option<bool>,
    /// Whether the person who answers must press 1.
    #[schema(nullable = false)]
    press_1_to_accept: Option<bool>,
    /// The https URL of an mp3 on a public host. `null` removes it.
    #[schema(pattern = "^https://", max_length = 2048)]
    voicemail_greeting_url: Option<String>,
    /// How long it rings, in seconds.
    #[schema(minimum = 15, maximum = 90, nullable = false)]
    inbound_ring_duration: Option<i64>,
    /// Users in Close whose phones ring. More than one makes it a group number.
    #[schema(nullable = false, value_type = Option<Vec<UserIdText>>)]
    participants: Option<Vec<String>>,
    /// Phones outside Close that ring too, in E.164.
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
    /// The name of the team.
    #[schema(pattern = r"^[A-Za-z0-9._-]{1,64}$", example = "sales-emea")]
    team: String,
}

/// A release that is scheduled, or whose outcome the desk does not know yet and finds out.
#[derive(Serialize, ToSchema)]
#[schema(as = Release)]
pub(in crate::http) struct ReleaseView {
    /// The number.
    #[schema(example = "phon_0DYgvcsvwhAAHzTgdOPg9nPAnYlDdb6sCxSbWtxBIRe")]
    id: String,
    /// `release_scheduled` or `releasing`.
    #[schema(example = "release_scheduled")]
    state: &'static str,
    /// When the desk asks Close. `null` once it has.
    #[schema(required, value_type = Option<String>, format = DateTime, example = "2026-11-24T10:00:00Z")]
    release_at: Option<Timestamp>,
}

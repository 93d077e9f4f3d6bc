//! A number as JSON: Close's object, field for field, and what the desk knows about it.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::domain::id::PhoneNumberId;
use crate::domain::number::Number;
use crate::domain::time::Timestamp;
use crate::http::view::enums::{E164Text, GroupIdText, UserIdText};

/// What Close says of the number, with the desk's own word beside it.
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

/// A release that is scheduled for `at`, or under way.
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

/// A number, as Close shows it, and what the desk knows about it. Fields that Close adds are passed on: expect
/// more than stands here.
#[derive(ToSchema)]
#[schema(as = PhoneNumber)]
#[expect(dead_code, reason = "describes what `number` writes")]
pub(in crate::http) struct NumberView {
    /// Close's id.
    #[schema(example = "phon_0DYgvcsvwhAAHzTgdOPg9nPAnYlDdb6sCxSbWtxBIRe")]
    id: String,
    /// The number itself, E.164.
    #[schema(example = "+493012345678")]
    number: String,
    /// The number as people write it.
    #[schema(example = "+49 30 12345678")]
    number_formatted: Option<String>,
    /// Its country.
    #[schema(example = "DE")]
    country: Option<String>,
    /// What people call it.
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
    /// What the last month cost, in US dollars, once Close has billed one.
    #[schema(example = 1.15)]
    last_billed_price: Option<f64>,
    /// Where calls are forwarded.
    forward_to: Option<String>,
    /// Whether calls are forwarded.
    forward_to_enabled: Option<bool>,
    /// Users it rings for.
    participants: Option<Vec<String>>,
    /// Groups it rings for.
    participant_groups: Option<Vec<String>>,
    /// Whether several people share it.
    is_group_number: Option<bool>,
    /// The desk's own word.
    desk: DeskView,
}

/// What the desk knows about a number.
#[derive(ToSchema)]
#[schema(as = PhoneNumberAtDesk)]
#[expect(dead_code, reason = "describes what `number` writes")]
struct DeskView {
    /// The team it belongs to; `null` for an orphan.
    #[schema(required, example = "sales-emea")]
    team: Option<String>,
    /// The order it was rented for.
    #[schema(required, example = "ord_01KATV8ZJ3E0T9C4M6N2P5Q7RS")]
    order_id: Option<String>,
    /// When Close said so.
    #[schema(format = DateTime, example = "2026-11-23T10:00:01Z")]
    as_of: String,
    /// No order and no team accounts for it; only `numbers:admin` sees it.
    orphan: bool,
    /// A release was sent to Close, and the desk is finding out how it ended.
    releasing: bool,
    /// When it is to be released, unless somebody keeps it; `null` when nobody scheduled that.
    #[schema(required, format = DateTime, example = "2026-11-24T10:00:00Z")]
    release_at: Option<String>,
    /// What it costs a month, in US dollars: billed, or estimated until then.
    #[schema(example = "5.00")]
    monthly_price: String,
    /// Where an orphan comes from, once Close was asked; `null` for a number that a team has.
    #[schema(required)]
    provenance: Option<ProvenanceView>,
}

/// How a number came into the organization, as far as Close tells.
#[derive(ToSchema)]
#[schema(as = Provenance)]
#[expect(dead_code, reason = "describes what `number` writes")]
struct ProvenanceView {
    /// When; `null` where Close does not say (any more).
    #[schema(required, format = DateTime, example = "2026-11-23T10:00:00Z")]
    at: Option<String>,
    /// Whose doing it was.
    #[schema(required, example = "user_8hTbLmcDO8XyP4fXbqrPEnGf2tSDnHRSzWkWzlqQM6k")]
    user_id: Option<String>,
    /// The API key that did it, by Close's id of it; `null` for a person, or where Close does not say.
    #[schema(required, example = "api_4eRtYuIoPaSdFgHjKlZxCv")]
    api_key_id: Option<String>,
    /// Whether it came by the call that rents.
    #[schema(required)]
    by_renting: Option<bool>,
}

/// A JSON merge patch (RFC 7396): what is left out stays as it is, lists replace the whole list.
#[derive(ToSchema, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[schema(as = PhoneNumberPatch, min_properties = 1, example = json!({"label": "Berlin line"}))]
#[expect(dead_code, reason = "describes what the desk reads")]
pub(in crate::http) struct NumberPatch {
    /// What people call it.
    #[schema(max_length = 255, nullable = false)]
    label: Option<String>,
    /// Where calls are forwarded, E.164; the team's policy names the countries.
    #[schema(pattern = r"^\+[1-9][0-9]{1,14}$", nullable = false)]
    forward_to: Option<String>,
    /// Whether calls are forwarded.
    #[schema(nullable = false)]
    forward_to_enabled: Option<bool>,
    /// Whether who answers must press 1.
    #[schema(nullable = false)]
    press_1_to_accept: Option<bool>,
    /// An https URL of an mp3 on a public host; `null` takes it away.
    #[schema(pattern = "^https://", max_length = 2048)]
    voicemail_greeting_url: Option<String>,
    /// Seconds it rings.
    #[schema(minimum = 15, maximum = 90, nullable = false)]
    inbound_ring_duration: Option<i64>,
    /// Users in Close it rings for; more than one makes it a group number.
    #[schema(nullable = false, value_type = Option<Vec<UserIdText>>)]
    participants: Option<Vec<String>>,
    /// Outside phones that ring with it, E.164.
    #[schema(nullable = false, value_type = Option<Vec<E164Text>>)]
    phone_numbers: Option<Vec<String>>,
    /// Groups in Close it rings for.
    #[schema(max_items = 40, nullable = false, value_type = Option<Vec<GroupIdText>>)]
    participant_groups: Option<Vec<String>>,
}

/// The team that is to have the number.
#[derive(ToSchema, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[schema(as = Transfer)]
#[expect(dead_code, reason = "describes what the handler reads")]
pub(in crate::http) struct TransferBody {
    /// Its name.
    #[schema(pattern = r"^[A-Za-z0-9._-]{1,64}$", example = "sales-emea")]
    team: String,
}

/// A release that waits for its time, or whose outcome is not known yet. The desk goes on until it is.
#[derive(Serialize, ToSchema)]
#[schema(as = Release)]
pub(in crate::http) struct ReleaseView {
    /// The number.
    #[schema(example = "phon_0DYgvcsvwhAAHzTgdOPg9nPAnYlDdb6sCxSbWtxBIRe")]
    id: String,
    /// `release_scheduled` or `releasing`.
    #[schema(example = "release_scheduled")]
    state: &'static str,
    /// When Close is asked; `null` once it was.
    #[schema(required, value_type = Option<String>, format = DateTime, example = "2026-11-24T10:00:00Z")]
    release_at: Option<Timestamp>,
}

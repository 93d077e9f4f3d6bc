//! A webhook endpoint: the URL to which the service sends a team's events.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;
use utoipa::openapi::schema::{SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema as _, ToSchema};

use crate::domain::event_kind::EventKind;
use crate::domain::id::EndpointId;
use crate::domain::input::fault::{Fault, nearest};
use crate::domain::input::list::{Distinct, Item};
use crate::domain::input::merge_patch::{Change, changes_something};
use crate::domain::input::read::Input;
use crate::domain::input::values::Text;
use crate::domain::schema::{ComposeSchema, string_schema};
use crate::domain::scope::Owned;
use crate::domain::string_enum::string_enum;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;

/// The maximum number of endpoints of a team.
pub const MAX_ENDPOINTS: u32 = 20;
/// The maximum number of types and groups of types of an endpoint.
const MAX_TYPES: usize = EventKind::ALL.len();

string_enum! {
    /// Whether the service sends events to an endpoint.
    EndpointState: open {
        /// The service sends events to it.
        Active = "active",
        /// The service sends nothing until a caller makes it active again.
        Disabled = "disabled",
    }
}
string_enum! {
    /// Why an endpoint is disabled.
    DisabledReason: stored {
        /// A caller disabled it.
        Asked = "asked",
        /// The receiver answered 410 Gone.
        Gone = "gone",
        /// No delivery succeeded for the whole retry period of a delivery.
        Failing = "failing",
    }
}
/// The event types that an endpoint receives: all, or some.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Option<Distinct<TypePattern, 1, MAX_TYPES>>")]
pub struct Types(Option<Vec<TypePattern>>);

impl From<Option<Distinct<TypePattern, 1, MAX_TYPES>>> for Types {
    fn from(patterns: Option<Distinct<TypePattern, 1, MAX_TYPES>>) -> Self {
        Self(patterns.map(|Distinct(patterns)| patterns))
    }
}
impl ComposeSchema for Types {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        let mut schema = Distinct::<TypePattern, 1, MAX_TYPES>::schema();
        if let RefOr::T(Schema::Array(list)) = &mut schema {
            list.schema_type = SchemaType::from_iter([Type::Array, Type::Null]);
        }
        schema
    }
}
impl ToSchema for Types {}

impl Types {
    /// All event types.
    pub const ALL: Self = Self(None);

    /// Reads the patterns of a stored endpoint, which may name types of a later version.
    pub fn stored(patterns: Option<Vec<String>>) -> Self {
        Self(patterns.map(|patterns| patterns.into_iter().map(TypePattern).collect()))
    }

    /// Whether the endpoint receives events of this type.
    pub fn wants(&self, kind: &str) -> bool {
        self.0
            .as_ref()
            .is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(kind)))
    }
    /// Returns the patterns; `None` means all types.
    pub fn patterns(&self) -> Option<&[TypePattern]> {
        self.0.as_deref()
    }
}

/// An event type, or all types with a prefix: `order.fulfilled`, `order.*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TypePattern(String);

impl TypePattern {
    /// Whether an event of this type matches the pattern.
    pub fn matches(&self, kind: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(start) => kind.starts_with(start),
            None => kind == self.0,
        }
    }
    /// Returns the pattern as a string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The error for a string that matches no event type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be an event type or a group like `order.*`, which `{}` is not; {}",
    shown(.0),
    nearest_type(.0)
)]
pub struct NotAType(String);

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

fn nearest_type(text: &str) -> String {
    let known: Vec<_> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
    nearest(&shown(text), &known)
}

impl FromStr for TypePattern {
    type Err = NotAType;
    fn from_str(text: &str) -> Result<Self, NotAType> {
        let whole = text.strip_suffix('*').is_none_or(|start| start.ends_with('.'));
        let pattern = Self(text.to_owned());
        if whole && EventKind::ALL.iter().any(|kind| pattern.matches(kind.as_str())) {
            Ok(pattern)
        } else {
            Err(NotAType(pattern.0))
        }
    }
}
impl TryFrom<String> for TypePattern {
    type Error = NotAType;
    fn try_from(text: String) -> Result<Self, NotAType> {
        text.parse()
    }
}
impl From<TypePattern> for String {
    fn from(pattern: TypePattern) -> String {
        pattern.0
    }
}

/// A registered endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// The endpoint's id.
    pub id: EndpointId,
    /// The team whose events it receives.
    pub team: Team,
    /// The receiver's URL.
    pub url: Url,
    /// A description for people.
    pub description: Option<String>,
    /// The event types that it receives.
    pub types: Types,
    /// Why the endpoint is disabled; `None` if it is active.
    pub disabled: Option<DisabledReason>,
    /// The generation of the signing secret, counted from 1. Each rotation adds 1.
    pub generation: i64,
    /// When the secret was last rotated.
    pub rotated_at: Option<Timestamp>,
    /// The subject of the caller who registered it.
    pub created_by: String,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last changed, by a caller or by the service.
    pub updated_at: Timestamp,
}

impl Owned for Endpoint {
    fn owner(&self) -> Option<&Team> {
        Some(&self.team)
    }
}

impl Endpoint {
    /// Returns whether the endpoint is active or disabled.
    pub const fn state(&self) -> EndpointState {
        match self.disabled {
            None => EndpointState::Active,
            Some(_) => EndpointState::Disabled,
        }
    }
    /// Returns the generations of the secrets that sign at `now`, newest first.
    ///
    /// For the time `overlap` after a rotation, the previous secret signs too.
    pub fn generations(&self, now: Timestamp, overlap: Duration) -> Vec<i64> {
        let overlaps = self.rotated_at.is_some_and(|at| now < at.plus(overlap));
        let before = overlaps.then(|| self.generation - 1);
        std::iter::once(self.generation).chain(before).collect()
    }
    /// Returns the endpoint as the audit trail shows it.
    ///
    /// Only the origin of the URL is included, because path and query can contain credentials.
    pub fn audit_detail(&self) -> Value {
        json!({
            "webhook_endpoint_id": self.id,
            "origin": self.url.origin().ascii_serialization(),
            "types": self.types,
        })
    }
}

/// A new endpoint.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookEndpointRequest, example = json!({
    "url": "https://hooks.example.com/numberdesk", "description": "CRM sync", "types": ["order.*", "phone_number.released"],
}))]
pub struct NewEndpoint {
    /// The team whose events the endpoint receives. Optional if your token has exactly one team.
    pub team: Option<Team>,
    /// An https URL on a host that the service may call.
    pub url: ReceiverUrl,
    /// A text that describes the endpoint.
    pub description: Option<Text<255>>,
    /// The event types that the endpoint receives. By default all types.
    ///
    /// Each is a type, such as `order.fulfilled`, or a group of types, such as `order.*`.
    #[serde(default)]
    pub types: Types,
}

impl Input for NewEndpoint {}

/// A JSON merge patch (RFC 7396). Fields that you leave out stay unchanged.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookEndpointPatch, min_properties = 1, example = json!({"state": "active"}))]
pub struct EndpointPatch {
    /// An https URL on a host that the service may call.
    #[serde(default)]
    pub url: Change<ReceiverUrl>,
    /// A text that describes the endpoint. `null` removes the text.
    #[serde(default)]
    pub description: Change<Option<Text<255>>>,
    /// The event types that the endpoint receives. `null` means all.
    #[serde(default)]
    pub types: Change<Types>,
    /// `active`: the endpoint receives events again, beginning with its pending deliveries.
    ///
    /// `disabled`: it receives no events.
    #[serde(default)]
    pub state: Change<EndpointState>,
}

impl Input for EndpointPatch {
    fn check(patch: &Value, faults: &mut Vec<Fault>) {
        changes_something(patch, faults);
    }
}

impl EndpointPatch {
    /// Returns the endpoint with the patch applied.
    pub fn applied(&self, endpoint: &Endpoint, now: Timestamp) -> Endpoint {
        let mut changed = endpoint.clone();
        if let Some(ReceiverUrl(url)) = &self.url.0 {
            changed.url.clone_from(url);
        }
        if let Some(description) = &self.description.0 {
            changed.description = description.clone().map(String::from);
        }
        if let Some(types) = &self.types.0 {
            changed.types.clone_from(types);
        }
        match self.state.0 {
            Some(EndpointState::Active) => changed.disabled = None,
            Some(EndpointState::Disabled) => {
                changed.disabled = changed.disabled.or(Some(DisabledReason::Asked));
            }
            None => {}
        }
        changed.updated_at = now;
        changed
    }
}

/// The URL of a receiver.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Text<2_048>")]
pub struct ReceiverUrl(pub Url);

impl TryFrom<Text<2_048>> for ReceiverUrl {
    type Error = &'static str;
    fn try_from(text: Text<2_048>) -> Result<Self, &'static str> {
        let url = String::from(text).parse();
        url.map(Self)
            .map_err(|_| "must be an absolute URL, like \"https://hooks.example.com/numberdesk\"")
    }
}
string_schema! {
    ReceiverUrl: "The URL of a receiver.", max_length: 2_048, format: "uri", example: "https://hooks.example.com/numberdesk"
}

impl Item for TypePattern {
    const PLURAL: &'static str = "types";
}
string_schema! {
    TypePattern: "An event type, or a group of types.", max_length: 64, example: "order.*"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_pattern_is_an_existing_type_or_a_prefix_of_one() {
        let read = |value: Value| serde_json::from_value::<Types>(value);
        let some = read(json!(["order.*", "phone_number.released"])).unwrap();
        assert!(some.wants("order.fulfilled") && some.wants("phone_number.released"));
        assert!(!some.wants("phone_number.added"));
        assert!(read(Value::Null).unwrap().wants("phone_number.added"));
        for bad in [
            json!([]),
            json!("order.*"),
            json!(["*"]),
            json!(["order*"]),
            json!(["ord.*"]),
            json!(["order.x"]),
            json!([""]),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_previous_secret_also_signs_until_the_overlap_ends() {
        let at = Timestamp::from_seconds(1_000);
        let mut endpoint = Endpoint {
            id: "we_1".parse().unwrap(),
            team: "sales".parse().unwrap(),
            url: "https://hooks.example.com/".parse().unwrap(),
            description: None,
            types: Types::ALL,
            disabled: None,
            generation: 1,
            rotated_at: None,
            created_by: "alice".into(),
            created_at: at,
            updated_at: at,
        };
        let hour = Duration::from_hours(1);
        assert_eq!(endpoint.generations(at, hour), [1]);
        (endpoint.generation, endpoint.rotated_at) = (2, Some(at));
        assert_eq!(endpoint.generations(at.plus(hour / 2), hour), [2, 1]);
        assert_eq!(endpoint.generations(at.plus(hour), hour), [2]);
    }
}

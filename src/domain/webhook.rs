//! A webhook endpoint: the URL to which the service sends a team's events.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use crate::domain::event::EventKind;
use crate::domain::id::EndpointId;
use crate::domain::input::fields::Node;
use crate::domain::string_enum::string_enum;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;

/// The maximum number of endpoints of a team.
pub const MAX_ENDPOINTS: u32 = 20;
/// The maximum length of a URL, in characters.
const MAX_URL: usize = 2_048;
/// The maximum length of a description, in characters.
const MAX_DESCRIPTION: usize = 255;

string_enum! {
    /// Whether the service sends events to an endpoint.
    EndpointState {
        /// The service sends events to it.
        Active = "active",
        /// The service sends nothing until a caller makes it active again.
        Disabled = "disabled",
    }
}
string_enum! {
    /// Why an endpoint is disabled.
    DisabledReason {
        /// A caller disabled it.
        Asked = "asked",
        /// The receiver answered 410 Gone.
        Gone = "gone",
        /// No delivery succeeded for the whole retry period of a delivery.
        Failing = "failing",
    }
}
/// The event types that an endpoint receives: all, or some.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Types(Option<Vec<TypePattern>>);

impl Types {
    /// All event types.
    pub const ALL: Self = Self(None);

    /// Whether the endpoint receives events of this type.
    pub fn wants(&self, kind: &str) -> bool {
        self.0
            .as_ref()
            .is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(kind)))
    }
    /// Returns the patterns; `None` stands for all types.
    pub fn patterns(&self) -> Option<&[TypePattern]> {
        self.0.as_deref()
    }
    /// Reads a list of types; `null` stands for all types.
    pub fn read(node: &Node<'_>) -> Option<Self> {
        if node.value().is_null() {
            return Some(Self::ALL);
        }
        let patterns: Vec<TypePattern> = node.list(|item| item.parse())?;
        if patterns.is_empty() {
            return node.fault("must name at least one type; use null for all types");
        }
        if patterns.len() > EventKind::ALL.len() {
            return node.fault("must not name a type twice");
        }
        Some(Self(Some(patterns)))
    }
}

/// An event type, or all types with a prefix: `order.fulfilled`, `order.*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TypePattern(String);

impl TypePattern {
    fn matches(&self, kind: &str) -> bool {
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
    "must be an event type, or a prefix like \"order.*\"; the types are {}",
    known()
)]
pub struct NotAType;

fn known() -> String {
    let known: Vec<_> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
    known.join(", ")
}

impl FromStr for TypePattern {
    type Err = NotAType;
    fn from_str(text: &str) -> Result<Self, NotAType> {
        let whole = text.strip_suffix('*').is_none_or(|start| start.ends_with('.'));
        let pattern = Self(text.to_owned());
        if whole && EventKind::ALL.iter().any(|kind| pattern.matches(kind.as_str())) {
            Ok(pattern)
        } else {
            Err(NotAType)
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

/// A request to register an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEndpoint {
    /// The team, if the request names one.
    pub team: Option<Team>,
    /// The receiver's URL.
    pub url: Url,
    /// A description for people.
    pub description: Option<String>,
    /// The event types that it receives.
    pub types: Types,
}

impl NewEndpoint {
    /// Reads the request body.
    pub fn read(node: Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let team = fields.nullable("team", |node| node.parse());
        let url = fields.required("url", |node| url(&node));
        let description = fields.nullable("description", |node| node.text(MAX_DESCRIPTION));
        let types = fields.optional("types", |node| Types::read(&node));
        fields.finish()?;
        Some(Self {
            team: team?,
            url: url?,
            description: description?,
            types: types?.unwrap_or(Types::ALL),
        })
    }
}

/// A patch for an endpoint; `None` leaves a field unchanged.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EndpointPatch {
    /// The receiver's URL.
    pub url: Option<Url>,
    /// A description for people; `Some(None)` removes it.
    pub description: Option<Option<String>>,
    /// The event types that it receives.
    pub types: Option<Types>,
    /// Whether the endpoint is active or disabled.
    pub state: Option<EndpointState>,
}

impl EndpointPatch {
    /// Reads a JSON merge patch. A patch without any field is a fault.
    pub fn read(node: Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let url = fields.optional("url", |node| url(&node));
        let description = fields.optional("description", |node| {
            if node.value().is_null() {
                Some(None)
            } else {
                node.text(MAX_DESCRIPTION).map(Some)
            }
        });
        let types = fields.optional("types", |node| Types::read(&node));
        let state = fields.optional("state", |node| node.parse());
        let whole = fields.node().clone();
        fields.finish()?;
        let changes = Self {
            url: url?,
            description: description?,
            types: types?,
            state: state?,
        };
        if changes == Self::default() {
            return whole.fault("must change at least one field");
        }
        Some(changes)
    }

    /// Returns the endpoint with the patch applied.
    pub fn applied(&self, endpoint: &Endpoint, now: Timestamp) -> Endpoint {
        let mut changed = endpoint.clone();
        if let Some(url) = &self.url {
            changed.url.clone_from(url);
        }
        if let Some(description) = &self.description {
            changed.description.clone_from(description);
        }
        if let Some(types) = &self.types {
            changed.types.clone_from(types);
        }
        match self.state {
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

fn url(node: &Node<'_>) -> Option<Url> {
    match node.text(MAX_URL)?.parse() {
        Ok(url) => Some(url),
        Err(_) => node.fault("must be an absolute URL, like \"https://hooks.example.com/numberdesk\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::input::fields;

    #[test]
    fn a_type_pattern_is_an_existing_type_or_a_prefix_of_one() {
        let read = |value: Value| fields::read(&value, |node| Types::read(&node));
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

//! An endpoint: where an app is told of events, which ones it wants, and what may be changed about it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use crate::domain::caller::Team;
use crate::domain::event::EventKind;
use crate::domain::id::EndpointId;
use crate::domain::input::fields::Node;
use crate::domain::number::words;
use crate::domain::time::Timestamp;

/// Endpoints that a team may have.
pub const MAX_ENDPOINTS: u32 = 20;
/// Characters of a URL, and of a description.
const MAX_URL: usize = 2_048;
const MAX_DESCRIPTION: usize = 255;

words! {
    /// Whether an endpoint is told of events.
    EndpointState {
        /// It is.
        Active = "active",
        /// It is not, until somebody makes it active again.
        Disabled = "disabled",
    }
}
words! {
    /// Why an endpoint is disabled.
    DisabledReason {
        /// Somebody asked for it.
        Asked = "asked",
        /// It answered 410 Gone.
        Gone = "gone",
        /// Nothing got through for as long as one delivery is tried.
        Failing = "failing",
    }
}
/// Which events an endpoint wants: all, or those of some types.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Types(Option<Vec<TypePattern>>);

impl Types {
    /// All events.
    pub const ALL: Self = Self(None);

    /// Whether it wants events of this type.
    pub fn wants(&self, kind: &str) -> bool {
        self.0
            .as_ref()
            .is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(kind)))
    }
    /// The patterns; `None` for all.
    pub fn patterns(&self) -> Option<&[TypePattern]> {
        self.0.as_deref()
    }
    /// Reads a list of types; `null` is all of them.
    pub fn read(node: &Node<'_>) -> Option<Self> {
        if node.value().is_null() {
            return Some(Self::ALL);
        }
        let patterns: Vec<TypePattern> = node.list(|item| item.parse())?;
        if patterns.is_empty() {
            return node.fault("must name at least one type; leave it out for all");
        }
        if patterns.len() > EventKind::ALL.len() {
            return node.fault("must not name a type twice");
        }
        Some(Self(Some(patterns)))
    }
}

/// A type of event, or all that begin alike: `order.fulfilled`, `order.*`.
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
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no type of event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a type of event or the start of some, like \"order.*\"; there are {}",
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

/// An endpoint that a team has registered.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Whose events it is told of.
    pub team: Team,
    /// Where it is.
    pub url: Url,
    /// What people call it.
    pub description: Option<String>,
    /// Which events it wants.
    pub types: Types,
    /// Why it is disabled, if it is.
    pub disabled: Option<DisabledReason>,
    /// Which secret signs, counted from 1.
    pub generation: i64,
    /// When the secret was last rotated.
    pub rotated_at: Option<Timestamp>,
    /// Who registered it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was last changed, by whomever.
    pub updated_at: Timestamp,
}

impl Endpoint {
    /// Whether it is told of events.
    pub const fn state(&self) -> EndpointState {
        match self.disabled {
            None => EndpointState::Active,
            Some(_) => EndpointState::Disabled,
        }
    }
    /// The secrets that sign at `now`, the newest first: for a while after a rotation also the one before.
    pub fn generations(&self, now: Timestamp, overlap: Duration) -> Vec<i64> {
        let overlaps = self.rotated_at.is_some_and(|at| now < at.plus(overlap));
        let before = overlaps.then(|| self.generation - 1);
        std::iter::once(self.generation).chain(before).collect()
    }
    /// As the audit trail tells of it. Of the URL only where it leads: the rest of it may be what lets one in there.
    pub fn told(&self) -> Value {
        json!({
            "webhook_endpoint_id": self.id,
            "origin": self.url.origin().ascii_serialization(),
            "types": self.types,
        })
    }
}

/// What is to be registered.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointBody {
    /// For which team, when the caller says.
    pub team: Option<Team>,
    /// Where it is.
    pub url: Url,
    /// What people call it.
    pub description: Option<String>,
    /// Which events it wants.
    pub types: Types,
}

impl EndpointBody {
    /// Reads it.
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

/// What is to be changed of an endpoint; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EndpointChanges {
    /// Where it is.
    pub url: Option<Url>,
    /// What people call it; `Some(None)` takes that away.
    pub description: Option<Option<String>>,
    /// Which events it wants.
    pub types: Option<Types>,
    /// Whether it is told of events.
    pub state: Option<EndpointState>,
}

impl EndpointChanges {
    /// Reads a JSON merge patch; one that changes nothing is a fault.
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

    /// The endpoint with the changes made.
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
        Err(_) => node.fault("must be a whole URL, like \"https://hooks.example.com/numberdesk\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::input::fields;

    #[test]
    fn types_are_words_or_the_starts_of_words_that_exist() {
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
    fn a_rotated_secret_signs_beside_the_new_one_for_as_long_as_they_overlap() {
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

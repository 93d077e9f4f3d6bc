//! A change of a number's writable fields, as a caller sends it.
//!
//! This module checks the values; the policy decides who may change which field.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use url::{Host, Url};

use crate::domain::id::{GroupId, UserId};
use crate::domain::input::fields::Node;
use crate::domain::phone::E164;

/// The maximum number of groups of one number in Close.
const MAX_GROUPS: usize = 40;

/// A patch for a number. `None` leaves a field unchanged; a list replaces the whole list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NumberPatch {
    /// The label, at most 255 characters.
    pub label: Option<String>,
    /// The number to which calls are forwarded.
    pub forward_to: Option<E164>,
    /// Whether calls are forwarded.
    pub forward_to_enabled: Option<bool>,
    /// Whether a person must press 1 to accept a call.
    pub press_1_to_accept: Option<bool>,
    /// The URL of the voicemail greeting; `Some(None)` removes the greeting.
    pub voicemail_greeting_url: Option<Option<Url>>,
    /// How long an inbound call rings, in seconds, 15 to 90.
    pub inbound_ring_duration: Option<i64>,
    /// The users for whom it rings.
    pub participants: Option<Vec<UserId>>,
    /// External phones that ring too.
    pub phone_numbers: Option<Vec<E164>>,
    /// The groups for which it rings.
    pub participant_groups: Option<Vec<GroupId>>,
}

impl NumberPatch {
    /// Reads a JSON merge patch.
    ///
    /// Faults are unknown fields, `null` where Close does not accept it, and a patch without any field.
    pub fn read(node: Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let label = fields.optional("label", |node| node.text(255));
        let forward_to = fields.optional("forward_to", |node| node.parse());
        let forward_to_enabled = fields.optional("forward_to_enabled", |node| node.boolean());
        let press_1_to_accept = fields.optional("press_1_to_accept", |node| node.boolean());
        let voicemail_greeting_url = fields.optional("voicemail_greeting_url", |node| {
            if node.value().is_null() {
                Some(None)
            } else {
                greeting(&node).map(Some)
            }
        });
        let inbound_ring_duration = fields.optional("inbound_ring_duration", |node| node.integer(15, 90));
        let participants = fields.optional("participants", |node| distinct(&node, |item| item.parse()));
        let phone_numbers = fields.optional("phone_numbers", |node| {
            distinct(&node, |item| item.parse::<E164>())
        });
        let participant_groups = fields.optional("participant_groups", |node| {
            let groups: Vec<GroupId> = distinct(&node, |item| item.parse())?;
            if groups.len() > MAX_GROUPS {
                return node.fault(format!("must have at most {MAX_GROUPS} groups"));
            }
            Some(groups)
        });
        let whole = fields.node().clone();
        let clean = fields.finish();
        let patch = Self {
            label: label?,
            forward_to: forward_to?,
            forward_to_enabled: forward_to_enabled?,
            press_1_to_accept: press_1_to_accept?,
            voicemail_greeting_url: voicemail_greeting_url?,
            inbound_ring_duration: inbound_ring_duration?,
            participants: participants?,
            phone_numbers: phone_numbers?,
            participant_groups: participant_groups?,
        };
        clean?;
        if patch == Self::default() {
            return whole.fault("must change at least one field");
        }
        Some(patch)
    }

    /// Returns the changed fields under Close's field names.
    pub fn object(&self) -> Map<String, Value> {
        fn texts<T: Into<String> + Clone>(items: &[T]) -> Value {
            items
                .iter()
                .cloned()
                .map(|item| Value::String(item.into()))
                .collect()
        }
        let fields = [
            ("label", self.label.clone().map(Value::from)),
            (
                "forward_to",
                self.forward_to.clone().map(|number| String::from(number).into()),
            ),
            ("forward_to_enabled", self.forward_to_enabled.map(Value::from)),
            ("press_1_to_accept", self.press_1_to_accept.map(Value::from)),
            (
                "voicemail_greeting_url",
                self.voicemail_greeting_url
                    .as_ref()
                    .map(|url| url.as_ref().map_or(Value::Null, |url| url.as_str().into())),
            ),
            (
                "inbound_ring_duration",
                self.inbound_ring_duration.map(Value::from),
            ),
            ("participants", self.participants.as_deref().map(texts)),
            ("phone_numbers", self.phone_numbers.as_deref().map(texts)),
            (
                "participant_groups",
                self.participant_groups.as_deref().map(texts),
            ),
        ];
        fields
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| (name.to_owned(), value)))
            .collect()
    }
}

/// Reads a list without duplicates.
pub(crate) fn distinct<'a, T: Clone + Into<String>>(
    node: &Node<'a>,
    item: impl Fn(Node<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    let seen = std::cell::RefCell::new(BTreeSet::new());
    node.list(|node| {
        let value = item(node.clone())?;
        if seen.borrow_mut().insert(value.clone().into()) {
            Some(value)
        } else {
            node.fault("is a duplicate in the list")
        }
    })
}

/// Reads the URL of a greeting, which must name a public host.
///
/// Close fetches the URL. A caller must not use Close to reach internal addresses (server-side request forgery).
fn greeting(node: &Node<'_>) -> Option<Url> {
    let text = node.text(2_048)?;
    let Ok(url) = text.parse::<Url>() else {
        return node.fault("must be a URL like \"https://example.com/greeting.mp3\"");
    };
    if url.scheme() != "https" {
        return node.fault("must be an https URL");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return node.fault("must not contain a user or a password");
    }
    match url.host() {
        Some(Host::Domain(name)) if public(name) => Some(url),
        _ => node.fault("must name a public host, not an address or an internal name"),
    }
}

fn public(host: &str) -> bool {
    const INTERNAL: [&str; 8] = [
        "localhost",
        "internal",
        "local",
        "localdomain",
        "lan",
        "home",
        "corp",
        "arpa",
    ];
    match host.trim_end_matches('.').rsplit_once('.') {
        Some((_, last)) => !INTERNAL.contains(&last),
        // A name without a dot resolves within the network of the client.
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::input::fields::read;
    use serde_json::json;

    fn faults(body: &Value) -> Vec<String> {
        read(body, NumberPatch::read)
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn every_field_is_read_and_written_under_close_s_names() {
        let body = json!({
            "label": "Berlin", "forward_to": "+4930901820", "forward_to_enabled": true,
            "press_1_to_accept": false, "voicemail_greeting_url": "https://example.com/hello.mp3",
            "inbound_ring_duration": 15, "participants": ["user_A", "user_B"],
            "phone_numbers": ["+4930901820"], "participant_groups": []
        });
        let changes = read(&body, NumberPatch::read).unwrap();
        assert_eq!(Value::Object(changes.object()), body);
        let cleared = read(&json!({"voicemail_greeting_url": null}), NumberPatch::read).unwrap();
        assert_eq!(
            Value::Object(cleared.object()),
            json!({"voicemail_greeting_url": null})
        );
    }

    #[test]
    fn null_unknown_fields_and_invalid_values_are_all_reported_at_once() {
        let body = json!({"label": null, "forward_to": "+1", "inbound_ring_duration": 91, "user_id": "user_A",
            "participants": ["user_A", "user_A"], "participant_groups": ["user_A"]});
        assert_eq!(
            faults(&body),
            [
                "/label: must be a string, not null",
                "/forward_to: must be a valid phone number in E.164, like \"+4930901820\"",
                "/inbound_ring_duration: must be a whole number from 15 to 90",
                "/participants/1: is a duplicate in the list",
                "/participant_groups/0: must be an id like `group_…`: the prefix and 1 to 64 letters or digits",
                "/user_id: unknown key `user_id`; expected one of label, forward_to, forward_to_enabled, \
                 press_1_to_accept, voicemail_greeting_url, inbound_ring_duration, participants, phone_numbers, \
                 participant_groups",
            ]
        );
        let groups: Vec<_> = (0..41).map(|n| format!("group_{n}")).collect();
        assert_eq!(
            faults(&json!({"participant_groups": groups})),
            ["/participant_groups: must have at most 40 groups"]
        );
    }

    #[test]
    fn a_patch_without_fields_is_a_fault() {
        assert_eq!(faults(&json!({})), [": must change at least one field"]);
        assert!(read(&json!([]), NumberPatch::read).is_err());
    }

    #[test]
    fn a_greeting_must_be_an_https_url_of_a_public_host() {
        for bad in [
            "http://example.com/a.mp3",
            "file:///etc/passwd",
            "https://127.0.0.1/a.mp3",
            "https://2130706433/a.mp3",
            "https://0x7f.1/a.mp3",
            "https://[::ffff:10.0.0.1]/a.mp3",
            "https://localhost/a.mp3",
            "https://LOCALHOST./a.mp3",
            "https://a.localhost/a.mp3",
            "https://metadata.google.internal/a.mp3",
            "https://printer.local./a.mp3",
            "https://intranet/a.mp3",
            "https://user:pw@example.com/a.mp3",
            "example.com/a.mp3",
            "",
        ] {
            assert_eq!(faults(&json!({"voicemail_greeting_url": bad})).len(), 1, "{bad}");
        }
    }
}

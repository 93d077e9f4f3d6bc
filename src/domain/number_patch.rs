//! A change of a number's writable fields, as a caller sends it.
//!
//! This module checks the values; the policy decides who may change which field.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use url::{Host, Url};
use utoipa::ToSchema;

use crate::domain::id::{GroupId, UserId};
use crate::domain::input::fault::Fault;
use crate::domain::input::list::Distinct;
use crate::domain::input::merge_patch::{Change, changes_something};
use crate::domain::input::read::Input;
use crate::domain::input::values::{Text, Whole};
use crate::domain::phone::E164;
use crate::domain::schema::string_schema;

/// A JSON merge patch (RFC 7396) of the fields that Close allows you to change.
///
/// Fields that you leave out stay unchanged. A list replaces the whole list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PhoneNumberPatch, min_properties = 1, example = json!({"label": "Berlin line", "forward_to": "+4930901820"}))]
pub struct NumberPatch {
    /// The label. An empty string removes it.
    #[serde(default, deserialize_with = "label")]
    pub label: Change<Text<255>>,
    /// The number to which calls are forwarded. The policy limits its country.
    ///
    /// It cannot be removed: `"forward_to_enabled": false` ends forwarding.
    #[serde(default, deserialize_with = "forward_to")]
    pub forward_to: Change<E164>,
    /// Whether calls are forwarded.
    #[serde(default)]
    pub forward_to_enabled: Change<bool>,
    /// Whether a person must press 1 to accept a forwarded call.
    #[serde(default)]
    pub press_1_to_accept: Change<bool>,
    /// An https URL of a public host with the voicemail greeting. `null` removes the greeting.
    #[serde(default)]
    pub voicemail_greeting_url: Change<Option<GreetingUrl>>,
    /// How long an inbound call rings, in seconds.
    #[serde(default)]
    pub inbound_ring_duration: Change<Whole<15, 90>>,
    /// The users whose phones ring. The policy limits who they may be.
    #[serde(default, deserialize_with = "list")]
    pub participants: Change<Distinct<UserId, 0, { usize::MAX }>>,
    /// External phones that ring too. An empty list removes them.
    #[serde(default, deserialize_with = "list")]
    pub phone_numbers: Change<Distinct<E164, 0, { usize::MAX }>>,
    /// The groups whose phones ring. An empty list removes them.
    #[serde(default, deserialize_with = "list")]
    pub participant_groups: Change<Distinct<GroupId, 0, 40>>,
}

fn label<'de, D: Deserializer<'de>>(value: D) -> Result<Change<Text<255>>, D::Error> {
    Change::unless_null(value, "an empty string removes the label")
}

fn forward_to<'de, D: Deserializer<'de>>(value: D) -> Result<Change<E164>, D::Error> {
    Change::unless_null(value, "`\"forward_to_enabled\": false` ends forwarding")
}

fn list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<Change<T>, D::Error> {
    Change::unless_null(value, "an empty list removes all")
}

impl Input for NumberPatch {
    fn check(patch: &Value, faults: &mut Vec<Fault>) {
        changes_something(patch, faults);
    }
}

impl NumberPatch {
    /// Returns the changed fields under Close's field names.
    pub fn object(&self) -> Map<String, Value> {
        fn texts<T: Into<String> + Clone, const MAX: usize>(items: &Distinct<T, 0, MAX>) -> Value {
            items
                .0
                .iter()
                .cloned()
                .map(|item| Value::String(item.into()))
                .collect()
        }
        let fields = [
            (
                "label",
                self.label.0.clone().map(|label| String::from(label).into()),
            ),
            (
                "forward_to",
                self.forward_to
                    .0
                    .clone()
                    .map(|number| String::from(number).into()),
            ),
            ("forward_to_enabled", self.forward_to_enabled.0.map(Value::from)),
            ("press_1_to_accept", self.press_1_to_accept.0.map(Value::from)),
            (
                "voicemail_greeting_url",
                self.voicemail_greeting_url.0.as_ref().map(|url| {
                    url.as_ref()
                        .map_or(Value::Null, |GreetingUrl(url)| url.as_str().into())
                }),
            ),
            (
                "inbound_ring_duration",
                self.inbound_ring_duration.0.map(|Whole(seconds)| seconds.into()),
            ),
            ("participants", self.participants.0.as_ref().map(texts)),
            ("phone_numbers", self.phone_numbers.0.as_ref().map(texts)),
            (
                "participant_groups",
                self.participant_groups.0.as_ref().map(texts),
            ),
        ];
        fields
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| (name.to_owned(), value)))
            .collect()
    }
}

/// The URL of a greeting, which must name a public host.
///
/// Close fetches the URL. A caller must not use Close to reach internal addresses (server-side request forgery).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Text<2_048>")]
pub struct GreetingUrl(pub Url);

impl TryFrom<Text<2_048>> for GreetingUrl {
    type Error = &'static str;
    fn try_from(text: Text<2_048>) -> Result<Self, &'static str> {
        let Ok(url) = String::from(text).parse::<Url>() else {
            return Err("must be a URL like \"https://example.com/greeting.mp3\"");
        };
        if url.scheme() != "https" {
            return Err("must be an https URL");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not contain a user or a password");
        }
        match url.host() {
            Some(Host::Domain(name)) if public(name) => Ok(Self(url)),
            _ => Err("must name a public host, not an address or an internal name"),
        }
    }
}
string_schema! {
    GreetingUrl: "An https URL of a public host.", max_length: 2_048, format: "uri", example: "https://example.com/greeting.mp3"
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
    use crate::domain::input::read::read;
    use serde_json::json;

    fn faults(body: &Value) -> Vec<String> {
        read::<NumberPatch>(body)
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
        let changes = read::<NumberPatch>(&body).unwrap();
        assert_eq!(Value::Object(changes.object()), body);
        let cleared = read::<NumberPatch>(&json!({"voicemail_greeting_url": null})).unwrap();
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
                "/label: must not be null; an empty string removes the label",
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
    fn the_fault_of_a_null_says_what_to_send_instead() {
        let instead = json!({"label": "", "forward_to_enabled": false, "participants": [], "phone_numbers": [],
            "participant_groups": []});
        assert!(read::<NumberPatch>(&instead).is_ok());
        let nulls = json!({"label": null, "forward_to": null, "participants": null, "phone_numbers": null,
            "participant_groups": null});
        assert_eq!(
            faults(&nulls),
            [
                "/label: must not be null; an empty string removes the label",
                "/forward_to: must not be null; `\"forward_to_enabled\": false` ends forwarding",
                "/participants: must not be null; an empty list removes all",
                "/phone_numbers: must not be null; an empty list removes all",
                "/participant_groups: must not be null; an empty list removes all",
            ]
        );
    }

    #[test]
    fn a_patch_without_fields_is_a_fault() {
        assert_eq!(faults(&json!({})), [": must change at least one field"]);
        assert!(read::<NumberPatch>(&json!([])).is_err());
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

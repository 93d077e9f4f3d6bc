//! The field `sharing` of the paid call, which Close has deprecated and is going to remove.
//!
//! Close's own default is `personal`, so the field is sent only for several people. A 400 that names nothing but this
//! field was not executed. The client then remembers for a while whether Close knows the field, and the order is sent
//! once more. `docs/adr/0020` explains why no other field is ever left out.

use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Map, Value};

use crate::close::response::Refusal;
use crate::domain::order::Request;
use crate::domain::time::Timestamp;

/// The name of the field.
pub(super) const FIELD: &str = "sharing";
/// How long a process relies on what Close's last refusal said about the field.
const REMEMBERED: Duration = Duration::from_hours(1);
/// Parts of the texts by which an API says that it does not know a field, in lower case.
const UNKNOWN: [&str; 9] = [
    "extra inputs are not permitted",
    "unknown",
    "unexpected",
    "unrecognized",
    "unrecognised",
    "no longer",
    "removed",
    "retired",
    "deprecated",
];

/// What this process knows about the field, and until when it relies on that.
#[derive(Debug, Default)]
pub(super) struct SharingField(Mutex<Option<(Lesson, Timestamp)>>);

/// What a refusal said about the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lesson {
    /// Close does not know the field: no call has it any more.
    Retired,
    /// Close does not accept the field, for a reason that is not clear.
    ///
    /// It may be something else, such as a plan without group numbers. So only calls leave it out whose assignees say
    /// the same; any other would rent a personal number instead.
    Refused,
    /// Close requires the field: every call has it.
    Required,
}

impl SharingField {
    /// Whether the call for this request has the field.
    pub(super) fn is_sent(&self, request: &Request, now: Timestamp) -> bool {
        match self.lesson(now) {
            None => request.several_people(),
            Some(Lesson::Retired) => false,
            Some(Lesson::Refused) => request.several_people() && !request.several_assignees(),
            Some(Lesson::Required) => true,
        }
    }

    /// Whether the call for this request would have the field if Close accepted it.
    pub(super) fn is_left_out(&self, request: &Request, now: Timestamp) -> bool {
        request.several_people() && !self.is_sent(request, now)
    }

    /// Learns from the refusal of a call with this body. `None`: the refusal stands.
    ///
    /// A lesson holds for an hour and is never reversed meanwhile, so that an order is not sent again and again.
    pub(super) fn learn(
        &self,
        request: &Request,
        body: &Map<String, Value>,
        refusal: &Refusal,
        now: Timestamp,
    ) -> Option<Lesson> {
        if !names_only_the_field(refusal, body) {
            return None;
        }
        let was_sent = body.contains_key(FIELD);
        // Without the field, the assignees say the same, or `personal` is Close's default.
        let rents_the_same = request.several_assignees() || !request.several_people();
        let lesson = if was_sent && says_unknown(&text_of(refusal)) {
            Lesson::Retired
        } else if was_sent && rents_the_same {
            Lesson::Refused
        } else if was_sent {
            return None;
        } else {
            Lesson::Required
        };
        let mut learned = self.0.lock();
        let known = learned.filter(|(_, until)| *until > now).map(|(known, _)| known);
        let reverses = known.is_some_and(|known| (known == Lesson::Required) != (lesson == Lesson::Required));
        if reverses {
            return None;
        }
        let lesson = match known {
            Some(Lesson::Retired) => Lesson::Retired,
            _ => lesson,
        };
        *learned = Some((lesson, now.plus(REMEMBERED)));
        Some(lesson)
    }

    fn lesson(&self, now: Timestamp) -> Option<Lesson> {
        let learned = *self.0.lock();
        learned
            .filter(|(_, until)| *until > now)
            .map(|(lesson, _)| lesson)
    }
}

/// Whether a refusal is a 400 that names `sharing` and no other field.
///
/// A status word is Close's answer to a valid request, so it is never about a field.
fn names_only_the_field(refusal: &Refusal, body: &Map<String, Value>) -> bool {
    if refusal.status != 400 || refusal.close_status.is_some() {
        return false;
    }
    let text = refusal.reason.as_deref().unwrap_or_default();
    let mentions = |field: &str| words(text).any(|word| word == field);
    if body.keys().any(|field| field != FIELD && mentions(field)) {
        return false;
    }
    match &refusal.close_errors {
        Some(errors) => errors.len() == 1 && errors.contains_key(FIELD),
        // Without field errors, only a text that says so proves that the field is the reason.
        None => mentions(FIELD) && says_unknown(text),
    }
}

/// Close's text about the field.
fn text_of(refusal: &Refusal) -> String {
    match refusal.close_errors.as_ref().and_then(|errors| errors.get(FIELD)) {
        Some(error) => error.to_string(),
        None => refusal.reason.clone().unwrap_or_default(),
    }
}

fn says_unknown(text: &str) -> bool {
    let text = text.to_lowercase();
    UNKNOWN.iter().any(|part| text.contains(part))
}

/// The words of a text that could be names of fields.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

    fn refusal(body: &Value) -> Refusal {
        Refusal {
            status: 400,
            close_status: body["status"].as_str().map(str::to_owned),
            reason: body["error"].as_str().map(str::to_owned),
            close_errors: body["field-errors"].as_object().cloned(),
        }
    }

    /// A request for several people, or for one, which names some of them.
    fn request(sharing: &str, users: &[&str]) -> Request {
        serde_json::from_value(json!({"country": "DE", "sharing": sharing, "assign_to": users})).unwrap()
    }

    fn learn(field: &SharingField, request: &Request, sent: bool, answer: &Value) -> Option<Lesson> {
        let mut body = json!({"country": "DE", "bundle_id": "BU1"});
        if sent {
            body[FIELD] = json!(request.sharing);
        }
        field.learn(request, body.as_object().unwrap(), &refusal(answer), NOW)
    }

    const ONE: &[&str] = &["user_A"];
    const TWO: &[&str] = &["user_A", "user_B"];

    #[test]
    fn only_a_400_that_names_nothing_but_the_field_says_that_close_has_retired_it() {
        let unknown = json!({"errors": [], "field-errors": {"sharing": "Extra inputs are not permitted"}});
        let nested = json!({"field-errors": {"sharing": ["Unknown field."]}});
        let text = json!({"error": "`sharing` is no longer supported."});
        for answer in [&unknown, &nested, &text] {
            for users in [ONE, TWO] {
                let learned = learn(&SharingField::default(), &request("group", users), true, answer);
                assert_eq!(learned, Some(Lesson::Retired), "{answer}");
            }
        }
        for answer in [
            json!({"field-errors": {"sharing": "Extra inputs are not permitted", "country": "Invalid"}}),
            json!({"field-errors": {"bundle_id": "Extra inputs are not permitted"}}),
            json!({"field-errors": {}}),
            json!({"field-errors": {"sharing": "Unknown"}, "error": "The bundle_id is invalid."}),
            json!({"error": "Unknown sharing of this country"}),
            json!({"error": "Unknown field."}),
            json!({"error": "Please choose another sharing."}),
            json!({"status": "error", "error": "Unknown field: sharing"}),
        ] {
            let learned = learn(&SharingField::default(), &request("group", TWO), true, &answer);
            assert_eq!(learned, None, "{answer}");
        }
        let forbidden = Refusal {
            status: 403,
            ..refusal(&unknown)
        };
        let (group, body) = (request("group", TWO), json!({"sharing": "group"}));
        let learned = SharingField::default().learn(&group, body.as_object().unwrap(), &forbidden, NOW);
        assert_eq!(learned, None);
    }

    #[test]
    fn a_refused_group_number_of_one_user_does_not_become_a_personal_number() {
        let answer = json!({"field-errors": {"sharing": "Group numbers are not part of your plan."}});
        let (one, two) = (request("group", ONE), request("group", TWO));
        let field = SharingField::default();
        assert_eq!(learn(&field, &one, true, &answer), None);
        // Two assignees say the same as the field. The next order of one user still has it.
        assert_eq!(learn(&field, &two, true, &answer), Some(Lesson::Refused));
        assert_eq!(
            (field.is_sent(&one, NOW), field.is_sent(&two, NOW)),
            (true, false)
        );
        assert_eq!(learn(&field, &one, true, &answer), None);
        let unknown = json!({"field-errors": {"sharing": "Extra inputs are not permitted"}});
        assert_eq!(learn(&field, &one, true, &unknown), Some(Lesson::Retired));
        assert!(!field.is_sent(&one, NOW));
    }

    #[test]
    fn a_lesson_holds_for_an_hour_and_is_not_reversed_before() {
        let unknown = json!({"field-errors": {"sharing": "Extra inputs are not permitted"}});
        let required = json!({"field-errors": {"sharing": "Field required"}});
        let (personal, group) = (request("personal", ONE), request("group", ONE));
        let sent = |field: &SharingField, at| [&personal, &group].map(|request| field.is_sent(request, at));
        let field = SharingField::default();
        assert_eq!(sent(&field, NOW), [false, true]);
        assert_eq!(learn(&field, &group, true, &unknown), Some(Lesson::Retired));
        assert_eq!(sent(&field, NOW), [false, false]);
        assert!(field.is_left_out(&group, NOW) && !field.is_left_out(&personal, NOW));
        // A call that was under way meanwhile learns the same. A contradiction is a refusal like any other.
        assert_eq!(learn(&field, &group, true, &unknown), Some(Lesson::Retired));
        assert_eq!(learn(&field, &group, false, &required), None);
        assert_eq!(sent(&field, NOW.plus(REMEMBERED)), [false, true]);

        let field = SharingField::default();
        assert_eq!(learn(&field, &personal, false, &required), Some(Lesson::Required));
        assert_eq!(sent(&field, NOW), [true, true]);
        assert_eq!(learn(&field, &personal, true, &unknown), None);
    }
}

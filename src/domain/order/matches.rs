//! Decides whether a number can be the result of an order.
//!
//! It compares only properties of a number that never change. Its label and users may have changed since the rent call.

use crate::domain::number::{CarrierType, Facts};
use crate::domain::order::Order;
use crate::domain::phone;

impl Order {
    /// Whether Close can have rented the number for this order, by country, prefix, kind of line and SMS.
    ///
    /// For an order of a later version, only the country decides. A property that Close does not report matches, and so
    /// does a kind of line that Close names by a new word. Where several countries share a calling code, Close may list
    /// the number in the main one. Then the digits decide, as they do for a number that Close lists without a country.
    /// [`overlap`](super::overlap) has the same rules for two orders.
    pub fn matches(&self, facts: &Facts) -> bool {
        let request = &self.request;
        let country = match facts.country {
            Some(listed) => phone::is_listed_as(&facts.number, request.country, listed),
            None => phone::can_be_of(&facts.number, request.country),
        };
        let understood = !self.is_later();
        let prefix = request
            .prefix
            .as_deref()
            .filter(|_| understood)
            .is_none_or(|prefix| phone::has_prefix(&facts.number, prefix).unwrap_or(true));
        let line = match (
            self.terms.carrier_type.filter(|_| understood),
            facts.carrier_type.as_deref(),
        ) {
            (Some(requested), Some(actual)) => requested.as_str() == actual || !is_known_line(actual),
            _ => true,
        };
        let sms = !understood || request.with_sms != Some(true) || facts.sms != Some(false);
        facts.rented() && country && prefix && line && sms
    }
}

/// Whether Close is known to use this word for a kind of line.
fn is_known_line(word: &str) -> bool {
    // Close shows short codes, but does not rent them.
    word == "shortcode" || word.parse::<CarrierType>().is_ok()
}

/// A sample order for tests.
#[cfg(test)]
pub(crate) mod sample {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::money::Money;
    use crate::domain::order::{State, Terms};
    use crate::domain::time::Timestamp;

    /// Returns an unverified order with this request.
    pub(crate) fn order(request: Value) -> Order {
        let mut request = request;
        request["sharing"] = json!("personal");
        let request: crate::domain::order::Request = serde_json::from_value(request).unwrap();
        let now = Timestamp::from_seconds(0);
        Order {
            id: "ord_1".parse().unwrap(),
            team: "sales".parse().unwrap(),
            issuer: String::new(),
            created_by: "alice".to_owned(),
            idempotency_key: "k".parse().unwrap(),
            terms: Terms {
                carrier_type: request.carrier_type,
                assign_to: None,
                monthly: Money::ZERO,
                later: crate::domain::later_word::LaterMembers::new(),
            },
            request,
            approval: None,
            state: State::Unverified,
            attempt: 1,
            sent_at: Some(now),
            close_sent_after: None,
            absent_since: None,
            not_before: None,
            phone_number_id: None,
            close_status: None,
            reason: None,
            close_errors: None,
            evidence: None,
            created_at: now,
            updated_at: now,
            finished_at: None,
        }
    }

    /// Returns a number as Close lists it.
    pub(crate) fn facts(number: &str, country: Option<&str>, line: Option<&str>, sms: Option<bool>) -> Facts {
        Facts {
            id: "phon_1".parse().unwrap(),
            organization: None,
            number: number.to_owned(),
            country: country.map(|code| code.parse().unwrap()),
            kind: "internal".to_owned(),
            label: None,
            carrier_type: line.map(str::to_owned),
            participants: Vec::new(),
            participant_groups: Vec::new(),
            user: None,
            group: false,
            sms,
            billed: None,
            created_at: None,
            updated_at: None,
            object: crate::domain::raw_object::RawObject::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::sample::{facts, order};

    #[test]
    fn a_number_matches_if_country_prefix_line_and_sms_match_or_are_unknown() {
        let berlin =
            order(json!({"country": "DE", "prefix": "30", "carrier_type": "local", "with_sms": true}));
        let local = Some("local");
        assert!(berlin.matches(&facts("+493012345678", Some("DE"), local, Some(true))));
        assert!(berlin.matches(&facts("+493012345678", None, None, None)));
        assert!(
            !berlin.matches(&facts("+498912345678", Some("DE"), local, Some(true))),
            "the area code is Munich's"
        );
        assert!(
            !berlin.matches(&facts("+493012345678", Some("AT"), local, Some(true))),
            "the country is Austria"
        );
        for another in ["mobile", "shortcode"] {
            assert!(!berlin.matches(&facts("+493012345678", Some("DE"), Some(another), Some(true))));
        }
        assert!(
            berlin.matches(&facts(
                "+493012345678",
                Some("DE"),
                Some("geographic"),
                Some(true)
            )),
            "a word that Close adds later proves nothing"
        );
        assert!(!berlin.matches(&facts("+493012345678", Some("DE"), local, Some(false))));
        let mut external = facts("+493012345678", Some("DE"), local, Some(true));
        external.kind = "external".to_owned();
        assert!(
            !berlin.matches(&external),
            "an external number is not rented through Close"
        );
        external.kind = "hosted".to_owned();
        assert!(
            berlin.matches(&external),
            "a type that Close adds later proves nothing"
        );
        let any = order(json!({"country": "US"}));
        assert!(any.matches(&facts("+14155550123", Some("US"), Some("tollfree"), Some(false))));
        let area = order(json!({"country": "US", "prefix": "415"}));
        assert!(area.matches(&facts("+14155550123", Some("US"), None, None)));
        assert!(!area.matches(&facts("+12125550123", Some("US"), None, None)));
    }

    #[test]
    fn a_number_of_a_shared_calling_code_matches_by_its_digits_if_close_names_the_main_country() {
        for (ordered, number, main) in [
            ("PR", "+17872345678", "US"),
            ("JE", "+441534456789", "GB"),
            ("YT", "+262269601234", "RE"),
        ] {
            let order = order(json!({"country": ordered}));
            assert!(
                order.matches(&facts(number, Some(ordered), None, None)),
                "{ordered}"
            );
            assert!(order.matches(&facts(number, Some(main), None, None)), "{ordered}");
        }
        let puerto_rico = order(json!({"country": "PR"}));
        assert!(
            !puerto_rico.matches(&facts("+14155550123", Some("US"), None, None)),
            "the digits are of the mainland"
        );
        let jersey = order(json!({"country": "JE"}));
        assert!(
            !jersey.matches(&facts("+441534456789", Some("GG"), None, None)),
            "Guernsey is not the main country"
        );
    }

    #[test]
    fn a_prefix_matches_with_and_without_the_digits_that_a_plan_writes_before_it() {
        for (country, prefix, number, fits) in [
            ("DE", "30", "+4930901820", true),
            ("DE", "030", "+4930901820", true),
            ("DE", "31", "+4930901820", false),
            ("IT", "02", "+390212345678", true),
            ("IT", "2", "+390212345678", true),
            ("IT", "06", "+390212345678", false),
            ("AR", "11", "+5491123456789", true),
            ("AR", "11", "+541123456789", true),
            ("AR", "351", "+5491123456789", false),
            ("MX", "55", "+5215512345678", true),
            ("MX", "55", "+525512345678", true),
            ("CI", "1", "+2250101234567", true),
        ] {
            let order = order(json!({"country": country, "prefix": prefix}));
            assert_eq!(
                order.matches(&facts(number, Some(country), None, None)),
                fits,
                "{prefix} and {number}"
            );
        }
    }

    #[test]
    fn orders_of_one_team_with_the_same_request_to_close_have_the_same_shape() {
        let plain = order(json!({"country": "DE", "carrier_type": "local"}));
        let labelled = order(json!({"country": "DE", "carrier_type": "local", "label": "Line 2"}));
        assert_eq!(
            plain.shape(),
            labelled.shape(),
            "the rent call does not contain the label"
        );
        let other = order(json!({"country": "DE", "carrier_type": "local", "prefix": "30"}));
        assert_ne!(plain.shape(), other.shape());
        let mut elsewhere = plain.clone();
        elsewhere.team = "support".parse().unwrap();
        assert_ne!(plain.shape(), elsewhere.shape());
        let mut for_another = plain.clone();
        for_another.terms.assign_to = Some(vec!["user_2".parse().unwrap()]);
        assert_ne!(plain.shape(), for_another.shape());
    }
}

//! Orders that overlap: one number could be the result of both.
//!
//! [`Order::matches`](crate::domain::order::Order::matches) decides whether a number can be the result of one order.
//! Here the same rules say for two orders whether such a number can exist. If they do not overlap, a number at Close
//! never leaves the choice between them, so a doubt about one does not concern the other.

use crate::domain::country::Country;
use crate::domain::number::CarrierType;
use crate::domain::order::Order;
use crate::domain::phone::{NationalPrefix, main_country};

/// The properties of an order that decide which numbers can be its result.
///
/// Users, label and bundle are not among them: Close's number does not show for whom it was rented. Nor are SMS and
/// MMS: a number that has them suits an order that does not ask for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footprint {
    /// The main country of the calling code, which Close may name for all countries that share the code.
    lane: Country,
    prefix: NationalPrefix,
    carrier_type: Option<CarrierType>,
    /// Equal for interchangeable orders: same team, and same request to Close.
    shape: String,
}

impl Footprint {
    /// Returns the footprint of the order.
    ///
    /// Whatever a later version has written about the wanted number may mean something else together with its new words.
    /// So such an order overlaps all orders of its country: a number that may be its result must not be taken for the
    /// result of another order. While it is in doubt, the service still sends the others, one at a time.
    pub fn of(order: &Order) -> Self {
        let country = order.request.country;
        let understood = !order.is_later();
        let prefix = order.request.prefix.as_deref().filter(|_| understood);
        Self {
            lane: main_country(country),
            prefix: NationalPrefix::new(country, prefix.unwrap_or_default()),
            carrier_type: order.terms.carrier_type.filter(|_| understood),
            shape: order.shape(),
        }
    }

    /// Whether one number could be the result of both orders.
    pub fn overlaps(&self, other: &Self) -> bool {
        let carrier_type = match (self.carrier_type, other.carrier_type) {
            (Some(one), Some(two)) => one == two,
            _ => true,
        };
        self.lane == other.lane && carrier_type && self.prefix.is_compatible(&other.prefix)
    }

    /// Whether the orders are of one team and ask Close for the same, so that either may get the number of the other.
    pub fn is_interchangeable(&self, other: &Self) -> bool {
        self.shape == other.shape
    }

    /// Whether the orders overlap without being interchangeable.
    pub fn conflicts(&self, other: &Self) -> bool {
        !self.is_interchangeable(other) && self.overlaps(other)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::number::Facts;
    use crate::domain::order::matches::sample::{facts, order};

    fn ordered(country: &str, prefix: &str, carrier_type: Option<&str>) -> Order {
        let prefix = (!prefix.is_empty()).then_some(prefix);
        order(json!({ "country": country, "prefix": prefix, "carrier_type": carrier_type }))
    }

    fn overlap(one: &Order, two: &Order) -> bool {
        let (one, two) = (Footprint::of(one), Footprint::of(two));
        assert_eq!(one.overlaps(&two), two.overlaps(&one));
        one.overlaps(&two)
    }

    #[test]
    fn orders_overlap_if_country_prefix_and_carrier_type_are_compatible() {
        for (one, two, expected) in [
            (("DE", "30", None), ("DE", "30", None), true),
            (("DE", "30", None), ("DE", "", None), true),
            (("DE", "30", None), ("DE", "3", None), true),
            (("DE", "30", None), ("DE", "302", None), true),
            (("DE", "30", None), ("DE", "89", None), false),
            (("DE", "30", None), ("AT", "30", None), false),
            (("DE", "", Some("local")), ("DE", "", Some("mobile")), false),
            (("DE", "", Some("local")), ("DE", "30", None), true),
            // Close may list a number of Puerto Rico in the United States.
            (("PR", "787", None), ("US", "", None), true),
            (("PR", "787", None), ("US", "415", None), false),
            // The zero of Italy may be left out, and Argentina writes a nine before mobile numbers.
            (("IT", "06", None), ("IT", "6", None), true),
            (("IT", "06", None), ("IT", "02", None), false),
            (("IT", "0", None), ("IT", "02", None), true),
            (("AR", "911", None), ("AR", "11", None), true),
            (("AR", "911", None), ("AR", "351", None), false),
            (("DE", "911", None), ("DE", "11", None), false),
        ] {
            let read = |(country, prefix, carrier)| ordered(country, prefix, carrier);
            assert_eq!(overlap(&read(one), &read(two)), expected, "{one:?} and {two:?}");
        }
    }

    #[test]
    fn an_order_of_a_later_version_overlaps_everything_in_its_country() {
        let known = [
            ordered("DE", "30", Some("local")),
            ordered("DE", "89", Some("mobile")),
        ];
        let elsewhere = ordered("FR", "", None);
        let mut later = Vec::new();
        for (member, value) in [
            ("carrier_type", json!("satellite")),
            ("sharing", json!("rota")),
            ("city", json!("Berlin")),
        ] {
            let mut request = json!({ "country": "DE", "prefix": "30", "sharing": "personal" });
            request[member] = value;
            let mut order = ordered("DE", "30", Some("local"));
            order.request = serde_json::from_value(request.clone()).unwrap();
            assert_eq!(serde_json::to_value(&order.request).unwrap(), request);
            later.push(order);
        }
        let mut terms = ordered("DE", "30", Some("local"));
        terms.terms = serde_json::from_value(
            json!({ "carrier_type": "satellite", "assign_to": null, "monthly": "4.00" }),
        )
        .unwrap();
        later.push(terms);
        for order in &later {
            assert!(order.is_later());
            assert!(known.iter().all(|known| overlap(order, known)), "{order:?}");
            assert!(!overlap(order, &elsewhere), "{order:?}");
        }
        assert!(known.iter().all(|order| !order.is_later()));
    }

    #[test]
    fn interchangeable_orders_are_of_one_team_and_request() {
        let one = ordered("DE", "30", None);
        let mut labelled = one.clone();
        labelled.request.label = Some("Line 2".to_owned());
        let mut elsewhere = one.clone();
        elsewhere.team = "support".parse().unwrap();
        let of = Footprint::of;
        assert!(of(&one).is_interchangeable(&of(&labelled)));
        assert!(!of(&one).conflicts(&of(&labelled)));
        assert!(of(&one).conflicts(&of(&elsewhere)));
        assert!(!of(&one).conflicts(&of(&ordered("DE", "89", None))));
    }

    /// Countries with a plain plan, with optional digits, and with a shared calling code; each with its calling code.
    const COUNTRIES: [(&str, &str); 8] = [
        ("DE", "49"),
        ("FR", "33"),
        ("US", "1"),
        ("PR", "1"),
        ("IT", "39"),
        ("AR", "54"),
        ("MX", "52"),
        ("GB", "44"),
    ];

    fn any_order() -> impl Strategy<Value = (usize, Order)> {
        let carrier = prop::sample::select(vec![None, Some("local"), Some("mobile"), Some("tollfree")]);
        (0..COUNTRIES.len(), "[0-9]{0,3}", carrier, any::<Option<bool>>()).prop_map(
            |(index, prefix, carrier, with_sms)| {
                let mut order = ordered(COUNTRIES[index].0, &prefix, carrier);
                order.request.with_sms = with_sms;
                (index, order)
            },
        )
    }

    fn number(index: usize, national: &str, line: Option<&str>) -> Facts {
        let (country, code) = COUNTRIES[index];
        facts(&format!("+{code}{national}"), Some(country), line, Some(true))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// Whatever number Close shows: if it can be the result of both orders, they overlap.
        #[test]
        fn a_number_that_could_be_the_result_of_two_orders_means_that_they_overlap(
            (_, one) in any_order(), (_, two) in any_order(), listed in 0..COUNTRIES.len(),
            begins_like in any::<Option<bool>>(), token in "[019]{0,2}", digits in "[0-9]{8}",
            line in prop::sample::select(vec!["local", "mobile", "tollfree"]),
        ) {
            let begin = match begins_like {
                None => "",
                Some(first) => (if first { &one } else { &two }).request.prefix.as_deref().unwrap_or_default(),
            };
            let seen = number(listed, &format!("{token}{begin}{digits}"), Some(line));
            if one.matches(&seen) && two.matches(&seen) {
                prop_assert!(overlap(&one, &two), "{:?} and {:?}: {}", one.request, two.request, seen.number);
            }
        }

        /// For two orders that overlap, there is a number that could be the result of both.
        #[test]
        fn two_orders_that_overlap_have_a_number_in_common(
            (index, one) in any_order(), (_, mut two) in any_order(), digits in "[2-8]{8}",
        ) {
            // In one country, and without a zero in front, which several plans treat alike.
            two.request.country = one.request.country;
            let prefix = |order: &Order| order.request.prefix.clone().unwrap_or_default();
            prop_assume!(!prefix(&one).starts_with('0') && !prefix(&two).starts_with('0'));
            prop_assume!(!prefix(&one).contains("90") && !prefix(&one).contains("10"));
            prop_assume!(!prefix(&two).contains("90") && !prefix(&two).contains("10"));
            let line = one.terms.carrier_type.or(two.terms.carrier_type).map_or("local", CarrierType::as_str);
            let candidates = ["", "9", "1"].into_iter().flat_map(|token| {
                [prefix(&one), prefix(&two)].map(|begin| number(index, &format!("{token}{begin}{digits}"), Some(line)))
            });
            let common = candidates.into_iter().any(|seen| one.matches(&seen) && two.matches(&seen));
            prop_assert_eq!(overlap(&one, &two), common, "{:?} and {:?}", one.request, two.request);
        }
    }
}

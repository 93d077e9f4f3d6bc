//! The request of an order: its body with limits and defaults, and the terms that the policy sets for it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::country::Country;
use crate::domain::id::UserId;
use crate::domain::input::fields::Node;
use crate::domain::money::Money;
use crate::domain::number::{CarrierType, Sharing};
use crate::domain::number_patch::distinct;
use crate::domain::team::Team;

const MAX_ASSIGNEES: usize = 50;

/// A request for one number, with defaults filled in.
///
/// Two requests are the same when all fields are equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The country of the number.
    pub country: Country,
    /// Whether one person or a group uses the number.
    pub sharing: Sharing,
    /// The area code or prefix without the country code: 1 to 5 digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The kind of line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier_type: Option<CarrierType>,
    /// The regulatory bundle, where the country requires one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle_id: Option<String>,
    /// Whether the number must (`true`) or need not (`false`) support SMS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with_sms: Option<bool>,
    /// Whether the number must (`true`) or need not (`false`) support MMS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with_mms: Option<bool>,
    /// The users in Close that the number is assigned to; never empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assign_to: Option<Vec<UserId>>,
    /// The label that the service sets on the rented number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

impl Request {
    /// Whether several people share the number.
    pub fn group(&self) -> bool {
        self.sharing == Sharing::Group || self.assign_to.as_ref().is_some_and(|users| users.len() > 1)
    }

    /// Returns a hash that is equal for equal requests.
    ///
    /// It covers the body with its defaults, and no part of the token.
    pub fn fingerprint(&self) -> String {
        let text = serde_json::to_string(self).expect("a request is plain data");
        hex::encode(Sha256::digest(text))
    }
}

/// The terms that the policy sets for a request: values for omitted fields, and the estimated price.
///
/// The service sends them to Close unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The requested kind of line, or the only one that the team may have.
    pub carrier_type: Option<CarrierType>,
    /// The requested users, or the caller's own user; `None`: Close assigns the owner of the API key.
    pub assign_to: Option<Vec<UserId>>,
    /// The estimated monthly price.
    pub monthly: Money,
}

/// The body of an order, checked and with its defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderBody {
    /// The team, if the body names one.
    pub team: Option<Team>,
    /// The request.
    pub request: Request,
}

impl OrderBody {
    /// Reads the body. A field that is `null` counts as absent, and so does an empty `prefix` or `label`.
    pub fn read(node: Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let team = fields.nullable("team", |node| node.parse());
        let country = fields.required("country", |node| node.parse());
        let sharing = fields.nullable("sharing", |node| node.parse());
        let prefix = fields.nullable("prefix", |node| prefix(&node));
        let carrier_type = fields.nullable("carrier_type", |node| node.parse());
        let bundle_id = fields.nullable("bundle_id", |node| bundle(&node));
        let sms = fields.nullable("with_sms", |node| node.boolean());
        let mms = fields.nullable("with_mms", |node| match (node.boolean()?, sms) {
            (true, Some(None | Some(false))) => node.fault("needs `with_sms` to be true as well"),
            (value, _) => Some(value),
        });
        let assign_to = fields.nullable("assign_to", |node| assignees(&node));
        let label = fields.nullable("label", |node| node.text(255));
        fields.finish()?;
        Some(Self {
            team: team?,
            request: Request {
                country: country?,
                sharing: sharing?.unwrap_or(Sharing::Personal),
                prefix: prefix?.filter(|prefix: &String| !prefix.is_empty()),
                carrier_type: carrier_type?,
                bundle_id: bundle_id?,
                with_sms: sms?,
                with_mms: mms?,
                assign_to: assign_to?,
                label: label?.filter(|label| !label.is_empty()),
            },
        })
    }
}

fn prefix(node: &Node<'_>) -> Option<String> {
    let text = node.string()?;
    if text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Some(text.to_owned())
    } else {
        node.fault("must be 1 to 5 digits, the area code without the country code")
    }
}

fn bundle(node: &Node<'_>) -> Option<String> {
    let text = node.string()?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
        Some(text.to_owned())
    } else {
        node.fault("must be 1 to 64 letters, digits, `-` or `_`")
    }
}

fn assignees(node: &Node<'_>) -> Option<Vec<UserId>> {
    let users: Vec<UserId> = distinct(node, |item| item.parse())?;
    if (1..=MAX_ASSIGNEES).contains(&users.len()) {
        Some(users)
    } else {
        node.fault(format!("must have 1 to {MAX_ASSIGNEES} users"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::input::fields::read;
    use serde_json::{Value, json};

    fn body(value: &Value) -> Result<OrderBody, Vec<String>> {
        read(value, OrderBody::read).map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn only_the_country_is_required_and_null_is_the_same_as_absent() {
        let short = body(&json!({"country": "DE"})).unwrap();
        assert_eq!(short.request.sharing, Sharing::Personal);
        let long = json!({"team": null, "country": "DE", "sharing": null, "prefix": "", "carrier_type": null,
            "bundle_id": null, "with_sms": null, "with_mms": null, "assign_to": null, "label": ""});
        assert_eq!(body(&long).unwrap(), short);
    }

    #[test]
    fn a_full_body_is_read_field_by_field() {
        let full = json!({"team": "sales-emea", "country": "DE", "sharing": "group", "prefix": "30",
            "carrier_type": "local", "bundle_id": "BU_1-x", "with_sms": true, "with_mms": true,
            "assign_to": ["user_A", "user_B"], "label": "Berlin line"});
        let read = body(&full).unwrap();
        assert_eq!(read.team.unwrap().as_str(), "sales-emea");
        let mut written = serde_json::to_value(&read.request).unwrap();
        written["team"] = json!("sales-emea");
        assert_eq!(written, full);
    }

    #[test]
    fn every_fault_names_its_field() {
        let wrong = json!({"team": "a b", "country": "XX", "sharing": "both", "prefix": "+30", "carrier_type": "fax",
            "bundle_id": "../x", "with_mms": true, "assign_to": [], "label": "a\u{0}b", "price": 1});
        let pointers: Vec<String> = body(&wrong)
            .unwrap_err()
            .iter()
            .map(|fault| fault.split(':').next().unwrap().to_owned())
            .collect();
        assert_eq!(
            pointers,
            [
                "/team",
                "/country",
                "/sharing",
                "/prefix",
                "/carrier_type",
                "/bundle_id",
                "/with_mms",
                "/assign_to",
                "/label",
                "/price"
            ]
        );
        assert_eq!(body(&json!({})).unwrap_err(), [": `country` is required"]);
    }

    #[test]
    fn a_value_at_its_limit_is_accepted_and_beyond_it_is_rejected() {
        let with = |name: &str, value: Value| {
            let mut order = json!({"country": "DE"});
            order[name] = value;
            body(&order)
        };
        let users = |count: usize| json!((0..count).map(|n| format!("user_{n}")).collect::<Vec<_>>());
        assert!(with("prefix", json!("12345")).is_ok() && with("prefix", json!("123456")).is_err());
        assert!(with("prefix", json!("٣٠")).is_err() && with("prefix", json!(30)).is_err());
        assert!(with("assign_to", users(50)).is_ok() && with("assign_to", users(51)).is_err());
        assert!(with("assign_to", json!(["user_A", "user_A"])).is_err());
        assert!(
            with("label", json!("é".repeat(255))).is_ok() && with("label", json!("é".repeat(256))).is_err()
        );
        assert!(with("bundle_id", json!("")).is_err());
        assert!(with("with_mms", json!(false)).is_ok());
    }

    #[test]
    fn mms_without_sms_is_rejected_and_an_invalid_sms_field_is_reported_once() {
        let mms = json!({"country": "US", "with_sms": false, "with_mms": true});
        assert_eq!(
            body(&mms).unwrap_err(),
            ["/with_mms: needs `with_sms` to be true as well"]
        );
        let broken = json!({"country": "US", "with_sms": "yes", "with_mms": true});
        assert_eq!(
            body(&broken).unwrap_err(),
            ["/with_sms: must be true or false, not a string"]
        );
    }
}

//! The request of an order: its body with limits and defaults, and the terms that the policy sets for it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::domain::country::Country;
use crate::domain::id::UserId;
use crate::domain::input::fault::Fault;
use crate::domain::input::list::Distinct;
use crate::domain::input::read::Input;
use crate::domain::input::values::Text;
use crate::domain::later_word::{self, LaterMembers, StoredWord as _};
use crate::domain::money::Money;
use crate::domain::number::{CarrierType, Sharing};
use crate::domain::phone::without_trunk_zero;
use crate::domain::schema::string_schema;
use crate::domain::team::Team;

/// The requested number of an order. Fields that the request left out are missing.
///
/// Two requests are the same when all fields are equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RequestedNumber)]
pub struct Request {
    /// The country of the number.
    #[serde(deserialize_with = "Country::stored")]
    pub country: Country,
    /// Whether the number is for one person or for several; several users in `assign_to` are several people, too.
    #[serde(deserialize_with = "later_word::stored")]
    pub sharing: Sharing,
    /// The area code or prefix without the country code: 1 to 5 digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub prefix: Option<String>,
    /// The kind of line.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "later_word::stored_opt"
    )]
    #[schema(nullable = false)]
    pub carrier_type: Option<CarrierType>,
    /// The regulatory bundle, where the country requires one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub bundle_id: Option<String>,
    /// Whether the number must (`true`) or need not (`false`) support SMS.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub with_sms: Option<bool>,
    /// Whether the number must (`true`) or need not (`false`) support MMS.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub with_mms: Option<bool>,
    /// The users in Close that the number is assigned to; never empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub assign_to: Option<Vec<UserId>>,
    /// The label that the service sets on the rented number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub label: Option<String>,
    /// Members of a later version.
    #[serde(flatten)]
    #[schema(ignore)]
    pub later: LaterMembers,
}

impl Request {
    /// Whether it has a word or a member that only a later version knows.
    pub fn is_later(&self) -> bool {
        self.country.is_later()
            || self.sharing.is_later()
            || self
                .carrier_type
                .is_some_and(|carrier_type| carrier_type.is_later())
            || !self.later.is_empty()
    }

    /// Whether the number is for several people: it has several assignees, or the request says `group`.
    pub fn several_people(&self) -> bool {
        self.sharing == Sharing::Group || self.several_assignees()
    }

    /// Whether the request names several users.
    pub fn several_assignees(&self) -> bool {
        self.assign_to.as_ref().is_some_and(|users| users.len() > 1)
    }

    /// Checks the rules that a request of an earlier version may violate.
    ///
    /// A repeated key must still find such an order, so only a new order is checked.
    pub fn check_new(&self) -> Result<(), Vec<Fault>> {
        let prefix = self.prefix.as_deref().unwrap_or_default();
        let Some(rest) = without_trunk_zero(self.country, prefix) else {
            return Ok(());
        };
        let hint = if rest.is_empty() {
            String::new()
        } else {
            format!("; did you mean `{rest}`?")
        };
        Err(vec![Fault {
            pointer: "/prefix".to_owned(),
            message: format!(
                "must not begin with the zero that is dialled only inside {}{hint}",
                self.country
            ),
        }])
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
    #[serde(default, deserialize_with = "later_word::stored_opt")]
    pub carrier_type: Option<CarrierType>,
    /// The requested users, or the caller's own user; `None`: Close assigns the owner of the API key.
    pub assign_to: Option<Vec<UserId>>,
    /// The estimated monthly price.
    pub monthly: Money,
    /// Members of a later version.
    #[serde(flatten)]
    pub later: LaterMembers,
}

impl Terms {
    /// Whether they have a word or a member that only a later version knows.
    pub fn is_later(&self) -> bool {
        self.carrier_type
            .is_some_and(|carrier_type| carrier_type.is_later())
            || !self.later.is_empty()
    }
}

/// The number to rent. Only `country` is required. `null` has the same meaning as a missing field.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderRequest {
    /// The team that the order is for. Optional if your token has exactly one team.
    team: Option<Team>,
    /// The country of the number.
    country: Country,
    /// `group`: the number is for several people. `personal` by default.
    sharing: Option<Sharing>,
    /// The area code or prefix, without the country code and without a zero that is dialled only inside the country.
    prefix: Option<Prefix>,
    /// The type of the phone line. Optional if the policy allows the team only one type.
    carrier_type: Option<CarrierType>,
    /// The id of the regulatory bundle in Close, if the country requires one.
    bundle_id: Option<BundleId>,
    /// `true`: the number must support SMS.
    ///
    /// `false`: a number without SMS is accepted; use this after a refusal with `has-voice-only`. Otherwise leave the
    /// field out.
    with_sms: Option<bool>,
    /// `true`: the number must support MMS, which requires `with_sms: true`.
    ///
    /// `false`: a number without MMS is accepted.
    with_mms: Option<bool>,
    /// Users in Close who get the number; with more than one it is for several people.
    ///
    /// By default the caller's own user.
    assign_to: Option<Distinct<UserId, 1, 50>>,
    /// The label that Numberdesk gives the number in Close, once the number is rented.
    #[schema(example = "Berlin line")]
    label: Option<Text<255>>,
}

impl Input for OrderRequest {
    fn check(body: &Value, faults: &mut Vec<Fault>) {
        let sms = body.get("with_sms").unwrap_or(&Value::Null);
        if body.get("with_mms") == Some(&Value::Bool(true)) && matches!(sms, Value::Null | Value::Bool(false))
        {
            faults.push(Fault {
                pointer: "/with_mms".to_owned(),
                message: "needs `with_sms` to be true as well".to_owned(),
            });
        }
    }
}

impl OrderRequest {
    /// Returns the team, if the body names one, and the request with its defaults.
    ///
    /// An empty `prefix` or `label` counts as absent.
    pub fn into_parts(self) -> (Option<Team>, Request) {
        let request = Request {
            country: self.country,
            sharing: self.sharing.unwrap_or(Sharing::Personal),
            prefix: self
                .prefix
                .map(|Prefix(prefix)| prefix)
                .filter(|prefix| !prefix.is_empty()),
            carrier_type: self.carrier_type,
            bundle_id: self.bundle_id.map(|BundleId(bundle)| bundle),
            with_sms: self.with_sms,
            with_mms: self.with_mms,
            assign_to: self.assign_to.map(|Distinct(users)| users),
            label: self.label.map(String::from).filter(|label| !label.is_empty()),
            later: LaterMembers::new(),
        };
        (self.team, request)
    }
}

/// The digits of a prefix, or none.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Prefix(String);

impl TryFrom<String> for Prefix {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, &'static str> {
        if text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(text))
        } else {
            Err("must be 1 to 5 digits, the area code without the country code")
        }
    }
}
string_schema! {
    Prefix: "The area code or prefix, without the country code.", pattern: "^[0-9]{0,5}$", example: "30"
}

/// The id of a regulatory bundle.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct BundleId(String);

impl TryFrom<String> for BundleId {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, &'static str> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text))
        } else {
            Err("must be 1 to 64 letters, digits, `-` or `_`")
        }
    }
}
string_schema! {
    BundleId: "The id of a regulatory bundle in Close.", pattern: "^[A-Za-z0-9_-]{1,64}$", example: "BU0123456789abcdef"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::input::read::read;
    use serde_json::json;

    fn body(value: &Value) -> Result<(Option<Team>, Request), Vec<String>> {
        let read = read::<OrderRequest>(value).map(OrderRequest::into_parts);
        read.map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn only_the_country_is_required_and_null_is_the_same_as_absent() {
        let short = body(&json!({"country": "DE"})).unwrap();
        assert_eq!(short.1.sharing, Sharing::Personal);
        let long = json!({"team": null, "country": "DE", "sharing": null, "prefix": "", "carrier_type": null,
            "bundle_id": null, "with_sms": null, "with_mms": null, "assign_to": null, "label": ""});
        assert_eq!(body(&long).unwrap(), short);
    }

    #[test]
    fn a_full_body_is_read_field_by_field() {
        let full = json!({"team": "sales-emea", "country": "DE", "sharing": "group", "prefix": "30",
            "carrier_type": "local", "bundle_id": "BU_1-x", "with_sms": true, "with_mms": true,
            "assign_to": ["user_A", "user_B"], "label": "Berlin line"});
        let (team, request) = body(&full).unwrap();
        assert_eq!(team.unwrap().as_str(), "sales-emea");
        let mut written = serde_json::to_value(&request).unwrap();
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
    fn a_new_order_has_no_zero_that_is_dialled_only_inside_the_country() {
        let check = |country: &str, prefix: &str| {
            let (_, request) = body(&json!({"country": country, "prefix": prefix})).unwrap();
            let faults = request.check_new().err().unwrap_or_default();
            faults.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            check("DE", "030"),
            ["/prefix: must not begin with the zero that is dialled only inside DE; did you mean `30`?"]
        );
        assert_eq!(
            check("FR", "0"),
            ["/prefix: must not begin with the zero that is dialled only inside FR"]
        );
        for (country, prefix) in [("DE", "30"), ("DE", ""), ("IT", "06"), ("US", "415")] {
            assert_eq!(check(country, prefix), [""; 0], "{country} {prefix}");
        }
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

//! Sample callers, numbers and policies for the tests of this module.

use serde_json::{Value, json};

use crate::domain::caller::Caller;
use crate::domain::id::UserId;
use crate::domain::identity::TokenIdentity;
use crate::domain::input::read::read;
use crate::domain::number::{Facts, Number};
use crate::domain::order::Request;
use crate::domain::order::request::OrderRequest;
use crate::domain::raw_object::RawObject;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;
use crate::policy::{Members, Policy};

pub(super) const PRICES: &str = "[prices]\nUS = \"1.15\"\ndefault = \"5.00\"\n";

/// Parses a policy in which the team `sales` has these rules.
pub(super) fn policy(rules: &str) -> Policy {
    Policy::parse("policy.toml", &format!("[teams.sales]\n{rules}\n{PRICES}")).unwrap()
}

pub(super) fn sales() -> Team {
    "sales".parse().unwrap()
}

pub(super) fn user(name: &str) -> UserId {
    format!("user_{name}").parse().unwrap()
}

/// Returns the caller Alice, who is `user_ALICE` in Close.
pub(super) fn alice() -> Caller {
    alice_with(|_| {})
}

/// Returns Alice with a change to what her token states.
pub(super) fn alice_with(change: impl FnOnce(&mut TokenIdentity)) -> Caller {
    let mut token = TokenIdentity {
        teams: vec![sales()],
        permissions: ["numbers:rent".to_owned()].into(),
        close_user: Some(user("ALICE")),
        claims: json!({"phone": {"countries": ["DE", "US", "XX"]}}),
        ..TokenIdentity::named("https://idp.example.com/", "alice")
    };
    change(&mut token);
    Caller::of_token(token)
}

/// Returns an app whose token names no user in Close.
pub(super) fn app() -> Caller {
    alice_with(|token| token.close_user = None)
}

pub(super) fn request(body: &Value) -> Request {
    read::<OrderRequest>(body).unwrap().into_parts().1
}

pub(super) fn members(group: &str, users: &[&str]) -> Members {
    let users = users.iter().map(|name| user(name)).collect();
    Members::from([(group.parse().unwrap(), users)])
}

/// Returns a German number of the team without users.
pub(super) fn number() -> Number {
    Number {
        facts: Facts {
            id: "phon_A".parse().unwrap(),
            organization: None,
            number: "+4930901820".into(),
            country: Some("DE".parse().unwrap()),
            kind: "internal".into(),
            label: None,
            carrier_type: None,
            participants: Vec::new(),
            participant_groups: Vec::new(),
            user: None,
            group: false,
            sms: None,
            billed: None,
            created_at: None,
            updated_at: None,
            object: RawObject::default(),
        },
        team: Some(sales()),
        order_id: None,
        monthly: crate::domain::money::Money::from_cents(500),
        as_of: Timestamp::from_micros(0),
        releasing: false,
        release_at: None,
        provenance: None,
    }
}

//! Finds orders that the present policy allows, denies, or wants approved, by asking the service.

use serde_json::{Value, json};

use super::client::Client;
use super::print::text;

/// Countries that are tried, besides those that the step prefers and those that the policy lists.
const COUNTRIES: [&str; 6] = ["DE", "FR", "GB", "US", "ES", "NL"];
/// The number of countries that are tried. Each costs a few requests, and a team's requests are limited.
const MAX_COUNTRIES: usize = 12;
/// The carrier types in the order in which they are tried.
const CARRIER_TYPES: [&str; 4] = ["local", "mobile", "national", "tollfree"];

/// What the policy should say about the order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// It is allowed at once.
    Allowed,
    /// It is allowed when a second person approves it.
    NeedsApproval,
    /// Its country is not allowed.
    CountryDenied,
}

/// The order that was found, or why the policy has none.
pub(super) enum Found {
    Order(Value),
    Nothing(String),
}

/// Finds an order that the policy treats as `wanted`, of one of the `preferred` countries if possible.
pub(super) async fn find(client: &Client<'_>, preferred: &[&str], wanted: Wanted) -> anyhow::Result<Found> {
    let me = client.read("alice", "/v1/me").await?;
    let policy = &me["teams"][0]["policy"];
    let listed = [&policy["countries"], &policy["countries"]["within"]];
    let listed = listed.into_iter().filter_map(Value::as_array).flatten();
    let mut countries: Vec<&str> = Vec::new();
    let known = preferred
        .iter()
        .copied()
        .chain(listed.filter_map(Value::as_str))
        .chain(COUNTRIES);
    for country in known {
        if !countries.contains(&country) && countries.len() < MAX_COUNTRIES {
            countries.push(country);
        }
    }
    let types = policy["carrier_types"].as_array();
    let types = CARRIER_TYPES
        .into_iter()
        .filter(|known| types.is_none_or(|listed| listed.iter().any(|listed| listed == known)));
    let types: Vec<&str> = types.collect();
    let mut hint = None;
    for country in countries {
        for carrier_type in &types {
            let order = order(country, carrier_type);
            let validation = client.validate("alice", &order).await?;
            if wanted.is_met_by(&validation) {
                return Ok(Found::Order(order));
            }
            // The first answer is about the country that the step prefers.
            hint.get_or_insert_with(|| wanted.reason(&validation));
            if denies_country(&validation) {
                break;
            }
        }
    }
    Ok(Found::Nothing(hint.unwrap_or_else(|| {
        "the policy allows no carrier type".to_owned()
    })))
}

impl Wanted {
    fn is_met_by(self, validation: &Value) -> bool {
        let (allowed, approval) = (validation["allowed"] == true, !validation["approval"].is_null());
        match self {
            Self::Allowed => allowed && !approval,
            Self::NeedsApproval => allowed && approval,
            Self::CountryDenied => denies_country(validation),
        }
    }

    /// Why nothing was found, by the answer about the preferred order.
    fn reason(self, validation: &Value) -> String {
        let decision = &validation["decision"];
        match self {
            Self::Allowed if validation["allowed"] == true => {
                "the policy wants every order of Alice approved".to_owned()
            }
            Self::Allowed => format!(
                "the policy allows Alice no order: {}: {}",
                text(decision, "rule"),
                text(decision, "hint")
            ),
            Self::NeedsApproval => {
                "the policy asks for no approval of an order that Alice may place".to_owned()
            }
            Self::CountryDenied if validation["allowed"] == false => format!(
                "the policy denies the order by another rule: {}: {}",
                text(decision, "rule"),
                text(decision, "hint")
            ),
            Self::CountryDenied => "the policy denies none of the countries that the demo tries".to_owned(),
        }
    }
}

fn denies_country(validation: &Value) -> bool {
    validation["refusal"] == "policy"
        && validation["decision"]["rule"]
            .as_str()
            .is_some_and(|rule| rule.ends_with(".countries"))
}

fn order(country: &str, carrier_type: &str) -> Value {
    let label = match country {
        "DE" => "Berlin line",
        "FR" => "Paris line",
        "GB" => "London line",
        "CH" => "Zurich line",
        _ => "Demo line",
    };
    let mut order = json!({ "country": country, "carrier_type": carrier_type, "label": label });
    if (country, carrier_type) == ("DE", "local") {
        order["prefix"] = json!("30");
    }
    order
}

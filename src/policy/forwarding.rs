//! Checks whether calls may be forwarded to a phone number.
//!
//! Toll fraud uses forwarding. The policy therefore denies every target that no rule allows.

use serde_json::{Value, json};

use crate::domain::country::Country;
use crate::domain::number::Number;
use crate::domain::number_patch::NumberPatch;
use crate::domain::phone::{Charge, E164, Home, Kind, NotANumber};
use crate::policy::denial::{Denial, TeamPolicy, listed};

const KEY: &str = "forward_to_countries";

/// Checks every external phone that the patch would ring.
pub(super) fn check(
    team_policy: &TeamPolicy<'_>,
    number: &Number,
    patch: &NumberPatch,
) -> Result<(), Denial> {
    for target in patch
        .forward_to
        .iter()
        .chain(patch.phone_numbers.iter().flat_map(|numbers| numbers.iter()))
    {
        target_allowed(team_policy, target)?;
    }
    // A patch that enables forwarding sends calls to the present target, which another person may have set.
    if *patch.forward_to_enabled == Some(true) && patch.forward_to.is_none() {
        let present = number
            .facts
            .object
            .get("forward_to")
            .and_then(|target| target.as_str().map(str::to_owned));
        if let Some(text) = present.filter(|text| !text.is_empty()) {
            let target: E164 = text.parse().map_err(|fault: NotANumber| {
                let hint = format!("first set `forward_to` to another number: the present one {fault}");
                team_policy.deny(KEY, text.as_str(), &team_policy.rules.forward_to_countries, hint)
            })?;
            target_allowed(team_policy, &target)?;
        }
    }
    Ok(())
}

/// Checks one target: first its kind, because no rule allows a kind that costs extra, then its country.
fn target_allowed(team_policy: &TeamPolicy<'_>, target: &E164) -> Result<(), Denial> {
    let allowed = &team_policy.rules.forward_to_countries;
    let (kind, home) = (target.kind(), target.home());
    let have = facts(target, kind, &home);
    if !kind.is_ordinary() {
        let hint = format!("use an ordinary landline or mobile number: {}", reason(kind));
        return Err(team_policy.deny(KEY, have, json!({"kind": Kind::ORDINARY}), hint));
    }
    if home.is_in(allowed) {
        return Ok(());
    }
    let rule = team_policy.rule(KEY);
    let remedy = match (home.country, home.shared_with.first()) {
        (Some(country), _) => format!("ask the platform team to add {country} to {rule}"),
        (None, Some(_)) => {
            format!(
                "ask the platform team to add a country of +{} to {rule}",
                home.calling_code
            )
        }
        (None, None) => {
            let hint = format!("use a number of a country: this {} belongs to none", kind.name);
            return Err(team_policy.deny(KEY, have, allowed, hint));
        }
    };
    let hint = if allowed.is_empty() {
        remedy
    } else {
        format!("use a number in one of {}, or {remedy}", listed(allowed))
    };
    Err(team_policy.deny(KEY, have, allowed, hint + &shared_code(&home, allowed)))
}

/// Returns the number with its kind and country, and the other countries that it can belong to.
fn facts(target: &E164, kind: Kind, home: &Home) -> Value {
    let mut facts = json!({"number": target, "kind": kind.name, "country": home.country});
    if !home.shared_with.is_empty() {
        facts["shared_with"] = json!(home.shared_with);
    }
    if kind.charge == Charge::Premium {
        facts["premium"] = json!(true);
    }
    facts
}

/// Says why a kind is never allowed.
fn reason(kind: Kind) -> String {
    let name = kind.name;
    match kind.charge {
        Charge::Premium => format!("a call to this {name} costs extra and pays the called party"),
        Charge::Extra => format!("a call to this {name} can cost more than an ordinary call"),
        _ => format!("no known rule limits the price of a call to this {name}"),
    }
}

/// Explains a denial that surprises because an allowed country has the same calling code.
fn shared_code(home: &Home, allowed: &[Country]) -> String {
    let same_code = home.same_calling_code(allowed);
    match home.country {
        Some(country) if !same_code.is_empty() => format!(
            "; {country} is {}, which shares the calling code +{} with {}",
            country.name(),
            home.calling_code,
            listed(&same_code)
        ),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;

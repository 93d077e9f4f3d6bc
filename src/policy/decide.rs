//! The three decisions: rent, update, receive. The order of the questions is fixed, so that a caller is always
//! told the same first thing; each question is a file of its own.

#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use crate::domain::caller::{Caller, Team};
use crate::domain::decision::{Decision, Explanation, Usage};
use crate::domain::id::UserId;
use crate::domain::money::Money;
use crate::domain::number::Number;
use crate::domain::number_patch::Changes;
use crate::domain::order::{Request, Terms};
use crate::policy::denial::{Asked, Denial, value};
use crate::policy::{
    Members, Policy, Ruling, approval, assignees, caps, carriers, countries, forwarding, groups,
};

/// Whether the caller may order this number for the team, and on what terms. The store checks the caps once more
/// when it reserves: `usage` may be old by then.
pub fn decide_rent(
    policy: &Policy,
    caller: &Caller,
    team: &Team,
    request: &Request,
    usage: &Usage,
    members: &Members,
) -> Ruling {
    match rent(policy, caller, team, request, usage, members) {
        Ok((terms, explanation, approval)) => Ruling {
            decision: Decision::Allowed(explanation),
            terms: Some(terms),
            approval,
        },
        Err(denial) => Ruling {
            decision: denial.into(),
            terms: None,
            approval: None,
        },
    }
}

/// Whether the caller may change the team's number so.
pub fn decide_update(
    policy: &Policy,
    caller: &Caller,
    team: &Team,
    number: &Number,
    changes: &Changes,
    members: &Members,
) -> Decision {
    settled(update(policy, caller, team, number, changes, members))
}

/// Whether the team has room for a number that comes to it, as an orphan adopted or from another team.
pub fn decide_receive(policy: &Policy, team: &Team, number: &Number, usage: &Usage) -> Decision {
    settled(receive(policy, team, number, usage))
}

fn settled(outcome: Result<Explanation, Denial>) -> Decision {
    outcome.map_or_else(Decision::from, Decision::Allowed)
}

fn rent(
    policy: &Policy,
    caller: &Caller,
    team: &Team,
    request: &Request,
    usage: &Usage,
    members: &Members,
) -> Result<(Terms, Explanation, Option<Explanation>), Denial> {
    let asked = Asked::of(policy, team)?;
    let countries = countries::check(&asked, caller, request.country)?;
    let carrier_type = carriers::choose(&asked, request.carrier_type)?;
    if request.group() {
        groups::check(&asked, caller)?;
    }
    let assign_to = assignees::choose(&asked, caller, members, request.assign_to.as_deref())?;
    caps::one_more_number(&asked, usage)?;
    caps::one_more_order(&asked, usage)?;
    let price = policy.estimate(Some(request.country));
    let monthly = caps::money_for(&asked, usage, price)?;
    let approval = approval::asks(&asked, request, price);
    let explanation = Explanation {
        have: json!({"country": request.country, "sharing": request.sharing, "estimated_monthly_price": monthly}),
        need: json!({"countries": countries}),
        hint: caps::left_after(&asked, usage, monthly, true),
        rule: asked.path,
    };
    let terms = Terms {
        carrier_type,
        assign_to,
        monthly,
    };
    Ok((terms, explanation, approval))
}

fn update(
    policy: &Policy,
    caller: &Caller,
    team: &Team,
    number: &Number,
    changes: &Changes,
    members: &Members,
) -> Result<Explanation, Denial> {
    let asked = Asked::of(policy, team)?;
    if makes_or_widens_a_group(number, changes) {
        groups::check(&asked, caller)?;
        approval::no_way_round(&asked, number)?;
    }
    let newcomer = |user: &&UserId| !number.facts.involves(user);
    for user in changes.participants.iter().flatten().filter(newcomer) {
        assignees::check(&asked, caller, members, user)?;
    }
    if let Some(groups) = &changes.participant_groups {
        groups::may_join(&asked, number, groups)?;
    }
    forwarding::check(&asked, number, changes)?;
    Ok(Explanation {
        rule: asked.path,
        have: Value::Object(changes.object()),
        need: Value::Null,
        hint: "the rules of the team allow every one of these changes".to_owned(),
    })
}

/// Several users or any group after the change, and someone among them who was not there before. Taking people
/// off a group number, or writing down who already has it, asks for nothing.
fn makes_or_widens_a_group(number: &Number, changes: &Changes) -> bool {
    let facts = &number.facts;
    let users = changes.participants.as_deref().unwrap_or(&facts.participants);
    let groups = changes
        .participant_groups
        .as_deref()
        .unwrap_or(&facts.participant_groups);
    let shared = users.len() > 1 || !groups.is_empty();
    let widened = users.iter().any(|user| !facts.involves(user))
        || groups
            .iter()
            .any(|group| !facts.participant_groups.contains(group));
    shared && widened
}

fn receive(policy: &Policy, team: &Team, number: &Number, usage: &Usage) -> Result<Explanation, Denial> {
    let asked = Asked::of(policy, team)?;
    let (price, hint) = if number.team.as_ref() == Some(team) {
        (Money::ZERO, "the number is the team's already".to_owned())
    } else {
        caps::one_more_number(&asked, usage)?;
        let price = caps::money_for(&asked, usage, price_of(policy, number))?;
        (price, caps::left_after(&asked, usage, price, false))
    };
    Ok(Explanation {
        have: json!({"phone_number_id": number.facts.id, "monthly_price": price}),
        need: value(number.facts.country),
        hint,
        rule: asked.path,
    })
}

/// What the number will weigh: what it costs as far as anybody knows; nothing if it is not rented.
fn price_of(policy: &Policy, number: &Number) -> Option<Money> {
    if !number.facts.rented() {
        return Some(Money::ZERO);
    }
    number
        .facts
        .billed
        .or(Some(number.monthly).filter(|monthly| *monthly > Money::ZERO))
        .or_else(|| policy.estimate(number.facts.country))
}

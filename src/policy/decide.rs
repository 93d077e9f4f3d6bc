//! The three decisions: rent, update and receive.
//!
//! Each decision runs its checks in a fixed order, so that the same request always gets the same first denial.

#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use crate::domain::caller::Caller;
use crate::domain::decision::{Decision, Explanation, Usage};
use crate::domain::id::UserId;
use crate::domain::later_word::LaterMembers;
use crate::domain::money::Money;
use crate::domain::number::Number;
use crate::domain::number_patch::NumberPatch;
use crate::domain::order::{Request, Terms};
use crate::domain::team::Team;
use crate::policy::denial::{Denial, TeamPolicy, value};
use crate::policy::file::Policy;
use crate::policy::rules::Members;
use crate::policy::{approval, assignees, caps, carriers, countries, forwarding, groups};

/// The policy's answer to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// Whether the order is allowed, and why.
    pub decision: Decision,
    /// The terms to send and to reserve; `Some` exactly if the order is allowed.
    pub terms: Option<Terms>,
    /// Why a second person must approve the order first; `None` if it needs no approval or is denied.
    pub approval: Option<Explanation>,
}

/// Decides whether the caller may order this number for the team, and on what terms.
///
/// `usage` can be out of date. The store therefore checks the caps again when it reserves.
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

/// Decides whether the caller may apply this patch to the team's number.
pub fn decide_update(
    policy: &Policy,
    caller: &Caller,
    team: &Team,
    number: &Number,
    patch: &NumberPatch,
    members: &Members,
) -> Decision {
    decision(update(policy, caller, team, number, patch, members))
}

/// Decides whether the team's caps allow it to receive a number: an orphan, or one of another team.
pub fn decide_receive(policy: &Policy, team: &Team, number: &Number, usage: &Usage) -> Decision {
    decision(receive(policy, team, number, usage))
}

fn decision(outcome: Result<Explanation, Denial>) -> Decision {
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
    let team_policy = TeamPolicy::of(policy, team)?;
    let countries = countries::check(&team_policy, caller, request.country)?;
    let carrier_type = carriers::choose(&team_policy, request.carrier_type)?;
    if request.several_people() {
        groups::check(&team_policy, caller)?;
    }
    let assign_to = assignees::choose(&team_policy, caller, members, request.assign_to.as_deref())?;
    caps::one_more_number(&team_policy, usage)?;
    caps::one_more_order(&team_policy, usage)?;
    caps::few_refused(&team_policy, usage)?;
    let price = policy.estimate(Some(request.country));
    let monthly = caps::money_for(&team_policy, usage, price)?;
    let approval = approval::required(&team_policy, request, price);
    let explanation = Explanation {
        have: json!({
            "country": request.country,
            "people": if request.several_people() { "several" } else { "one" },
            "estimated_monthly_price": monthly,
        }),
        need: json!({"countries": countries}),
        hint: caps::left_after(&team_policy, usage, monthly, true),
        rule: team_policy.path,
    };
    let terms = Terms {
        carrier_type,
        assign_to,
        monthly,
        later: LaterMembers::new(),
    };
    Ok((terms, explanation, approval))
}

fn update(
    policy: &Policy,
    caller: &Caller,
    team: &Team,
    number: &Number,
    patch: &NumberPatch,
    members: &Members,
) -> Result<Explanation, Denial> {
    let team_policy = TeamPolicy::of(policy, team)?;
    if makes_or_widens_a_group(number, patch) {
        groups::check(&team_policy, caller)?;
        approval::forbid_bypass(&team_policy, number)?;
    }
    let newcomer = |user: &&UserId| !number.facts.involves(user);
    for user in patch
        .participants
        .iter()
        .flat_map(|users| users.iter())
        .filter(newcomer)
    {
        assignees::check(&team_policy, caller, members, user)?;
    }
    if let Some(groups) = &*patch.participant_groups {
        groups::may_join(&team_policy, number, groups)?;
    }
    forwarding::check(&team_policy, number, patch)?;
    Ok(Explanation {
        rule: team_policy.path,
        have: Value::Object(patch.object()),
        need: Value::Null,
        hint: "the rules of the team allow all these changes".to_owned(),
    })
}

/// Whether the patch gives the number to several people, or adds somebody to those who share it.
///
/// After such a patch the number has several users or any group, and at least one of them is new. A patch that only
/// removes people, or repeats the present ones, needs no permission.
fn makes_or_widens_a_group(number: &Number, patch: &NumberPatch) -> bool {
    let facts = &number.facts;
    let users = patch.participants.as_deref().unwrap_or(&facts.participants);
    let groups = patch
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
    let team_policy = TeamPolicy::of(policy, team)?;
    let (price, hint) = if number.team.as_ref() == Some(team) {
        (Money::ZERO, "the number already belongs to the team".to_owned())
    } else {
        caps::one_more_number(&team_policy, usage)?;
        let price = caps::money_for(&team_policy, usage, price_of(policy, number))?;
        (price, caps::left_after(&team_policy, usage, price, false))
    };
    Ok(Explanation {
        have: json!({"phone_number_id": number.facts.id, "monthly_price": price}),
        need: value(number.facts.country),
        hint,
        rule: team_policy.path,
    })
}

/// Returns the number's known or estimated monthly price; zero if it is not rented, `None` if unknown.
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

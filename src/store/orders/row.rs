//! Reads an order from its row, and renders SQL conditions on its state.

use crate::domain::order::approval::Approval;
use crate::domain::order::transition::Step;
use crate::domain::order::{IdempotencyKey, Order, State};
use crate::domain::team::Team;
use crate::error::Error;
use crate::store::sql::db::{Statement, sql};
use crate::store::sql::row::{Row, json};

/// `SELECT` with every column that [`read`] needs; the argument continues the statement with `WHERE`.
macro_rules! select_order {
    ($rest:literal) => {
        concat!(
            "SELECT id, team, issuer, created_by, idempotency_key, fingerprint, request, terms, approval, \
                approve_by, state, attempt, sent_at, close_sent_after, absent_since, not_before, phone_number_id, close_status, \
                reason, close_errors, evidence, created_at, updated_at, finished_at FROM orders",
            $rest
        )
    };
}
pub(in crate::store) use select_order;

/// The SQL condition that the order's state allows `step`, such as `state = 'queued'`.
pub(in crate::store) fn allows(step: Step) -> String {
    state_in(step.from_states().iter().copied())
}

/// The SQL condition that the order is in one of `states`, of which there must be at least one.
pub(in crate::store) fn state_in(states: impl IntoIterator<Item = State>) -> String {
    let quoted: Vec<String> = states.into_iter().map(|state| format!("'{state}'")).collect();
    match quoted.as_slice() {
        // The partial index on `state = 'awaiting_approval'` is written with an equals sign.
        [only] => format!("state = {only}"),
        _ => format!("state IN ({})", quoted.join(", ")),
    }
}

/// Selects the order of a team's idempotency key.
pub(in crate::store) fn by_key(team: &Team, key: &IdempotencyKey) -> Statement {
    sql!(
        select_order!(" WHERE team = $1 AND idempotency_key = $2"),
        team.as_str(),
        key.as_str()
    )
}

/// Reads an order from its row.
pub(in crate::store) fn read(row: &Row) -> Result<Order, Error> {
    Ok(Order {
        id: row.parsed("id")?,
        team: row.parsed("team")?,
        issuer: row.text("issuer")?,
        created_by: row.text("created_by")?,
        idempotency_key: row.parsed("idempotency_key")?,
        request: row.json("request")?,
        terms: row.json("terms")?,
        approval: read_approval(row)?,
        state: row.word("state")?,
        attempt: row.int("attempt")?,
        sent_at: row.time_opt("sent_at")?,
        close_sent_after: row.time_opt("close_sent_after")?,
        absent_since: row.time_opt("absent_since")?,
        not_before: row.time_opt("not_before")?,
        phone_number_id: row.parsed_opt("phone_number_id")?,
        close_status: row.text_opt("close_status")?,
        reason: row.text_opt("reason")?,
        close_errors: row.json_opt("close_errors")?,
        evidence: row.word_opt("evidence")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        finished_at: row.time_opt("finished_at")?,
    })
}

fn read_approval(row: &Row) -> Result<Option<Approval>, Error> {
    let Some(approval) = row.json_opt("approval")? else {
        return Ok(None);
    };
    Ok(Some(Approval {
        expires_at: row.time("approve_by")?,
        ..approval
    }))
}

/// The value of the column `approval`.
pub(in crate::store) fn approval_json(order: &Order) -> Result<Option<String>, Error> {
    order.approval.as_ref().map(json).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_names_exactly_the_states_that_a_step_starts_from() {
        assert_eq!(allows(Step::Cancel), "state IN ('awaiting_approval', 'queued')");
        assert_eq!(allows(Step::Claim), "state = 'queued'");
    }
}

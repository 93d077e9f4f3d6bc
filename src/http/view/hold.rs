//! The JSON of holds.

use serde::Serialize;
use utoipa::ToSchema;

use crate::desk::HoldState;
use crate::domain::hold::{CallKind, Hold, HoldCause, UnknownCall};
use crate::domain::id::PhoneNumberId;
use crate::domain::time::Timestamp;

/// Renders the holds in force.
pub(in crate::http) fn holds(state: HoldState) -> HoldsView {
    HoldsView {
        holds: state.holds.into_iter().map(hold).collect(),
        unknown_calls: state.unknown_calls.into_iter().map(unknown_call).collect(),
    }
}

fn hold(hold: Hold) -> HoldView {
    let Hold { cause, reason, since } = hold;
    HoldView { cause, reason, since }
}

fn unknown_call(call: UnknownCall) -> UnknownCallView {
    UnknownCallView {
        kind: call.kind,
        phone_number_id: call.number_id,
        number: call.facts.map(|facts| facts.number.clone()),
        at: call.at,
    }
}

/// The holds in force.
#[derive(Serialize, ToSchema)]
#[schema(as = Holds, example = json!({"holds": [], "unknown_calls": []}))]
pub(in crate::http) struct HoldsView {
    /// Without one, orders and releases are sent.
    holds: Vec<HoldView>,
    /// Calls with the service's API key that nobody has confirmed: the oldest 200.
    unknown_calls: Vec<UnknownCallView>,
}

/// A hold on orders and releases.
#[derive(Serialize, ToSchema)]
#[schema(as = Hold)]
struct HoldView {
    cause: HoldCause,
    reason: String,
    since: Timestamp,
}

/// A call that Close has logged and the database does not know.
#[derive(Serialize, ToSchema)]
#[schema(as = UnknownCall)]
struct UnknownCallView {
    kind: CallKind,
    phone_number_id: PhoneNumberId,
    /// The number, if the log has it.
    #[schema(required)]
    number: Option<String>,
    /// When, by Close's clock.
    at: Timestamp,
}

//! The guide that helps most with each problem type.

use crate::http::problem::problem_type::ProblemType;

/// Returns the slug of the guide, and the anchor of the section, which is empty or starts with `#`.
pub(in crate::http) const fn guide(problem_type: ProblemType) -> (&'static str, &'static str) {
    use ProblemType as P;
    match problem_type {
        P::TeamRequired | P::PermissionMissing => ("permissions", ""),
        P::IdempotencyKeyMissing | P::IdempotencyKeyInvalid | P::IdempotencyKeyReused => ("orders", "#rent"),
        P::OrderCancelled | P::OrderNotCancellable => ("orders", "#cancel"),
        P::CloseRefused | P::NotRented => ("orders", "#read-the-answer"),
        P::Unauthorized | P::KeysUnavailable => ("tokens", ""),
        P::ServiceAccountUnmapped => ("workload-identity", ""),
        P::NotFromClose => ("close-webhooks", ""),
        P::PolicyDenied | P::QuotaExceeded | P::BudgetExceeded => ("policy", ""),
        P::ApprovalRejected | P::OwnOrder | P::OrderNotAwaitingApproval => ("approvals", ""),
        P::OrderNotInReview | P::SettleContradicted => ("reviews", ""),
        P::PreconditionFailed => ("change-and-release", "#change-it-only-if-nobody-else-did"),
        P::ReleaseUnderWay => ("change-and-release", "#undo-a-release"),
        P::WebhooksOff | P::TooManyEndpoints | P::EndpointDisabled => ("events", ""),
        P::RateLimited => ("capacity", "#a-team-sends-too-many-requests"),
        P::Busy => ("capacity", "#all-callers-together-send-too-much"),
        P::Internal | P::CloseUnavailable | P::StoreUnavailable | P::OrdersOnHold => ("guarantees", ""),
        _ => ("testing-your-app", "#what-your-app-must-handle"),
    }
}

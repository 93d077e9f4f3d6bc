//! Examples of problems, for the OpenAPI document and for the pages of the problem types.

use serde_json::{Value, json};

use crate::http::problem::problem_type::ProblemType;

/// Returns an example of the problem, as the response to a request that has it.
pub(in crate::http) fn example(problem_type: ProblemType) -> Value {
    let mut problem = json!({
        "type": problem_type.uri(), "title": problem_type.title(), "status": problem_type.status().as_u16(), "detail": problem_type.meaning(),
        "instance": "/v1/orders", "request_id": "req_01KATV8ZJ3E0T9C4M6N2P5Q7RS",
    });
    let decision = |rule: &str, have: Value, need: Value, hint: &str| json!({"rule": rule, "have": have, "need": need, "hint": hint});
    let members = match problem_type {
        ProblemType::InvalidRequest => {
            json!({"errors": [{"pointer": "/query/limit", "message": "must be a whole number from 1 to 200"}]})
        }
        ProblemType::IdempotencyKeyMissing => {
            json!({"errors": [{"pointer": "/headers/Idempotency-Key", "message": "is required: send a new key, such as a UUID, for each number that you want, and the same key when you retry"}]})
        }
        ProblemType::IdempotencyKeyInvalid => {
            json!({"errors": [{"pointer": "/headers/Idempotency-Key", "message": "must appear only once"}]})
        }
        ProblemType::UnsupportedMediaType => {
            json!({"errors": [{"pointer": "/headers/Content-Type", "message": "must be `application/json`, in UTF-8; it is `text/plain`"}]})
        }
        ProblemType::TeamRequired => json!({"teams": ["sales-emea", "support"]}),
        ProblemType::PermissionMissing => json!({"need": "numbers:rent"}),
        ProblemType::PolicyDenied => {
            json!({"decision": decision("teams.sales-emea.countries", json!("US"), json!(["DE", "FR"]), "order in one of the countries the team may have")})
        }
        ProblemType::QuotaExceeded => json!({"limit": 50, "used": 49, "reserved": 1,
            "decision": decision("teams.sales-emea.max_numbers", json!({"held": 49, "reserved": 1}), json!(50), "release a number")}),
        ProblemType::BudgetExceeded => json!({"limit": "120.00", "used": "118.45", "reserved": "1.15",
            "decision": decision("teams.sales-emea.monthly_budget", json!({"held": "118.45", "reserved": "1.15", "price": "1.15"}), json!("120.00"), "release a number")}),
        ProblemType::OrderCancelled | ProblemType::ApprovalRejected | ProblemType::IdempotencyKeyReused => {
            json!({"order_id": "ord_01KATV8ZJ3E0T9C4M6N2P5Q7RS"})
        }
        ProblemType::ServiceAccountUnmapped => {
            let entry = "[[service_accounts]]\nissuer = \"https://kubernetes.default.svc\"\nnamespace = \"crm\"\n\
                         name = \"dialer\"\nteam = \"YOUR TEAM\"\npermissions = [\"numbers:read\", \"numbers:rent\"]\n";
            json!({"namespace": "crm", "name": "dialer", "issuer": "https://kubernetes.default.svc", "entry": entry})
        }
        ProblemType::WebhooksOff => json!({"missing": "webhooks.secret_file"}),
        ProblemType::TooManyEndpoints => json!({"limit": 20}),
        ProblemType::OrderNotCancellable => json!({"state": "renting"}),
        ProblemType::OrderNotInReview => json!({"state": "unverified"}),
        ProblemType::OrderNotAwaitingApproval => json!({"state": "cancelled"}),
        ProblemType::CloseRefused => {
            json!({"close_status": "has-voice-only", "order_id": "ord_01KATV8ZJ3E0T9C4M6N2P5Q7RS", "evidence": "close-refusal"})
        }
        ProblemType::NotRented => {
            json!({"order_id": "ord_01KATV8ZJ3E0T9C4M6N2P5Q7RS", "evidence": "absent-after-reconciliation"})
        }
        _ => json!({}),
    };
    if let (Value::Object(problem), Value::Object(members)) = (&mut problem, members) {
        problem.extend(members);
    }
    problem
}

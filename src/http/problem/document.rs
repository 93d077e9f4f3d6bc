//! The body of an error response.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use crate::domain::decision::Explanation;
use crate::domain::id::OrderId;
use crate::domain::input::fault::Fault;
use crate::domain::order::{Evidence, State};
use crate::domain::schema::{ComposeSchema, open_enum};
use crate::domain::team::Team;
use crate::http::problem::problem_type::ProblemType;
use crate::http::view::IgnoredTeamView;

/// An error response (RFC 9457). Beside the members of every problem, some problem types have members of their own.
///
/// Later versions may add members.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(in crate::http) struct Document<'a> {
    /// The URI of the problem type: a path on this service, with a page that explains the problem.
    ///
    /// The URI of a type never changes.
    #[schema(value_type = ProblemUri)]
    pub(in crate::http) r#type: String,
    /// The title of the problem type.
    #[schema(example = "The request is not valid")]
    pub(super) title: &'static str,
    /// The HTTP status.
    #[schema(example = 400)]
    pub(super) status: u16,
    /// An explanation of this occurrence of the problem.
    #[schema(example = "/country: must be a string, not a number.")]
    pub(super) detail: &'a str,
    /// The path of the request.
    #[schema(example = "/v1/orders")]
    pub(super) instance: &'a str,
    /// The id of the request, as in the header `X-Request-Id` and in the log.
    #[schema(example = "req_01KATV8ZJ3E0T9C4M6N2P5Q7RS")]
    pub(super) request_id: &'a str,
    #[serde(flatten)]
    #[schema(inline)]
    pub(super) members: &'a Members,
}

/// The members that only some problem types have.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub(in crate::http) struct Members {
    /// All faults of the request, or the field errors of Close.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::http) errors: Option<Vec<FieldError>>,
    /// The decision of the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::http) decision: Option<Explanation>,
    /// The id of the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::http) order_id: Option<OrderId>,
    /// The state of the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::http) state: Option<State>,
    /// The evidence for the end of the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::http) evidence: Option<Evidence>,
    /// The permission that the token lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "numbers:rent")]
    pub(in crate::http) need: Option<String>,
    /// Your teams.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::http) teams: Option<Vec<Team>>,
    /// Names in the token that give you no team.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::http) ignored_teams: Option<Vec<IgnoredTeamView>>,
    /// The limit: a whole number, or an amount in US dollars as a string.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>, nullable = false)]
    pub(in crate::http) limit: Option<Value>,
    /// How much of the limit is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>, nullable = false)]
    pub(in crate::http) used: Option<Value>,
    /// How much of the limit open orders reserve.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>, nullable = false)]
    pub(in crate::http) reserved: Option<Value>,
    /// Close's status of a refusal. `null` if Close's response had none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(in crate::http) close_status: Option<Value>,
    /// The settings that the operator has not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "webhooks.secret_file")]
    pub(in crate::http) missing: Option<&'static str>,
    /// The issuer of the service account's token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::http) issuer: Option<String>,
    /// The namespace of the service account.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::http) namespace: Option<String>,
    /// The name of the service account.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::http) name: Option<String>,
    /// The lines that the policy file needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::http) entry: Option<String>,
}

/// A fault of one value in a request.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct FieldError {
    /// A JSON pointer into the body, `/query/…` for a parameter, or `/headers/…` for a header.
    #[schema(example = "/country")]
    pub(in crate::http) pointer: String,
    /// What is wrong, or what would be right.
    #[schema(example = "must be a string, not a number")]
    pub(in crate::http) message: String,
}

impl From<&Fault> for FieldError {
    fn from(fault: &Fault) -> Self {
        Self {
            pointer: fault.pointer.clone(),
            message: fault.message.clone(),
        }
    }
}

/// The URI of a problem type.
struct ProblemUri;

impl ComposeSchema for ProblemUri {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        let uris: Vec<String> = ProblemType::ALL.iter().map(|problem| problem.uri()).collect();
        let known: Vec<(&str, &str)> = uris
            .iter()
            .zip(ProblemType::ALL)
            .map(|(uri, problem)| (uri.as_str(), problem.title()))
            .collect();
        open_enum(&["The URI of a problem type."], &known)
    }
}
impl ToSchema for ProblemUri {}

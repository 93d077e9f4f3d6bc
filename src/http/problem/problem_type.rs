//! The table of problem types.
//!
//! Error responses, the pages under `/problems/`, the OpenAPI document and `docs/errors.md` take their texts from it.

use axum::http::StatusCode;

macro_rules! problem_types {
    ($($variant:ident = $name:literal, $status:ident, $title:literal, $meaning:literal, $remedy:literal;)*) => {
        /// A problem type (RFC 9457). Its URI is `/problems/` followed by its name, and never changes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ProblemType { $(#[doc = $title] $variant),* }

        impl ProblemType {
            /// All problem types, ordered by status.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// Returns the last part of the URI.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
            /// Returns the HTTP status of the response.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),* }
            }
            /// Returns the title, the same in every response of this type.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),* }
            }
            /// Returns the explanation of the problem, in full sentences.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),* }
            }
            /// Returns how the client or its operator can solve the problem.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy),* }
            }
        }
    };
}

problem_types! {
    InvalidRequest = "invalid-request", BAD_REQUEST, "The request is not valid",
        "The body, the query or a header does not match the description of this API. Numberdesk did not execute the \
         request.",
        "`errors` lists every fault. `pointer` is a JSON pointer into the body, `/query/…` for a parameter, or \
         `/headers/…` for a header.";
    TeamRequired = "team-required", BAD_REQUEST, "The request must name a team",
        "The token belongs to several teams, or to none, and the request names no team.",
        "Send the field `team` with one of the `teams` in this response. If it has none, ask the administrator of your \
         issuer for a team, or the owner of the policy file for a grant; `ignored_teams` has the names in the token \
         that give no team.";
    IdempotencyKeyMissing = "idempotency-key-missing", BAD_REQUEST, "The idempotency key is missing",
        "An order rents a number and costs money. The key makes it safe to send the order again without renting twice.",
        "Create a key for each number you want, such as a UUID, store it, and send it as the header `Idempotency-Key`. \
         When you retry, send the same key. `errors` names the header.";
    IdempotencyKeyInvalid = "idempotency-key-invalid", BAD_REQUEST, "The idempotency key is not valid",
        "The header `Idempotency-Key` appears more than once, or its value is not 1 to 255 visible ASCII characters. \
         `detail` and `errors` give the reason.",
        "Send the header once, with a key such as a UUID.";
    Unauthorized = "unauthorized", UNAUTHORIZED, "A valid token is required",
        "The request has no bearer token, or its token is not valid. The header `WWW-Authenticate` gives the reason.",
        "Get a new token from your issuer and send it as `Authorization: Bearer <token>`.";
    NotFromClose = "not-from-close", UNAUTHORIZED, "The signature is not valid",
        "The signature of the webhook does not match a current signature key of Close, or is too old. Numberdesk did \
         not store the webhook.",
        "`detail` gives the reason. The signature is an HMAC-SHA256 over the timestamp and the raw bytes of the body, \
         see Close's documentation of webhooks. Its key is the signature key, decoded from hexadecimal digits to \
         bytes.";
    PermissionMissing = "permission-missing", FORBIDDEN, "The token lacks a permission",
        "The token is valid, but does not have the permission that this request requires.",
        "Ask the administrator of your issuer for the permission in `need`, or the owner of the policy file for a \
         grant. A Kubernetes service account gets its permissions from the policy file. `GET /v1/me` shows your \
         permissions in each team.";
    ServiceAccountUnmapped = "service-account-unmapped", FORBIDDEN, "The service account is not in the policy",
        "The token is valid, but the current policy has no entry for its Kubernetes service account. An account \
         without an entry has no permissions.",
        "Ask the owner of the policy file to add the lines in `entry`, with your team and the permissions that your \
         app needs. They take effect without a restart.";
    PolicyDenied = "policy-denied", FORBIDDEN, "The policy does not allow it",
        "The team's policy denies the request. Numberdesk stored nothing, and you can still use the idempotency key.",
        "`decision` contains the rule, your value (`have`), the required value (`need`), and a hint. \
         `POST /v1/orders/validate` checks an order before you send it.";
    QuotaExceeded = "quota-exceeded", FORBIDDEN, "The team's quota is used up",
        "The team holds as many numbers, or sent as many orders in the last 24 hours, as its policy allows. Open \
         orders count too.",
        "`limit`, `used` and `reserved` contain the figures. Release a number, wait until open orders end, or ask for \
         a higher quota.";
    BudgetExceeded = "budget-exceeded", FORBIDDEN, "The team's budget is used up",
        "With this number, the monthly price of the team's numbers and open orders would exceed its budget.",
        "`limit`, `used` and `reserved` contain the figures in US dollars. Release a number or ask for a higher \
         budget.";
    ApprovalRejected = "approval-rejected", FORBIDDEN, "The order was rejected",
        "The order with this idempotency key needed the approval of a second person, and that person rejected the \
         order. The order no longer reserves quota and budget.",
        "`detail` contains that person's comment, and `order_id` the id of the order. Talk to that person before you \
         order again under a new key.";
    OwnOrder = "own-order", FORBIDDEN, "The order is your own",
        "You cannot approve or reject an order that you sent. The token of the person who decides must have a \
         different subject. If the Close users of both are known, they must be different too.",
        "Ask another person whose token carries `orders:approve`. You can still cancel the order.";
    NotFound = "not-found", NOT_FOUND, "Not found",
        "The object, or the team that the request names, does not exist, or your token has no access to it. The response \
         is the same in all these cases.",
        "Check the path and the id, and the `team` in the body or in the query: `GET /v1/me` lists your teams. Paths do \
         not end with a slash. If no path matches the request, `detail` says so.";
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "The method is not allowed here",
        "The path exists, but does not support this method.",
        "The header `Allow` lists the methods that the path supports, and so does `detail`.";
    BodyTooSlow = "body-too-slow", REQUEST_TIMEOUT, "The body arrived too slowly",
        "The body of the request did not arrive in time. Numberdesk did not execute the request.",
        "Send the request again.";
    OrderCancelled = "order-cancelled", CONFLICT, "The order was cancelled",
        "The order with this idempotency key was cancelled before Numberdesk sent anything to Close.",
        "Order again under a new key.";
    OrderNotCancellable = "order-not-cancellable", CONFLICT, "The order can no longer be cancelled",
        "Numberdesk has already sent the order to Close, or the order is final.",
        "Read the order. If `state` is `cancelled`, nothing is left to do: you get this response if you repeat a \
         cancellation that worked. If the order rented a number that you do not want, release the number.";
    OrderNotInReview = "order-not-in-review", CONFLICT, "The order does not need a review",
        "A person can settle an order only in the state `needs_review`. This order is in another state.",
        "Read the order: `state` is its current state.";
    SettleContradicted = "settle-contradicted", CONFLICT, "Close contradicts the finding",
        "Numberdesk compared your finding with Close and with its own records. They contradict the finding, so \
         Numberdesk changed nothing.",
        "`detail` describes the contradiction. Check the order in Close again.";
    OrderNotAwaitingApproval = "order-not-awaiting-approval", CONFLICT, "The order does not await approval",
        "The order needed no approval, already has a different decision, was cancelled, or its deadline for approval \
         has passed.",
        "Read the order: `state` is its current state, and `approval` contains the decision and the person who \
         decided.";
    ReleaseUnderWay = "release-under-way", CONFLICT, "The release is under way",
        "Numberdesk has already asked Close to release the number, so you can no longer keep it. You can cancel a \
         scheduled release only before its time.",
        "Read the number. Once Close has released it, the response is 404. If Close refuses, your team keeps the \
         number and no release is scheduled.";
    WebhooksOff = "webhooks-off", CONFLICT, "Webhooks are not configured",
        "This service is not configured to send webhooks: the master secret, or the list of hosts and networks that \
         the service may call, is missing.",
        "`missing` names the settings. Ask the operator of the service to set them, or read `GET /v1/events` instead.";
    TooManyEndpoints = "too-many-webhook-endpoints", CONFLICT, "The team has too many webhook endpoints",
        "A team can have 20 webhook endpoints, including disabled ones.",
        "Remove an endpoint that you no longer use, or let one endpoint receive several event types.";
    EndpointDisabled = "webhook-endpoint-disabled", CONFLICT, "The webhook endpoint is disabled",
        "The service sends nothing to a disabled endpoint: no event, no replay and no test.",
        "Enable it with `PATCH` and `{\"state\": \"active\"}`, then try again.";
    PreconditionFailed = "precondition-failed", PRECONDITION_FAILED, "The number has changed",
        "`If-Match` does not contain the current version. The number changed after you read it.",
        "Read the number again. If you still want the change, send it with the new `ETag` in `If-Match`.";
    BodyTooLarge = "body-too-large", PAYLOAD_TOO_LARGE, "The body is too large",
        "The body of the request exceeds the limit of this service: 64 KiB, unless the operator configured another \
         limit.",
        "Send a smaller body. No request of this API needs a larger one.";
    UriTooLong = "uri-too-long", URI_TOO_LONG, "The path and query are too long",
        "Path and query together exceed 8 KiB.",
        "Send a shorter query. No request of this API needs a longer one.";
    UnsupportedMediaType = "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, "The request does not declare a JSON body",
        "The header `Content-Type` is missing or does not name JSON in UTF-8, or the body is compressed. `errors` names \
         the header.",
        "Send `Content-Type: application/json` and no `Content-Encoding`. A `PATCH` also accepts \
         `application/merge-patch+json`.";
    IdempotencyKeyReused = "idempotency-key-reused", UNPROCESSABLE_ENTITY, "The idempotency key belongs to another request",
        "The team already has an order with this key, and its body was different. `order_id` names that order; it is \
         unchanged.",
        "Use a new key for a new number. To repeat the earlier request, send exactly the same body.";
    CloseRefused = "close-refused", UNPROCESSABLE_ENTITY, "Close refused the request",
        "`close_status` is the status in Close's response, and `detail` its message, if it has one. If the request \
         belongs to an order, `order_id` is the id of the order, and the order no longer reserves quota and budget.",
        "`has-voice-only`: order with `with_sms: false`. `needs-more-info`: contact Close's support. `billing-error`: \
         the Close account needs funds. `error`: read `detail` and `errors`.";
    NotRented = "not-rented", UNPROCESSABLE_ENTITY, "No number was rented",
        "The outcome of the order was unknown for a while, because Close did not answer. Numberdesk then found that Close \
         had rented no number. Close did not refuse the order. The order is final, and no longer reserves quota and \
         budget.",
        "You can safely order again under a new key. `evidence` says how the outcome became known: \
         `absent-after-reconciliation` (Close showed no such number for long enough) or `settled-by-person`.";
    RateLimited = "rate-limited", TOO_MANY_REQUESTS, "The team sends too many requests",
        "The team has used up its request quota, which all tokens of the team share, or its share of this replica's \
         event streams or exports; or too many of its orders were refused within the hour, and `decision` names that \
         limit. Numberdesk did not execute the request, and the idempotency key is not used up.",
        "Try again after the seconds in `Retry-After`. `RateLimit` and `RateLimit-Policy` in every response show the \
         request quota. Spread your requests, or follow events instead of polling. Close streams and exports that you \
         do not read. If orders are refused, read why in `GET /v1/orders?state=refused` before you order again.";
    HeadersTooLarge = "headers-too-large", REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too large",
        "The request has more headers than this service accepts (100, unless the operator configured another limit), \
         or its headers together exceed 32 KiB.",
        "Send fewer or shorter headers. No request of this API needs more.";
    Internal = "internal", INTERNAL_SERVER_ERROR, "The service failed",
        "An internal error occurred. The log of the service contains the cause under the `request_id`.",
        "Try again. You can safely repeat an order under the same key. If the problem persists, report the \
         `request_id` to the operator of the service.";
    CloseUnavailable = "close-unavailable", BAD_GATEWAY, "Close is unavailable",
        "Close does not respond, or its response is not readable. Numberdesk does not know of any change.",
        "Try again later. You can still read numbers, because Numberdesk reads them from its own inventory.";
    Busy = "busy", SERVICE_UNAVAILABLE, "The service is overloaded",
        "This replica already runs the maximum number of requests of this kind, or another change of the same number \
         takes long. Numberdesk did not execute the request.",
        "Try again after the seconds in `Retry-After`. Another replica may have capacity.";
    OrdersOnHold = "orders-on-hold", SERVICE_UNAVAILABLE, "Orders and releases are on hold",
        "The operator of the service has stopped orders and releases, or the service has found that its database may be \
         older than Close. Numberdesk did not execute the request.",
        "`detail` gives the reason. Try again after the seconds in `Retry-After`, an order under the same key. You can \
         still read orders and numbers.";
    StoreUnavailable = "store-unavailable", SERVICE_UNAVAILABLE, "The database is unavailable",
        "The service cannot use its database. It has not sent your order to Close, unless it had accepted the order \
         in an earlier request.",
        "Try again after the seconds in `Retry-After`. Repeat an order under the same key.";
    KeysUnavailable = "keys-unavailable", SERVICE_UNAVAILABLE, "The issuer's keys are unavailable",
        "The service cannot verify the token, because it cannot load the keys of its issuer. The token may be valid.",
        "Try again after the seconds in `Retry-After`.";
}

impl ProblemType {
    /// The URI that identifies the type: a path on this service.
    pub fn uri(self) -> String {
        format!("/problems/{}", self.name())
    }
}

//! The kinds of problem there are: one table, from which the answers, the pages under `/problems/`, the OpenAPI
//! document and the guide to errors are made. It does not know how a request comes to one of them.

use std::str::FromStr;

use axum::http::StatusCode;

macro_rules! problem_types {
    ($($variant:ident = $name:literal, $status:ident, $title:literal, $meaning:literal, $remedy:literal;)*) => {
        /// A type of problem (RFC 9457). Its URI is `/problems/` and the name, and never changes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ProblemType { $(#[doc = $title] $variant),* }

        impl ProblemType {
            /// Every kind there is, by status.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// The last part of the URI.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
            /// The HTTP status that it comes with.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),* }
            }
            /// Its name for people; the same in every answer.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),* }
            }
            /// What has happened when it is answered.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),* }
            }
            /// What to do about it.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy),* }
            }
        }
    };
}

problem_types! {
    InvalidRequest = "invalid-request", BAD_REQUEST, "The request is not valid",
        "Something in the body, the query or the headers is not as the API describes it. Nothing was done.",
        "`errors` names every fault: `pointer` is a JSON pointer into the body, or `/query/…` and `/headers/…` for the rest.";
    TeamRequired = "team-required", BAD_REQUEST, "A team must be named",
        "The token belongs to several teams, or to none, and the order names none.",
        "Send the field `team` with one of the `teams` listed in the answer.";
    IdempotencyKeyMissing = "idempotency-key-missing", BAD_REQUEST, "The idempotency key is missing",
        "An order rents a number and costs money, so it must be repeatable without renting twice.",
        "Make up a key for each number you want, such as a UUID, keep it, and send it as the header `Idempotency-Key`. Send the same key when you try again.";
    IdempotencyKeyInvalid = "idempotency-key-invalid", BAD_REQUEST, "The idempotency key is not valid",
        "The header `Idempotency-Key` stands more than once, or is not 1 to 255 visible ASCII characters.",
        "Send one header with a key such as a UUID.";
    Unauthorized = "unauthorized", UNAUTHORIZED, "A valid token is needed",
        "The request carries no bearer token, or one that does not hold. `WWW-Authenticate` says what is wrong with it.",
        "Get a fresh token from your issuer and send it as `Authorization: Bearer <token>`.";
    NotFromClose = "not-from-close", UNAUTHORIZED, "The signature does not hold",
        "What was delivered is not signed by Close with a key that is in use, or was signed too long ago. Nothing was done.",
        "`detail` says what is wrong. Deliveries are signed as Close's documentation of webhooks says, over the time and the raw bytes of the body, with the key's bytes.";
    PermissionMissing = "permission-missing", FORBIDDEN, "The token lacks a permission",
        "The token is valid, but does not carry the permission that this request needs.",
        "Ask whoever administers your issuer for the permission named in `need`; a service account of Kubernetes gets it in the policy file.";
    ServiceAccountUnmapped = "service-account-unmapped", FORBIDDEN, "The service account is not in the policy",
        "The token is valid, but the policy in force has no entry for the service account of Kubernetes that it is of. An account without one may do nothing.",
        "Ask whoever reviews the policy file for the lines in `entry`, with your team and what the app has to do. They take effect without a restart.";
    PolicyDenied = "policy-denied", FORBIDDEN, "The policy does not allow it",
        "The team's policy says no. Nothing was stored, and an idempotency key that was sent is not used up.",
        "`decision` names the rule, what you have, what it needs, and a hint. Ask with `validate_only=true` before you order.";
    QuotaExceeded = "quota-exceeded", FORBIDDEN, "The team's quota is used up",
        "The team holds, or has ordered in the last 24 hours, as many numbers as its policy allows. Open orders count.",
        "`limit`, `used` and `reserved` give the figures. Release a number, wait for open orders to end, or have the quota raised.";
    BudgetExceeded = "budget-exceeded", FORBIDDEN, "The team's budget is used up",
        "The monthly price of the team's numbers, with this one and those on order, would be above its budget.",
        "`limit`, `used` and `reserved` give the figures in US dollars. Release a number or have the budget raised.";
    ApprovalRejected = "approval-rejected", FORBIDDEN, "The order was not approved",
        "The order with this idempotency key needed a second person's approval, and that person said no. What it had reserved is given back.",
        "`detail` has the person's comment; the order is named in `order_id`. Talk to whoever decided before you order again under a new key.";
    OwnOrder = "own-order", FORBIDDEN, "The order is your own",
        "An order is approved or rejected by someone else than who ordered: another subject and, where both are known, another user in Close.",
        "Have someone else decide, whose token carries `orders:approve`. You can still cancel the order.";
    NotFound = "not-found", NOT_FOUND, "Not found",
        "It does not exist, or not for this token: what belongs to another team answers just the same.",
        "Check the address and the id. Addresses end without a slash.";
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "The method is not allowed here",
        "The address exists, but does not take this method.",
        "The header `Allow` lists the methods it takes.";
    BodyTooSlow = "body-too-slow", REQUEST_TIMEOUT, "The body came too slowly",
        "The request's body did not arrive in time. Nothing was done.",
        "Send it again.";
    OrderCancelled = "order-cancelled", CONFLICT, "The order was cancelled",
        "The order with this idempotency key was cancelled before anything was sent to Close.",
        "Order again under a new key.";
    OrderNotCancellable = "order-not-cancellable", CONFLICT, "The order can't be cancelled any more",
        "Something was sent to Close already, or the order has ended.",
        "Look at the order. If it led to a number you do not want, release the number.";
    OrderNotInReview = "order-not-in-review", CONFLICT, "The order needs no person to settle it",
        "Only an order in the state `needs_review` is settled by a person; the others end by themselves, or have ended.",
        "Look at the order: `state` says where it stands.";
    SettleContradicted = "settle-contradicted", CONFLICT, "What is known says otherwise",
        "What was said of the order was held against Close and the desk's own books, and does not agree. Nothing was changed.",
        "`detail` says what is known. Look into Close once more.";
    OrderNotAwaitingApproval = "order-not-awaiting-approval", CONFLICT, "The order awaits no approval",
        "It needed none, or it was decided otherwise before, was cancelled, or was not decided in time.",
        "Look at the order: `state` says where it stands, and its `approval` who decided what.";
    ReleaseUnderWay = "release-under-way", CONFLICT, "The release is under way",
        "Close was asked to release the number already, so that it can't be kept any more. What was scheduled can be called off only before its time has come.",
        "Look at the number: it is gone once Close has released it. Should Close refuse, it stays yours and nothing is scheduled any more.";
    WebhooksOff = "webhooks-off", CONFLICT, "There are no webhooks here",
        "The service is not configured to send webhooks: it has no master secret, or no host and no network that it may call.",
        "`missing` names the settings. Ask whoever runs the service, or follow `GET /v1/events` instead.";
    TooManyEndpoints = "too-many-webhook-endpoints", CONFLICT, "The team has too many endpoints",
        "A team has at most 20 endpoints of webhooks, disabled ones included.",
        "Remove one that is no longer used, or let one endpoint take several types of events.";
    EndpointDisabled = "webhook-endpoint-disabled", CONFLICT, "The endpoint is disabled",
        "Nothing is sent to an endpoint that is disabled, not even again or as a trial.",
        "Make it active with `PATCH` and `{\"state\": \"active\"}`, then try again.";
    PreconditionFailed = "precondition-failed", PRECONDITION_FAILED, "The number has changed",
        "`If-Match` names another version than the present one: someone changed the number since you read it.",
        "Read the number again, decide again, and send its new `ETag`.";
    BodyTooLarge = "body-too-large", PAYLOAD_TOO_LARGE, "The body is too large",
        "The request's body is larger than this service takes, 64 KiB unless configured otherwise.",
        "Send less. No request of this API needs that much.";
    UriTooLong = "uri-too-long", URI_TOO_LONG, "The address is too long",
        "Path and query together are longer than 8 KiB.",
        "Send less. No request of this API needs that much.";
    UnsupportedMediaType = "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, "The body is not JSON",
        "The header `Content-Type` is missing or names something other than JSON in UTF-8, or the body is compressed.",
        "Send `Content-Type: application/json` and no `Content-Encoding`; `application/merge-patch+json` is taken where a number is changed.";
    IdempotencyKeyReused = "idempotency-key-reused", UNPROCESSABLE_ENTITY, "The idempotency key was used for another request",
        "The team has an order with this key that asked for something else. It is named in `order_id` and stays as it is.",
        "Use a new key for a new number. To repeat the earlier request, send exactly its body.";
    CloseRefused = "close-refused", UNPROCESSABLE_ENTITY, "Close refused",
        "Close was asked and said no. `close_status` is Close's own word, `detail` its message; the order, if there is one, is named in `order_id` and what it had reserved is given back.",
        "`has-voice-only`: order with `with_sms: false`. `needs-more-info`: Close's support has to help. `billing-error`: the Close account needs funds. `error`: read `detail` and `errors`.";
    RateLimited = "rate-limited", TOO_MANY_REQUESTS, "The team makes too many requests",
        "The team has made as many requests as it may in this time; all its tokens count together. Nothing was done.",
        "Try again after the time that `Retry-After` names. `RateLimit` and `RateLimit-Policy` in every answer say how much is left: spread requests, or follow events instead of asking.";
    HeadersTooLarge = "headers-too-large", REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too large",
        "There are more headers than this service takes, 100 unless configured otherwise, or they are longer than 32 KiB together.",
        "Send less. No request of this API needs that much.";
    Internal = "internal", INTERNAL_SERVER_ERROR, "The service failed",
        "A fault of the service itself. The log has the cause under the `request_id`.",
        "Try again; an order is safe to repeat under its key. If it stays, tell whoever runs the service and name the `request_id`.";
    CloseUnavailable = "close-unavailable", BAD_GATEWAY, "Close is unavailable",
        "Close can't be reached, or its answer makes no sense. Nothing is known to have changed.",
        "Try again later. Reads are answered from the desk's own inventory meanwhile.";
    Busy = "busy", SERVICE_UNAVAILABLE, "Too much is under way",
        "This replica has as much of this under way as it takes at once. Nothing was done.",
        "Try again after the time that `Retry-After` names; another replica may have room.";
    StoreUnavailable = "store-unavailable", SERVICE_UNAVAILABLE, "The database is unavailable",
        "The service can't reach its database. An order that was not accepted before has not been sent to Close.",
        "Try again after the time that `Retry-After` names, an order under the same key.";
    KeysUnavailable = "keys-unavailable", SERVICE_UNAVAILABLE, "The issuer's keys are unavailable",
        "The token can't be checked, because the keys of its issuer can't be had. The token may well be good.",
        "Try again after the time that `Retry-After` names.";
}

impl ProblemType {
    /// The URI that identifies it, a path on this service.
    pub fn uri(self) -> String {
        format!("/problems/{}", self.name())
    }
}

/// A text that is no kind's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownProblemType;

impl FromStr for ProblemType {
    type Err = UnknownProblemType;
    fn from_str(name: &str) -> Result<Self, UnknownProblemType> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.name() == name)
            .ok_or(UnknownProblemType)
    }
}

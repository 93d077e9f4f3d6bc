"""One exception for each problem type. `generate.sh` writes it from openapi/numberdesk.json."""

from ..problem import Problem
from .models import Decision


class ApprovalRejected(Problem):
    """The order was rejected."""


class BodyTooLarge(Problem):
    """The body is too large."""


class BodyTooSlow(Problem):
    """The body arrived too slowly."""


class BudgetExceeded(Problem):
    """The team's budget is used up."""

    limit: str
    used: str
    reserved: str


class Busy(Problem):
    """The service is overloaded."""


class CloseRefused(Problem):
    """Close refused the request."""


class CloseUnavailable(Problem):
    """Close is unavailable."""


class HeadersTooLarge(Problem):
    """The headers are too large."""


class IdempotencyKeyInvalid(Problem):
    """The idempotency key is not valid."""


class IdempotencyKeyMissing(Problem):
    """The idempotency key is missing."""


class IdempotencyKeyReused(Problem):
    """The idempotency key belongs to another request."""


class Internal(Problem):
    """The service failed."""


class InvalidRequest(Problem):
    """The request is not valid."""


class KeysUnavailable(Problem):
    """The issuer's keys are unavailable."""


class MethodNotAllowed(Problem):
    """The method is not allowed here."""


class NotFound(Problem):
    """Not found."""


class NotFromClose(Problem):
    """The signature is not valid."""


class NotRented(Problem):
    """No number was rented."""

    order_id: str
    evidence: str


class OrderCancelled(Problem):
    """The order was cancelled."""


class OrderNotAwaitingApproval(Problem):
    """The order does not await approval."""


class OrderNotCancellable(Problem):
    """The order can no longer be cancelled."""


class OrderNotInReview(Problem):
    """The order does not need a review."""


class OrdersOnHold(Problem):
    """Orders and releases are on hold."""


class OwnOrder(Problem):
    """The order is your own."""


class PermissionMissing(Problem):
    """The token lacks a permission."""

    need: str


class PolicyDenied(Problem):
    """The policy does not allow it."""

    decision: Decision


class PreconditionFailed(Problem):
    """The number has changed."""


class QuotaExceeded(Problem):
    """The team's quota is used up."""

    limit: int
    used: int
    reserved: int


class RateLimited(Problem):
    """The team sends too many requests."""


class ReleaseUnderWay(Problem):
    """The release is under way."""


class ServiceAccountUnmapped(Problem):
    """The service account is not in the policy."""


class SettleContradicted(Problem):
    """Close contradicts the finding."""


class StoreUnavailable(Problem):
    """The database is unavailable."""


class TeamRequired(Problem):
    """The request must name a team."""

    teams: list[str]


class TooManyWebhookEndpoints(Problem):
    """The team has too many webhook endpoints."""


class Unauthorized(Problem):
    """A valid token is required."""


class UnsupportedMediaType(Problem):
    """The request does not declare a JSON body."""


class UriTooLong(Problem):
    """The path and query are too long."""


class WebhookEndpointDisabled(Problem):
    """The webhook endpoint is disabled."""


class WebhooksOff(Problem):
    """Webhooks are not configured."""


__all__ = [
    "ApprovalRejected",
    "BodyTooLarge",
    "BodyTooSlow",
    "BudgetExceeded",
    "Busy",
    "CloseRefused",
    "CloseUnavailable",
    "HeadersTooLarge",
    "IdempotencyKeyInvalid",
    "IdempotencyKeyMissing",
    "IdempotencyKeyReused",
    "Internal",
    "InvalidRequest",
    "KeysUnavailable",
    "MethodNotAllowed",
    "NotFound",
    "NotFromClose",
    "NotRented",
    "OrderCancelled",
    "OrderNotAwaitingApproval",
    "OrderNotCancellable",
    "OrderNotInReview",
    "OrdersOnHold",
    "OwnOrder",
    "PermissionMissing",
    "PolicyDenied",
    "PreconditionFailed",
    "QuotaExceeded",
    "RateLimited",
    "ReleaseUnderWay",
    "ServiceAccountUnmapped",
    "SettleContradicted",
    "StoreUnavailable",
    "TeamRequired",
    "TooManyWebhookEndpoints",
    "Unauthorized",
    "UnsupportedMediaType",
    "UriTooLong",
    "WebhookEndpointDisabled",
    "WebhooksOff",
]

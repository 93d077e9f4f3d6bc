from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.decision import Decision
    from ..models.field_error import FieldError
    from ..models.ignored_team import IgnoredTeam


T = TypeVar("T", bound="Problem")


@_attrs_define
class Problem:
    """An error response (RFC 9457). Beside the members of every problem, some problem types have members of their own.

    Later versions may add members.

        Attributes:
            type_ (str): The URI of the problem type: a path on this service, with a page that explains the problem.

                The URI of a type never changes.

                * `/problems/invalid-request`: The request is not valid
                * `/problems/team-required`: The request must name a team
                * `/problems/idempotency-key-missing`: The idempotency key is missing
                * `/problems/idempotency-key-invalid`: The idempotency key is not valid
                * `/problems/unauthorized`: A valid token is required
                * `/problems/not-from-close`: The signature is not valid
                * `/problems/permission-missing`: The token lacks a permission
                * `/problems/service-account-unmapped`: The service account is not in the policy
                * `/problems/policy-denied`: The policy does not allow it
                * `/problems/quota-exceeded`: The team's quota is used up
                * `/problems/budget-exceeded`: The team's budget is used up
                * `/problems/approval-rejected`: The order was rejected
                * `/problems/own-order`: The order is your own
                * `/problems/not-found`: Not found
                * `/problems/method-not-allowed`: The method is not allowed here
                * `/problems/body-too-slow`: The body arrived too slowly
                * `/problems/order-cancelled`: The order was cancelled
                * `/problems/order-not-cancellable`: The order can no longer be cancelled
                * `/problems/order-not-in-review`: The order does not need a review
                * `/problems/settle-contradicted`: Close contradicts the finding
                * `/problems/order-not-awaiting-approval`: The order does not await approval
                * `/problems/release-under-way`: The release is under way
                * `/problems/webhooks-off`: Webhooks are not configured
                * `/problems/too-many-webhook-endpoints`: The team has too many webhook endpoints
                * `/problems/webhook-endpoint-disabled`: The webhook endpoint is disabled
                * `/problems/precondition-failed`: The number has changed
                * `/problems/body-too-large`: The body is too large
                * `/problems/uri-too-long`: The path and query are too long
                * `/problems/unsupported-media-type`: The request does not declare a JSON body
                * `/problems/idempotency-key-reused`: The idempotency key belongs to another request
                * `/problems/close-refused`: Close refused the request
                * `/problems/not-rented`: No number was rented
                * `/problems/rate-limited`: The team sends too many requests
                * `/problems/headers-too-large`: The headers are too large
                * `/problems/internal`: The service failed
                * `/problems/close-unavailable`: Close is unavailable
                * `/problems/busy`: The service is overloaded
                * `/problems/orders-on-hold`: Orders and releases are on hold
                * `/problems/store-unavailable`: The database is unavailable
                * `/problems/keys-unavailable`: The issuer's keys are unavailable

                Later versions may add values.
            title (str): The title of the problem type.
            status (int): The HTTP status.
            detail (str): An explanation of this occurrence of the problem.
            instance (str): The path of the request.
            request_id (str): The id of the request, as in the header `X-Request-Id` and in the log.
            errors (list[FieldError] | Unset): All faults of the request, or the field errors of Close.
            decision (Decision | Unset): A decision of the policy: the rule, the actual value, the required value and a
                hint.
            order_id (str | Unset): The id of the order.
            state (str | Unset): The state of the order.

                * `awaiting_approval`: A second person must approve it.
                * `queued`: Accepted; nothing has been sent to Close.
                * `renting`: The paid call is, or may be, in progress.
                * `unverified`: The outcome of the paid call is unknown: Close may have rented a number.
                * `needs_review`: A person must decide the outcome.
                * `fulfilled`: Close rented a number.
                * `refused`: It is certain that Close did not rent a number.
                * `cancelled`: Cancelled before anything was sent to Close.

                Later versions may add values.
            evidence (str | Unset): The evidence for the end of the order.

                * `close-201`: Close answered 201 with the number.
                * `close-refusal`: Close answered that it did not rent.
                * `found-by-reconciliation`: Reconciliation found the number in Close after an unknown outcome.
                * `absent-after-reconciliation`: Close showed no matching number for a long enough time.
                * `settled-by-person`: A person decided.

                Later versions may add values.
            need (str | Unset): The permission that the token lacks.
            teams (list[str] | Unset): Your teams.
            ignored_teams (list[IgnoredTeam] | Unset): Names in the token that give you no team.
            limit (Any | Unset): The limit: a whole number, or an amount in US dollars as a string.
            used (Any | Unset): How much of the limit is used.
            reserved (Any | Unset): How much of the limit open orders reserve.
            close_status (None | str | Unset): Close's status of a refusal. `null` if Close's response had none.
            missing (str | Unset): The settings that the operator has not set.
            issuer (str | Unset): The issuer of the service account's token.
            namespace (str | Unset): The namespace of the service account.
            name (str | Unset): The name of the service account.
            entry (str | Unset): The lines that the policy file needs.
    """

    type_: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: list[FieldError] | Unset = UNSET
    decision: Decision | Unset = UNSET
    order_id: str | Unset = UNSET
    state: str | Unset = UNSET
    evidence: str | Unset = UNSET
    need: str | Unset = UNSET
    teams: list[str] | Unset = UNSET
    ignored_teams: list[IgnoredTeam] | Unset = UNSET
    limit: Any | Unset = UNSET
    used: Any | Unset = UNSET
    reserved: Any | Unset = UNSET
    close_status: None | str | Unset = UNSET
    missing: str | Unset = UNSET
    issuer: str | Unset = UNSET
    namespace: str | Unset = UNSET
    name: str | Unset = UNSET
    entry: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        type_ = self.type_

        title = self.title

        status = self.status

        detail = self.detail

        instance = self.instance

        request_id = self.request_id

        errors: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.errors, Unset):
            errors = []
            for errors_item_data in self.errors:
                errors_item = errors_item_data.to_dict()
                errors.append(errors_item)

        decision: dict[str, Any] | Unset = UNSET
        if not isinstance(self.decision, Unset):
            decision = self.decision.to_dict()

        order_id = self.order_id

        state = self.state

        evidence = self.evidence

        need = self.need

        teams: list[str] | Unset = UNSET
        if not isinstance(self.teams, Unset):
            teams = self.teams

        ignored_teams: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.ignored_teams, Unset):
            ignored_teams = []
            for ignored_teams_item_data in self.ignored_teams:
                ignored_teams_item = ignored_teams_item_data.to_dict()
                ignored_teams.append(ignored_teams_item)

        limit = self.limit

        used = self.used

        reserved = self.reserved

        close_status: None | str | Unset
        if isinstance(self.close_status, Unset):
            close_status = UNSET
        else:
            close_status = self.close_status

        missing = self.missing

        issuer = self.issuer

        namespace = self.namespace

        name = self.name

        entry = self.entry

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "type": type_,
                "title": title,
                "status": status,
                "detail": detail,
                "instance": instance,
                "request_id": request_id,
            }
        )
        if errors is not UNSET:
            field_dict["errors"] = errors
        if decision is not UNSET:
            field_dict["decision"] = decision
        if order_id is not UNSET:
            field_dict["order_id"] = order_id
        if state is not UNSET:
            field_dict["state"] = state
        if evidence is not UNSET:
            field_dict["evidence"] = evidence
        if need is not UNSET:
            field_dict["need"] = need
        if teams is not UNSET:
            field_dict["teams"] = teams
        if ignored_teams is not UNSET:
            field_dict["ignored_teams"] = ignored_teams
        if limit is not UNSET:
            field_dict["limit"] = limit
        if used is not UNSET:
            field_dict["used"] = used
        if reserved is not UNSET:
            field_dict["reserved"] = reserved
        if close_status is not UNSET:
            field_dict["close_status"] = close_status
        if missing is not UNSET:
            field_dict["missing"] = missing
        if issuer is not UNSET:
            field_dict["issuer"] = issuer
        if namespace is not UNSET:
            field_dict["namespace"] = namespace
        if name is not UNSET:
            field_dict["name"] = name
        if entry is not UNSET:
            field_dict["entry"] = entry

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.decision import Decision  # noqa: PLC0415
        from ..models.field_error import FieldError  # noqa: PLC0415
        from ..models.ignored_team import IgnoredTeam  # noqa: PLC0415

        d = dict(src_dict)
        type_ = d.pop("type")

        title = d.pop("title")

        status = d.pop("status")

        detail = d.pop("detail")

        instance = d.pop("instance")

        request_id = d.pop("request_id")

        _errors = d.pop("errors", UNSET)
        errors: list[FieldError] | Unset = UNSET
        if _errors is not UNSET:
            errors = []
            for errors_item_data in _errors:
                errors_item = FieldError.from_dict(errors_item_data)

                errors.append(errors_item)

        _decision = d.pop("decision", UNSET)
        decision: Decision | Unset
        if isinstance(_decision, Unset):
            decision = UNSET
        else:
            decision = Decision.from_dict(_decision)

        order_id = d.pop("order_id", UNSET)

        state = d.pop("state", UNSET)

        evidence = d.pop("evidence", UNSET)

        need = d.pop("need", UNSET)

        teams = cast(list[str], d.pop("teams", UNSET))

        _ignored_teams = d.pop("ignored_teams", UNSET)
        ignored_teams: list[IgnoredTeam] | Unset = UNSET
        if _ignored_teams is not UNSET:
            ignored_teams = []
            for ignored_teams_item_data in _ignored_teams:
                ignored_teams_item = IgnoredTeam.from_dict(ignored_teams_item_data)

                ignored_teams.append(ignored_teams_item)

        limit = d.pop("limit", UNSET)

        used = d.pop("used", UNSET)

        reserved = d.pop("reserved", UNSET)

        def _parse_close_status(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        close_status = _parse_close_status(d.pop("close_status", UNSET))

        missing = d.pop("missing", UNSET)

        issuer = d.pop("issuer", UNSET)

        namespace = d.pop("namespace", UNSET)

        name = d.pop("name", UNSET)

        entry = d.pop("entry", UNSET)

        problem = cls(
            type_=type_,
            title=title,
            status=status,
            detail=detail,
            instance=instance,
            request_id=request_id,
            errors=errors,
            decision=decision,
            order_id=order_id,
            state=state,
            evidence=evidence,
            need=need,
            teams=teams,
            ignored_teams=ignored_teams,
            limit=limit,
            used=used,
            reserved=reserved,
            close_status=close_status,
            missing=missing,
            issuer=issuer,
            namespace=namespace,
            name=name,
            entry=entry,
        )

        problem.additional_properties = d
        return problem

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties

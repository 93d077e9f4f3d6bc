from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ...timestamp import read_time

if TYPE_CHECKING:
    from ..models.actor import Actor


T = TypeVar("T", bound="AuditRow")


@_attrs_define
class AuditRow:
    """A recorded action: its actor, its object, the decision of the policy and the outcome.

    Attributes:
        id (str): The id of the row. Ids sort by time.
        at (datetime.datetime): The time of the action.
        actor (Actor): The actor of an audit row: a caller by issuer and subject, or the service itself.
        team (None | str): The team that the action concerns.
        action (str): The action.

            * `order.create`: A caller requested an order.
            * `order.send`: The service began the paid call to Close.
            * `order.settle`: Close's answer changed the state of an order.
            * `order.review`: A person settled an order in manual review.
            * `order.approve`: A second person approved an order.
            * `order.reject`: A second person rejected an order.
            * `order.expire`: The approval period of an order expired.
            * `order.cancel`: A caller cancelled an order.
            * `number.update`: A caller changed a number.
            * `number.release`: A caller released a number or scheduled its release.
            * `number.keep`: A caller cancelled a scheduled release.
            * `number.transfer`: An administrator assigned a number to a team.
            * `number.gone`: The service found that Close no longer has a number.
            * `number.late`: A number appeared after its order was given up.
            * `webhook_endpoint.create`: A caller registered a webhook endpoint.
            * `webhook_endpoint.update`: A caller changed, enabled or disabled an endpoint.
            * `webhook_endpoint.disable`: The service disabled an endpoint.
            * `webhook_endpoint.delete`: A caller deleted an endpoint.
            * `webhook_endpoint.rotate_secret`: A caller rotated an endpoint's secret.
            * `webhook_endpoint.read_secret`: A caller read an endpoint's secret.
            * `webhook_endpoint.replay`: A caller replayed events to an endpoint.
            * `webhook_endpoint.test`: A caller sent a test event to an endpoint.
            * `policy.change`: A new policy came into force.
            * `policy.reject`: The service rejected an invalid policy file.
            * `hold.start`: The service or an operator stopped all calls that cost or destroy.
            * `hold.end`: A person permitted these calls again.

            Later versions may add values.
        allowed (bool | None): Whether the policy allowed the action. `null` if the action needed no decision of the
            policy.
        rule (None | str): The rule of the policy that decided.
        order_id (None | str): The order that the action concerns.
        phone_number_id (None | str): The number that the action concerns.
        outcome (str): The outcome, in one or two words.
        detail (Any): Details that depend on the action.

            `grant` is the entry of the policy that gave the actor the permission, such as `grants[2]`; without it, the
            token
            gave the permission. `sub` is the token's `sub`, if the actor's `subject` shows another claim.
        request_id (None | str): The id of the request that caused the action.
    """

    id: str
    at: datetime.datetime
    actor: Actor
    team: None | str
    action: str
    allowed: bool | None
    rule: None | str
    order_id: None | str
    phone_number_id: None | str
    outcome: str
    detail: Any
    request_id: None | str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        at = self.at.isoformat()

        actor = self.actor.to_dict()

        team: None | str
        team = self.team

        action = self.action

        allowed: bool | None
        allowed = self.allowed

        rule: None | str
        rule = self.rule

        order_id: None | str
        order_id = self.order_id

        phone_number_id: None | str
        phone_number_id = self.phone_number_id

        outcome = self.outcome

        detail = self.detail

        request_id: None | str
        request_id = self.request_id

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "at": at,
                "actor": actor,
                "team": team,
                "action": action,
                "allowed": allowed,
                "rule": rule,
                "order_id": order_id,
                "phone_number_id": phone_number_id,
                "outcome": outcome,
                "detail": detail,
                "request_id": request_id,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.actor import Actor  # noqa: PLC0415

        d = dict(src_dict)
        id = d.pop("id")

        at = read_time(d.pop("at"))

        actor = Actor.from_dict(d.pop("actor"))

        def _parse_team(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        team = _parse_team(d.pop("team"))

        action = d.pop("action")

        def _parse_allowed(data: object) -> bool | None:
            if data is None:
                return data
            return cast(bool | None, data)

        allowed = _parse_allowed(d.pop("allowed"))

        def _parse_rule(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        rule = _parse_rule(d.pop("rule"))

        def _parse_order_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        order_id = _parse_order_id(d.pop("order_id"))

        def _parse_phone_number_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        phone_number_id = _parse_phone_number_id(d.pop("phone_number_id"))

        outcome = d.pop("outcome")

        detail = d.pop("detail")

        def _parse_request_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        request_id = _parse_request_id(d.pop("request_id"))

        audit_row = cls(
            id=id,
            at=at,
            actor=actor,
            team=team,
            action=action,
            allowed=allowed,
            rule=rule,
            order_id=order_id,
            phone_number_id=phone_number_id,
            outcome=outcome,
            detail=detail,
            request_id=request_id,
        )

        audit_row.additional_properties = d
        return audit_row

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

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.denial_kind import DenialKind, check_denial_kind

if TYPE_CHECKING:
    from ..models.decision import Decision
    from ..models.limits import Limits
    from ..models.remaining_limits import RemainingLimits
    from ..models.usage import Usage


T = TypeVar("T", bound="Validation")


@_attrs_define
class Validation:
    """The decision that Numberdesk would make about an order.

    Numberdesk stored nothing and sent nothing to Close.

        Attributes:
            allowed (bool): Whether Numberdesk would accept the order.
            team (str): The team of the order.
            refusal (DenialKind | None): The kind of rule that denies the order: `policy`, `quota` or `budget`.

                `null` if the order is allowed.
            decision (Decision): A decision of the policy: the rule, the actual value, the required value and a hint.
            approval (Decision | None): The rule that requires an approval by a second person. `null` if no rule does.
            estimated_monthly_price (None | str): The estimated monthly price in US dollars. `null` if the policy has no
                price for the number.
            limits (Limits): The caps of a team. `null` means unlimited.
            usage (Usage): The usage of a team.
            left (RemainingLimits): What is left of a team's caps. `null` means unlimited.
    """

    allowed: bool
    team: str
    refusal: DenialKind | None
    decision: Decision
    approval: Decision | None
    estimated_monthly_price: None | str
    limits: Limits
    usage: Usage
    left: RemainingLimits
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.decision import Decision  # noqa: PLC0415

        allowed = self.allowed

        team = self.team

        refusal: None | str
        if isinstance(self.refusal, str):
            refusal = self.refusal
        else:
            refusal = self.refusal

        decision = self.decision.to_dict()

        approval: dict[str, Any] | None
        if isinstance(self.approval, Decision):
            approval = self.approval.to_dict()
        else:
            approval = self.approval

        estimated_monthly_price: None | str
        estimated_monthly_price = self.estimated_monthly_price

        limits = self.limits.to_dict()

        usage = self.usage.to_dict()

        left = self.left.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "allowed": allowed,
                "team": team,
                "refusal": refusal,
                "decision": decision,
                "approval": approval,
                "estimated_monthly_price": estimated_monthly_price,
                "limits": limits,
                "usage": usage,
                "left": left,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.decision import Decision  # noqa: PLC0415
        from ..models.limits import Limits  # noqa: PLC0415
        from ..models.remaining_limits import RemainingLimits  # noqa: PLC0415
        from ..models.usage import Usage  # noqa: PLC0415

        d = dict(src_dict)
        allowed = d.pop("allowed")

        team = d.pop("team")

        def _parse_refusal(data: object) -> DenialKind | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                refusal_type_0 = check_denial_kind(data)

                return refusal_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(DenialKind | None, data)

        refusal = _parse_refusal(d.pop("refusal"))

        decision = Decision.from_dict(d.pop("decision"))

        def _parse_approval(data: object) -> Decision | None:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                approval_type_0 = Decision.from_dict(data)

                return approval_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(Decision | None, data)

        approval = _parse_approval(d.pop("approval"))

        def _parse_estimated_monthly_price(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        estimated_monthly_price = _parse_estimated_monthly_price(d.pop("estimated_monthly_price"))

        limits = Limits.from_dict(d.pop("limits"))

        usage = Usage.from_dict(d.pop("usage"))

        left = RemainingLimits.from_dict(d.pop("left"))

        validation = cls(
            allowed=allowed,
            team=team,
            refusal=refusal,
            decision=decision,
            approval=approval,
            estimated_monthly_price=estimated_monthly_price,
            limits=limits,
            usage=usage,
            left=left,
        )

        validation.additional_properties = d
        return validation

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

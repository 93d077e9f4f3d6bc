from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.given_permissions import GivenPermissions
    from ..models.limits import Limits
    from ..models.remaining_limits import RemainingLimits
    from ..models.team_usage_policy_type_0 import TeamUsagePolicyType0
    from ..models.usage import Usage


T = TypeVar("T", bound="TeamUsage")


@_attrs_define
class TeamUsage:
    """One of your teams.

    Attributes:
        team (str): The name of the team.
        permissions (list[str]): Your permissions in the team, those that hold everywhere included.
        given (list[GivenPermissions]): The permissions that you were given in this team, by source.
        rule (None | str): The path of the team's rules in the policy.

            `null` if the policy has no rules for the team: it may do nothing then.
        policy (None | TeamUsagePolicyType0): The rules of the team, as in the policy.
        limits (Limits): The caps of a team. `null` means unlimited.
        usage (Usage): The usage of a team.
        left (RemainingLimits): What is left of a team's caps. `null` means unlimited.
    """

    team: str
    permissions: list[str]
    given: list[GivenPermissions]
    rule: None | str
    policy: None | TeamUsagePolicyType0
    limits: Limits
    usage: Usage
    left: RemainingLimits
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.team_usage_policy_type_0 import TeamUsagePolicyType0  # noqa: PLC0415

        team = self.team

        permissions = self.permissions

        given = []
        for given_item_data in self.given:
            given_item = given_item_data.to_dict()
            given.append(given_item)

        rule: None | str
        rule = self.rule

        policy: dict[str, Any] | None
        if isinstance(self.policy, TeamUsagePolicyType0):
            policy = self.policy.to_dict()
        else:
            policy = self.policy

        limits = self.limits.to_dict()

        usage = self.usage.to_dict()

        left = self.left.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "team": team,
                "permissions": permissions,
                "given": given,
                "rule": rule,
                "policy": policy,
                "limits": limits,
                "usage": usage,
                "left": left,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.given_permissions import GivenPermissions  # noqa: PLC0415
        from ..models.limits import Limits  # noqa: PLC0415
        from ..models.remaining_limits import RemainingLimits  # noqa: PLC0415
        from ..models.team_usage_policy_type_0 import TeamUsagePolicyType0  # noqa: PLC0415
        from ..models.usage import Usage  # noqa: PLC0415

        d = dict(src_dict)
        team = d.pop("team")

        permissions = cast(list[str], d.pop("permissions"))

        given = []
        _given = d.pop("given")
        for given_item_data in _given:
            given_item = GivenPermissions.from_dict(given_item_data)

            given.append(given_item)

        def _parse_rule(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        rule = _parse_rule(d.pop("rule"))

        def _parse_policy(data: object) -> None | TeamUsagePolicyType0:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                policy_type_0 = TeamUsagePolicyType0.from_dict(data)

                return policy_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | TeamUsagePolicyType0, data)

        policy = _parse_policy(d.pop("policy"))

        limits = Limits.from_dict(d.pop("limits"))

        usage = Usage.from_dict(d.pop("usage"))

        left = RemainingLimits.from_dict(d.pop("left"))

        team_usage = cls(
            team=team,
            permissions=permissions,
            given=given,
            rule=rule,
            policy=policy,
            limits=limits,
            usage=usage,
            left=left,
        )

        team_usage.additional_properties = d
        return team_usage

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

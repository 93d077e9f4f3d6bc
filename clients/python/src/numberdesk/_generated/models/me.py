from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.given_permissions import GivenPermissions
    from ..models.ignored_team import IgnoredTeam
    from ..models.team_usage import TeamUsage


T = TypeVar("T", bound="Me")


@_attrs_define
class Me:
    """The caller and its teams.

    Attributes:
        issuer (str): The issuer of the token.
        subject (str): The subject of the token.
        name (str): Your name in orders and in the audit trail: the subject, or the claim that the operator chose.
        close_user (None | str): Your user in Close, from the token or, for a service account, from the policy.

            `null` if neither names a user.
        permissions (list[str]): The permissions that you have in at least one team, or everywhere.

            A permission holds only in some teams: `permissions` of each team has those of the team.
        everywhere (list[GivenPermissions]): The permissions that hold in all teams, by source.
        teams (list[TeamUsage]): Your teams.
        ignored_teams (list[IgnoredTeam]): Names in the token, at the claim for teams, that give you no team.
        group_overage (None | str): The reason why groups are missing in the token, and the remedy. `null` if none are
            known to be missing.
    """

    issuer: str
    subject: str
    name: str
    close_user: None | str
    permissions: list[str]
    everywhere: list[GivenPermissions]
    teams: list[TeamUsage]
    ignored_teams: list[IgnoredTeam]
    group_overage: None | str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        issuer = self.issuer

        subject = self.subject

        name = self.name

        close_user: None | str
        close_user = self.close_user

        permissions = self.permissions

        everywhere = []
        for everywhere_item_data in self.everywhere:
            everywhere_item = everywhere_item_data.to_dict()
            everywhere.append(everywhere_item)

        teams = []
        for teams_item_data in self.teams:
            teams_item = teams_item_data.to_dict()
            teams.append(teams_item)

        ignored_teams = []
        for ignored_teams_item_data in self.ignored_teams:
            ignored_teams_item = ignored_teams_item_data.to_dict()
            ignored_teams.append(ignored_teams_item)

        group_overage: None | str
        group_overage = self.group_overage

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "issuer": issuer,
                "subject": subject,
                "name": name,
                "close_user": close_user,
                "permissions": permissions,
                "everywhere": everywhere,
                "teams": teams,
                "ignored_teams": ignored_teams,
                "group_overage": group_overage,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.given_permissions import GivenPermissions  # noqa: PLC0415
        from ..models.ignored_team import IgnoredTeam  # noqa: PLC0415
        from ..models.team_usage import TeamUsage  # noqa: PLC0415

        d = dict(src_dict)
        issuer = d.pop("issuer")

        subject = d.pop("subject")

        name = d.pop("name")

        def _parse_close_user(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        close_user = _parse_close_user(d.pop("close_user"))

        permissions = cast(list[str], d.pop("permissions"))

        everywhere = []
        _everywhere = d.pop("everywhere")
        for everywhere_item_data in _everywhere:
            everywhere_item = GivenPermissions.from_dict(everywhere_item_data)

            everywhere.append(everywhere_item)

        teams = []
        _teams = d.pop("teams")
        for teams_item_data in _teams:
            teams_item = TeamUsage.from_dict(teams_item_data)

            teams.append(teams_item)

        ignored_teams = []
        _ignored_teams = d.pop("ignored_teams")
        for ignored_teams_item_data in _ignored_teams:
            ignored_teams_item = IgnoredTeam.from_dict(ignored_teams_item_data)

            ignored_teams.append(ignored_teams_item)

        def _parse_group_overage(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        group_overage = _parse_group_overage(d.pop("group_overage"))

        me = cls(
            issuer=issuer,
            subject=subject,
            name=name,
            close_user=close_user,
            permissions=permissions,
            everywhere=everywhere,
            teams=teams,
            ignored_teams=ignored_teams,
            group_overage=group_overage,
        )

        me.additional_properties = d
        return me

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

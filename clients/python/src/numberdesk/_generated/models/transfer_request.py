from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

T = TypeVar("T", bound="TransferRequest")


@_attrs_define
class TransferRequest:
    """The team that gets a number.

    Attributes:
        team (str): The name of the team.
    """

    team: str

    def to_dict(self) -> dict[str, Any]:
        team = self.team

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "team": team,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        team = d.pop("team")

        transfer_request = cls(
            team=team,
        )

        return transfer_request

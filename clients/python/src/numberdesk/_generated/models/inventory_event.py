from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ...timestamp import read_time

if TYPE_CHECKING:
    from ..models.inventory_data import InventoryData


T = TypeVar("T", bound="InventoryEvent")


@_attrs_define
class InventoryEvent:
    """
    Attributes:
        id (str): The id of the event. Send the id of your last event as `after` or `Last-Event-ID`.
        type_ (str): The type of the event.
        team (None | str): The team that the event concerns.

            `null` for an object without a team; only callers with `numbers:admin` see such an event.
        occurred_at (datetime.datetime): The time of the change.
        data (InventoryData): The data of `inventory.compared`: the whole inventory was compared with Close. It has no
            members.
    """

    id: str
    type_: str
    team: None | str
    occurred_at: datetime.datetime
    data: InventoryData
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        type_ = self.type_

        team: None | str
        team = self.team

        occurred_at = self.occurred_at.isoformat()

        data = self.data.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "type": type_,
                "team": team,
                "occurred_at": occurred_at,
                "data": data,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.inventory_data import InventoryData  # noqa: PLC0415

        d = dict(src_dict)
        id = d.pop("id")

        type_ = d.pop("type")

        def _parse_team(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        team = _parse_team(d.pop("team"))

        occurred_at = read_time(d.pop("occurred_at"))

        data = InventoryData.from_dict(d.pop("data"))

        inventory_event = cls(
            id=id,
            type_=type_,
            team=team,
            occurred_at=occurred_at,
            data=data,
        )

        inventory_event.additional_properties = d
        return inventory_event

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

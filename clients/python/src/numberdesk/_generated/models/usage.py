from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="Usage")


@_attrs_define
class Usage:
    """The usage of a team.

    Attributes:
        numbers_held (int): The number of phone numbers that the team holds.
        numbers_reserved (int): The number of phone numbers that open orders reserve.
        orders_last_day (int): The orders of the last 24 hours, without refused and cancelled orders.
        refused_last_hour (int): The orders that Close refused, or that rented no number, within the last hour.
        monthly_held (str): The monthly price of the numbers that the team holds, in US dollars.
        monthly_reserved (str): The monthly price that open orders reserve, in US dollars.
    """

    numbers_held: int
    numbers_reserved: int
    orders_last_day: int
    refused_last_hour: int
    monthly_held: str
    monthly_reserved: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        numbers_held = self.numbers_held

        numbers_reserved = self.numbers_reserved

        orders_last_day = self.orders_last_day

        refused_last_hour = self.refused_last_hour

        monthly_held = self.monthly_held

        monthly_reserved = self.monthly_reserved

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "numbers_held": numbers_held,
                "numbers_reserved": numbers_reserved,
                "orders_last_day": orders_last_day,
                "refused_last_hour": refused_last_hour,
                "monthly_held": monthly_held,
                "monthly_reserved": monthly_reserved,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        numbers_held = d.pop("numbers_held")

        numbers_reserved = d.pop("numbers_reserved")

        orders_last_day = d.pop("orders_last_day")

        refused_last_hour = d.pop("refused_last_hour")

        monthly_held = d.pop("monthly_held")

        monthly_reserved = d.pop("monthly_reserved")

        usage = cls(
            numbers_held=numbers_held,
            numbers_reserved=numbers_reserved,
            orders_last_day=orders_last_day,
            refused_last_hour=refused_last_hour,
            monthly_held=monthly_held,
            monthly_reserved=monthly_reserved,
        )

        usage.additional_properties = d
        return usage

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

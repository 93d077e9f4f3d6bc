from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="RemainingLimits")


@_attrs_define
class RemainingLimits:
    """What is left of a team's caps. `null` means unlimited.

    Attributes:
        numbers (int | None): Numbers that the team can still rent.
        orders_today (int | None): Orders that the team can send now.
        refused_this_hour (int | None): Orders that may still be refused within this hour.
        monthly_budget (None | str): What is left of the monthly budget, in US dollars.
    """

    numbers: int | None
    orders_today: int | None
    refused_this_hour: int | None
    monthly_budget: None | str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        numbers: int | None
        numbers = self.numbers

        orders_today: int | None
        orders_today = self.orders_today

        refused_this_hour: int | None
        refused_this_hour = self.refused_this_hour

        monthly_budget: None | str
        monthly_budget = self.monthly_budget

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "numbers": numbers,
                "orders_today": orders_today,
                "refused_this_hour": refused_this_hour,
                "monthly_budget": monthly_budget,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)

        def _parse_numbers(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        numbers = _parse_numbers(d.pop("numbers"))

        def _parse_orders_today(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        orders_today = _parse_orders_today(d.pop("orders_today"))

        def _parse_refused_this_hour(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        refused_this_hour = _parse_refused_this_hour(d.pop("refused_this_hour"))

        def _parse_monthly_budget(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        monthly_budget = _parse_monthly_budget(d.pop("monthly_budget"))

        remaining_limits = cls(
            numbers=numbers,
            orders_today=orders_today,
            refused_this_hour=refused_this_hour,
            monthly_budget=monthly_budget,
        )

        remaining_limits.additional_properties = d
        return remaining_limits

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

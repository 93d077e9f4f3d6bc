from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="Limits")


@_attrs_define
class Limits:
    """The caps of a team. `null` means unlimited.

    Attributes:
        max_numbers (int | None): Maximum of numbers held at the same time, including open orders.
        max_orders_per_day (int | None): Maximum of orders in 24 hours.
        max_refused_per_hour (int | None): Maximum of orders that may be refused within an hour, before further orders
            must wait.
        monthly_budget (None | str): Maximum monthly price of all numbers in US dollars, including open orders.
    """

    max_numbers: int | None
    max_orders_per_day: int | None
    max_refused_per_hour: int | None
    monthly_budget: None | str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        max_numbers: int | None
        max_numbers = self.max_numbers

        max_orders_per_day: int | None
        max_orders_per_day = self.max_orders_per_day

        max_refused_per_hour: int | None
        max_refused_per_hour = self.max_refused_per_hour

        monthly_budget: None | str
        monthly_budget = self.monthly_budget

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "max_numbers": max_numbers,
                "max_orders_per_day": max_orders_per_day,
                "max_refused_per_hour": max_refused_per_hour,
                "monthly_budget": monthly_budget,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)

        def _parse_max_numbers(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        max_numbers = _parse_max_numbers(d.pop("max_numbers"))

        def _parse_max_orders_per_day(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        max_orders_per_day = _parse_max_orders_per_day(d.pop("max_orders_per_day"))

        def _parse_max_refused_per_hour(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        max_refused_per_hour = _parse_max_refused_per_hour(d.pop("max_refused_per_hour"))

        def _parse_monthly_budget(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        monthly_budget = _parse_monthly_budget(d.pop("monthly_budget"))

        limits = cls(
            max_numbers=max_numbers,
            max_orders_per_day=max_orders_per_day,
            max_refused_per_hour=max_refused_per_hour,
            monthly_budget=monthly_budget,
        )

        limits.additional_properties = d
        return limits

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

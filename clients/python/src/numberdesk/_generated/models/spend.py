from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.group_by import GroupBy, check_group_by

if TYPE_CHECKING:
    from ..models.spend_group import SpendGroup
    from ..models.spend_total import SpendTotal


T = TypeVar("T", bound="Spend")


@_attrs_define
class Spend:
    """The cost of a month.

    Attributes:
        month (str): The month, in UTC, such as `2026-11`.
        group_by (GroupBy): The dimension by which a spend report groups the cost.

            * `team`: The team that first held the number in the month.
            * `country`: The number's country.
            * `user`: The person who ordered the number.
        currency (str): The currency of every amount.
        data (list[SpendGroup]): The cost of each group, sorted by the group.
        total (SpendTotal): The sum of all groups.
    """

    month: str
    group_by: GroupBy
    currency: str
    data: list[SpendGroup]
    total: SpendTotal
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        month = self.month

        group_by: str = self.group_by

        currency = self.currency

        data = []
        for data_item_data in self.data:
            data_item = data_item_data.to_dict()
            data.append(data_item)

        total = self.total.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "month": month,
                "group_by": group_by,
                "currency": currency,
                "data": data,
                "total": total,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.spend_group import SpendGroup  # noqa: PLC0415
        from ..models.spend_total import SpendTotal  # noqa: PLC0415

        d = dict(src_dict)
        month = d.pop("month")

        group_by = check_group_by(d.pop("group_by"))

        currency = d.pop("currency")

        data = []
        _data = d.pop("data")
        for data_item_data in _data:
            data_item = SpendGroup.from_dict(data_item_data)

            data.append(data_item)

        total = SpendTotal.from_dict(d.pop("total"))

        spend = cls(
            month=month,
            group_by=group_by,
            currency=currency,
            data=data,
            total=total,
        )

        spend.additional_properties = d
        return spend

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

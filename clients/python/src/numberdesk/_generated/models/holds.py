from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.hold import Hold
    from ..models.unknown_call import UnknownCall


T = TypeVar("T", bound="Holds")


@_attrs_define
class Holds:
    """The holds in force.

    Attributes:
        holds (list[Hold]): Without one, orders and releases are sent.
        unknown_calls (list[UnknownCall]): Calls with the service's API key that nobody has confirmed: the oldest 200.
    """

    holds: list[Hold]
    unknown_calls: list[UnknownCall]
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        holds = []
        for holds_item_data in self.holds:
            holds_item = holds_item_data.to_dict()
            holds.append(holds_item)

        unknown_calls = []
        for unknown_calls_item_data in self.unknown_calls:
            unknown_calls_item = unknown_calls_item_data.to_dict()
            unknown_calls.append(unknown_calls_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "holds": holds,
                "unknown_calls": unknown_calls,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.hold import Hold  # noqa: PLC0415
        from ..models.unknown_call import UnknownCall  # noqa: PLC0415

        d = dict(src_dict)
        holds = []
        _holds = d.pop("holds")
        for holds_item_data in _holds:
            holds_item = Hold.from_dict(holds_item_data)

            holds.append(holds_item)

        unknown_calls = []
        _unknown_calls = d.pop("unknown_calls")
        for unknown_calls_item_data in _unknown_calls:
            unknown_calls_item = UnknownCall.from_dict(unknown_calls_item_data)

            unknown_calls.append(unknown_calls_item)

        holds = cls(
            holds=holds,
            unknown_calls=unknown_calls,
        )

        holds.additional_properties = d
        return holds

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

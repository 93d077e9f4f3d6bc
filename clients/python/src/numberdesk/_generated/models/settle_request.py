from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="SettleRequest")


@_attrs_define
class SettleRequest:
    """The finding of a person: the rented number, or that no number was rented.

    Exactly one member is required.

        Attributes:
            phone_number_id (None | str | Unset): The number that was rented for the order.
            absent (bool | None | Unset): `true`: no number was rented.
    """

    phone_number_id: None | str | Unset = UNSET
    absent: bool | None | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        phone_number_id: None | str | Unset
        if isinstance(self.phone_number_id, Unset):
            phone_number_id = UNSET
        else:
            phone_number_id = self.phone_number_id

        absent: bool | None | Unset
        if isinstance(self.absent, Unset):
            absent = UNSET
        else:
            absent = self.absent

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if phone_number_id is not UNSET:
            field_dict["phone_number_id"] = phone_number_id
        if absent is not UNSET:
            field_dict["absent"] = absent

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)

        def _parse_phone_number_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        phone_number_id = _parse_phone_number_id(d.pop("phone_number_id", UNSET))

        def _parse_absent(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        absent = _parse_absent(d.pop("absent", UNSET))

        settle_request = cls(
            phone_number_id=phone_number_id,
            absent=absent,
        )

        return settle_request

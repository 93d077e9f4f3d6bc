from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ...timestamp import read_time

T = TypeVar("T", bound="UnknownCall")


@_attrs_define
class UnknownCall:
    """A call that Close has logged and the database does not know.

    Attributes:
        kind (str): A call with the service's own API key.

            * `rent`: It rented a number.
            * `release`: It released a number.

            Later versions may add values.
        phone_number_id (str): The id of a phone number in Close.
        number (None | str): The number, if the log has it.
        at (datetime.datetime): When, by Close's clock.
    """

    kind: str
    phone_number_id: str
    number: None | str
    at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        kind = self.kind

        phone_number_id = self.phone_number_id

        number: None | str
        number = self.number

        at = self.at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "kind": kind,
                "phone_number_id": phone_number_id,
                "number": number,
                "at": at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        kind = d.pop("kind")

        phone_number_id = d.pop("phone_number_id")

        def _parse_number(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        number = _parse_number(d.pop("number"))

        at = read_time(d.pop("at"))

        unknown_call = cls(
            kind=kind,
            phone_number_id=phone_number_id,
            number=number,
            at=at,
        )

        unknown_call.additional_properties = d
        return unknown_call

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

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ...timestamp import read_time

T = TypeVar("T", bound="Provenance")


@_attrs_define
class Provenance:
    """How a number was added to the organization, according to Close.

    It helps a person to decide about a number that no order accounts for.

        Attributes:
            at (datetime.datetime | None): When the number was added, by Close's clock. `null` if Close has no record of the
                time.
            user_id (None | str): The user in Close who added the number.
            api_key_id (None | str): The id in Close of the API key that added the number.

                `null` if a person added it, or if Close has no record.
            by_renting (bool | None): Whether the number was added by a rent request. `null` if Close has no record.
    """

    at: datetime.datetime | None
    user_id: None | str
    api_key_id: None | str
    by_renting: bool | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        at: None | str
        if isinstance(self.at, datetime.datetime):
            at = self.at.isoformat()
        else:
            at = self.at

        user_id: None | str
        user_id = self.user_id

        api_key_id: None | str
        api_key_id = self.api_key_id

        by_renting: bool | None
        by_renting = self.by_renting

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "at": at,
                "user_id": user_id,
                "api_key_id": api_key_id,
                "by_renting": by_renting,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)

        def _parse_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                at_type_0 = read_time(data)

                return at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        at = _parse_at(d.pop("at"))

        def _parse_user_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        user_id = _parse_user_id(d.pop("user_id"))

        def _parse_api_key_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        api_key_id = _parse_api_key_id(d.pop("api_key_id"))

        def _parse_by_renting(data: object) -> bool | None:
            if data is None:
                return data
            return cast(bool | None, data)

        by_renting = _parse_by_renting(d.pop("by_renting"))

        provenance = cls(
            at=at,
            user_id=user_id,
            api_key_id=api_key_id,
            by_renting=by_renting,
        )

        provenance.additional_properties = d
        return provenance

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

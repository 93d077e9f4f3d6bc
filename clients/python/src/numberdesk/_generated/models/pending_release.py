from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ...timestamp import read_time

T = TypeVar("T", bound="PendingRelease")


@_attrs_define
class PendingRelease:
    """A release that is scheduled, or whose outcome Numberdesk does not know yet and is finding out.

    Attributes:
        id (str): The id of the number.
        state (str): `release_scheduled` or `releasing`.
        release_at (datetime.datetime | None): When Numberdesk asks Close to release the number. `null` if Numberdesk
            has already asked.
    """

    id: str
    state: str
    release_at: datetime.datetime | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        state = self.state

        release_at: None | str
        if isinstance(self.release_at, datetime.datetime):
            release_at = self.release_at.isoformat()
        else:
            release_at = self.release_at

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "state": state,
                "release_at": release_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = d.pop("id")

        state = d.pop("state")

        def _parse_release_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                release_at_type_0 = read_time(data)

                return release_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        release_at = _parse_release_at(d.pop("release_at"))

        pending_release = cls(
            id=id,
            state=state,
            release_at=release_at,
        )

        pending_release.additional_properties = d
        return pending_release

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

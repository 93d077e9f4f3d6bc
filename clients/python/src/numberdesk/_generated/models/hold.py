from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ...timestamp import read_time

T = TypeVar("T", bound="Hold")


@_attrs_define
class Hold:
    """A hold on orders and releases.

    Attributes:
        cause (str): The cause of a hold.

            * `unknown-calls`: Close has logged calls that the database does not know.
            * `operator`: An operator turned it on.

            Later versions may add values.
        reason (str):
        since (datetime.datetime): A time in RFC 3339, in UTC. Responses have six fraction digits and end with `Z`.
    """

    cause: str
    reason: str
    since: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        cause = self.cause

        reason = self.reason

        since = self.since.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "cause": cause,
                "reason": reason,
                "since": since,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        cause = d.pop("cause")

        reason = d.pop("reason")

        since = read_time(d.pop("since"))

        hold = cls(
            cause=cause,
            reason=reason,
            since=since,
        )

        hold.additional_properties = d
        return hold

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

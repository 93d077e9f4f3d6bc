from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="HoldRequest")


@_attrs_define
class HoldRequest:
    """`on`, `confirm`, or both.

    Attributes:
        on (bool | None | Unset): Turns the operators' hold on or off. While it is on, new orders get 503.
        reason (None | str | Unset): Why it is on; callers see it.
        confirm (bool | None | Unset): `true` confirms all unknown calls, which ends their hold. Look at the numbers in
            Close first.
    """

    on: bool | None | Unset = UNSET
    reason: None | str | Unset = UNSET
    confirm: bool | None | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        on: bool | None | Unset
        if isinstance(self.on, Unset):
            on = UNSET
        else:
            on = self.on

        reason: None | str | Unset
        if isinstance(self.reason, Unset):
            reason = UNSET
        else:
            reason = self.reason

        confirm: bool | None | Unset
        if isinstance(self.confirm, Unset):
            confirm = UNSET
        else:
            confirm = self.confirm

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if on is not UNSET:
            field_dict["on"] = on
        if reason is not UNSET:
            field_dict["reason"] = reason
        if confirm is not UNSET:
            field_dict["confirm"] = confirm

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)

        def _parse_on(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        on = _parse_on(d.pop("on", UNSET))

        def _parse_reason(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        reason = _parse_reason(d.pop("reason", UNSET))

        def _parse_confirm(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        confirm = _parse_confirm(d.pop("confirm", UNSET))

        hold_request = cls(
            on=on,
            reason=reason,
            confirm=confirm,
        )

        return hold_request

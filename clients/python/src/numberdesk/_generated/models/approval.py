from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ...timestamp import read_time

T = TypeVar("T", bound="Approval")


@_attrs_define
class Approval:
    """The approval of an order by a second person.

    Attributes:
        rule (str): The rule of the policy that requires the approval.
        why (str): Why the rule applies.
        decision (str): The decision so far.

            * `pending`: Nobody has decided yet.
            * `approved`: A second person approved the order.
            * `rejected`: A second person rejected the order.
            * `expired`: Nobody decided in time.

            Later versions may add values.
        by (None | str): The subject of the person who decided.
        at (datetime.datetime | None): When that person decided.
        comment (None | str): The comment of that person.
        expires_at (datetime.datetime): When the approval expires.
    """

    rule: str
    why: str
    decision: str
    by: None | str
    at: datetime.datetime | None
    comment: None | str
    expires_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        rule = self.rule

        why = self.why

        decision = self.decision

        by: None | str
        by = self.by

        at: None | str
        if isinstance(self.at, datetime.datetime):
            at = self.at.isoformat()
        else:
            at = self.at

        comment: None | str
        comment = self.comment

        expires_at = self.expires_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "rule": rule,
                "why": why,
                "decision": decision,
                "by": by,
                "at": at,
                "comment": comment,
                "expires_at": expires_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        rule = d.pop("rule")

        why = d.pop("why")

        decision = d.pop("decision")

        def _parse_by(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        by = _parse_by(d.pop("by"))

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

        def _parse_comment(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        comment = _parse_comment(d.pop("comment"))

        expires_at = read_time(d.pop("expires_at"))

        approval = cls(
            rule=rule,
            why=why,
            decision=decision,
            by=by,
            at=at,
            comment=comment,
            expires_at=expires_at,
        )

        approval.additional_properties = d
        return approval

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

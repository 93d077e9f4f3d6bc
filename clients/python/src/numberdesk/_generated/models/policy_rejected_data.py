from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="PolicyRejectedData")


@_attrs_define
class PolicyRejectedData:
    """The data of `policy.rejected`: the policy file has faults, so the last valid policy stays in force.

    Attributes:
        in_force (str): The fingerprint of the policy in force.
        faults (list[str]): The faults, each with its line and key.
    """

    in_force: str
    faults: list[str]
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        in_force = self.in_force

        faults = self.faults

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "in_force": in_force,
                "faults": faults,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        in_force = d.pop("in_force")

        faults = cast(list[str], d.pop("faults"))

        policy_rejected_data = cls(
            in_force=in_force,
            faults=faults,
        )

        policy_rejected_data.additional_properties = d
        return policy_rejected_data

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

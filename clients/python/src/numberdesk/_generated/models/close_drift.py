from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="CloseDrift")


@_attrs_define
class CloseDrift:
    """One difference between Close's API and the known one.

    Attributes:
        kind (str): The kind of difference.

            * `unknown_field`: Close's answer has a field that is not known.
            * `missing_field`: A documented field is missing.
            * `unknown_word`: A field has a value that is not among the documented ones.
            * `unknown_status`: A refusal has a status word that is not known.
            * `changed_type`: A value has another JSON type.
            * `retired_field`: Close does not accept a field of the request any more; the service leaves it out.
            * `deprecation_header`: The answer has the header `Deprecation`.
            * `sunset_header`: The answer has the header `Sunset`.
            * `warning_header`: The answer has the header `Warning`.

            Later versions may add values.
        operation (str): The call to Close, as the metrics name it, or `webhook` for a delivery.
        path (str): The object and its field, or the header.
    """

    kind: str
    operation: str
    path: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        kind = self.kind

        operation = self.operation

        path = self.path

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "kind": kind,
                "operation": operation,
                "path": path,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        kind = d.pop("kind")

        operation = d.pop("operation")

        path = d.pop("path")

        close_drift = cls(
            kind=kind,
            operation=operation,
            path=path,
        )

        close_drift.additional_properties = d
        return close_drift

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

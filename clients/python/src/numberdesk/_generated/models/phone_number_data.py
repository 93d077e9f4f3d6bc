from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.provenance import Provenance


T = TypeVar("T", bound="PhoneNumberData")


@_attrs_define
class PhoneNumberData:
    """The data of the events `phone_number.*`: a number has changed.

    Attributes:
        phone_number_id (str): The id of the number in Close.
        number (str): The number in E.164.
        changed (list[str] | Unset): The names of the fields that changed in Close.
        provenance (Provenance | Unset): How a number was added to the organization, according to Close.

            It helps a person to decide about a number that no order accounts for.
        order_id (str | Unset): The order to which the number may belong.
    """

    phone_number_id: str
    number: str
    changed: list[str] | Unset = UNSET
    provenance: Provenance | Unset = UNSET
    order_id: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        phone_number_id = self.phone_number_id

        number = self.number

        changed: list[str] | Unset = UNSET
        if not isinstance(self.changed, Unset):
            changed = self.changed

        provenance: dict[str, Any] | Unset = UNSET
        if not isinstance(self.provenance, Unset):
            provenance = self.provenance.to_dict()

        order_id = self.order_id

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "phone_number_id": phone_number_id,
                "number": number,
            }
        )
        if changed is not UNSET:
            field_dict["changed"] = changed
        if provenance is not UNSET:
            field_dict["provenance"] = provenance
        if order_id is not UNSET:
            field_dict["order_id"] = order_id

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.provenance import Provenance  # noqa: PLC0415

        d = dict(src_dict)
        phone_number_id = d.pop("phone_number_id")

        number = d.pop("number")

        changed = cast(list[str], d.pop("changed", UNSET))

        _provenance = d.pop("provenance", UNSET)
        provenance: Provenance | Unset
        if isinstance(_provenance, Unset):
            provenance = UNSET
        else:
            provenance = Provenance.from_dict(_provenance)

        order_id = d.pop("order_id", UNSET)

        phone_number_data = cls(
            phone_number_id=phone_number_id,
            number=number,
            changed=changed,
            provenance=provenance,
            order_id=order_id,
        )

        phone_number_data.additional_properties = d
        return phone_number_data

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

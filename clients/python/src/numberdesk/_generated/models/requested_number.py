from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.carrier_type import CarrierType, check_carrier_type
from ..models.sharing import Sharing, check_sharing
from ..types import UNSET, Unset

T = TypeVar("T", bound="RequestedNumber")


@_attrs_define
class RequestedNumber:
    """The requested number of an order. Fields that the request left out are missing.

    Two requests are the same when all fields are equal.

        Attributes:
            country (str): The country of the number.
            sharing (Sharing): Whether a number is for one person or for several.

                * `personal`: It is for one person, unless the order names several users.
                * `group`: It is for several people.
            prefix (str | Unset): The area code or prefix without the country code: 1 to 5 digits.
            carrier_type (CarrierType | Unset): The kind of line that can be ordered.

                * `local`: A number of one town or area.
                * `national`: A number of a whole country.
                * `mobile`: A mobile number.
                * `tollfree`: A number that is free of charge for callers.
            bundle_id (str | Unset): The regulatory bundle, where the country requires one.
            with_sms (bool | Unset): Whether the number must (`true`) or need not (`false`) support SMS.
            with_mms (bool | Unset): Whether the number must (`true`) or need not (`false`) support MMS.
            assign_to (list[str] | Unset): The users in Close that the number is assigned to; never empty.
            label (str | Unset): The label that the service sets on the rented number.
    """

    country: str
    sharing: Sharing
    prefix: str | Unset = UNSET
    carrier_type: CarrierType | Unset = UNSET
    bundle_id: str | Unset = UNSET
    with_sms: bool | Unset = UNSET
    with_mms: bool | Unset = UNSET
    assign_to: list[str] | Unset = UNSET
    label: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        country = self.country

        sharing: str = self.sharing

        prefix = self.prefix

        carrier_type: str | Unset = UNSET
        if not isinstance(self.carrier_type, Unset):
            carrier_type = self.carrier_type

        bundle_id = self.bundle_id

        with_sms = self.with_sms

        with_mms = self.with_mms

        assign_to: list[str] | Unset = UNSET
        if not isinstance(self.assign_to, Unset):
            assign_to = self.assign_to

        label = self.label

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "country": country,
                "sharing": sharing,
            }
        )
        if prefix is not UNSET:
            field_dict["prefix"] = prefix
        if carrier_type is not UNSET:
            field_dict["carrier_type"] = carrier_type
        if bundle_id is not UNSET:
            field_dict["bundle_id"] = bundle_id
        if with_sms is not UNSET:
            field_dict["with_sms"] = with_sms
        if with_mms is not UNSET:
            field_dict["with_mms"] = with_mms
        if assign_to is not UNSET:
            field_dict["assign_to"] = assign_to
        if label is not UNSET:
            field_dict["label"] = label

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        country = d.pop("country")

        sharing = check_sharing(d.pop("sharing"))

        prefix = d.pop("prefix", UNSET)

        _carrier_type = d.pop("carrier_type", UNSET)
        carrier_type: CarrierType | Unset
        if isinstance(_carrier_type, Unset):
            carrier_type = UNSET
        else:
            carrier_type = check_carrier_type(_carrier_type)

        bundle_id = d.pop("bundle_id", UNSET)

        with_sms = d.pop("with_sms", UNSET)

        with_mms = d.pop("with_mms", UNSET)

        assign_to = cast(list[str], d.pop("assign_to", UNSET))

        label = d.pop("label", UNSET)

        requested_number = cls(
            country=country,
            sharing=sharing,
            prefix=prefix,
            carrier_type=carrier_type,
            bundle_id=bundle_id,
            with_sms=with_sms,
            with_mms=with_mms,
            assign_to=assign_to,
            label=label,
        )

        requested_number.additional_properties = d
        return requested_number

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

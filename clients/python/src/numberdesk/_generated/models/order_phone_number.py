from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ...timestamp import read_time
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.phone_number_at_desk import PhoneNumberAtDesk


T = TypeVar("T", bound="OrderPhoneNumber")


@_attrs_define
class OrderPhoneNumber:
    """The number of an order, with all members of a phone number.

    Once the number is released, only `id`, `number` and `released_at` are left.

        Attributes:
            id (str): The id in Close.
            number (str): The number in E.164.
            number_formatted (None | str | Unset): The number, formatted for display.
            country (None | str | Unset): The country, as an ISO 3166-1 alpha-2 code.
            label (None | str | Unset): The label in Close.
            type_ (None | str | Unset): `internal` (rented through Close), `external`, `virtual`, or a type that is new in
                Close's API.
            carrier_type (None | str | Unset): The type of the phone line: `local`, `national`, `mobile`, `tollfree`,
                `shortcode`, or a new one of Close.
            sms_enabled (bool | None | Unset): Whether the number can send SMS.
            mms_enabled (bool | None | Unset): Whether the number can send MMS.
            last_billed_price (float | None | Unset): The price that Close billed last for one month, in US dollars.

                `null` until Close has billed the number.
            forward_to (None | str | Unset): The number to which calls are forwarded.
            forward_to_enabled (bool | None | Unset): Whether calls are forwarded.
            participants (list[str] | None | Unset): Users whose phones ring.
            participant_groups (list[str] | None | Unset): Groups whose phones ring.
            is_group_number (bool | None | Unset): Whether Close calls it a group number. Missing once Close removes the
                field: count `participants` instead.
            desk (PhoneNumberAtDesk | Unset): Numberdesk's data about a number.
            released_at (datetime.datetime | Unset): When the number was released, or was found to be gone from Close.
                Missing while the team has the number.
    """

    id: str
    number: str
    number_formatted: None | str | Unset = UNSET
    country: None | str | Unset = UNSET
    label: None | str | Unset = UNSET
    type_: None | str | Unset = UNSET
    carrier_type: None | str | Unset = UNSET
    sms_enabled: bool | None | Unset = UNSET
    mms_enabled: bool | None | Unset = UNSET
    last_billed_price: float | None | Unset = UNSET
    forward_to: None | str | Unset = UNSET
    forward_to_enabled: bool | None | Unset = UNSET
    participants: list[str] | None | Unset = UNSET
    participant_groups: list[str] | None | Unset = UNSET
    is_group_number: bool | None | Unset = UNSET
    desk: PhoneNumberAtDesk | Unset = UNSET
    released_at: datetime.datetime | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        number = self.number

        number_formatted: None | str | Unset
        if isinstance(self.number_formatted, Unset):
            number_formatted = UNSET
        else:
            number_formatted = self.number_formatted

        country: None | str | Unset
        if isinstance(self.country, Unset):
            country = UNSET
        else:
            country = self.country

        label: None | str | Unset
        if isinstance(self.label, Unset):
            label = UNSET
        else:
            label = self.label

        type_: None | str | Unset
        if isinstance(self.type_, Unset):
            type_ = UNSET
        else:
            type_ = self.type_

        carrier_type: None | str | Unset
        if isinstance(self.carrier_type, Unset):
            carrier_type = UNSET
        else:
            carrier_type = self.carrier_type

        sms_enabled: bool | None | Unset
        if isinstance(self.sms_enabled, Unset):
            sms_enabled = UNSET
        else:
            sms_enabled = self.sms_enabled

        mms_enabled: bool | None | Unset
        if isinstance(self.mms_enabled, Unset):
            mms_enabled = UNSET
        else:
            mms_enabled = self.mms_enabled

        last_billed_price: float | None | Unset
        if isinstance(self.last_billed_price, Unset):
            last_billed_price = UNSET
        else:
            last_billed_price = self.last_billed_price

        forward_to: None | str | Unset
        if isinstance(self.forward_to, Unset):
            forward_to = UNSET
        else:
            forward_to = self.forward_to

        forward_to_enabled: bool | None | Unset
        if isinstance(self.forward_to_enabled, Unset):
            forward_to_enabled = UNSET
        else:
            forward_to_enabled = self.forward_to_enabled

        participants: list[str] | None | Unset
        if isinstance(self.participants, Unset):
            participants = UNSET
        elif isinstance(self.participants, list):
            participants = self.participants

        else:
            participants = self.participants

        participant_groups: list[str] | None | Unset
        if isinstance(self.participant_groups, Unset):
            participant_groups = UNSET
        elif isinstance(self.participant_groups, list):
            participant_groups = self.participant_groups

        else:
            participant_groups = self.participant_groups

        is_group_number: bool | None | Unset
        if isinstance(self.is_group_number, Unset):
            is_group_number = UNSET
        else:
            is_group_number = self.is_group_number

        desk: dict[str, Any] | Unset = UNSET
        if not isinstance(self.desk, Unset):
            desk = self.desk.to_dict()

        released_at: str | Unset = UNSET
        if not isinstance(self.released_at, Unset):
            released_at = self.released_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "number": number,
            }
        )
        if number_formatted is not UNSET:
            field_dict["number_formatted"] = number_formatted
        if country is not UNSET:
            field_dict["country"] = country
        if label is not UNSET:
            field_dict["label"] = label
        if type_ is not UNSET:
            field_dict["type"] = type_
        if carrier_type is not UNSET:
            field_dict["carrier_type"] = carrier_type
        if sms_enabled is not UNSET:
            field_dict["sms_enabled"] = sms_enabled
        if mms_enabled is not UNSET:
            field_dict["mms_enabled"] = mms_enabled
        if last_billed_price is not UNSET:
            field_dict["last_billed_price"] = last_billed_price
        if forward_to is not UNSET:
            field_dict["forward_to"] = forward_to
        if forward_to_enabled is not UNSET:
            field_dict["forward_to_enabled"] = forward_to_enabled
        if participants is not UNSET:
            field_dict["participants"] = participants
        if participant_groups is not UNSET:
            field_dict["participant_groups"] = participant_groups
        if is_group_number is not UNSET:
            field_dict["is_group_number"] = is_group_number
        if desk is not UNSET:
            field_dict["desk"] = desk
        if released_at is not UNSET:
            field_dict["released_at"] = released_at

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.phone_number_at_desk import PhoneNumberAtDesk  # noqa: PLC0415

        d = dict(src_dict)
        id = d.pop("id")

        number = d.pop("number")

        def _parse_number_formatted(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        number_formatted = _parse_number_formatted(d.pop("number_formatted", UNSET))

        def _parse_country(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        country = _parse_country(d.pop("country", UNSET))

        def _parse_label(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        label = _parse_label(d.pop("label", UNSET))

        def _parse_type_(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        type_ = _parse_type_(d.pop("type", UNSET))

        def _parse_carrier_type(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        carrier_type = _parse_carrier_type(d.pop("carrier_type", UNSET))

        def _parse_sms_enabled(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        sms_enabled = _parse_sms_enabled(d.pop("sms_enabled", UNSET))

        def _parse_mms_enabled(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        mms_enabled = _parse_mms_enabled(d.pop("mms_enabled", UNSET))

        def _parse_last_billed_price(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(float | None | Unset, data)

        last_billed_price = _parse_last_billed_price(d.pop("last_billed_price", UNSET))

        def _parse_forward_to(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        forward_to = _parse_forward_to(d.pop("forward_to", UNSET))

        def _parse_forward_to_enabled(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        forward_to_enabled = _parse_forward_to_enabled(d.pop("forward_to_enabled", UNSET))

        def _parse_participants(data: object) -> list[str] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                participants_type_0 = cast(list[str], data)

                return participants_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | None | Unset, data)

        participants = _parse_participants(d.pop("participants", UNSET))

        def _parse_participant_groups(data: object) -> list[str] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                participant_groups_type_0 = cast(list[str], data)

                return participant_groups_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | None | Unset, data)

        participant_groups = _parse_participant_groups(d.pop("participant_groups", UNSET))

        def _parse_is_group_number(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        is_group_number = _parse_is_group_number(d.pop("is_group_number", UNSET))

        _desk = d.pop("desk", UNSET)
        desk: PhoneNumberAtDesk | Unset
        if isinstance(_desk, Unset):
            desk = UNSET
        else:
            desk = PhoneNumberAtDesk.from_dict(_desk)

        _released_at = d.pop("released_at", UNSET)
        released_at: datetime.datetime | Unset
        if isinstance(_released_at, Unset):
            released_at = UNSET
        else:
            released_at = read_time(_released_at)

        order_phone_number = cls(
            id=id,
            number=number,
            number_formatted=number_formatted,
            country=country,
            label=label,
            type_=type_,
            carrier_type=carrier_type,
            sms_enabled=sms_enabled,
            mms_enabled=mms_enabled,
            last_billed_price=last_billed_price,
            forward_to=forward_to,
            forward_to_enabled=forward_to_enabled,
            participants=participants,
            participant_groups=participant_groups,
            is_group_number=is_group_number,
            desk=desk,
            released_at=released_at,
        )

        order_phone_number.additional_properties = d
        return order_phone_number

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

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.carrier_type import CarrierType, check_carrier_type
from ..models.sharing import Sharing, check_sharing
from ..types import UNSET, Unset

T = TypeVar("T", bound="OrderRequest")


@_attrs_define
class OrderRequest:
    """The number to rent. Only `country` is required. `null` has the same meaning as a missing field.

    Attributes:
        country (str): The country of the number.
        team (None | str | Unset): The team that the order is for. Optional if your token has exactly one team.
        sharing (None | Sharing | Unset): `group`: the number is for several people. `personal` by default.
        prefix (None | str | Unset): The area code or prefix, without the country code and without a zero that is
            dialled only inside the country.
        carrier_type (CarrierType | None | Unset): The type of the phone line. Optional if the policy allows the team
            only one type.
        bundle_id (None | str | Unset): The id of the regulatory bundle in Close, if the country requires one.
        with_sms (bool | None | Unset): `true`: the number must support SMS.

            `false`: a number without SMS is accepted; use this after a refusal with `has-voice-only`. Otherwise leave the
            field out.
        with_mms (bool | None | Unset): `true`: the number must support MMS, which requires `with_sms: true`.

            `false`: a number without MMS is accepted.
        assign_to (list[str] | None | Unset): Users in Close who get the number; with more than one it is for several
            people.

            By default the caller's own user.
        label (None | str | Unset): The label that Numberdesk gives the number in Close, once the number is rented.
    """

    country: str
    team: None | str | Unset = UNSET
    sharing: None | Sharing | Unset = UNSET
    prefix: None | str | Unset = UNSET
    carrier_type: CarrierType | None | Unset = UNSET
    bundle_id: None | str | Unset = UNSET
    with_sms: bool | None | Unset = UNSET
    with_mms: bool | None | Unset = UNSET
    assign_to: list[str] | None | Unset = UNSET
    label: None | str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        country = self.country

        team: None | str | Unset
        if isinstance(self.team, Unset):
            team = UNSET
        else:
            team = self.team

        sharing: None | str | Unset
        if isinstance(self.sharing, Unset):
            sharing = UNSET
        elif isinstance(self.sharing, str):
            sharing = self.sharing
        else:
            sharing = self.sharing

        prefix: None | str | Unset
        if isinstance(self.prefix, Unset):
            prefix = UNSET
        else:
            prefix = self.prefix

        carrier_type: None | str | Unset
        if isinstance(self.carrier_type, Unset):
            carrier_type = UNSET
        elif isinstance(self.carrier_type, str):
            carrier_type = self.carrier_type
        else:
            carrier_type = self.carrier_type

        bundle_id: None | str | Unset
        if isinstance(self.bundle_id, Unset):
            bundle_id = UNSET
        else:
            bundle_id = self.bundle_id

        with_sms: bool | None | Unset
        if isinstance(self.with_sms, Unset):
            with_sms = UNSET
        else:
            with_sms = self.with_sms

        with_mms: bool | None | Unset
        if isinstance(self.with_mms, Unset):
            with_mms = UNSET
        else:
            with_mms = self.with_mms

        assign_to: list[str] | None | Unset
        if isinstance(self.assign_to, Unset):
            assign_to = UNSET
        elif isinstance(self.assign_to, list):
            assign_to = self.assign_to

        else:
            assign_to = self.assign_to

        label: None | str | Unset
        if isinstance(self.label, Unset):
            label = UNSET
        else:
            label = self.label

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "country": country,
            }
        )
        if team is not UNSET:
            field_dict["team"] = team
        if sharing is not UNSET:
            field_dict["sharing"] = sharing
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

        def _parse_team(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        team = _parse_team(d.pop("team", UNSET))

        def _parse_sharing(data: object) -> None | Sharing | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                sharing_type_0 = check_sharing(data)

                return sharing_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Sharing | Unset, data)

        sharing = _parse_sharing(d.pop("sharing", UNSET))

        def _parse_prefix(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        prefix = _parse_prefix(d.pop("prefix", UNSET))

        def _parse_carrier_type(data: object) -> CarrierType | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                carrier_type_type_0 = check_carrier_type(data)

                return carrier_type_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(CarrierType | None | Unset, data)

        carrier_type = _parse_carrier_type(d.pop("carrier_type", UNSET))

        def _parse_bundle_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        bundle_id = _parse_bundle_id(d.pop("bundle_id", UNSET))

        def _parse_with_sms(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        with_sms = _parse_with_sms(d.pop("with_sms", UNSET))

        def _parse_with_mms(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        with_mms = _parse_with_mms(d.pop("with_mms", UNSET))

        def _parse_assign_to(data: object) -> list[str] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                assign_to_type_0 = cast(list[str], data)

                return assign_to_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | None | Unset, data)

        assign_to = _parse_assign_to(d.pop("assign_to", UNSET))

        def _parse_label(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        label = _parse_label(d.pop("label", UNSET))

        order_request = cls(
            country=country,
            team=team,
            sharing=sharing,
            prefix=prefix,
            carrier_type=carrier_type,
            bundle_id=bundle_id,
            with_sms=with_sms,
            with_mms=with_mms,
            assign_to=assign_to,
            label=label,
        )

        return order_request

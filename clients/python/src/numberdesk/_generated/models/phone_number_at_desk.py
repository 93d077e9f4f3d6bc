from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ...timestamp import read_time

if TYPE_CHECKING:
    from ..models.provenance import Provenance


T = TypeVar("T", bound="PhoneNumberAtDesk")


@_attrs_define
class PhoneNumberAtDesk:
    """Numberdesk's data about a number.

    Attributes:
        team (None | str): The team that owns the number. `null` for an orphan.
        order_id (None | str): The order that rented the number. `null` if no order did.
        as_of (datetime.datetime): The time of the last update from Close.
        orphan (bool): Whether the number has no team. Only callers with `numbers:admin` see orphans.
        releasing (bool): Whether Numberdesk has asked Close to release the number and does not know the outcome yet.
        release_at (datetime.datetime | None): When Numberdesk will release the number, unless a person cancels the
            release.

            `null` without a scheduled release.
        monthly_price (str): The monthly price in US dollars. An estimate until Close has billed the number.
        provenance (None | Provenance): The origin of an orphan.

            `null` until Numberdesk has read it from Close, and for a number with a team.
    """

    team: None | str
    order_id: None | str
    as_of: datetime.datetime
    orphan: bool
    releasing: bool
    release_at: datetime.datetime | None
    monthly_price: str
    provenance: None | Provenance
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.provenance import Provenance  # noqa: PLC0415

        team: None | str
        team = self.team

        order_id: None | str
        order_id = self.order_id

        as_of = self.as_of.isoformat()

        orphan = self.orphan

        releasing = self.releasing

        release_at: None | str
        if isinstance(self.release_at, datetime.datetime):
            release_at = self.release_at.isoformat()
        else:
            release_at = self.release_at

        monthly_price = self.monthly_price

        provenance: dict[str, Any] | None
        if isinstance(self.provenance, Provenance):
            provenance = self.provenance.to_dict()
        else:
            provenance = self.provenance

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "team": team,
                "order_id": order_id,
                "as_of": as_of,
                "orphan": orphan,
                "releasing": releasing,
                "release_at": release_at,
                "monthly_price": monthly_price,
                "provenance": provenance,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.provenance import Provenance  # noqa: PLC0415

        d = dict(src_dict)

        def _parse_team(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        team = _parse_team(d.pop("team"))

        def _parse_order_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        order_id = _parse_order_id(d.pop("order_id"))

        as_of = read_time(d.pop("as_of"))

        orphan = d.pop("orphan")

        releasing = d.pop("releasing")

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

        monthly_price = d.pop("monthly_price")

        def _parse_provenance(data: object) -> None | Provenance:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                provenance_type_0 = Provenance.from_dict(data)

                return provenance_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Provenance, data)

        provenance = _parse_provenance(d.pop("provenance"))

        phone_number_at_desk = cls(
            team=team,
            order_id=order_id,
            as_of=as_of,
            orphan=orphan,
            releasing=releasing,
            release_at=release_at,
            monthly_price=monthly_price,
            provenance=provenance,
        )

        phone_number_at_desk.additional_properties = d
        return phone_number_at_desk

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

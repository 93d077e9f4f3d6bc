from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="WebhookEndpointPatch")


@_attrs_define
class WebhookEndpointPatch:
    """A JSON merge patch (RFC 7396). Fields that you leave out stay unchanged.

    Attributes:
        url (str | Unset): An https URL on a host that the service may call.
        description (None | str | Unset): A text that describes the endpoint. `null` removes the text.
        types (list[str] | None | Unset): The event types that the endpoint receives. `null` means all.
        state (str | Unset): `active`: the endpoint receives events again, beginning with its pending deliveries.

            `disabled`: it receives no events.

            * `active`: The service sends events to it.
            * `disabled`: The service sends nothing until a caller makes it active again.

            Later versions may add values.
    """

    url: str | Unset = UNSET
    description: None | str | Unset = UNSET
    types: list[str] | None | Unset = UNSET
    state: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        url = self.url

        description: None | str | Unset
        if isinstance(self.description, Unset):
            description = UNSET
        else:
            description = self.description

        types: list[str] | None | Unset
        if isinstance(self.types, Unset):
            types = UNSET
        elif isinstance(self.types, list):
            types = self.types

        else:
            types = self.types

        state = self.state

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if url is not UNSET:
            field_dict["url"] = url
        if description is not UNSET:
            field_dict["description"] = description
        if types is not UNSET:
            field_dict["types"] = types
        if state is not UNSET:
            field_dict["state"] = state

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        url = d.pop("url", UNSET)

        def _parse_description(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        description = _parse_description(d.pop("description", UNSET))

        def _parse_types(data: object) -> list[str] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                types_type_0 = cast(list[str], data)

                return types_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | None | Unset, data)

        types = _parse_types(d.pop("types", UNSET))

        state = d.pop("state", UNSET)

        webhook_endpoint_patch = cls(
            url=url,
            description=description,
            types=types,
            state=state,
        )

        return webhook_endpoint_patch

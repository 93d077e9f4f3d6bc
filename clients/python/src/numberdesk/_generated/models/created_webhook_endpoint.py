from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ...timestamp import read_time

T = TypeVar("T", bound="CreatedWebhookEndpoint")


@_attrs_define
class CreatedWebhookEndpoint:
    """A new endpoint, with the secret that verifies the signatures of its events.

    Attributes:
        id (str): The id of the endpoint.
        team (str): The team whose events the endpoint receives.
        url (str): The URL to which the service sends events.
        description (None | str): A text that describes the endpoint.
        types (list[str] | None): The event types that the endpoint receives. `null` means all.
        state (str): Whether the endpoint receives events.

            * `active`: The service sends events to it.
            * `disabled`: The service sends nothing until a caller makes it active again.

            Later versions may add values.
        disabled_reason (None | str): Why the endpoint is disabled. `null` for an active endpoint.

            * `asked`: A caller disabled it.
            * `gone`: The receiver answered 410 Gone.
            * `failing`: No delivery succeeded for the whole retry period of a delivery.

            Later versions may add values.
        created_by (str): The subject that registered the endpoint.
        created_at (datetime.datetime): When the endpoint was registered.
        updated_at (datetime.datetime): When the endpoint was last changed.
        secret (str): The secret, as `whsec_…`: the format that libraries for Standard Webhooks expect.
    """

    id: str
    team: str
    url: str
    description: None | str
    types: list[str] | None
    state: str
    disabled_reason: None | str
    created_by: str
    created_at: datetime.datetime
    updated_at: datetime.datetime
    secret: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        team = self.team

        url = self.url

        description: None | str
        description = self.description

        types: list[str] | None
        if isinstance(self.types, list):
            types = self.types

        else:
            types = self.types

        state = self.state

        disabled_reason: None | str
        disabled_reason = self.disabled_reason

        created_by = self.created_by

        created_at = self.created_at.isoformat()

        updated_at = self.updated_at.isoformat()

        secret = self.secret

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "team": team,
                "url": url,
                "description": description,
                "types": types,
                "state": state,
                "disabled_reason": disabled_reason,
                "created_by": created_by,
                "created_at": created_at,
                "updated_at": updated_at,
                "secret": secret,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = d.pop("id")

        team = d.pop("team")

        url = d.pop("url")

        def _parse_description(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        description = _parse_description(d.pop("description"))

        def _parse_types(data: object) -> list[str] | None:
            if data is None:
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                types_type_0 = cast(list[str], data)

                return types_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | None, data)

        types = _parse_types(d.pop("types"))

        state = d.pop("state")

        def _parse_disabled_reason(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        disabled_reason = _parse_disabled_reason(d.pop("disabled_reason"))

        created_by = d.pop("created_by")

        created_at = read_time(d.pop("created_at"))

        updated_at = read_time(d.pop("updated_at"))

        secret = d.pop("secret")

        created_webhook_endpoint = cls(
            id=id,
            team=team,
            url=url,
            description=description,
            types=types,
            state=state,
            disabled_reason=disabled_reason,
            created_by=created_by,
            created_at=created_at,
            updated_at=updated_at,
            secret=secret,
        )

        created_webhook_endpoint.additional_properties = d
        return created_webhook_endpoint

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

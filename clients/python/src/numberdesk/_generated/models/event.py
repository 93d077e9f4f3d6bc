from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ...timestamp import read_time

T = TypeVar("T", bound="Event")


@_attrs_define
class Event:
    """A change of an object.

    `data` contains the object's id and its new state; read the object for its other fields. Later versions may add
    event types and members of `data`: ignore those that you do not know.

        Attributes:
            id (str): The id of the event. Send the id of your last event as `after` or `Last-Event-ID`.
            type_ (str): The type of the event.

                * `order.awaiting_approval`: An order waits for the approval of a second person.
                * `order.queued`: An order waits in the queue.
                * `order.renting`: The paid call of an order is in progress, or may be.
                * `order.unverified`: The outcome of an order's paid call is unknown.
                * `order.needs_review`: An order needs manual review.
                * `order.fulfilled`: An order received its number.
                * `order.refused`: An order ended without a number.
                * `order.cancelled`: An order was cancelled before the service sent it.
                * `phone_number.added`: A number entered the inventory, or came back.
                * `phone_number.updated`: A number's fields in Close changed.
                * `phone_number.assigned`: A team received a number.
                * `phone_number.unassigned`: A number moved to another team.
                * `phone_number.release_scheduled`: The release of a number was scheduled.
                * `phone_number.release_called_off`: A scheduled release was cancelled.
                * `phone_number.releasing`: A release request was sent to Close, or may have been.
                * `phone_number.released`: The service released a number.
                * `phone_number.vanished`: A number disappeared from Close without a release by the service.
                * `group.changed`: A group of users in Close changed.
                * `webhook_endpoint.disabled`: The service disabled a webhook endpoint.
                * `inventory.compared`: The service compared the whole inventory with Close.
                * `close.api_changed`: Close's API differs from the one that the service knows.
                * `policy.changed`: A new policy is in force.
                * `policy.rejected`: The policy file is invalid; the last valid one stays in force.
                * `webhook_endpoint.test`: A test that a caller asked for. It is only sent as a webhook.

                Later versions may add values.
            team (None | str): The team that the event concerns.

                `null` for an object without a team; only callers with `numbers:admin` see such an event.
            occurred_at (datetime.datetime): The time of the change.
            data (Any): The main facts of the change: ids, the state of an order, the number, the names of changed fields.
    """

    id: str
    type_: str
    team: None | str
    occurred_at: datetime.datetime
    data: Any
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        type_ = self.type_

        team: None | str
        team = self.team

        occurred_at = self.occurred_at.isoformat()

        data = self.data

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "type": type_,
                "team": team,
                "occurred_at": occurred_at,
                "data": data,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = d.pop("id")

        type_ = d.pop("type")

        def _parse_team(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        team = _parse_team(d.pop("team"))

        occurred_at = read_time(d.pop("occurred_at"))

        data = d.pop("data")

        event = cls(
            id=id,
            type_=type_,
            team=team,
            occurred_at=occurred_at,
            data=data,
        )

        event.additional_properties = d
        return event

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

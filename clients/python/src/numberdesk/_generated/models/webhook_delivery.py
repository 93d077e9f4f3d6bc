from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ...timestamp import read_time

T = TypeVar("T", bound="WebhookDelivery")


@_attrs_define
class WebhookDelivery:
    """The delivery of one event to one endpoint.

    Attributes:
        id (str): The id of the delivery.
        event_id (str): The id of the event, sent as `webhook-id`.
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
        state (str): The state of the delivery.

            * `pending`: An attempt is due, now or later.
            * `delivered`: The receiver accepted it.
            * `dead`: The service gave up the delivery.

            Later versions may add values.
        attempts (int): The number of attempts since the delivery was queued.
        outcome (None | str): The result of the last attempt: the HTTP status or an error.

            `null` until the first attempt has ended.
        queued_at (datetime.datetime): When the delivery was queued, or queued again by a replay.
        attempted_at (datetime.datetime | None): When the last attempt began.
        next_attempt_at (datetime.datetime | None): When the next attempt is due. `null` if no attempt follows.
        finished_at (datetime.datetime | None): When the event was delivered, or the service gave up. `null` while the
            delivery is pending.
    """

    id: str
    event_id: str
    type_: str
    state: str
    attempts: int
    outcome: None | str
    queued_at: datetime.datetime
    attempted_at: datetime.datetime | None
    next_attempt_at: datetime.datetime | None
    finished_at: datetime.datetime | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        event_id = self.event_id

        type_ = self.type_

        state = self.state

        attempts = self.attempts

        outcome: None | str
        outcome = self.outcome

        queued_at = self.queued_at.isoformat()

        attempted_at: None | str
        if isinstance(self.attempted_at, datetime.datetime):
            attempted_at = self.attempted_at.isoformat()
        else:
            attempted_at = self.attempted_at

        next_attempt_at: None | str
        if isinstance(self.next_attempt_at, datetime.datetime):
            next_attempt_at = self.next_attempt_at.isoformat()
        else:
            next_attempt_at = self.next_attempt_at

        finished_at: None | str
        if isinstance(self.finished_at, datetime.datetime):
            finished_at = self.finished_at.isoformat()
        else:
            finished_at = self.finished_at

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "event_id": event_id,
                "type": type_,
                "state": state,
                "attempts": attempts,
                "outcome": outcome,
                "queued_at": queued_at,
                "attempted_at": attempted_at,
                "next_attempt_at": next_attempt_at,
                "finished_at": finished_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = d.pop("id")

        event_id = d.pop("event_id")

        type_ = d.pop("type")

        state = d.pop("state")

        attempts = d.pop("attempts")

        def _parse_outcome(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        outcome = _parse_outcome(d.pop("outcome"))

        queued_at = read_time(d.pop("queued_at"))

        def _parse_attempted_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                attempted_at_type_0 = read_time(data)

                return attempted_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        attempted_at = _parse_attempted_at(d.pop("attempted_at"))

        def _parse_next_attempt_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                next_attempt_at_type_0 = read_time(data)

                return next_attempt_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        next_attempt_at = _parse_next_attempt_at(d.pop("next_attempt_at"))

        def _parse_finished_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                finished_at_type_0 = read_time(data)

                return finished_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        finished_at = _parse_finished_at(d.pop("finished_at"))

        webhook_delivery = cls(
            id=id,
            event_id=event_id,
            type_=type_,
            state=state,
            attempts=attempts,
            outcome=outcome,
            queued_at=queued_at,
            attempted_at=attempted_at,
            next_attempt_at=next_attempt_at,
            finished_at=finished_at,
        )

        webhook_delivery.additional_properties = d
        return webhook_delivery

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

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ...timestamp import read_time

if TYPE_CHECKING:
    from ..models.approval import Approval
    from ..models.order_phone_number import OrderPhoneNumber
    from ..models.requested_number import RequestedNumber


T = TypeVar("T", bound="Order")


@_attrs_define
class Order:
    """A durable request to rent one number. An order continues after a disconnect, a crash or a deploy.

    Attributes:
        id (str): The id of the order.
        state (str): The state of the order.

            * `awaiting_approval`: A second person must approve it.
            * `queued`: Accepted; nothing has been sent to Close.
            * `renting`: The paid call is, or may be, in progress.
            * `unverified`: The outcome of the paid call is unknown: Close may have rented a number.
            * `needs_review`: A person must decide the outcome.
            * `fulfilled`: Close rented a number.
            * `refused`: It is certain that Close did not rent a number.
            * `cancelled`: Cancelled before anything was sent to Close.

            Later versions may add values.
        team (str): The team that the order is for.
        created_by (str): The subject of the token that sent the order.
        request (RequestedNumber): The requested number of an order. Fields that the request left out are missing.

            Two requests are the same when all fields are equal.
        phone_number (None | OrderPhoneNumber): The rented number. `null` until the number is rented, and when another
            team has got it.

            Once the number is released, only its `id`, its `number` and `released_at` are left.
        estimated_monthly_price (str): The estimate of the monthly price from the policy, in US dollars.
        approval (Approval | None): The approval by a second person. `null` if the policy does not require an approval.
        close_status (None | str): Close's status of a refusal.

            `has-voice-only`, `needs-more-info`, `billing-error`, `error`, or a status that is new in Close's API.
        reason (None | str): The reason for the state: for a queued order what it waits for now, for a refusal Close's
            message.
        queue_position (int | None): The position of a queued order in the queue of its country. 1 is next.

            Teams take turns, so orders of other teams can change the position. `null` in other states.
        evidence (None | str): The evidence for the final state, if the state is based on evidence.

            * `close-201`: Close answered 201 with the number.
            * `close-refusal`: Close answered that it did not rent.
            * `found-by-reconciliation`: Reconciliation found the number in Close after an unknown outcome.
            * `absent-after-reconciliation`: Close showed no matching number for a long enough time.
            * `settled-by-person`: A person decided.

            Later versions may add values.
        idempotency_key (str): The idempotency key of the order.
        created_at (datetime.datetime): When Numberdesk accepted the order.
        updated_at (datetime.datetime): When the order last changed.
        finished_at (datetime.datetime | None): When the order reached its final state.
    """

    id: str
    state: str
    team: str
    created_by: str
    request: RequestedNumber
    phone_number: None | OrderPhoneNumber
    estimated_monthly_price: str
    approval: Approval | None
    close_status: None | str
    reason: None | str
    queue_position: int | None
    evidence: None | str
    idempotency_key: str
    created_at: datetime.datetime
    updated_at: datetime.datetime
    finished_at: datetime.datetime | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.approval import Approval  # noqa: PLC0415
        from ..models.order_phone_number import OrderPhoneNumber  # noqa: PLC0415

        id = self.id

        state = self.state

        team = self.team

        created_by = self.created_by

        request = self.request.to_dict()

        phone_number: dict[str, Any] | None
        if isinstance(self.phone_number, OrderPhoneNumber):
            phone_number = self.phone_number.to_dict()
        else:
            phone_number = self.phone_number

        estimated_monthly_price = self.estimated_monthly_price

        approval: dict[str, Any] | None
        if isinstance(self.approval, Approval):
            approval = self.approval.to_dict()
        else:
            approval = self.approval

        close_status: None | str
        close_status = self.close_status

        reason: None | str
        reason = self.reason

        queue_position: int | None
        queue_position = self.queue_position

        evidence: None | str
        evidence = self.evidence

        idempotency_key = self.idempotency_key

        created_at = self.created_at.isoformat()

        updated_at = self.updated_at.isoformat()

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
                "state": state,
                "team": team,
                "created_by": created_by,
                "request": request,
                "phone_number": phone_number,
                "estimated_monthly_price": estimated_monthly_price,
                "approval": approval,
                "close_status": close_status,
                "reason": reason,
                "queue_position": queue_position,
                "evidence": evidence,
                "idempotency_key": idempotency_key,
                "created_at": created_at,
                "updated_at": updated_at,
                "finished_at": finished_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.approval import Approval  # noqa: PLC0415
        from ..models.order_phone_number import OrderPhoneNumber  # noqa: PLC0415
        from ..models.requested_number import RequestedNumber  # noqa: PLC0415

        d = dict(src_dict)
        id = d.pop("id")

        state = d.pop("state")

        team = d.pop("team")

        created_by = d.pop("created_by")

        request = RequestedNumber.from_dict(d.pop("request"))

        def _parse_phone_number(data: object) -> None | OrderPhoneNumber:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                phone_number_type_0 = OrderPhoneNumber.from_dict(data)

                return phone_number_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | OrderPhoneNumber, data)

        phone_number = _parse_phone_number(d.pop("phone_number"))

        estimated_monthly_price = d.pop("estimated_monthly_price")

        def _parse_approval(data: object) -> Approval | None:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                approval_type_0 = Approval.from_dict(data)

                return approval_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(Approval | None, data)

        approval = _parse_approval(d.pop("approval"))

        def _parse_close_status(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        close_status = _parse_close_status(d.pop("close_status"))

        def _parse_reason(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        reason = _parse_reason(d.pop("reason"))

        def _parse_queue_position(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        queue_position = _parse_queue_position(d.pop("queue_position"))

        def _parse_evidence(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        evidence = _parse_evidence(d.pop("evidence"))

        idempotency_key = d.pop("idempotency_key")

        created_at = read_time(d.pop("created_at"))

        updated_at = read_time(d.pop("updated_at"))

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

        order = cls(
            id=id,
            state=state,
            team=team,
            created_by=created_by,
            request=request,
            phone_number=phone_number,
            estimated_monthly_price=estimated_monthly_price,
            approval=approval,
            close_status=close_status,
            reason=reason,
            queue_position=queue_position,
            evidence=evidence,
            idempotency_key=idempotency_key,
            created_at=created_at,
            updated_at=updated_at,
            finished_at=finished_at,
        )

        order.additional_properties = d
        return order

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

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="OrderData")


@_attrs_define
class OrderData:
    """The data of the events `order.*`: an order has reached a state.

    Attributes:
        order_id (str): The id of the order.
        state (str): The new state of the order.

            * `awaiting_approval`: A second person must approve it.
            * `queued`: Accepted; nothing has been sent to Close.
            * `renting`: The paid call is, or may be, in progress.
            * `unverified`: The outcome of the paid call is unknown: Close may have rented a number.
            * `needs_review`: A person must decide the outcome.
            * `fulfilled`: Close rented a number.
            * `refused`: It is certain that Close did not rent a number.
            * `cancelled`: Cancelled before anything was sent to Close.

            Later versions may add values.
        phone_number_id (None | str): The rented number.
    """

    order_id: str
    state: str
    phone_number_id: None | str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        order_id = self.order_id

        state = self.state

        phone_number_id: None | str
        phone_number_id = self.phone_number_id

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "order_id": order_id,
                "state": state,
                "phone_number_id": phone_number_id,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        order_id = d.pop("order_id")

        state = d.pop("state")

        def _parse_phone_number_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        phone_number_id = _parse_phone_number_id(d.pop("phone_number_id"))

        order_data = cls(
            order_id=order_id,
            state=state,
            phone_number_id=phone_number_id,
        )

        order_data.additional_properties = d
        return order_data

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

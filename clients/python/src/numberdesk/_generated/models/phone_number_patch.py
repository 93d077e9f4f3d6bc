from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="PhoneNumberPatch")


@_attrs_define
class PhoneNumberPatch:
    """A JSON merge patch (RFC 7396) of the fields that Close allows you to change.

    Fields that you leave out stay unchanged. A list replaces the whole list.

        Attributes:
            label (str | Unset): The label. An empty string removes it.
            forward_to (str | Unset): The number to which calls are forwarded. The policy limits its country.

                It cannot be removed: `"forward_to_enabled": false` ends forwarding.
            forward_to_enabled (bool | Unset): Whether calls are forwarded.
            press_1_to_accept (bool | Unset): Whether a person must press 1 to accept a forwarded call.
            voicemail_greeting_url (None | str | Unset): An https URL of a public host with the voicemail greeting. `null`
                removes the greeting.
            inbound_ring_duration (int | Unset): How long an inbound call rings, in seconds.
            participants (list[str] | Unset): The users whose phones ring. The policy limits who they may be.
            phone_numbers (list[str] | Unset): External phones that ring too. An empty list removes them.
            participant_groups (list[str] | Unset): The groups whose phones ring. An empty list removes them.
    """

    label: str | Unset = UNSET
    forward_to: str | Unset = UNSET
    forward_to_enabled: bool | Unset = UNSET
    press_1_to_accept: bool | Unset = UNSET
    voicemail_greeting_url: None | str | Unset = UNSET
    inbound_ring_duration: int | Unset = UNSET
    participants: list[str] | Unset = UNSET
    phone_numbers: list[str] | Unset = UNSET
    participant_groups: list[str] | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        label = self.label

        forward_to = self.forward_to

        forward_to_enabled = self.forward_to_enabled

        press_1_to_accept = self.press_1_to_accept

        voicemail_greeting_url: None | str | Unset
        if isinstance(self.voicemail_greeting_url, Unset):
            voicemail_greeting_url = UNSET
        else:
            voicemail_greeting_url = self.voicemail_greeting_url

        inbound_ring_duration = self.inbound_ring_duration

        participants: list[str] | Unset = UNSET
        if not isinstance(self.participants, Unset):
            participants = self.participants

        phone_numbers: list[str] | Unset = UNSET
        if not isinstance(self.phone_numbers, Unset):
            phone_numbers = self.phone_numbers

        participant_groups: list[str] | Unset = UNSET
        if not isinstance(self.participant_groups, Unset):
            participant_groups = self.participant_groups

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if label is not UNSET:
            field_dict["label"] = label
        if forward_to is not UNSET:
            field_dict["forward_to"] = forward_to
        if forward_to_enabled is not UNSET:
            field_dict["forward_to_enabled"] = forward_to_enabled
        if press_1_to_accept is not UNSET:
            field_dict["press_1_to_accept"] = press_1_to_accept
        if voicemail_greeting_url is not UNSET:
            field_dict["voicemail_greeting_url"] = voicemail_greeting_url
        if inbound_ring_duration is not UNSET:
            field_dict["inbound_ring_duration"] = inbound_ring_duration
        if participants is not UNSET:
            field_dict["participants"] = participants
        if phone_numbers is not UNSET:
            field_dict["phone_numbers"] = phone_numbers
        if participant_groups is not UNSET:
            field_dict["participant_groups"] = participant_groups

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        label = d.pop("label", UNSET)

        forward_to = d.pop("forward_to", UNSET)

        forward_to_enabled = d.pop("forward_to_enabled", UNSET)

        press_1_to_accept = d.pop("press_1_to_accept", UNSET)

        def _parse_voicemail_greeting_url(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        voicemail_greeting_url = _parse_voicemail_greeting_url(d.pop("voicemail_greeting_url", UNSET))

        inbound_ring_duration = d.pop("inbound_ring_duration", UNSET)

        participants = cast(list[str], d.pop("participants", UNSET))

        phone_numbers = cast(list[str], d.pop("phone_numbers", UNSET))

        participant_groups = cast(list[str], d.pop("participant_groups", UNSET))

        phone_number_patch = cls(
            label=label,
            forward_to=forward_to,
            forward_to_enabled=forward_to_enabled,
            press_1_to_accept=press_1_to_accept,
            voicemail_greeting_url=voicemail_greeting_url,
            inbound_ring_duration=inbound_ring_duration,
            participants=participants,
            phone_numbers=phone_numbers,
            participant_groups=participant_groups,
        )

        return phone_number_patch

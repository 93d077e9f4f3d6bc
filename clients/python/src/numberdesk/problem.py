"""Answers of the service that are errors (RFC 9457), as exceptions.

`numberdesk.problems` has a class for each type: `PolicyDenied` for `/problems/policy-denied`, and so on. A type that
this version does not know is a plain `Problem`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import httpx

from ._generated.models import Decision, FieldError
from .error import NumberdeskError
from .retry import retry_after


class Problem(NumberdeskError):
    """An error answer. Members that its type does not have are `None`; `members` has all as they came."""

    _classes: ClassVar[dict[str, type[Problem]]] = {}

    errors: list[FieldError]
    """All faults of an invalid request, or the field errors of Close."""
    decision: Decision | None = None
    order_id: str | None = None
    state: str | None = None
    evidence: str | None = None
    close_status: str | None = None
    need: str | None = None
    teams: list[str] | None = None
    limit: int | str | None = None
    used: int | str | None = None
    reserved: int | str | None = None

    def __init_subclass__(cls) -> None:
        cls._classes[re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()] = cls

    def __init__(self, status: int, members: Mapping[str, Any]) -> None:
        self.status = status
        self.is_in_doubt = status == 408 or status >= 500
        self.is_transient = self.is_in_doubt or status in (425, 429)
        self.members = dict(members)
        self.type = str(members.get("type", "about:blank"))
        self.title = str(members.get("title") or f"HTTP status {status}")
        self.detail = str(members.get("detail") or "")
        self.instance: str | None = members.get("instance")
        self.request_id: str | None = members.get("request_id")
        self.errors = [FieldError.from_dict(fault) for fault in members.get("errors") or []]
        if decision := members.get("decision"):
            self.decision = Decision.from_dict(decision)
        for name in _PLAIN & members.keys():
            setattr(self, name, members[name])
        request = f"request {self.request_id}" if self.request_id else "without a request id"
        super().__init__(f"{self.title}: {self.detail or 'no detail'} ({self.type}, status {status}, {request})")

    @classmethod
    def of(cls, response: httpx.Response) -> Problem:
        """Returns the exception for an error answer, also for one that a proxy made."""
        try:
            members = response.json()
            problem = cls._classes.get(str(members["type"]).rpartition("/")[2], Problem)(response.status_code, members)
        except (ValueError, KeyError, TypeError, AttributeError):
            problem = Problem(response.status_code, {"title": response.reason_phrase})
        problem.retry_after = retry_after(response.headers)
        return problem


_PLAIN = {"order_id", "state", "evidence", "close_status", "need", "teams", "limit", "used", "reserved"}

"""The bearer token: from a function of the application, kept until it is about to expire or was refused."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from .effect import Call, Flow
from .error import TokenError

TokenFunction = Callable[[], str] | Callable[[], Awaitable[str]]
LEEWAY = 15.0  # seconds before its expiry at which a token is replaced


@dataclass(frozen=True)
class Token:
    """A token whose text never shows in a `repr`, so that no log or traceback has it."""

    text: str = field(repr=False)
    expires_at: float | None
    """Seconds since 1970, if the token is a JWT with `exp`."""

    @classmethod
    def of(cls, text: object) -> Token:
        """Checks the syntax of RFC 6750, so that nothing else reaches a header, or an error about a header."""
        if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", text.strip()):
            raise TokenError("the token function returned something that is no bearer token (RFC 6750)")
        return cls(text.strip(), _expiry(text.strip()))


class TokenSource:
    """Keeps the current token. Threads may share it; two may call the function at once, which does no harm."""

    def __init__(self, token: str | TokenFunction) -> None:
        self._function: Callable[[], str | Awaitable[str]] = (lambda: token) if isinstance(token, str) else token
        self._token: Token | None = None

    def current(self) -> Flow[Token]:
        """Returns the token to send; calls the function if there is none, or it is about to expire."""
        token = self._token
        if token is None or (token.expires_at is not None and time.time() > token.expires_at - LEEWAY):
            try:
                text = yield Call(self._function)
            except TypeError:
                raise
            except Exception as error:
                raise TokenError(f"the token function failed: {type(error).__name__}") from error
            self._token = token = Token.of(text)
        return token

    def refuse(self, token: Token) -> None:
        """Forgets a token that the service has refused."""
        if self._token is token:
            self._token = None


def _expiry(text: str) -> float | None:
    try:
        payload = text.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError):
        return None

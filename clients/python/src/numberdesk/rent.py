"""Renting one number: one key, repeated and followed until the order ends, or the deadline passes."""

from __future__ import annotations

import contextlib
import re
import time

from ._generated.api.orders import create_order
from ._generated.models import Order, OrderRequest
from .effect import Call, Flow, Sleep
from .error import KeyStoreError, NumberdeskError, RentUnfinished
from .exchange import Exchange
from .key_store import KeyStore, new_key
from .operation import UnexpectedAnswer
from .problem import Problem
from .problems import NotFound, PermissionMissing, ServiceAccountUnmapped, Unauthorized
from .retry import retry_after

WAIT = 20  # seconds that one request waits for the end of the order; proxies often allow 30
# Problems of the caller's access, which say nothing about an order that an earlier attempt may have placed.
ACCESS = (NotFound, PermissionMissing, ServiceAccountUnmapped, Unauthorized)


def rent(
    exchange: Exchange,
    keys: KeyStore | None,
    order: OrderRequest,
    *,
    key: str | None = None,
    name: str | None = None,
    timeout: float = 300.0,
) -> Flow[Order]:
    """Rents a number. Follows an unfinished order by repeating the request with the same key, until it ends."""
    if not isinstance(order, OrderRequest):
        raise TypeError(f"rent takes an OrderRequest, such as OrderRequest(country='DE'), not {type(order).__name__}")
    key = yield from _choose_key(keys, key, name)
    deadline = exchange.deadline(timeout)
    known: Order | None = None
    try:
        while True:
            wait = max(0, min(WAIT, int(deadline - time.monotonic())))
            operation = create_order(body=order, idempotency_key=key, prefer=f"wait={wait}")
            response = yield from exchange.send(operation, deadline, silence=WAIT + 15.0)
            known = operation.parse(response)
            if response.status_code == 201:
                return known
            pause = retry_after(response.headers)
            pause = 1.0 if pause is None else pause
            if time.monotonic() + pause >= deadline:
                raise RentUnfinished(key, known)
            yield Sleep(pause)
    except BaseException as error:
        if _is_unfinished(error, known):
            raise RentUnfinished(key, known) from error
        with contextlib.suppress(AttributeError):
            error.key = key  # type: ignore[attr-defined]  # also of a cancellation, so that no key gets lost
        raise


def _is_unfinished(error: BaseException, known: Order | None) -> bool:
    """Returns whether the order may still be rented after this error."""
    if not isinstance(error, NumberdeskError) or isinstance(error, RentUnfinished):
        return False
    if error.is_transient or isinstance(error, UnexpectedAnswer):
        return True
    is_about_order = isinstance(error, Problem) and error.type != "about:blank" and not isinstance(error, ACCESS)
    return (known is not None or error.is_in_doubt) and not is_about_order


def _choose_key(keys: KeyStore | None, key: str | None, name: str | None) -> Flow[str]:
    if key is not None and name is not None:
        raise ValueError("rent takes a key or a name, not both")
    if name is not None:
        if keys is None:
            raise ValueError("rent with a name needs a key store: Desk(…, keys=FileKeyStore(folder))")
        key = yield Call(keys.key, (name,))
        if not isinstance(key, str) or not _is_key(key):
            raise KeyStoreError(f"the key stored for `{name}` is not 1 to 255 visible ASCII characters")
    elif key is None:
        key = new_key()
    elif not _is_key(key):
        raise ValueError("an idempotency key is 1 to 255 visible ASCII characters")
    return key


def _is_key(key: str) -> bool:
    return re.fullmatch(r"[!-~]{1,255}", key) is not None

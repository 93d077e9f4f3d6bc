"""Rents several numbers at once with `AsyncDesk`, then lists the team's numbers."""

import asyncio
import os
import sys

from numberdesk import AsyncDesk, FileKeyStore
from numberdesk.models import Order, OrderRequest


async def get_token() -> str:
    """In your app: ask your identity provider."""
    return os.environ["ALICE"]


async def main(names: list[str]) -> None:
    """Rents a number for each name."""
    keys = FileKeyStore(os.environ.get("KEY_FOLDER", "numberdesk-keys"))
    async with AsyncDesk(os.environ["API"], get_token, keys=keys) as desk:

        async def rent(name: str) -> Order:
            return await desk.rent(OrderRequest(country="GB", carrier_type="local", label=name), name=name)

        for name, order in zip(names, await asyncio.gather(*map(rent, names)), strict=True):
            assert order.phone_number
            print(name, order.phone_number.number)
        print(len([number async for number in desk.numbers(country="GB")]), "numbers in GB")


asyncio.run(main(sys.argv[1:]))

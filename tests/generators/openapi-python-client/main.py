"""What an app does first, with the functions of openapi-python-client."""

import os
import uuid

from numberdesk_client import AuthenticatedClient
from numberdesk_client.api.orders import create_order, list_orders
from numberdesk_client.models import CarrierType, Order, OrderPage, OrderRequest, Problem
from numberdesk_client.types import UNSET, Unset

client = AuthenticatedClient(base_url=os.environ["API"], token=os.environ["TOKEN"])


def order(country: str) -> Order | Problem | None:
    body = OrderRequest(country=country, carrier_type=CarrierType.LOCAL)
    return create_order.sync(client=client, body=body, idempotency_key=str(uuid.uuid4()))


rented = order("DE")
assert isinstance(rented, Order) and rented.phone_number, rented
print("rents", rented.id, rented.phone_number.number)

pages: list[str] = []
cursor: str | Unset = UNSET
while len(pages) < 2:
    page = list_orders.sync(client=client, limit=1, cursor=cursor)
    assert isinstance(page, OrderPage), page
    pages += [order.id for order in page.data]
    cursor = page.next_cursor or UNSET
print("pages", *pages)

denied = order("US")
assert isinstance(denied, Problem) and denied.decision, denied
print("problem", denied.type_, denied.decision.rule)

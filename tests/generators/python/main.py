"""What an app does first, with the classes of openapi-generator's python."""

import os
import uuid

from numberdesk_client import ApiClient, CarrierType, Configuration, Order, OrderRequest, OrdersApi, Problem
from numberdesk_client.exceptions import ForbiddenException

client = ApiClient(Configuration(host=os.environ["API"], access_token=os.environ["TOKEN"]))
orders = OrdersApi(client)


def order(country: str) -> Order:
    request = OrderRequest(country=country, carrier_type=CarrierType.LOCAL)
    return orders.create_order(idempotency_key=str(uuid.uuid4()), order_request=request)


rented = order("DE")
assert rented.phone_number, rented
print("rents", rented.id, rented.phone_number.number)

pages: list[str] = []
cursor: str | None = None
while len(pages) < 2:
    page = orders.list_orders(limit=1, cursor=cursor)
    pages += [order.id for order in page.data]
    cursor = page.next_cursor
print("pages", *pages)

try:
    order("US")
except ForbiddenException as error:
    problem = error.data
    assert isinstance(problem, Problem) and problem.decision, problem
    print("problem", problem.type, problem.decision.rule)

"""Error answers are exceptions of their type, with the members of their type."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

import numberdesk
from numberdesk import (
    ApprovalRejected,
    BudgetExceeded,
    CloseRefused,
    IdempotencyKeyReused,
    InvalidRequest,
    NotFound,
    NotRented,
    OrderCancelled,
    PermissionMissing,
    PolicyDenied,
    Problem,
    QuotaExceeded,
    RentUnfinished,
    TeamRequired,
    Unauthorized,
    UnexpectedAnswer,
)
from numberdesk.api import cancel_order, get_order, list_audit, list_orders, me, reject_order, validate_order
from numberdesk.models import DecisionRequest, OrderRequest
from support.clients import Clients
from support.dev import Dev
from support.proxy import Answer, Proxy

GROUP = OrderRequest(country="DE", carrier_type="local", sharing="group")


def test_a_denial_has_its_decision(desk: Any, dev: Dev) -> None:
    rents = dev.rents()

    with pytest.raises(PolicyDenied) as caught:
        desk.rent(OrderRequest(country="US", carrier_type="local"))

    decision = caught.value.decision
    assert (decision.rule, decision.have, decision.need) == ("teams.sales-emea.countries", "US", ["DE", "FR", "GB"])
    assert decision.hint in str(decision)
    assert caught.value.key and caught.value.request_id
    assert dev.rents() == rents


def test_a_used_up_quota_has_its_figures(clients: Clients, dev: Dev) -> None:
    desk = clients.desk(dev.api, dev.token("small"))
    order = OrderRequest(country="GB", carrier_type="local")
    while not list(desk.numbers()):
        desk.rent(order)

    with pytest.raises(QuotaExceeded) as caught:
        desk.rent(order)

    assert (caught.value.limit, caught.value.used, caught.value.reserved) == (1, 1, 0)


def test_a_used_up_budget_has_its_figures(clients: Clients, dev: Dev) -> None:
    desk = clients.desk(dev.api, dev.token("poor"))

    with pytest.raises(BudgetExceeded) as caught:
        desk.rent(OrderRequest(country="GB", carrier_type="local"))

    assert (caught.value.limit, caught.value.used, caught.value.reserved) == ("1.00", "0.00", "0.00")


def test_a_refusal_of_close_has_its_word(desk: Any, dev: Dev) -> None:
    dev.control("POST", "faults", json={"refuse": "has-voice-only", "times": 1})

    with pytest.raises(CloseRefused) as caught:
        desk.rent(OrderRequest(country="DE", carrier_type="local"))

    assert caught.value.close_status == "has-voice-only"
    assert desk.call(get_order(caught.value.order_id)).state == "refused"


def test_an_order_that_nobody_approves_yet_is_unfinished_and_its_rejection_is_reported(
    clients: Clients, dev: Dev
) -> None:
    bob, lena = clients.desk(dev.api, dev.env["BOB"]), clients.desk(dev.api, dev.env["LENA"])
    with pytest.raises(RentUnfinished) as open_order:
        bob.rent(GROUP, timeout=1)
    assert open_order.value.order.state == "awaiting_approval"

    lena.call(reject_order(open_order.value.order_id, body=DecisionRequest(comment="not this month")))

    with pytest.raises(ApprovalRejected, match="not this month") as caught:
        bob.rent(GROUP, key=open_order.value.key)
    assert caught.value.order_id == open_order.value.order_id


def test_a_cancelled_order_is_reported(clients: Clients, dev: Dev) -> None:
    bob = clients.desk(dev.api, dev.env["BOB"])
    with pytest.raises(RentUnfinished) as open_order:
        bob.rent(GROUP, timeout=1)
    bob.call(cancel_order(open_order.value.order_id))

    with pytest.raises(OrderCancelled) as caught:
        bob.rent(GROUP, key=open_order.value.key)

    assert caught.value.key == open_order.value.key


def test_a_key_with_another_body_is_refused(desk: Any) -> None:
    order = desk.rent(OrderRequest(country="GB", carrier_type="local"))

    with pytest.raises(IdempotencyKeyReused) as caught:
        desk.rent(OrderRequest(country="DE", carrier_type="local"), key=order.idempotency_key)

    assert caught.value.order_id == order.id


def test_all_faults_of_a_request_are_listed(desk: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        desk.rent(OrderRequest(country="Germany", prefix="abc"))

    assert {fault.pointer for fault in caught.value.errors} == {"/country", "/prefix"}


def test_other_problems_have_their_class(clients: Clients, dev: Dev) -> None:
    alice = clients.desk(dev.api, dev.env["ALICE"])
    with pytest.raises(NotFound):
        alice.call(get_order("ord_01KATV8ZJ3E0T9C4M6N2P5Q7RS"))
    with pytest.raises(PermissionMissing) as missing:
        alice.call(list_audit())
    assert missing.value.need == "audit:read"
    with pytest.raises(TeamRequired) as team:
        clients.desk(dev.api, dev.token("sales-emea,small")).rent(OrderRequest(country="GB"))
    assert sorted(team.value.teams) == ["sales-emea", "small"]
    with pytest.raises(Unauthorized):
        clients.desk(dev.api, "not-a-token").call(me())


def test_not_rented_has_its_class() -> None:
    members = {"type": "/problems/not-rented", "order_id": "ord_1", "evidence": "absent-after-reconciliation"}

    error = Problem.of(httpx.Response(422, json=members))

    assert isinstance(error, NotRented)
    assert (error.order_id, error.evidence, error.is_transient) == ("ord_1", "absent-after-reconciliation", False)


def test_an_unknown_type_is_a_problem_with_all_members() -> None:
    members = {"type": "https://numberdesk.example.com/x/problems/new-thing", "title": "New", "limit": 3, "extra": [1]}

    error = Problem.of(httpx.Response(409, json=members))

    assert type(error) is Problem
    assert (error.title, error.limit, error.members["extra"]) == ("New", 3, [1])


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b'{"type": 7}', b'{"type": "/problems/busy", "errors": 1}']
)
def test_an_error_that_is_no_problem_document_is_a_problem(body: bytes) -> None:
    error = Problem.of(httpx.Response(500, content=body))

    assert error.status == 500 and error.is_transient


def test_a_type_below_a_path_prefix_has_its_class() -> None:
    assert isinstance(Problem.of(httpx.Response(403, json={"type": "/desk/problems/not-found"})), NotFound)


def test_an_answer_of_another_kind_is_unexpected(desk: Any, proxy: Proxy) -> None:
    page = Answer(200, {"content-type": "text/html"}, b"<html>Please log in</html>")
    proxy.scripts = [page]
    with pytest.raises(UnexpectedAnswer, match="text/html"):
        desk.call(list_orders())

    proxy.scripts = [Answer(307, {"location": "https://login.example.com/"})]
    with pytest.raises(UnexpectedAnswer):
        desk.call(list_orders())

    proxy.scripts = [page]
    with pytest.raises(RentUnfinished):
        desk.rent(OrderRequest(country="GB", carrier_type="local"))


def test_a_question_rents_nothing(desk: Any, dev: Dev) -> None:
    rents = dev.rents()

    assert desk.call(validate_order(body=OrderRequest(country="GB", carrier_type="local"))).allowed is True
    assert dev.rents() == rents


def test_every_class_is_exported() -> None:
    classes = {name for name in vars(numberdesk.problems) if not name.startswith("_")}

    assert classes <= set(vars(numberdesk))

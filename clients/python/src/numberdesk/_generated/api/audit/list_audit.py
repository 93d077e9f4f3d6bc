import datetime
from typing import Any

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.audit_row_page import AuditRowPage
from ...types import UNSET, Unset


def list_audit(
    *,
    team: str | Unset = UNSET,
    actor: str | Unset = UNSET,
    action: str | Unset = UNSET,
    order_id: str | Unset = UNSET,
    phone_number_id: str | Unset = UNSET,
    since: datetime.datetime | Unset = UNSET,
    until: datetime.datetime | Unset = UNSET,
    allowed: bool | Unset = UNSET,
    limit: int | Unset = 50,
    cursor: str | Unset = UNSET,
) -> Operation[AuditRowPage]:
    """List the audit trail

    Every decision and every change, newest first: actor, team, action, the rule that decided, and the
    outcome.

    Args:
        team (str | Unset): The name of a team.
        actor (str | Unset):
        action (str | Unset): The action that an audit row records, whether it succeeded or not.

            * `order.create`: A caller requested an order.
            * `order.send`: The service began the paid call to Close.
            * `order.settle`: Close's answer changed the state of an order.
            * `order.review`: A person settled an order in manual review.
            * `order.approve`: A second person approved an order.
            * `order.reject`: A second person rejected an order.
            * `order.expire`: The approval period of an order expired.
            * `order.cancel`: A caller cancelled an order.
            * `number.update`: A caller changed a number.
            * `number.release`: A caller released a number or scheduled its release.
            * `number.keep`: A caller cancelled a scheduled release.
            * `number.transfer`: An administrator assigned a number to a team.
            * `number.gone`: The service found that Close no longer has a number.
            * `number.late`: A number appeared after its order was given up.
            * `webhook_endpoint.create`: A caller registered a webhook endpoint.
            * `webhook_endpoint.update`: A caller changed, enabled or disabled an endpoint.
            * `webhook_endpoint.disable`: The service disabled an endpoint.
            * `webhook_endpoint.delete`: A caller deleted an endpoint.
            * `webhook_endpoint.rotate_secret`: A caller rotated an endpoint's secret.
            * `webhook_endpoint.read_secret`: A caller read an endpoint's secret.
            * `webhook_endpoint.replay`: A caller replayed events to an endpoint.
            * `webhook_endpoint.test`: A caller sent a test event to an endpoint.
            * `policy.change`: A new policy came into force.
            * `policy.reject`: The service rejected an invalid policy file.
            * `hold.start`: The service or an operator stopped all calls that cost or destroy.
            * `hold.end`: A person permitted these calls again.

            Later versions may add values.
        order_id (str | Unset): The id of an order. Ids sort by time.
        phone_number_id (str | Unset): The id of a phone number in Close.
        since (datetime.datetime | Unset): A time in RFC 3339, in UTC. Responses have six fraction
            digits and end with `Z`.
        until (datetime.datetime | Unset): A time in RFC 3339, in UTC. Responses have six fraction
            digits and end with `Z`.
        allowed (bool | Unset):
        limit (int | Unset):  Default: 50.
        cursor (str | Unset):
    """

    params: dict[str, Any] = {}

    params["team"] = team

    params["actor"] = actor

    params["action"] = action

    params["order_id"] = order_id

    params["phone_number_id"] = phone_number_id

    json_since: str | Unset = UNSET
    if not isinstance(since, Unset):
        json_since = since.isoformat()
    params["since"] = json_since

    json_until: str | Unset = UNSET
    if not isinstance(until, Unset):
        json_until = until.isoformat()
    params["until"] = json_until

    params["allowed"] = allowed

    params["limit"] = limit

    params["cursor"] = cursor

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "GET",
        "url": "/v1/audit",
        "params": params,
    }

    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> AuditRowPage:
    if response.status_code == 200:
        response_200 = AuditRowPage.from_dict(response.json())

        return response_200

    raise UnexpectedAnswer(response)

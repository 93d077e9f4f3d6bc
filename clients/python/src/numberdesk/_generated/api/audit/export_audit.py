import datetime
from typing import Any

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...types import UNSET, Unset


def export_audit(
    *,
    team: str | Unset = UNSET,
    since: datetime.datetime | Unset = UNSET,
    until: datetime.datetime | Unset = UNSET,
    after: int | Unset = UNSET,
) -> Operation[str]:
    """Export the audit trail

    Every row in the order of the hash chain, as one JSON document per line. Each row has its position
    in `seq`, its
    hash in `hash`, and the hash of the previous row in `prev`. `numberdesk audit verify --export`
    verifies the export
    without the service. If the export fails before its end, the connection ends with an error. An
    administrator gets
    the whole chain, any other caller the rows of its teams.

    Args:
        team (str | Unset): The name of a team.
        since (datetime.datetime | Unset): A time in RFC 3339, in UTC. Responses have six fraction
            digits and end with `Z`.
        until (datetime.datetime | Unset): A time in RFC 3339, in UTC. Responses have six fraction
            digits and end with `Z`.
        after (int | Unset):
    """

    params: dict[str, Any] = {}

    params["team"] = team

    json_since: str | Unset = UNSET
    if not isinstance(since, Unset):
        json_since = since.isoformat()
    params["since"] = json_since

    json_until: str | Unset = UNSET
    if not isinstance(until, Unset):
        json_until = until.isoformat()
    params["until"] = json_until

    params["after"] = after

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "GET",
        "url": "/v1/audit/export",
        "params": params,
    }

    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> str:
    if response.status_code == 200:
        response_200 = response.text
        return response_200

    raise UnexpectedAnswer(response)

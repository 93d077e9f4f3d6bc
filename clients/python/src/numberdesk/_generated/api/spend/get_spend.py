from typing import Any

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.group_by import GroupBy
from ...models.report_format import ReportFormat
from ...models.spend import Spend
from ...types import UNSET, Unset


def get_spend(
    *,
    month: str,
    group_by: GroupBy | Unset = UNSET,
    team: str | Unset = UNSET,
    format_: ReportFormat | Unset = UNSET,
) -> Operation[Spend]:
    """Get the cost of a month

    Close bills a number once for every month (UTC) in which a team held it. The report counts each
    number once,
    with its last price of that month, for the team that was the first in that month to hold it. Until
    Close has billed
    the number, the price is the policy's estimate.

    Args:
        month (str): A month in UTC.
        group_by (GroupBy | Unset): The dimension by which a spend report groups the cost.

            * `team`: The team that first held the number in the month.
            * `country`: The number's country.
            * `user`: The person who ordered the number.
        team (str | Unset): The name of a team.
        format_ (ReportFormat | Unset): The format of a report.

            * `json`: A JSON document.
            * `csv`: Comma-separated values with a header line.
    """

    params: dict[str, Any] = {}

    params["month"] = month

    json_group_by: str | Unset = UNSET
    if not isinstance(group_by, Unset):
        json_group_by = group_by

    params["group_by"] = json_group_by

    params["team"] = team

    json_format_: str | Unset = UNSET
    if not isinstance(format_, Unset):
        json_format_ = format_

    params["format"] = json_format_

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "GET",
        "url": "/v1/spend",
        "params": params,
    }

    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> Spend:
    if response.status_code == 200:
        response_200 = Spend.from_dict(response.json())

        return response_200

    raise UnexpectedAnswer(response)

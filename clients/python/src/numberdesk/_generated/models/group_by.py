from typing import Literal, cast

GroupBy = Literal["country", "team", "user"]

GROUP_BY_VALUES: set[GroupBy] = {
    "country",
    "team",
    "user",
}


def check_group_by(value: str) -> GroupBy:
    return cast(GroupBy, value)

from typing import Literal, cast

Sharing = Literal["group", "personal"]

SHARING_VALUES: set[Sharing] = {
    "group",
    "personal",
}


def check_sharing(value: str) -> Sharing:
    return cast(Sharing, value)

from typing import Literal, cast

DenialKind = Literal["budget", "policy", "quota"]

DENIAL_KIND_VALUES: set[DenialKind] = {
    "budget",
    "policy",
    "quota",
}


def check_denial_kind(value: str) -> DenialKind:
    return cast(DenialKind, value)

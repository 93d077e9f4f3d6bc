from typing import Literal, cast

DenialKind = Literal["budget", "policy", "quota", "rate"]

DENIAL_KIND_VALUES: set[DenialKind] = {
    "budget",
    "policy",
    "quota",
    "rate",
}


def check_denial_kind(value: str) -> DenialKind:
    return cast(DenialKind, value)

from typing import Literal, cast

CarrierType = Literal["local", "mobile", "national", "tollfree"]

CARRIER_TYPE_VALUES: set[CarrierType] = {
    "local",
    "mobile",
    "national",
    "tollfree",
}


def check_carrier_type(value: str) -> CarrierType:
    return cast(CarrierType, value)

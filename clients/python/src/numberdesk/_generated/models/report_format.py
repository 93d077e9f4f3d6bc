from typing import Literal, cast

ReportFormat = Literal["csv", "json"]

REPORT_FORMAT_VALUES: set[ReportFormat] = {
    "csv",
    "json",
}


def check_report_format(value: str) -> ReportFormat:
    return cast(ReportFormat, value)

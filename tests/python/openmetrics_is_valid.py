"""Reads a scrape in OpenMetrics with the official parser, and prints the trace of each exemplar: openmetrics_is_valid.py FILE

The parser fails on anything that the format does not allow, such as a counter without `_total` or a unit that is not in the
name. tests/it/telemetry runs this script on a running service."""

import sys
from pathlib import Path

from prometheus_client.openmetrics.parser import text_string_to_metric_families


def main():
    families = list(text_string_to_metric_families(Path(sys.argv[1]).read_text()))
    assert len(families) > 50, f"only {len(families)} metrics"
    for family in families:
        assert family.documentation and family.type != "unknown", f"{family.name} has no help text or no type"
        for sample in family.samples:
            if sample.exemplar:
                print(sample.name, sample.exemplar.labels["trace_id"])


if __name__ == "__main__":
    main()

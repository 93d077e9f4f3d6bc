#!/usr/bin/env bash
# Generates src/numberdesk/_generated from openapi/numberdesk.json.
#
#   generate.sh            writes src/numberdesk/_generated
#   generate.sh --check    compares instead, and fails on a difference
#
# The tools come from the virtual environment of test.sh, or from the one that VENV names.
set -euo pipefail
cd "$(dirname "$0")"
bin="$(cd "${VENV:-.venv}" && pwd)/bin"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$bin/python" generator/prepare.py ../../openapi/numberdesk.json >"$work/openapi.json"
# --fail-on-warning: a warning means that a part of the API is missing.
"$bin/openapi-python-client" generate --meta none --fail-on-warning --path "$work/openapi.json" \
    --config generator/config.yaml --custom-template-path generator/templates \
    --output-path "$work/_generated" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
# The hand-written layer sends requests and raises errors; see README.md.
rm "$work/_generated/client.py" "$work/_generated/errors.py"
"$bin/python" generator/problems.py ../../openapi/numberdesk.json >"$work/_generated/problems.py"
# Python 3.10 cannot read "Z" and most numbers of digits in a time.
grep -rl 'datetime.fromisoformat(' "$work/_generated/models" | xargs sed -i \
    -e 's/datetime\.datetime\.fromisoformat(/read_time(/' \
    -e '0,/^from __future__ .*/s//&\nfrom ...timestamp import read_time/'
"$bin/ruff" check --quiet --isolated --line-length 120 --select F401,I,UP --ignore F403 --fix-only "$work/_generated"
"$bin/ruff" format --quiet --isolated --line-length 120 "$work/_generated"

target=src/numberdesk/_generated
if [[ ${1:-} == --check ]]; then
    if ! diff --recursive --brief --exclude=__pycache__ "$work/_generated" "$target" >&2; then
        echo "$target does not fit openapi/numberdesk.json: run clients/python/generate.sh and commit the result" >&2
        exit 1
    fi
else
    rm -rf "$target"
    cp -R "$work/_generated" "$target"
    find "$target" -name __pycache__ -prune -exec rm -rf {} +
fi

#!/usr/bin/env bash
# Tests the Python client: generated part current, format, types, package, and the tests beside a real service.
# Arguments go to pytest. NUMBERDESK_BIN names the service's binary; otherwise it is the newest in target.
set -euo pipefail
cd "$(dirname "$0")"

say() { printf 'clients/python: %s\n' "$*" >&2; }

# The copy of the lock file shows that the installation completed, and its version.
if ! .venv/bin/python -c '' 2>/dev/null || ! cmp -s requirements.txt .venv/installed.txt; then
    say "installing requirements.txt into .venv"
    python3 -m venv --clear .venv
    .venv/bin/pip install --quiet --no-input --disable-pip-version-check --require-hashes -r requirements.txt
    cp requirements.txt .venv/installed.txt
fi

say "generated part"
./generate.sh --check
say "format and lint"
.venv/bin/ruff format --quiet --check .
.venv/bin/ruff check --quiet .

# The tests run with the package as it would be published, not with the folder.
say "package"
rm -rf dist
.venv/bin/python -m build --no-isolation --outdir dist . >/dev/null 2>&1
.venv/bin/twine check --strict dist/* >/dev/null
.venv/bin/pip install --quiet --no-input --disable-pip-version-check --no-deps --no-index --force-reinstall dist/*.whl

say "types"
.venv/bin/mypy
.venv/bin/mypy --strict examples tests/typed_use.py

say "tests"
exec .venv/bin/python -m pytest "$@"

#!/usr/bin/env bash
# Generates openapi/numberdesk.json from the code, and then docs/errors.md and docs/metrics.md. If the program fails, the
# old file of openapi is still there.
set -euo pipefail
cd "$(dirname "$0")/.."

new=$(mktemp)
trap 'rm -f "$new"' EXIT
cargo run --locked --quiet --bin numberdesk -- openapi >"$new"
mkdir -p openapi
cat "$new" >openapi/numberdesk.json
WRITE_DOCS=1 cargo test --locked --quiet --test it the_guide_to_ >/dev/null

#!/usr/bin/env bash
# Generates openapi/numberdesk.json and .yaml from the code. After a failure, the old files are still there.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --locked --quiet
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
for format in json yaml; do
    cargo run --locked --quiet -- openapi --format "$format" >"$new/numberdesk.$format"
done
mkdir -p openapi
cp "$new"/numberdesk.* openapi/
WRITE_DOCS=1 cargo test --locked --quiet --test it the_guide_to_ >/dev/null

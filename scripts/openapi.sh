#!/usr/bin/env bash
# Writes openapi/numberdesk.json and .yaml as the present code serves them. A failure leaves the old ones.
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

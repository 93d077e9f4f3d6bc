#!/usr/bin/env bash
# Generates schema/*.json from the code. After a failure, the old files are still there.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --locked --quiet
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
for file in config policy; do
    cargo run --locked --quiet -- schema "$file" >"$new/$file.schema.json"
done
mkdir -p schema
cp "$new"/*.schema.json schema/

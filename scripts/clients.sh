#!/usr/bin/env bash
# Checks and tests the clients in clients/ against the service: the binary in NUMBERDESK_BIN, or a new build.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/stages.sh

if [[ -z ${NUMBERDESK_BIN-} ]]; then
    stage 'build' cargo build --locked --quiet --bin numberdesk
    NUMBERDESK_BIN=${CARGO_TARGET_DIR:-target}/debug/numberdesk
fi
# Each client is tested in its own folder.
NUMBERDESK_BIN=$(realpath "$NUMBERDESK_BIN")
export NUMBERDESK_BIN
for script in clients/*/test.sh; do
    stage "$(basename "$(dirname "$script")")" "$script"
done

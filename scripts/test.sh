#!/usr/bin/env bash
# Runs the checks before a merge, except those of the clients (`make clients`), the generators (`make generators`) and
# the images (`make image-test`). Stops at the first stage that fails.
# AREA=orders runs only the tests of that folder or name: on SQLite, and on PostgreSQL if the area depends on the store.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/stages.sh

# Areas whose tests also run on PostgreSQL.
BOTH_STORES='store|replicas|one_process|crash|postgres'

# Test databases are in memory if /dev/shm has enough space, because a disk would slow the tests down.
if [[ -z ${TMPDIR-} && -w /dev/shm ]] && (($(df --output=avail -k /dev/shm | tail -n 1) > 4000000)); then
    TMPDIR=$(mktemp -d /dev/shm/numberdesk-tests.XXXXXX)
    export TMPDIR
    chmod 711 "$TMPDIR" # a private PostgreSQL runs as another user
    trap 'code=$?; rm -rf "$TMPDIR"; finish "$code"' EXIT
fi

nextest=(.venv/bin/cargo-nextest nextest run --locked --workspace --features failpoints)

area() {
    if [[ $AREA =~ $BOTH_STORES ]]; then
        scripts/with-postgres.sh "${nextest[@]}" -E "test(/$AREA/)"
    else
        "${nextest[@]}" -E "test(/$AREA/) and not test(/on_postgres$/)"
    fi
}

stage 'setup' scripts/setup.sh
if [[ -n ${AREA-} ]]; then
    stage "tests of $AREA" area
    exit
fi
stage 'formatting' cargo fmt --all --check
stage 'manifests' .venv/bin/python tests/python/manifests_are_valid.py
stage 'alerts' .venv/bin/python tests/python/alerts_fire.py
stage 'guides of the platform' .venv/bin/python tests/python/guides_hold.py
stage 'policies' .venv/bin/python tests/python/policies_hold.py
stage 'clippy' cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
stage 'without the development commands' cargo check --locked --no-default-features
stage 'documentation' env RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps
stage 'examples in the documentation' cargo test --locked --workspace --doc --features failpoints --quiet
stage 'build of the tests' "${nextest[@]}" --profile full --no-run
stage 'OpenAPI document' env NUMBERDESK_BIN=target/debug/numberdesk .venv/bin/python tests/python/openapi_is_sound.py
stage 'jobs' env NUMBERDESK_BIN=target/debug/numberdesk scripts/with-postgres.sh .venv/bin/python tests/python/jobs_work.py
stage 'tests' scripts/with-postgres.sh "${nextest[@]}" --profile full --no-fail-fast
stage 'slowest tests' python3 scripts/slowest-tests.py target/nextest/full/junit.xml

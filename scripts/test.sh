#!/usr/bin/env bash
# Everything that must hold before a change is merged, cheapest first; stops at the first stage that fails.
set -euo pipefail
cd "$(dirname "$0")/.."

current=''
finish() {
    local code=$?
    if ((code)); then
        printf '\nFAILED in stage "%s" after %d s\n' "$current" "$SECONDS"
    else
        printf '\nall stages passed in %d s\n' "$SECONDS"
    fi
}
trap finish EXIT

stage() {
    current=$1
    local began=$SECONDS
    printf '\n== %s\n' "$current"
    shift
    "$@"
    printf -- '-- %d s\n' $((SECONDS - began))
}

# Needs namespaces and a root of its own; what it builds takes minutes.
image() {
    if ((EUID == 0)) && [[ $(. /etc/os-release && echo "$ID$VERSION_ID") == debian12 ]]; then
        scripts/image-test.sh
    else
        echo 'left out: it needs root on Debian 12'
    fi
}

stage 'setup' scripts/setup.sh
stage 'formatting' cargo fmt --check
stage 'manifests' .venv/bin/python tests/python/manifests_are_valid.py
stage 'alerts' .venv/bin/python tests/python/alerts_fire.py
stage 'policies' .venv/bin/python tests/python/policies_hold.py
stage 'clippy' cargo clippy --locked --all-targets --all-features -- -D warnings
stage 'documentation' env RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps
# Most tests wait for processes and clocks, so more run side by side than there are cores.
stage 'tests' env RUST_TEST_THREADS="${RUST_TEST_THREADS:-4}" scripts/with-postgres.sh cargo test --locked --features failpoints --no-fail-fast
stage 'image' image

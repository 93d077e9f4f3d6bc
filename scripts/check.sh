#!/usr/bin/env bash
# The quick check after each change: formatting, clippy and unit tests of the whole workspace. Needs only Rust.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/stages.sh

stage 'formatting' cargo fmt --all --check
stage 'clippy' cargo clippy --locked --workspace --all-targets --all-features --quiet -- -D warnings
stage 'unit tests' cargo test --locked --workspace --lib --quiet

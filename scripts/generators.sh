#!/usr/bin/env bash
# Tries generators of clients: each makes a client of the OpenAPI document, which is compiled and then rents a number
# from `numberdesk dev`. Takes minutes. tests/generators/README.md explains it. Arguments name tools, such as `go`.
# NUMBERDESK_BIN names a built binary; otherwise cargo builds it.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'generators: %s\n' "$*" >&2; }

scripts/setup.sh

packages=()
command -v go >/dev/null || packages+=(golang-go)
command -v javac >/dev/null || packages+=(openjdk-17-jdk-headless)
[[ -e /usr/share/java/geronimo-annotation-1.3-spec.jar ]] || packages+=(libgeronimo-annotation-1.3-spec-java)
if ((${#packages[@]})); then
    if ! command -v apt-get >/dev/null || ((EUID != 0)); then
        say "install the equivalents of Debian's ${packages[*]}, then run this again"
        exit 1
    fi
    say "installing ${packages[*]}"
    apt-get -o DPkg::Lock::Timeout=300 -qq update
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq install --yes --no-install-recommends \
        "${packages[@]}" >/dev/null </dev/null
fi

# As in setup.sh, the copy of a lock file shows that the installation completed, and its version.
lock=tests/generators/requirements.txt venv=.venv-generators
if ! cmp -s "$lock" "$venv/installed.txt"; then
    say "installing $lock into $venv"
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r "$lock"
    cp "$lock" "$venv/installed.txt"
fi
if ! cmp -s tests/generators/package-lock.json tests/generators/node_modules/installed.json; then
    say "installing tests/generators/package-lock.json"
    npm ci --prefix tests/generators --silent --no-fund --no-audit
    cp tests/generators/package-lock.json tests/generators/node_modules/installed.json
fi

if [[ -z ${NUMBERDESK_BIN-} ]]; then
    cargo build --locked --quiet --bin numberdesk
    NUMBERDESK_BIN=target/debug/numberdesk
fi
NUMBERDESK_BIN=$(realpath "$NUMBERDESK_BIN")
export NUMBERDESK_BIN
exec "$venv/bin/python" tests/generators/generators_work.py "$@"

#!/usr/bin/env bash
# Installs what the tests need and this machine lacks: Debian packages, .venv, .venv-policy, the programs in .tools, and
# the node_modules of tests/browser, tests/oidc, tests/openapi and tests/toml. It has no prompts, and ends at once if
# everything is installed.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }

has() { command -v "$1" >/dev/null 2>&1; }
has_postgres() { has initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }
has_pgbouncer() { has pgbouncer || [[ -x /usr/sbin/pgbouncer ]]; }
has_libfaketime() {
    compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || [[ -e /usr/lib/faketime/libfaketimeMT.so.1 ]]
}
has_venv() { has python3 && python3 -c 'import ensurepip, venv' 2>/dev/null; }

if ! has cargo || ! cargo fmt --version >/dev/null 2>&1 || ! cargo clippy --version >/dev/null 2>&1; then
    say "Rust is missing, or its rustfmt or clippy: see https://rustup.rs; rust-toolchain.toml has the version"
    exit 1
fi

packages=()
has cc || packages+=(gcc libc6-dev)
has chromium || packages+=(chromium)
{ has psql && has_postgres; } || packages+=(postgresql)
has_pgbouncer || packages+=(pgbouncer)
has_libfaketime || packages+=(libfaketime)
has_venv || packages+=(python3 python3-venv)
has node || packages+=(nodejs)
has npm || packages+=(npm)

if ((${#packages[@]})); then
    if ! has apt-get; then
        say "not a Debian machine: install the equivalents of Debian's ${packages[*]}, then run this again"
        exit 1
    elif ((EUID != 0)); then
        say "not root: run 'sudo apt-get install --no-install-recommends ${packages[*]}', then this again"
        exit 1
    fi
    say "installing ${packages[*]}"
    log=$(mktemp)
    if ! { apt-get -o DPkg::Lock::Timeout=300 update &&
        DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends "${packages[@]}"; } >"$log" 2>&1 </dev/null; then
        tail -n 30 "$log" >&2
        say "apt-get failed; its whole output is in $log"
        exit 1
    fi
    rm -f "$log"
fi

if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    say "Python 3.11 or newer is needed, python3 is $(python3 --version)"
    exit 1
fi

# promtool checks the alerts, and nginx stands before the service in a test. Both are extracted from their Debian packages,
# because no Prometheus and no web server of the machine may run.
provide() { # NAME PACKAGE FILE OPTION
    if has "$1" || ".tools/$1" "$4" >/dev/null 2>&1; then
        return
    fi
    if ! has apt-get; then
        say "$1 is missing: install $2, then run this again"
        exit 1
    fi
    say "fetching $1 into .tools"
    local folder
    folder=$(mktemp -d)
    (
        cd "$folder"
        fetch() { apt-get -qq -o APT::Sandbox::User=root download "$2" >/dev/null 2>&1; }
        fetch "$@" || { apt-get -qq update && fetch "$@"; }
        dpkg-deb --extract "$2"_*.deb .
    )
    mkdir -p .tools
    mv "$folder/$3" ".tools/$1"
    rm -rf "$folder"
}
provide promtool prometheus usr/bin/promtool --version
provide nginx nginx usr/sbin/nginx -v

# The copy of a lock file in the installed folder shows that the installation completed, and its version.
for pair in requirements:.venv policy:.venv-policy; do
    lock=tests/python/${pair%%:*}.txt venv=${pair#*:}
    if ! "$venv/bin/python" -c '' 2>/dev/null || ! cmp -s "$lock" "$venv/installed.txt"; then
        say "installing $lock into $venv"
        python3 -m venv --clear "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r "$lock"
        cp "$lock" "$venv/installed.txt"
    fi
done

for folder in tests/browser tests/oidc tests/openapi tests/toml; do
    if ! cmp -s "$folder/package-lock.json" "$folder/node_modules/installed.json"; then
        say "installing $folder/package-lock.json"
        npm ci --prefix "$folder" --silent --no-fund --no-audit
        cp "$folder/package-lock.json" "$folder/node_modules/installed.json"
    fi
done

#!/usr/bin/env bash
# Installs what the tests need and this machine lacks: Debian packages, .venv, tests/browser/node_modules,
# .venv-policy, .tools/promtool. It has no prompts, and ends at once if everything is installed.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }

has() { command -v "$1" >/dev/null 2>&1; }
has_postgres() { has initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }
has_venv() { has python3 && python3 -c 'import ensurepip, venv' 2>/dev/null; }

if ! has cargo || ! cargo fmt --version >/dev/null 2>&1 || ! cargo clippy --version >/dev/null 2>&1; then
    say "Rust is missing, or its rustfmt or clippy: see https://rustup.rs; rust-toolchain.toml has the version"
    exit 1
fi

packages=()
has cc || packages+=(gcc libc6-dev)
has chromium || packages+=(chromium)
{ has psql && has_postgres; } || packages+=(postgresql)
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

# promtool checks the alerts. It is extracted from its Debian package, because no running Prometheus is needed.
if ! has promtool && ! .tools/promtool --version >/dev/null 2>&1; then
    if ! has apt-get; then
        say "promtool is missing: install Prometheus, then run this again"
        exit 1
    fi
    say "fetching promtool into .tools"
    package=$(mktemp -d)
    (
        cd "$package"
        fetch() { apt-get -qq -o APT::Sandbox::User=root download prometheus >/dev/null 2>&1; }
        fetch || { apt-get -qq update && fetch; }
        dpkg-deb --extract prometheus_*.deb .
    )
    mkdir -p .tools
    mv "$package/usr/bin/promtool" .tools/promtool
    rm -rf "$package"
fi

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

if ! cmp -s tests/browser/package-lock.json tests/browser/node_modules/installed.json; then
    say "installing tests/browser/package-lock.json"
    npm ci --prefix tests/browser --silent --no-fund --no-audit
    cp tests/browser/package-lock.json tests/browser/node_modules/installed.json
fi

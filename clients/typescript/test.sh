#!/usr/bin/env bash
# Installs, generates, checks and tests the TypeScript client. The tests start the service that NUMBERDESK_BIN names.
set -euo pipefail
cd "$(dirname "$0")"

if ! node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 11) ? 0 : 1)'; then
    echo "the tests of the TypeScript client need Node.js 20.11 or newer; node is $(node --version 2>&1)" >&2
    exit 1
fi
# The copy of the lock file shows that the installation completed, and its version.
if ! cmp -s package-lock.json node_modules/installed.json; then
    npm ci --silent --no-fund --no-audit </dev/null
    cp package-lock.json node_modules/installed.json
fi
npm run --silent generate:check
npm run --silent format:check
npm run --silent build
npm run --silent typecheck
npm test --silent

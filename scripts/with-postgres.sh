#!/usr/bin/env bash
# Runs a command with the URL of a PostgreSQL server in NUMBERDESK_TEST_POSTGRES, where it may create databases.
# The server is the one that the variable names. Otherwise it is a private server, which exists until the command ends.
#   scripts/with-postgres.sh cargo test
set -euo pipefail

if [[ -n ${NUMBERDESK_TEST_POSTGRES-} ]]; then
    exec "$@"
fi

bin=$(compgen -G '/usr/lib/postgresql/*/bin' | sort --version-sort | tail -n 1 || true)
[[ -n $bin ]] || bin=$(dirname "$(readlink -f "$(command -v initdb)")")
dir=$(mktemp -d)
as_owner=(env)
if ((EUID == 0)); then # PostgreSQL refuses to run as root
    chown postgres: "$dir"
    as_owner=(runuser -u postgres --)
fi

stop() {
    (cd / && "${as_owner[@]}" "$bin/pg_ctl" stop --silent --mode=immediate --pgdata="$dir/data") >/dev/null 2>&1 || true
    rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# With a password, because every user of a shared machine can connect to a loopback port.
password=$(tr -d - </proc/sys/kernel/random/uuid)
"${as_owner[@]}" tee "$dir/password" <<<"$password" >/dev/null
(cd / && "${as_owner[@]}" "$bin/initdb" --pgdata="$dir/data" --username=numberdesk --pwfile="$dir/password" \
    --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --no-sync) >/dev/null

for _ in 1 2 3 4 5; do # another process may take a free port a moment later
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    # The data need not survive a crash of the machine, so PostgreSQL does not write to the disk for it.
    options="-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories='' -c max_connections=300 -c fsync=off -c full_page_writes=off -c synchronous_commit=off"
    if (cd / && "${as_owner[@]}" "$bin/pg_ctl" start --silent --wait --pgdata="$dir/data" --log="$dir/log" -o "$options") >/dev/null; then
        echo "postgres: a private one on 127.0.0.1:$port, $("$bin/postgres" --version)" >&2
        NUMBERDESK_TEST_POSTGRES="postgres://numberdesk:$password@127.0.0.1:$port/postgres" "$@"
        exit
    fi
done
cat "$dir/log" >&2
echo "postgres: could not start a private server" >&2
exit 1

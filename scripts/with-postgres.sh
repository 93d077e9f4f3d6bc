#!/usr/bin/env bash
# Runs a command with the URL of a PostgreSQL in NUMBERDESK_TEST_POSTGRES, where it may create databases. That is the one
# the variable already names, else the one on 127.0.0.1:5432, else a private one that exists until the command ends.
#   scripts/with-postgres.sh cargo test          scripts/with-postgres.sh --private cargo test
set -euo pipefail

private=false
if [[ ${1-} == --private ]]; then
    private=true
    shift
fi

lets_create_databases() {
    [[ $(PGCONNECT_TIMEOUT=3 psql --no-password --no-psqlrc -Atqc \
        'select rolcreatedb or rolsuper from pg_roles where rolname = current_user' "$1" 2>/dev/null) == t ]]
}

if ! $private; then
    if [[ -n ${NUMBERDESK_TEST_POSTGRES-} ]]; then
        exec "$@"
    fi
    local_server="postgres://$(id -un)@127.0.0.1:5432/postgres"
    if lets_create_databases "$local_server"; then
        echo "postgres: $local_server" >&2
        NUMBERDESK_TEST_POSTGRES=$local_server exec "$@"
    fi
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
    # The data need not survive a crash of the machine, so PostgreSQL does not wait for the disk.
    options="-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories='' -c max_connections=300 -c fsync=off"
    if (cd / && "${as_owner[@]}" "$bin/pg_ctl" start --silent --wait --pgdata="$dir/data" --log="$dir/log" -o "$options") >/dev/null; then
        echo "postgres: a private one on 127.0.0.1:$port, $("$bin/postgres" --version)" >&2
        NUMBERDESK_TEST_POSTGRES="postgres://numberdesk:$password@127.0.0.1:$port/postgres" "$@"
        exit
    fi
done
cat "$dir/log" >&2
echo "postgres: could not start a private server" >&2
exit 1

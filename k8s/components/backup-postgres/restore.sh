# Fills the empty database of the Secret numberdesk-db-new with a copy: the newest one, or the one that an argument
# names. `--list` shows the copies.
set -eu
. "${SCRIPTS:-/opt/numberdesk}/connection.sh"
backups=${BACKUPS:-/backups}
if [ "${1:-}" = --list ]; then
    ls -1 "$backups" | grep '^numberdesk-.*\.dump$' | sort
    exit
fi
copy=$backups/$(basename -- "${1:-$(ls -1 "$backups" | grep '^numberdesk-.*\.dump$' | sort | tail -n 1)}")
[ -f "$copy" ] || { echo "there is no copy ${1:-in $backups}; --list shows all" >&2; exit 1; }
connection "${SECRETS:-/run/secrets}/numberdesk-db-new"
echo "restoring $copy"
pg_restore --no-owner --no-privileges --exit-on-error --single-transaction --dbname="$url" "$copy"
echo restored

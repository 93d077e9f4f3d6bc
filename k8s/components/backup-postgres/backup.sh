# Copies the database. A copy is complete before it gets its name. The newest 72 stay.
set -eu
. "${SCRIPTS:-/opt/numberdesk}/connection.sh"
backups=${BACKUPS:-/backups}
connection "${SECRETS:-/run/secrets}/numberdesk-db"
copy=$backups/numberdesk-$(date -u +%Y%m%dT%H%M%SZ).dump
rm -f "$backups"/*.part
pg_dump --format=custom --no-owner --no-privileges --file="$copy.part" "$url"
pg_restore --list "$copy.part" >/dev/null
sync "$copy.part"
mv "$copy.part" "$copy"
ls -1 "$backups"/numberdesk-*.dump | sort -r | tail -n +73 | xargs -r rm --
echo "$copy: $(wc -c <"$copy") bytes"

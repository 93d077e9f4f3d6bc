#!/bin/sh
# Runs a command of numberdesk as a Job beside the service, also while the service is scaled down, prints its output and
# ends with its success: k8s/toolbox.sh NAMESPACE COMMAND ARGUMENT…
# The first word is the namespace, which is often `numberdesk` too; the name of the program is left out.
# It needs the component toolbox, and the right to create Jobs and to read logs. TOOLBOX names another CronJob.
set -eu
[ $# -ge 1 ] || {
    echo "usage: $0 NAMESPACE [COMMAND ARGUMENT…], such as: $0 numberdesk-prod doctor --config /etc/numberdesk/numberdesk.toml" >&2
    echo "NAMESPACE is where the service runs; without a command, that of the CronJob stays" >&2
    exit 2
}
namespace=$1 cron_job=${TOOLBOX:-numberdesk-toolbox}
shift
job=$cron_job-$(date +%s)
# `numberdesk numberdesk doctor` is a namespace, and a program that the image starts by itself.
[ "${1:-}" != numberdesk ] || { echo "$0: leave out the name of the program after the namespace $namespace" >&2; exit 2; }
k() { kubectl --namespace "$namespace" "$@"; }

# Without arguments, those of the CronJob stay. In JSON, only backslashes and quotes need to be escaped here.
patch='[]'
if [ $# -gt 0 ]; then
    list=''
    for argument; do
        list="$list,\"$(printf '%s' "$argument" | sed 's/[\\"]/\\&/g')\""
    done
    patch="[{\"op\":\"add\",\"path\":\"/spec/template/spec/containers/0/args\",\"value\":[${list#,}]}]"
fi
k create job "$job" --from="cronjob/$cron_job" --dry-run=client --output=json |
    k patch --local --filename=- --type=json --patch="$patch" --output=json |
    k create --filename=- >&2

# A Job ends after its deadline at the latest, which is an hour.
waited=0
until k get job "$job" --output=jsonpath='{.status.conditions[*].type}' | grep -Eq 'Complete|Failed'; do
    [ $((waited += 2)) -lt 3900 ] || { echo "the job $job does not end" >&2; exit 1; }
    sleep 2
done
k logs "job/$job" --all-containers || true
if ! k get job "$job" --output=jsonpath='{.status.conditions[*].type}' | grep -q Complete; then
    echo "the job $job failed; kubectl --namespace $namespace describe job $job" >&2
    exit 1
fi

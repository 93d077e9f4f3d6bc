# Sourced by check.sh, clients.sh and test.sh: `stage NAME COMMAND…` runs a command as a named stage and stops the
# script when it fails; the time of each stage is printed at the end.

stages=()
current=''

finish() {
    local code=${1:-$?}
    printf '\n'
    for line in "${stages[@]}"; do printf '%s\n' "$line"; done
    if ((code)); then
        printf 'FAILED in stage "%s" after %d s\n' "$current" "$SECONDS"
    else
        printf 'all stages passed in %d s\n' "$SECONDS"
    fi
}
trap finish EXIT

stage() {
    current=$1
    local began=$SECONDS
    printf '\n== %s\n' "$current"
    shift
    "$@"
    stages+=("$(printf '%5d s  %s' $((SECONDS - began)) "$current")")
}

#!/bin/sh
# Runs in the DaemonSet's container: carries node_sync.sh out on the node, again and again,
# so that whatever changes there is put right within an interval.
#
#   node_loop.sh enforce|observe|remove INTERVAL_SECONDS PID FILES STATUS
#
# PID is a process in the node's namespaces (1 with hostPID), FILES the folder with sync.sh and
# table, STATUS the folder where the readiness probe reads the node's state.
set -u
mode=$1 interval=$2 pid=$3 files=$4 status=$5
stopping='' last=''

trap 'stopping=yes; kill "${sleeper:-}" 2>/dev/null' TERM INT

while [ -z "$stopping" ]; do
    # The node's files can't be seen from here, nor ours from there: the script goes in as a file
    # descriptor. A run that is under way is finished, signal or not.
    output=$(timeout 600 nsenter -t "$pid" -m -n -- /bin/sh /proc/self/fd/3 "$mode" \
        3<"$files/sync.sh" <"$files/table" 2>&1)
    state=$(printf '%s\n' "$output" | grep '^state=' | tail -n 1)
    [ -n "$state" ] || state="state=failed mode=$mode changes=0 reason=\"$(printf '%s' "$output" | tr '\n"' " '" | cut -c1-300)\""
    printf '%s\n' "$state" >"$status/next" && mv -f "$status/next" "$status/state"
    [ "$state" = "$last" ] || printf '%s\n' "$output"
    last=$state
    [ -z "$stopping" ] || break
    sleep "$interval" &
    sleeper=$!
    wait "$sleeper"
    sleeper=''
done

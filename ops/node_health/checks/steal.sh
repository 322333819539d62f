#!/bin/sh
# How much of the CPU other tenants of the host took, in percent of SECONDS (10).
set -u
stat=${PROC:-/proc}/stat seconds=${SECONDS_MEASURED:-10}
cpu() { awk '/^cpu / { print $9, $2 + $3 + $4 + $5 + $6 + $7 + $8 + $9; exit }' "$stat"; }
before=$(cpu)
sleep "$seconds"
echo "$before $(cpu)" | awk -v seconds="$seconds" '
    { steal = $4 > $2 ? 100 * ($3 - $1) / ($4 - $2) : 0 }
    END { printf "{\"check\":\"steal\",\"seconds\":%d,\"percent\":%.3f}\n", seconds, steal }'

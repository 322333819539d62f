#!/bin/sh
# Whether a disk is fast enough for etcd: fio writes 22 MB in pieces of 2300 bytes, each with an
# fdatasync, as etcd writes its WAL. It takes from seconds to a minute or two, and leaves nothing.
# Beside an etcd that runs it makes that one slower meanwhile: only with BESIDE_ETCD=yes.
set -u
said() { printf '{"check":"disk","directory":"%s",%s}\n' "$directory" "$1"; exit 0; }
directory=${DIRECTORY:-}
for known in /var/lib/etcd /var/lib/rancher/k3s/server/db /var/lib/rancher/rke2/server/db /var/lib; do
    [ -z "$directory" ] && [ -d "$known" ] && directory=$known
done
[ -d "$directory" ] || said '"skipped":"there is no such folder"'
command -v fio >/dev/null 2>&1 || said '"skipped":"fio is not installed there (apt-get install fio)"'
for comm in /proc/[0-9]*/comm; do
    read -r name 2>/dev/null <"$comm" || continue
    case $name in
    etcd | k3s-server | rke2)
        [ "${BESIDE_ETCD:-}" = yes ] ||
            said "\"skipped\":\"$name runs there, and would be slower meanwhile: --beside-etcd\"" ;;
    esac
done
free=$(df -Pk "$directory" | awk 'NR == 2 { print $4 }')
[ "${free:-0}" -gt 102400 ] || said '"skipped":"less than 100 MB are free there"'
# What a run that was killed has left.
rm -rf "$directory"/.edgefleet-fio.*
work=$(mktemp -d "$directory/.edgefleet-fio.XXXXXX") || said '"skipped":"nothing can be written there"'
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
if ! report=$(timeout "${FIO_SECONDS:-300}" fio --name=wal --rw=write --ioengine=sync --fdatasync=1 \
    --directory="$work" --size="${SIZE:-22m}" --bs=2300 --output-format=json 2>&1); then
    said "\"failed\":\"$(printf '%s' "$report" | tr -cd '[:alnum:] .,:;/()=-' | cut -c1-200)\""
fi
# Of the syncs' own report, the 99th percentile in nanoseconds.
printf '%s\n' "$report" | awk -v directory="$directory" '
    /"sync" *: *[{]/ { inside = 1 }
    inside && /"99.000000"/ { gsub(/[^0-9]/, "", $NF); p99 = $NF; exit }
    END {
        if (p99 == "") printf "{\"check\":\"disk\",\"directory\":\"%s\",\"failed\":\"no report of syncs from fio\"}\n", directory
        else printf "{\"check\":\"disk\",\"directory\":\"%s\",\"p99_ms\":%.3f}\n", directory, p99 / 1000000
    }'

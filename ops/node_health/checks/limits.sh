#!/bin/sh
# What the network card and the table of connections can hold, and what they dropped since the
# start: the receive ring's size and its most (ethtool), the card's counters, conntrack's.
set -u
proc=${PROC:-/proc} sys=${SYS:-/sys}
device=${DEVICE:-$(ip -4 route show default 2>/dev/null | awk '{ for (i = 1; i < NF; i++) if ($i == "dev") { print $(i + 1); exit } }')}
number() { if [ -r "$1" ]; then cat "$1"; else echo null; fi; }
statistics=$sys/class/net/$device/statistics
ring=null most=null
if command -v ethtool >/dev/null 2>&1; then
    # The first RX is the most that there may be, the second what there is.
    rings=$(ethtool -g "$device" 2>/dev/null | awk '$1 == "RX:" { printf "%d ", $2 }')
    case $rings in
    *' '*' ') most=${rings%% *} ring=${rings#* } ring=${ring%% *} ;;
    esac
fi
dropped() { # a column of conntrack's statistics, by name: hexadecimal, a row a CPU
    awk -v name="$1" '
        function hex(text, i, value) {
            for (i = 1; i <= length(text); i++)
                value = value * 16 + index("0123456789abcdef", tolower(substr(text, i, 1))) - 1
            return value
        }
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) column = i; next }
        column { sum += hex($column) }
        END { printf "%d", sum }' "$proc/net/stat/nf_conntrack" 2>/dev/null || echo 0
}
printf '{"check":"limits","device":"%s","ring":%s,"ring_most":%s,"missed":%s,"fifo":%s,"packets":%s,"conntrack":%s,"conntrack_most":%s,"conntrack_dropped":%s}\n' \
    "$device" "$ring" "$most" "$(number "$statistics/rx_missed_errors")" \
    "$(number "$statistics/rx_fifo_errors")" "$(number "$statistics/rx_packets")" \
    "$(number "$proc/sys/net/netfilter/nf_conntrack_count")" \
    "$(number "$proc/sys/net/netfilter/nf_conntrack_max")" \
    "$(($(dropped drop) + $(dropped early_drop)))"

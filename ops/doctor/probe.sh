# What a probe pod looks at on its node, in busybox's words. A line each: name=value.
# It tells by its termination message: that needs neither logs nor exec.
out=${PROBE_OUT:-/dev/termination-log}

reached() { # TLS servers written in Go answer plain HTTP with a status line
    printf 'GET / HTTP/1.0\r\n\r\n' |
        timeout 6 nc -w 4 "$KUBERNETES_SERVICE_HOST" "$KUBERNETES_SERVICE_PORT" 2>/dev/null |
        grep -q 'HTTP/' && echo yes || echo no
}

cpu() { awk '/^cpu / { print $9, $2 + $3 + $4 + $5 + $6 + $7 + $8 + $9; exit }' /proc/stat; }

felix() { # names of its readiness report's rows: on the node's own network only
    printf 'GET /readiness HTTP/1.0\r\n\r\n' | timeout 4 nc -w 3 127.0.0.1 9099 2>/dev/null |
        awk -F'|' 'NF > 3 { gsub(" ", "", $2); printf "%s,", $2 }'
}

{
    echo "reached=$(reached)"
    df -P / | awk 'NR == 2 { sub("%", "", $5); print "disk_used=" $5 }'
    before=$(cpu)
    sleep 1
    echo "$before $(cpu)" | awk '$4 > $2 { print "steal=" 100 * ($3 - $1) / ($4 - $2) }'
    count=$(cat /proc/sys/net/netfilter/nf_conntrack_count 2>/dev/null)
    most=$(cat /proc/sys/net/netfilter/nf_conntrack_max 2>/dev/null)
    [ -z "$count" ] || [ -z "$most" ] || echo "$count $most" |
        awk '$2 > 0 { print "conntrack_used=" 100 * $1 / $2 }'
    [ -z "$ON_NODE" ] || echo "felix=$(felix)"
    device=$(ip -4 route show default | awk '{ for (i = 1; i < NF; i++) if ($i == "dev") { print $(i + 1); exit } }')
    [ -z "$device" ] || echo "mtu=$(cat "/sys/class/net/$device/mtu")"
} >"$out"

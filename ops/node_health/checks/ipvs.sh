#!/bin/sh
# Which of the modules that kube-proxy's IPVS needs the node's kernel lacks: neither loaded, nor
# built in, nor to be had by modprobe. Nothing is loaded.
set -u
proc=${PROC:-/proc} modules=${MODULES:-/lib/modules/$(uname -r)}
if [ ! -e "$modules/modules.dep" ] && [ ! -e "$proc/net/ip_vs" ]; then
    echo '{"check":"ipvs","skipped":"the kernel has no list of its modules there"}'
    exit 0
fi
missing=''
for module in ip_vs "ip_vs_${SCHEDULER:-rr}" nf_conntrack; do
    grep -q "^$module " "$proc/modules" 2>/dev/null && continue
    [ "$module" = ip_vs ] && [ -e "$proc/net/ip_vs" ] && continue
    grep -q "/$module\.ko" "$modules/modules.builtin" "$modules/modules.dep" 2>/dev/null && continue
    missing="$missing${missing:+,}\"$module\""
done
printf '{"check":"ipvs","kernel":"%s","missing":[%s]}\n' "$(uname -r)" "$missing"

#!/bin/sh
# The MTU of the card with the default route, of Calico's and Cilium's interfaces, and which PEERS
# (addresses) a packet of the card's full size reaches without being cut.
set -u
device=$(ip -4 route show default 2>/dev/null | awk '{ for (i = 1; i < NF; i++) if ($i == "dev") { print $(i + 1); exit } }')
[ -n "$device" ] || { echo '{"check":"mtu","skipped":"there is no default route"}'; exit 0; }
card=$(cat "/sys/class/net/$device/mtu")
tunnels=''
for path in /sys/class/net/*; do
    name=${path##*/}
    read -r mtu <"$path/mtu" || continue
    case $name in
    vxlan.calico | tunl0 | cilium_vxlan | cilium_geneve)
        # Down, it carries nothing.
        read -r state <"$path/operstate"
        [ "$state" = down ] || tunnels="$tunnels${tunnels:+,}\"$name\":$mtu" ;;
    esac
done
most=''
for path in /sys/class/net/cali* /sys/class/net/lxc*; do
    read -r mtu 2>/dev/null <"$path/mtu" || continue
    [ -n "$most" ] && [ "$mtu" -le "$most" ] || most=$mtu
done
peers='' can=false
ping -h 2>&1 | grep -q 'pmtud' && can=true
for peer in ${PEERS:-}; do
    $can || break
    header=28
    case $peer in *:*) header=48 ;; esac
    if ! ping -c 1 -W 2 "$peer" >/dev/null 2>&1; then told=silent
    elif ping -c 2 -W 2 -M "do" -s "$((card - header))" "$peer" >/dev/null 2>&1; then told=whole
    else told="cut"; fi
    peers="$peers${peers:+,}\"$peer\":\"$told\""
done
printf '{"check":"mtu","device":"%s","card":%s,"pods":%s,"tunnels":{%s},"peers":{%s}}\n' \
    "$device" "$card" "${most:-null}" "$tunnels" "$peers"

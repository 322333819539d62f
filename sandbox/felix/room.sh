#!/bin/sh
# What a node's felix needs around it: a cgroup and a mount namespace of its own.
#
#   room.sh CGROUP FELIX PID
#
# FELIX is its folder, PID a process in the node's network. Prints the pid of the process that holds
# both, then "up". They go with standard input, and with them all that runs there: the kernel closes
# it when whoever started this dies, by SIGKILL too.
set -eu
cgroup=$1 felix=$2 network=$3

mkdir "$cgroup"
trap 'echo 1 >"$cgroup/cgroup.kill"; until rmdir "$cgroup" 2>/dev/null; do sleep 0.02; done' EXIT
trap '' HUP INT TERM

# felix hooks the cgroup that it sees as the root, finds its BPF objects in /usr/lib/calico/bpf, and
# keeps what it loads in a bpffs. That one has to outlive it: where it goes with felix, all of the
# node's packets are dropped. What felix could set for the whole machine is read-only.
# shellcheck disable=SC2016
hold='set -e
    mount --make-rprivate /
    mount -t tmpfs felix /run
    mkdir -p /run/calico/cgroup
    mount -t cgroup2 cgroup2 /run/calico/cgroup
    mount -t sysfs sysfs /sys
    mount -t bpf bpffs /sys/fs/bpf
    mount -t overlay -o "lowerdir=$1/lib:/usr/lib" overlay /usr/lib
    mount --bind /proc/sys/kernel /proc/sys/kernel
    mount -o remount,bind,ro /proc/sys/kernel
    echo up
    exec sleep infinity >&-'
# shellcheck disable=SC2016
sh -c 'echo 0 >"$1/cgroup.procs"; shift; exec "$@"' enter "$cgroup" \
    setpriv --pdeathsig KILL nsenter -t "$network" -n -- \
    unshare --mount --cgroup sh -c "$hold" hold "$felix" &
echo $!
exec >&-
cat >/dev/null

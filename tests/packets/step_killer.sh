#!/bin/sh
# Stands in for ufw, mv and the iptables programs in a node: counts the steps that change something,
# and kills the whole run (the process group) before the one whose number is in /mnt/real/kill.
name=${0##*/}
real=/mnt/real
case "$name $*" in
*-restore*)
    cat >"$real/input"
    # Only a question: does this rule exist?
    grep -q '^-C' "$real/input" && exec "$real/$name" "$@" <"$real/input"
    ;;
# Questions, and what ufw does to chains that decide nothing: for logs and for trying things out.
*-caps-test* | *logging* | *-user-limit* | *" -Z "* | *-save* | *" -L "* | *" -S "* | *" -n -L"* | *" -V"* | \
    *--version* | "ufw status"* | "ufw show"*) exec "$real/$name" "$@" ;;
*) : >"$real/input" ;;
esac
step=$(($(cat "$real/step") + 1))
echo $step >"$real/step"
echo "$name $*" >>"$real/steps"
[ $step != "$(cat "$real/kill")" ] || kill -KILL 0
exec "$real/$name" "$@" <"$real/input"

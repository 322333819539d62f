#!/bin/sh
# Keeps this node's ufw in step with edgefleet's rule table, which comes on standard input.
#
#   node_sync.sh enforce|observe|remove < table
#
# Runs in the node's own mount and network namespaces, with the node's own ufw. The last line it
# prints is the node's state, and its exit status is 0 only if the node matches the table.
#
# Owned: the chains edgefleet-*, and the block between the two marks in before.rules and
# before6.rules, which has them asked ahead of all else that ufw asks. Everything else stays.
#
# `ufw reload` sets the policy to ACCEPT and empties ufw's chains for a moment. So what is missing
# is put back in one transaction; where ufw's own chains are gone and only ufw can build them, a
# chain of ours (the guard) stands in for ufw meanwhile.
set -uf
umask 077
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin

MODE=${1:?enforce, observe or remove}
ETC=/etc/ufw
DEFAULTS=/etc/default/ufw
HOLD=/var/lib/edgefleet/hold
STORE=/var/lib/edgefleet/node-firewall
WORK=/run/edgefleet/node-firewall
BEGIN='# BEGIN edgefleet: this block is rewritten, leave it alone'
END='# END edgefleet'
CHANGES=0
exec 5>&1

say() { printf '%s\n' "$*"; }

finish() { # state, reason
    say "state=$1 mode=$MODE changes=$CHANGES reason=\"$2\"" >&5
    [ "$1" = matches ]
    exit
}

change() { # what; in observe mode only says it
    CHANGES=$((CHANGES + 1))
    if [ "$MODE" = observe ]; then
        say "would $1"
        return 1
    fi
    say "$1"
}

run() { # command; its output is worth reading only when it fails
    "$@" >"$WORK/output" 2>&1 && return
    finish failed "$(printf '%s' "$*: $(cat "$WORK/output")" | tr '\n"' " '" | cut -c1-300)"
}

# --- the two families -----------------------------------------------------------------------------

family() { # 4|6
    FAMILY=$1
    case $1 in
    4) UFW=ufw IPTABLES=iptables USER_RULES=user.rules BEFORE=before.rules AFTER=after.rules ;;
    6) UFW=ufw6 IPTABLES=ip6tables USER_RULES=user6.rules BEFORE=before6.rules AFTER=after6.rules ;;
    esac
}

each_family() { # command...
    for number in 4 6; do
        family $number
        "$@"
    done
}

# --- files ----------------------------------------------------------------------------------------

sound() { # file: whole, as ufw leaves it when nobody kills it
    case $1 in
    *.rules) [ "$(grep -Ev '^[[:space:]]*(#|$)' "$1" | tail -n 1)" = COMMIT ] ;;
    */ufw.conf) grep -Eqi '^ENABLED="?(yes|no)' "$1" ;;
    *) grep -Eq '^DEFAULT_APPLICATION_POLICY="?[A-Z]' "$1" ;;
    esac 2>/dev/null
}

replace() { # new, file: at once or not at all, keeping owner and mode
    cp -p "$2" "$2.edgefleet" 2>/dev/null || cp "$1" "$2.edgefleet"
    cat "$1" >"$2.edgefleet" && sync "$2.edgefleet" && mv -f "$2.edgefleet" "$2"
}

# ufw rewrites its files in place: killed while it does, it leaves half a file, and everybody's
# rules are gone. So what ufw may rewrite is copied while it is whole, and put back when torn.
WRITTEN_BY_UFW="$ETC/user.rules $ETC/user6.rules $ETC/after.rules $ETC/after6.rules $ETC/ufw.conf $DEFAULTS"

copy_of() { say "$STORE/$(say "$1" | tr / _)"; }

mend() {
    for file in $WRITTEN_BY_UFW; do
        sound "$file" && continue
        kept=$(copy_of "$file")
        [ -f "$kept" ] || kept=/usr/share/ufw/iptables/${file##*/}
        [ -f "$kept" ] || finish blocked "$file is torn and there is no copy: reinstall ufw"
        change "put back $file from $kept: it is torn" || continue
        cp -p "$file" "$file.torn" 2>/dev/null
        run replace "$kept" "$file"
    done
}

keep() {
    mkdir -p "$STORE"
    for file in $WRITTEN_BY_UFW; do
        kept=$(copy_of "$file")
        sound "$file" && ! cmp -s "$file" "$kept" && run replace "$file" "$kept"
    done
    return 0
}

lines() { sed -n "s/^block$FAMILY	//p" "$WORK/table"; } # of the family's chains

write_block() {
    {
        say "$BEGIN"
        say ':edgefleet-input - [0:0]'
        say ':edgefleet-forward - [0:0]'
        lines
        say "-I $UFW-before-input -j edgefleet-input"
        say "-I $UFW-before-forward -j edgefleet-forward"
        say "$END"
    } >"$WORK/block"
    [ "$MODE" != remove ] || : >"$WORK/block"
    awk -v begin="$BEGIN" -v end="$END" -v block="$WORK/block" '
        $0 == begin { skip = 1 }
        !skip {
            if ($0 == "*filter") filter = 1
            if (filter && $1 == "COMMIT") {
                while ((getline line < block) > 0) print line
                filter = 0
                done = 1
            }
            print
        }
        $0 == end { skip = 0 }
        END { exit !done }' "$ETC/$BEFORE" >"$WORK/before" ||
        finish blocked "$ETC/$BEFORE has no *filter table that ends in COMMIT: mend it by hand"
    cmp -s "$WORK/before" "$ETC/$BEFORE" && return
    change "write our block in $BEFORE" || return 0
    run replace "$WORK/before" "$ETC/$BEFORE"
}

# A former version kept the table among ufw's own rules, with comments that begin with "edgefleet:"
# in ufw's hexadecimal. They go once the block stands: the kernel's first, so that a run that is
# killed in between finds them in the file again.
FORMER=' comment=65646765666c6565743a'

strip_former() {
    grep -q "$FORMER" "$ETC/$USER_RULES" || return 0
    change "take the rules of a former version out of $USER_RULES" || return 0
    keep
    awk -v former="$FORMER" '
        /^### tuple ###/ { skip = index($0, former) }
        /^###/ && !/^### tuple ###/ { skip = 0 }
        !skip' "$ETC/$USER_RULES" >"$WORK/stripped.rules"
    sound "$WORK/stripped.rules" || finish failed "$USER_RULES could not be rewritten"
    # The very step that ufw takes after deleting a rule: one transaction, nothing opens.
    ! enabled || run "$IPTABLES-restore" -w 10 -n "$WORK/stripped.rules"
    run replace "$WORK/stripped.rules" "$ETC/$USER_RULES"
}

# node_kernel.sh stands here: what the kernel holds.

# --- the job --------------------------------------------------------------------------------------

preflight() {
    command -v ufw >/dev/null || finish unsupported "no ufw on this node: apt-get install ufw"
    for tool in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
        command -v $tool >/dev/null ||
            finish unsupported "no $tool on this node (nftables only?): apt-get install iptables"
    done
    [ -d $ETC ] && [ -f $DEFAULTS ] || finish unsupported "no $ETC or $DEFAULTS: reinstall ufw"
    iptables -S INPUT >/dev/null 2>&1 && ip6tables -S INPUT >/dev/null 2>&1 ||
        finish unsupported "iptables doesn't work here: $(iptables -S INPUT 2>&1 | head -n 1)"
}

settings() {
    ! grep -qi '^MANAGE_BUILTINS="*yes' $DEFAULTS ||
        finish blocked "MANAGE_BUILTINS=yes in $DEFAULTS: ufw would flush the rules of Calico and kube-proxy; set it to no"
    grep -qi '^IPV6="*yes' $DEFAULTS ||
        finish blocked "IPV6 isn't yes in $DEFAULTS: ufw would cut IPv6 off or leave it open; set it to yes and run ufw reload"
    # Where ufw is on already, whoever shut what leaves has said what may.
    [ "$MODE" != remove ] && ! enabled || return 0
    case $(policy OUTPUT) in DROP | REJECT)
        finish blocked "DEFAULT_OUTPUT_POLICY is $(policy OUTPUT) in $DEFAULTS: enabling ufw would cut this node off its control plane; the line has to be DEFAULT_OUTPUT_POLICY=ACCEPT (ufw default allow outgoing)" ;;
    esac
}

default_deny() {
    case $(policy INPUT) in DROP | REJECT) return ;; esac
    change "ufw default deny incoming" || return 0
    keep
    : >"$STORE/was-allowed-by-default"
    # Where ufw is on, this restarts it.
    each_family guard
    run ufw default deny incoming
}

switch_on() {
    enabled && return
    change "enable ufw" || return 0
    for number in 4 6; do
        family $number
        grep -qxF "$END" "$ETC/$BEFORE" || finish failed "not enabled: our block isn't in $BEFORE"
    done
    keep
    : >"$STORE/was-disabled"
    each_family guard
    run ufw --force enable
}

take_out() { # our chains, and every jump to them
    snapshot
    grep -q '^:edgefleet-' "$(kernel)" || return 0
    change "remove our chains from $IPTABLES"
    {
        sed -n 's/^-A \([^ ]*.* -j edgefleet-\)/-D \1/p' "$(kernel)" | grep -v '^-D edgefleet-'
        sed -n 's/^:\(edgefleet-[a-z-]*\) .*/:\1 - [0:0]/p' "$(kernel)"
        sed -n 's/^:\(edgefleet-[a-z-]*\) .*/-X \1/p' "$(kernel)"
    } >"$WORK/out"
    transact <"$WORK/out"
}

remove() {
    : >"$WORK/table"
    # Before the rules go: a ufw that denies by default without them would lock everybody out.
    if [ -f "$STORE/was-disabled" ] && enabled; then
        change "disable ufw, as it was found" && run ufw disable
    fi
    if [ -f "$STORE/was-allowed-by-default" ]; then
        change "ufw default allow incoming, as it was found" && run ufw default allow incoming
    fi
    each_family strip_former
    each_family write_block
    each_family take_out
    rm -rf "$STORE"
    finish matches "nothing of edgefleet's is left"
}

mkdir -p "$WORK"
exec 9>"$WORK/lock"
flock -w 300 9 || finish failed "another run has held $WORK/lock for 5 minutes"
cat >"$WORK/table"
WEB=$(sed -n 's/^web	//p' "$WORK/table")

[ ! -e "$HOLD" ] ||
    finish held "nothing is changed while $HOLD is there: $(head -n 1 "$HOLD" 2>/dev/null | tr '"' "'" | cut -c1-200)"
preflight
mend
settings
[ "$MODE" != remove ] || remove
[ -n "$WEB" ] && grep -q '^block4' "$WORK/table" || finish failed "the rule table is empty"

# Open first, close last.
each_family write_block
default_deny
switch_on
! enabled || settle_kernel
each_family strip_former

if [ "$MODE" = observe ]; then
    [ "$CHANGES" = 0 ] || finish differs "$CHANGES changes would be made"
else
    enabled || finish failed "ufw isn't active after all"
    keep
fi
each_family snapshot
: >"$WORK/ahead"
each_family ahead
for state in exposed blocked; do
    found=$(sed -n "s/^$state //p" "$WORK/ahead" | tr '\n"' ";'")
    [ -z "$found" ] || finish $state "rules in iptables' INPUT decide about the web ports before ufw is asked; delete them: $found"
done
finish matches "node matches the table"

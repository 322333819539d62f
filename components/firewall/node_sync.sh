#!/bin/sh
# Keeps this node's ufw in step with edgefleet's rule table, which comes on standard input.
#
#   node_sync.sh enforce|observe|remove < table
#
# Runs in the node's own mount and network namespaces, with the node's own ufw. The last line it
# prints is the node's state, and its exit status is 0 only if the node matches the table.
#
# Owned: ufw rules whose comment begins with "edgefleet:", the chain edgefleet-input and the block
# between the two marks in before.rules and before6.rules. Everything else on the node stays.
#
# `ufw reload` sets the policy to ACCEPT and empties ufw's chains for a moment, so a node that is
# closed is never reloaded: rules go in and out one by one, and the block has a chain of its own.
set -uf
umask 077
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin

MODE=${1:?enforce, observe or remove}
ETC=/etc/ufw
DEFAULTS=/etc/default/ufw
STORE=/var/lib/edgefleet/node-firewall
WORK=/run/edgefleet/node-firewall
CHAIN=edgefleet-input
BEGIN='# BEGIN edgefleet: this block is rewritten, leave it alone'
END='# END edgefleet'
OWNED=65646765666c6565743a # "edgefleet:", as ufw spells comments
CHANGES=0

say() { printf '%s\n' "$*"; }

finish() { # state, reason
    say "state=$1 mode=$MODE changes=$CHANGES reason=\"$2\""
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
    4) UFW=ufw USER_RULES=user.rules BEFORE=before.rules IPTABLES=iptables ;;
    6) UFW=ufw6 USER_RULES=user6.rules BEFORE=before6.rules IPTABLES=ip6tables ;;
    esac
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

# ufw rewrites its files in place: killed while it does, it leaves half a file, and the rules of
# others are gone with ours. So what ufw may rewrite is copied before, and put back when torn.
WRITTEN_BY_UFW="$ETC/user.rules $ETC/user6.rules $ETC/after.rules $ETC/after6.rules $ETC/ufw.conf $DEFAULTS"

mend() {
    for file in $WRITTEN_BY_UFW; do
        sound "$file" && continue
        kept=$STORE/$(echo "$file" | tr / _)
        stock=/usr/share/ufw/iptables/${file##*/}
        [ -f "$kept" ] || kept=$stock
        [ -f "$kept" ] || finish blocked "$file is torn and there is no copy: reinstall ufw"
        change "put back $file from $kept: it is torn" || continue
        cp -p "$file" "$file.torn" 2>/dev/null
        run replace "$kept" "$file"
    done
}

keep() {
    [ "$KEPT" = no ] || return 0
    KEPT=yes
    mkdir -p "$STORE"
    for file in $WRITTEN_BY_UFW; do
        kept=$STORE/$(echo "$file" | tr / _)
        cmp -s "$file" "$kept" || run replace "$file" "$kept"
    done
}
KEPT=no

# --- ufw's rules ----------------------------------------------------------------------------------

ufw_rule() { # add|delete tuple [comment]: a line of user.rules as a command
    how=$1 comment=${3:-}
    # shellcheck disable=SC2086 # split on purpose; no globbing, set -f
    set -- $2
    action=$1 protocol=$2 dport=$3 dst=$4 sport=$5 src=$6
    set --
    case $action in route:*) set -- route ;; esac
    [ "$how" = add ] || set -- "$@" delete
    set -- "$@" "${action#route:}"
    [ "$protocol" = any ] || set -- "$@" proto "$protocol"
    set -- "$@" from "$src"
    [ "$sport" = any ] || set -- "$@" port "$sport"
    set -- "$@" to "$dst"
    [ "$dport" = any ] || set -- "$@" port "$dport"
    [ -z "$comment" ] || set -- "$@" comment "$comment"
    run ufw "$@"
}

# Compares the rules that ufw has with those wanted: prints add, delete and conflict lines.
compare() {
    sed -n 's/^### tuple ### //p' "$ETC/$USER_RULES" >"$WORK/have"
    sed -n "s/^rule$FAMILY	//p" "$WORK/table" >"$WORK/want"
    awk -F '\t' -v owned="$OWNED" -v have="$WORK/have" '
        # Two rules are the same to ufw if all but action and comment is.
        function key(tuple, field, n, i, k) {
            n = split(tuple, field, " ")
            k = (field[1] ~ /^route:/) ? "route" : "in"
            for (i = 2; i <= n; i++) k = k " " field[i]
            return k
        }
        BEGIN {
            while ((getline line < have) > 0) {
                comment = ""
                if (i = index(line, " comment=")) {
                    comment = substr(line, i + 9)
                    line = substr(line, 1, i - 1)
                }
                k = key(line)
                mine[k] = (index(comment, owned) == 1)
                tuple[k] = line
                note[k] = comment
            }
        }
        {
            k = key($1)
            wanted[k] = 1
            if (!(k in tuple) || mine[k] && (note[k] != $2 || tuple[k] != $1))
                print "add\t" $1 "\t" $3
            else if (!mine[k] && tuple[k] !~ /^(route:)?(allow|limit)/)
                print "conflict\t" tuple[k] "\t" $3
        }
        END {
            for (k in tuple) if (mine[k] && !(k in wanted)) print "delete\t" tuple[k] "\t"
        }' "$WORK/want"
}

apply() { # add|delete|conflict: carries out these differences
    compare >"$WORK/differences"
    while IFS='	' read -r what tuple comment; do
        [ "$what" = "$1" ] || continue
        if [ "$1" = conflict ]; then
            finish blocked "a rule of somebody else's contradicts '$comment': $tuple"
        fi
        change "$what $tuple $comment" || continue
        keep
        ufw_rule "$what" "$tuple" "$comment" </dev/null
    done <"$WORK/differences"
    return 0
}

# Rules that admit others to the ports that are Cloudflare's alone.
exposed_by() {
    for number in 4 6; do
        family $number
        sed -n "s/^rule$FAMILY	//p" "$WORK/table" >"$WORK/want"
        sed -n 's/^### tuple ### //p' "$ETC/$USER_RULES" | awk -v web="$WEB" -v owned="$OWNED" \
            -v want="$WORK/want" '
            function covers(ports, n, i, j, range, port, low, high) {
                if (ports == "any") return 1
                n = split(ports, range, ",")
                for (i = 1; i <= n; i++) {
                    low = high = range[i]
                    if (j = index(range[i], ":")) {
                        low = substr(range[i], 1, j - 1)
                        high = substr(range[i], j + 1)
                    }
                    for (port in ports_of_web) if (low + 0 <= port + 0 && port + 0 <= high + 0) return 1
                }
                return 0
            }
            BEGIN {
                n = split(web, list, ",")
                for (i = 1; i <= n; i++) ports_of_web[list[i]]
                while ((getline line < want) > 0) {
                    split(line, field, " ")
                    if (field[3] == web) cloudflare[field[6]]
                }
            }
            index($NF, "comment=" owned) == 1 { next }
            { sub(/ comment=.*/, "") }
            $1 ~ /^(allow|limit)/ && $2 ~ /^(tcp|any)$/ && $NF ~ /^in/ && !($6 in cloudflare) &&
                covers($3) { print $1, $2, "port", $3, "from", $6 }'
    done
}

# --- our block in before.rules --------------------------------------------------------------------

write_block() {
    {
        say "$BEGIN"
        if [ "$MODE" != remove ]; then
            say ":$CHAIN - [0:0]"
            sed -n "s/^block$FAMILY	//p" "$WORK/table"
            say "-A $UFW-before-input -j $CHAIN"
        fi
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

# --- what the kernel holds ------------------------------------------------------------------------

enabled() { grep -Eqi '^ENABLED="?yes' "$ETC/ufw.conf"; }

restore() { "$IPTABLES-restore" -n; }

holds() { # rules on standard input, as -A lines: are they all there?
    { say '*filter' && sed 's/^-A/-C/' && say COMMIT; } | restore 2>/dev/null
}

lines_of() { # chain: the rules that ufw's file has for it
    sed -n "/^### RULES ###/,/^### END RULES ###/s/^-A $1 /&/p" "$ETC/$USER_RULES"
}

counts() { # chain, number: holds it that many rules?
    [ "$("$IPTABLES" -S "$1" 2>/dev/null | grep -c '^-A')" = "$2" ]
}

frame_holds() {
    "$IPTABLES" -S INPUT 2>/dev/null | grep -q '^-P INPUT DROP' || return 1
    {
        say "-A INPUT -j $UFW-before-input"
        say "-A $UFW-before-input -j $UFW-user-input"
        say "-A FORWARD -j $UFW-before-forward"
        say "-A $UFW-before-forward -j $UFW-user-forward"
    } | holds
}

user_rules_hold() {
    for chain in "$UFW-user-input" "$UFW-user-forward"; do
        lines_of "$chain" >"$WORK/lines"
        counts "$chain" "$(grep -c . "$WORK/lines")" || return 1
        [ ! -s "$WORK/lines" ] || holds <"$WORK/lines" || return 1
    done
}

block_holds() {
    sed -n "s/^block$FAMILY	//p" "$WORK/table" >"$WORK/lines"
    counts "$CHAIN" "$(grep -c . "$WORK/lines")" && holds <"$WORK/lines" &&
        say "-A $UFW-before-input -j $CHAIN" | holds
}

load_block() { # one transaction for the chain, then the jump, ahead of the rules of ufw's users
    { say '*filter' && say ":$CHAIN - [0:0]" && cat "$WORK/lines" && say COMMIT; } >"$WORK/load"
    run "$IPTABLES-restore" -n "$WORK/load"
    say "-A $UFW-before-input -j $CHAIN" | holds && return
    at=$("$IPTABLES" -S "$UFW-before-input" | grep '^-A' | grep -n -- "-j $UFW-user-input" | cut -d: -f1)
    run "$IPTABLES" -I "$UFW-before-input" "${at:-1}" -j "$CHAIN"
}

unhook() { # ufw builds its chains only where it finds none, hooked or not
    "$IPTABLES" -S >"$WORK/chains"
    {
        say '*filter'
        sed -n "s/^-A \([A-Z]*\) -j $UFW-/-D \1 -j $UFW-/p" "$WORK/chains"
        sed -n "s/^-N \($UFW-.*\)/:\1 - [0:0]/p" "$WORK/chains"
        sed -n "s/^-N \($UFW-.*\)/-X \1/p" "$WORK/chains"
        say COMMIT
    } >"$WORK/load"
    run "$IPTABLES-restore" -n "$WORK/load"
}

kernel() { # makes the kernel hold what the files say
    for number in 4 6; do
        family $number
        frame_holds && continue
        # Not a node that was closed: nothing that reloading could open.
        change "reload ufw: its $IPTABLES chains are incomplete" || return 0
        each_family unhook
        run ufw reload
        break
    done
    for number in 4 6; do
        family $number
        block_holds || { change "load our $IPTABLES chain" && load_block; }
        # The very step that ufw takes after deleting a rule: one transaction, nothing opens.
        user_rules_hold || { change "load $USER_RULES into the kernel" &&
            run "$IPTABLES-restore" -n "$ETC/$USER_RULES"; }
    done
}

# --- the job --------------------------------------------------------------------------------------

preflight() {
    command -v ufw >/dev/null || finish unsupported "no ufw on this node: apt-get install ufw"
    for tool in iptables ip6tables iptables-restore ip6tables-restore; do
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
}

default_deny() {
    grep -Eq '^DEFAULT_INPUT_POLICY="?(DROP|REJECT)' $DEFAULTS && return
    change "ufw default deny incoming" || return 0
    keep
    : >"$STORE/was-allowed-by-default"
    run ufw default deny incoming
}

switch_on() {
    enabled && return
    change "enable ufw" || return 0
    for number in 4 6; do
        family $number
        compare | grep -q '^add' && finish failed "not enabled: rules are missing from $USER_RULES"
    done
    keep
    : >"$STORE/was-disabled"
    run ufw --force enable
}

each_family() { # command...; stops at the first that fails
    for number in 4 6; do
        family $number
        "$@" || return
    done
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
    each_family apply delete
    each_family write_block
    for number in 4 6; do
        family $number
        "$IPTABLES" -S "$CHAIN" >/dev/null 2>&1 || continue
        change "remove the $IPTABLES chain $CHAIN"
        "$IPTABLES" -D "$UFW-before-input" -j "$CHAIN" 2>/dev/null
        run "$IPTABLES" -F "$CHAIN"
        run "$IPTABLES" -X "$CHAIN"
    done
    rm -rf "$STORE"
    finish matches "nothing of edgefleet's is left"
}

mkdir -p "$WORK"
exec 9>"$WORK/lock"
flock -w 300 9 || finish failed "another run has held $WORK/lock for 5 minutes"
cat >"$WORK/table"
WEB=$(sed -n 's/^web	//p' "$WORK/table")

preflight
mend
settings
[ "$MODE" != remove ] || remove
[ -n "$WEB" ] && grep -q '^rule4' "$WORK/table" || finish failed "the rule table is empty"

# Open first, close last.
each_family apply add
each_family write_block
default_deny
switch_on
enabled && kernel
each_family apply delete
each_family apply conflict

if [ "$MODE" = observe ]; then
    [ "$CHANGES" = 0 ] || finish differs "$CHANGES changes would be made"
else
    each_family frame_holds || finish failed "ufw isn't active after all"
    each_family compare | grep -Eq '^(add|delete)' && finish failed "ufw did not take every rule"
fi
others=$(exposed_by | tr '\n' ';')
[ -z "$others" ] || finish exposed "somebody else's rules admit others than Cloudflare: $others delete them with ufw"
finish matches "node matches the table"

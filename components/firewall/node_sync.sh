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
    ! enabled || run "$IPTABLES-restore" -n "$WORK/stripped.rules"
    run replace "$WORK/stripped.rules" "$ETC/$USER_RULES"
}

# --- what the kernel holds ------------------------------------------------------------------------

enabled() { grep -Eqi '^ENABLED="?yes' "$ETC/ufw.conf"; }

policy() { sed -n "s/^DEFAULT_$1_POLICY=\"*\([A-Z]*\).*/\1/p" "$DEFAULTS" | tail -n 1; }

kernel() { say "$WORK/kernel$FAMILY"; } # the last snapshot's file

# A question that wasn't answered is an error, never "nothing there".
snapshot() {
    "$IPTABLES-save" -t filter >"$(kernel)" 2>"$WORK/output" && return
    finish failed "$IPTABLES-save: $(tr '\n"' " '" <"$WORK/output" | cut -c1-300)"
}

# Lines of iptables-restore that put back what is missing of ufw's hooks and policies; or a line
# "gone CHAIN" for what only ufw can build.
frame() {
    awk -v ufw="$UFW" -v forward="$(policy FORWARD)" -v files="$ETC/$BEFORE $ETC/$AFTER $ETC/$USER_RULES" '
        BEGIN {
            n = split(files, file, " ")
            for (i = 1; i <= n; i++)
                while ((getline line < file[i]) > 0)
                    if (index(line, "-A " ufw "-") == 1 && split(line, word, " ")) stocked[word[2]]
            n = split("before-logging before after after-logging reject track", part, " ")
            split("INPUT FORWARD OUTPUT", builtin, " ")
            for (b = 1; b <= 3; b++) user[ufw "-before-" tolower(builtin[b])] = ufw "-user-" tolower(builtin[b])
        }
        /^:/ { there[substr($1, 2)]; default_of[substr($1, 2)] = $2 }
        $1 == "-A" {
            if ($3 == "-j" && index($4, ufw "-") == 1) hooks[$2] = hooks[$2] " " $4
            if ($4 !~ /^edgefleet-/ && $4 != user[$2]) full[$2]
        }
        END {
            for (b = 1; b <= 3; b++) {
                way = "-" tolower(builtin[b])
                wanted = ""
                for (i = 1; i <= n; i++) {
                    chain = ufw "-" part[i] way
                    wanted = wanted " " chain
                    if (!(chain in there)) print "gone " chain
                }
                chain = ufw "-before" way
                if (!(user[chain] in there)) print "gone " user[chain]
                if (hooks[builtin[b]] != wanted) {
                    # All of them, as their order matters.
                    m = split(hooks[builtin[b]], hook, " ")
                    for (i = 1; i <= m; i++) print "-D " builtin[b] " -j " hook[i]
                    m = split(wanted, hook, " ")
                    for (i = 1; i <= m; i++) print "-A " builtin[b] " -j " hook[i]
                }
                if (!index(hooks[chain] " ", " " user[chain] " ")) print "-A " chain " -j " user[chain]
            }
            for (chain in stocked) if (!(chain in full)) print "gone what was in " chain
            if (default_of["INPUT"] != "DROP") print ":INPUT DROP [0:0]"
            if (forward != "ACCEPT" && default_of["FORWARD"] != "DROP") print ":FORWARD DROP [0:0]"
        }' "$(kernel)"
}

rendering() { # our chains as the table has them, and as the kernel shows them
    lines
    say --
    grep '^-A edgefleet-' "$(kernel)"
}

# Lines of iptables-restore that make our chains what they should be, and the first to be asked.
ours() {
    rendering >"$WORK/rendering"
    cmp -s "$WORK/rendering" "$STORE/loaded$FAMILY" || our_chains
    awk -v ufw="$UFW" '
        $1 == "-A" && $2 ~ "^" ufw "-before-(input|forward)$" {
            way = substr($2, length(ufw "-before-") + 1)
            first = !seen[$2]++
            if ($0 != "-A " $2 " -j edgefleet-" way) next
            if (first) right[way]
            else print "-D" substr($0, 3)
        }
        END {
            split("input forward", way_of, " ")
            for (i = 1; i <= 2; i++)
                if (!(way_of[i] in right))
                    print "-I " ufw "-before-" way_of[i] " -j edgefleet-" way_of[i]
        }' "$(kernel)"
}

our_chains() {
    say ':edgefleet-input - [0:0]'
    say ':edgefleet-forward - [0:0]'
    lines
}

guarding() { sed -n 's/^-A \(INPUT .*edgefleet-guard\|FORWARD .*edgefleet-guard\)/-D \1/p' "$(kernel)"; }

transact() { # lines of iptables-restore on standard input: all of them, or none
    { say '*filter' && cat && say COMMIT; } >"$WORK/load" || finish failed "$WORK is full?"
    run "$IPTABLES-restore" -n "$WORK/load"
}

# Stands in for ufw while ufw is down: our table, what people allowed, and nobody else. At the end of
# the chain, where ufw's policy would have its say.
guard() {
    snapshot
    # A node that was never closed stays as open as it was found.
    [ -f "$STORE/loaded$FAMILY" ] || grep -q '^:INPUT DROP \|^:edgefleet-input ' "$(kernel)" || return 0
    {
        guarding
        our_chains
        for way in input forward; do
            say ":edgefleet-guard-$way - [0:0]"
            say "-A edgefleet-guard-$way -j edgefleet-$way"
            sed -n "/ -j $UFW-/d; s/^-A $UFW-user-$way /-A edgefleet-guard-$way /p" "$ETC/$USER_RULES"
            say "-A edgefleet-guard-$way -j DROP"
        done
        say '-A INPUT -j edgefleet-guard-input'
        [ "$(policy FORWARD)" = ACCEPT ] || say '-A FORWARD -j edgefleet-guard-forward'
    } >"$WORK/guard"
    transact <"$WORK/guard"
}

unguard() {
    ! grep -q '^:edgefleet-guard' "$(kernel)" || {
        guarding
        sed -n 's/^:\(edgefleet-guard-[a-z]*\) .*/:\1 - [0:0]/p' "$(kernel)"
        sed -n 's/^:\(edgefleet-guard-[a-z]*\) .*/-X \1/p' "$(kernel)"
    }
}

unhook() { # ufw builds its chains only where it finds none, hooked or not
    {
        sed -n "s/^-A \([A-Z]*\) -j $UFW-/-D \1 -j $UFW-/p" "$(kernel)"
        sed -n "s/^:\($UFW-[^ ]*\).*/:\1 - [0:0]/p" "$(kernel)"
        sed -n "s/^:\($UFW-[^ ]*\).*/-X \1/p" "$(kernel)"
    } >"$WORK/unhook"
    transact <"$WORK/unhook"
}

missing() { # to a file: what has to be put back
    snapshot
    { frame && ours && unguard; } >"$WORK/missing$FAMILY" 2>"$WORK/output" && return
    finish failed "what $IPTABLES holds could not be compared: $(tr '\n"' " '" <"$WORK/output" | cut -c1-200)"
}

gone() { sed -n 's/^gone //p' "$WORK/missing4" "$WORK/missing6" | head -n 1; }

restart_ufw() {
    each_family guard
    each_family snapshot
    each_family unhook
    run ufw reload
    each_family missing
    [ -z "$(gone)" ] || finish failed "ufw was reloaded, and still lacks: $(gone)"
}

put_back() {
    [ -s "$WORK/missing$FAMILY" ] || return 0
    change "bring $IPTABLES in step: $(grep -c . "$WORK/missing$FAMILY") lines" || return 0
    mkdir -p "$STORE"
    transact <"$WORK/missing$FAMILY"
    snapshot
    rendering >"$WORK/rendering"
    # Every line arrived: what the kernel shows now is what it has to show from now on.
    [ "$(grep -c '^-A' "$WORK/rendering")" = "$(($(lines | grep -c .) * 2))" ] ||
        finish failed "$IPTABLES did not take every line of the table"
    run write_down "$WORK/rendering" "$STORE/loaded$FAMILY"
    missing
    [ ! -s "$WORK/missing$FAMILY" ] ||
        finish failed "somebody else changes $IPTABLES meanwhile: $(head -n 1 "$WORK/missing$FAMILY" | tr '"' "'")"
}

write_down() { cp "$1" "$2.new" && mv -f "$2.new" "$2"; }

settle_kernel() {
    each_family missing
    if [ -n "$(gone)" ]; then
        change "have ufw build its chains again: gone is $(gone)" || return 0
        restart_ufw
    fi
    each_family put_back
}

# Rules in INPUT that decide about the web ports before ufw is asked: nothing of ours can help there.
ahead() {
    lines >"$WORK/lines"
    awk -v web="$WEB" -v ufw="$UFW" -v table="$WORK/lines" '
        function covers(ports, n, i, range, end) {
            n = split(ports, range, ",")
            for (i = 1; i <= n; i++) {
                if (split(range[i], end, ":") == 1) end[2] = end[1]
                for (p in port) if (end[1] + 0 <= p + 0 && p + 0 <= end[2] + 0) return 1
            }
            return 0
        }
        # A network as hexadecimal digits; its length goes to the array of prefixes.
        function digits(net, end, word, n, i, text, have) {
            n = split(net, end, "/")
            prefix[net] = n == 2 ? end[2] : (net ~ /:/ ? 128 : 32)
            if (net !~ /:/) {
                split(end[1], word, ".")
                for (i = 1; i <= 4; i++) text = text sprintf("%02x", word[i])
                return text
            }
            sub(/::$/, "::0", end[1])
            sub(/^::/, "0::", end[1])
            n = split(end[1], word, ":")
            for (i = 1; i <= n; i++) {
                if (word[i] != "") text = text substr("0000" word[i], length(word[i]) + 1)
                else for (have = n - 1; have < 8; have++) text = text "0000"
            }
            return text
        }
        function overlap(a, b, x, y, p, at, hex) {
            x = digits(a)
            y = digits(b)
            p = prefix[a] < prefix[b] ? prefix[a] : prefix[b]
            at = int(p / 4)
            if (substr(x, 1, at) != substr(y, 1, at)) return 0
            if (p % 4 == 0) return 1
            hex = "0123456789abcdef"
            x = index(hex, substr(x, at + 1, 1)) - 1
            y = index(hex, substr(y, at + 1, 1)) - 1
            return int(x / 2 ^ (4 - p % 4)) == int(y / 2 ^ (4 - p % 4))
        }
        function concerns_cloudflare(source, net) {
            for (net in cloudflare) if (overlap(source, net)) return 1
            return 0
        }
        function after(name, i) { for (i = 3; i < NF; i++) if ($i == name) return $(i + 1); return "" }
        BEGIN {
            n = split(web, list, ",")
            for (i = 1; i <= n; i++) port[list[i]]
            while ((getline line < table) > 0)
                if (line ~ /"edgefleet:cloudflare: / && match(line, / -s [^ ]+/))
                    cloudflare[substr(line, RSTART + 4, RLENGTH - 4)]
        }
        $2 != "INPUT" || $1 != "-A" { next }
        $4 == ufw "-before-input" { exit }
        {
            target = after("-j")
            ports = after("--dport") after("--dports")
            if (target !~ /^(ACCEPT|DROP|REJECT)$/) next
            if (after("-i") == "lo" || after("--mark") != "") next
            if (after("-p") !~ /^(tcp|)$/ || ports != "" && !covers(ports)) next
            if (after("--ctstate") ~ /^(RELATED|ESTABLISHED|INVALID|,)+$/) next
            source = ($0 ~ / ! /) ? "" : after("-s")
            if (target == "ACCEPT" && source in cloudflare) next
            if (target != "ACCEPT" && source != "" && !concerns_cloudflare(source)) next
            print (target == "ACCEPT" ? "exposed " : "blocked ") $0
        }' "$(kernel)" >>"$WORK/ahead" || finish failed "the rules in INPUT could not be read"
}

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
        finish blocked "DEFAULT_OUTPUT_POLICY is $(policy OUTPUT) in $DEFAULTS: enabling ufw would cut this node off its control plane; the line has to be DEFAULT_OUTPUT_POLICY='ACCEPT' (ufw default allow outgoing)" ;;
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

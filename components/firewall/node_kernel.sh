# Part of node_sync.sh, which says what it is for: what the kernel holds of ufw and of ours.

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
    run "$IPTABLES-restore" -w 10 -n "$WORK/load"
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

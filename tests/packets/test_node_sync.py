"""What the DaemonSet's script does to a node's ufw, and what it leaves alone."""

import pytest

from components.firewall.node import sync_script
from tests.packets import netns
from tests.packets.endpoints import STREAM
from tests.packets.netns import Packet
from tests.packets.worlds import (
    ADMIN,
    IN_VPC,
    OUTSIDER,
    OUTSIDER6,
    SMALL,
    SMALLEST,
    World,
    table_of,
)

WEB, SSH, KUBELET = Packet("104.16.0.1", 443), Packet(ADMIN, 22), Packet(IN_VPC, 10250)
STRANGER, STRANGER6 = Packet(OUTSIDER, 443), Packet(OUTSIDER6, 443)
PROTECTED = {WEB: True, SSH: True, KUBELET: True, STRANGER: False, STRANGER6: False}


def test_a_second_run_changes_nothing_and_says_so(closed: World) -> None:
    node, _ = closed
    before = node.firewall()
    again = node.sync(table_of(*SMALL))
    assert (again.state, again.changes, again.returncode) == ("matches", 0, 0)
    assert again.output.splitlines() == [
        'state=matches mode=enforce changes=0 reason="node matches the table"'
    ]
    assert node.firewall() == before


def test_an_update_opens_what_is_new_and_closes_what_is_gone(closed: World) -> None:
    node, outside = closed
    old, new = Packet("173.245.48.9", 443), Packet("2400:cb00::9", 443)
    assert outside.passes([old, new]) == {old: True, new: False}

    outcome = node.sync(table_of("104.16.0.0/13", "2606:4700::/32", "2400:cb00::/32"))

    assert (outcome.state, outcome.changes) == ("matches", 4)
    assert outside.passes([old, new, *PROTECTED]) == {old: False, new: True, **PROTECTED}
    assert "bring iptables in step" in outcome.output


def test_a_changed_block_is_loaded_without_a_reload(closed: World) -> None:
    node, outside = closed
    ipip = Packet(IN_VPC, 0, "ipip")
    assert outside.passes([ipip]) == {ipip: False}
    assert node.sync(table_of(*SMALL, tunnels=("vxlan", "ipip"))).state == "matches"
    assert outside.passes([ipip, *PROTECTED]) == {ipip: True, **PROTECTED}
    assert node.sync(table_of(*SMALL)).state == "matches"
    assert outside.passes([ipip, *PROTECTED]) == {ipip: False, **PROTECTED}


def test_a_long_download_survives_the_update_that_shuts_its_source_out(closed: World) -> None:
    node, outside = closed
    outside.be(["173.245.48.9"])
    download = {"name": "download", "source": "173.245.48.9", "to": netns.NODE, "port": 443}
    outside.ask(do="open", say="stream", **download)
    first = outside.ask(do="read", name="download", bytes=1 << 20, say="")

    assert node.sync(table_of("104.16.0.0/13", "2606:4700::/32")).state == "matches"

    gone = Packet("173.245.48.9", 443)
    assert outside.passes([gone]) == {gone: False}
    rest = outside.ask(do="read", name="download", bytes=STREAM - first, say="")
    assert first + rest == STREAM


def test_connections_from_before_ufw_was_enabled_live_on(bare: World) -> None:
    node, outside = bare
    # As kube-proxy and Calico do on every node: the kernel tracks connections once a rule asks.
    node.run(
        *["iptables", "-A", "FORWARD", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP"]
    )
    outside.be([OUTSIDER])
    session = {"name": "shell", "source": OUTSIDER, "to": netns.NODE, "port": 22}
    outside.ask(do="open", say="hello", **session)
    assert outside.ask(do="read", name="shell", bytes=5, say="") == 5
    assert node.sync(table_of(*SMALLEST)).state == "matches"
    assert outside.passes([Packet(OUTSIDER, 22)]) == {Packet(OUTSIDER, 22): False}
    assert outside.ask(do="read", name="shell", bytes=5, say="again") == 5


def test_rules_of_others_survive(bare: World) -> None:
    node, outside = bare
    node.ufw("allow", "from", "198.51.100.99", "to", "any", "port", "2222", "proto", "tcp")
    node.ufw("limit", "5473/tcp", "comment", "somebody else")
    before = node.root / "etc/ufw/before.rules"
    before.write_text("*nat\n:PREROUTING - [0:0]\nCOMMIT\n" + before.read_text() + "# mine\n")
    assert node.sync(table_of(*SMALLEST)).state == "matches"
    assert node.sync(table_of("104.16.0.0/13", "2606:4700::/32")).state == "matches"

    assert {"opened by hand", "somebody else"} <= node.comments()
    mine, other = Packet("198.51.100.99", 2222), Packet("198.51.100.98", 2222)
    assert outside.passes([mine, other]) == {mine: True, other: False}
    text = before.read_text()
    assert text.startswith("*nat\n")
    assert text.endswith("# mine\n")
    assert text.count("# BEGIN edgefleet") == 1


def test_a_rule_like_ours_made_by_hand_stays_its_owner_s(bare: World) -> None:
    node, _ = bare
    node.ufw("allow", "proto", "tcp", "from", "198.51.100.0/24", "to", "any", "port", "22")
    assert node.sync(table_of(*SMALLEST)).state == "matches"
    assert node.sync(table_of(*SMALLEST)).changes == 0
    assert node.sync(table_of(*SMALLEST, ssh_sources=["192.0.2.0/25"])).state == "matches"
    assert "ufw allow from 198.51.100.0/24 to any port 22 proto tcp\n" in node.ufw("show", "added")


def test_observing_changes_nothing_and_says_what_it_would(bare: World) -> None:
    node, outside = bare
    before = node.firewall()
    outcome = node.sync(table_of(*SMALLEST), "observe")
    assert (outcome.state, outcome.returncode) == ("differs", 1)
    assert "would write our block in before.rules" in outcome.output
    assert "would enable ufw" in outcome.output
    assert node.firewall() == before
    assert not (node.root / "var/lib/edgefleet").exists()
    assert outside.passes([STRANGER]) == {STRANGER: True}

    node.sync(table_of(*SMALLEST))
    assert node.sync(table_of(*SMALLEST), "observe").state == "matches"
    assert node.sync(table_of(*SMALLEST[:1]), "observe").changes == 2, "file and kernel, IPv6"


DAMAGE = [
    "iptables -I edgefleet-input -p tcp --dport 443 -j ACCEPT",
    "iptables -D edgefleet-input 7",
    "iptables -F edgefleet-input",
    "iptables -D ufw-before-input -j edgefleet-input",
    "iptables -I ufw-before-input -p tcp --dport 443 -j ACCEPT",
    "iptables -F FORWARD",
    "ip6tables -D FORWARD -j ufw6-before-forward",
    "iptables -F INPUT",
    "iptables -D ufw-before-input -j ufw-user-input",
    "ip6tables -P INPUT ACCEPT",
    "iptables -P FORWARD ACCEPT",
    "ip6tables -F",
    "iptables -F; iptables -X",
    "ufw --force disable",
    "ufw default allow incoming",
    "sed -i /edgefleet/d /etc/ufw/before.rules /etc/ufw/before6.rules",
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_somebody_changes_is_put_right(closed: World, damage: str) -> None:
    node, outside = closed
    before = node.firewall()
    node.run("sh", "-c", damage)
    seen = node.sync(table_of(*SMALL), "observe")
    assert seen.state == "differs"
    mended = node.sync(table_of(*SMALL))
    assert (mended.state, mended.changes >= 1) == ("matches", True), mended.output
    assert outside.passes(list(PROTECTED)) == PROTECTED
    assert node.sync(table_of(*SMALL)).changes == 0
    # All of it, and nothing else: chains may have come in another order. What others put into
    # ufw's chains stays there, behind ours.
    theirs = "-A ufw-before-input -p tcp -m tcp --dport 443 -j ACCEPT"
    assert [sorted(set(part.splitlines()) - {theirs}) for part in node.firewall()] == [
        sorted(set(part.splitlines())) for part in before
    ]


@pytest.mark.parametrize(
    "rule",
    [
        "deny 443/tcp",
        "deny from 104.0.0.0/8",
        "limit 443/tcp",
        "deny in on eth0 to any port 443 proto tcp",
        "allow in on lo",
        "allow 443/tcp",
        "allow in on eth0",
        "reject proto tcp from 198.51.100.0/24 to any port 22",
    ],
)
def test_no_rule_of_ufw_s_decides_about_what_the_table_names(closed: World, rule: str) -> None:
    node, outside = closed
    node.ufw(*rule.split())
    outcome = node.sync(table_of(*SMALL))
    assert (outcome.state, outcome.changes) == ("matches", 0), outcome.output
    often = [Packet(f"104.16.0.{last}", port) for last in range(1, 10) for port in (80, 443)]
    assert all(outside.passes([*often, *often]).values())
    assert outside.passes(list(PROTECTED)) == PROTECTED


@pytest.mark.parametrize(
    ("rule", "state"),
    [
        ("-p tcp --dport 443 -j ACCEPT", "exposed"),
        ("-i eth0 -j ACCEPT", "exposed"),
        ("-p tcp -m multiport --dports 8000,400:500 -j ACCEPT", "exposed"),
        ("-s 104.16.0.0/12 -p tcp --dport 443 -j ACCEPT", "exposed"),
        ("! -s 104.16.0.0/13 -p tcp --dport 443 -j ACCEPT", "exposed"),
        ("-p tcp --dport 80 -j DROP", "blocked"),
        ("-s 104.0.0.0/8 -j DROP", "blocked"),
        ("-s 104.18.3.0/25 -j REJECT", "blocked"),
        ("-i lo -j ACCEPT", "matches"),
        ("-p udp --dport 443 -j ACCEPT", "matches"),
        ("-p tcp --dport 22 -j ACCEPT", "matches"),
        ("-s 104.16.0.0/13 -p tcp --dport 443 -j ACCEPT", "matches"),
        ("-s 192.0.2.66 -j DROP", "matches"),
        ("-s 104.24.0.0/14 -j DROP", "matches"),
        ("-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "matches"),
        ("-m mark --mark 0x4000 -j DROP", "matches"),
    ],
)
def test_rules_that_decide_before_ufw_are_named(closed: World, rule: str, state: str) -> None:
    node, _ = closed
    node.run(*["iptables", "-I", "INPUT", *rule.split()])
    outcome = node.sync(table_of(*SMALL))
    assert outcome.state == state, outcome.output
    assert ("INPUT" in outcome.output) == (state != "matches")


@pytest.mark.parametrize(
    ("rule", "state"),
    [
        ("-s 2606:4700:10::/48 -j DROP", "blocked"),
        ("-s 2606:4600::/23 -j DROP", "blocked"),
        ("-s 2606:4701::/32 -j DROP", "matches"),
        ("-s ::/1 -p tcp -j DROP", "blocked"),
        ("-s 2001:db8:bad::66 -j DROP", "matches"),
    ],
)
def test_rules_of_ipv6_that_decide_before_ufw_are_named(
    closed: World, rule: str, state: str
) -> None:
    node, _ = closed
    node.run(*["ip6tables", "-I", "INPUT", *rule.split()])
    outcome = node.sync(table_of(*SMALL))
    assert outcome.state == state, outcome.output


@pytest.mark.parametrize(
    "victim",
    ["ufw/user.rules", "ufw/user6.rules", "ufw/after.rules", "ufw/ufw.conf", "default/ufw"],
)
@pytest.mark.parametrize("left", [0.0, 0.3])
def test_a_file_that_ufw_left_half_written_comes_back(
    closed: World, victim: str, left: float
) -> None:
    node, outside = closed
    node.sync(table_of(*SMALL, "2400:cb00::/32"))  # so that there is a copy with these rules
    file = node.root / "etc" / victim
    whole = file.read_text()
    file.write_text(whole[: int(len(whole) * left)])
    outcome = node.sync(table_of(*SMALL, "2400:cb00::/32"))
    assert outcome.state == "matches", outcome.output
    assert outside.passes(list(PROTECTED)) == PROTECTED
    assert "opened by hand" in node.comments()
    assert f"put back /etc/{victim}" in outcome.output


@pytest.mark.parametrize(
    ("spoil", "state", "says"),
    [
        ("mount --bind /dev/null /usr/sbin/ufw", "unsupported", "no ufw on this node"),
        ("mount --bind /dev/null $(readlink -f /usr/sbin/iptables)", "unsupported", "iptables"),
        ("sed -i s/^IPV6=.*/IPV6=no/ /etc/default/ufw", "blocked", "IPV6"),
        ("echo MANAGE_BUILTINS=yes >>/etc/default/ufw", "blocked", "MANAGE_BUILTINS"),
        (
            "sed -i 's/^DEFAULT_OUTPUT_POLICY=.*/DEFAULT_OUTPUT_POLICY=\"DROP\"/' /etc/default/ufw",
            "blocked",
            "DEFAULT_OUTPUT_POLICY=ACCEPT (",
        ),
        ("echo >/etc/ufw/before6.rules", "blocked", "before6.rules"),
    ],
)
def test_a_node_that_cannot_be_kept_says_why_and_stays(
    bare: World, spoil: str, state: str, says: str
) -> None:
    node, outside = bare
    node.run("sh", "-c", spoil)
    for mode in ("observe", "enforce"):
        outcome = node.sync(table_of(*SMALLEST), mode)
        assert (outcome.state, outcome.returncode) == (state, 1), outcome.output
        assert says in outcome.output.splitlines()[-1]
    assert outside.passes([SSH]) == {SSH: True}


def test_removing_leaves_the_node_as_it_was_found(bare: World) -> None:
    node, outside = bare
    node.sync(table_of(*SMALLEST))
    gone = node.sync(table_of(*SMALLEST), "remove")
    assert gone.state == "matches", gone.output
    assert not any("edgefleet" in part for part in node.firewall())
    assert outside.passes([STRANGER]) == {STRANGER: True}
    assert node.sync(table_of(*SMALLEST), "remove").changes == 0


def test_removing_keeps_a_ufw_that_was_on_already(bare: World) -> None:
    node, outside = bare
    node.ufw("--force", "enable")
    node.sync(table_of(*SMALLEST))
    assert node.sync(table_of(*SMALLEST), "remove").state == "matches"
    assert not any("edgefleet" in part for part in node.firewall())
    assert outside.passes([STRANGER, WEB]) == {STRANGER: False, WEB: False}


def test_a_node_lives_on_our_block_alone(bare: World) -> None:
    """Somebody emptied ufw's own before.rules: loopback, replies, ICMP and DHCP are ours."""
    node, outside = bare
    for family in ("", "6"):
        chains = "".join(
            f":ufw{family}-before-{way} - [0:0]\n" for way in ("input", "output", "forward")
        )
        file = node.root / f"etc/ufw/before{family}.rules"
        file.write_text(f"*filter\n{chains}COMMIT\n")
    assert node.sync(table_of(*SMALLEST)).state == "matches"
    ping = Packet(OUTSIDER, 0, "icmp")
    assert outside.passes([*PROTECTED, ping]) == {**PROTECTED, ping: True}
    for namespace in (node, outside):
        namespace.run("ip", "-6", "neigh", "flush", "nud", "permanent")
    assert outside.passes([Packet("2606:4700::1", 443)]) == {Packet("2606:4700::1", 443): True}
    assert netns.connects(node, "127.0.0.1", "127.0.0.1", 30080)
    netns.serve(outside, ports=("8443", "5353"))
    assert netns.connects(node, netns.NODE, netns.GATEWAY, 8443), "replies don't come back"
    dhcp = Packet("192.0.2.67", 68, "udp")
    assert outside.passes([dhcp]) == {dhcp: False}, "only from a server's port 67"


def test_the_scripts_are_plain_posix_shell() -> None:
    for script in (sync_script(), (netns.FIREWALL / "node_loop.sh").read_text()):
        netns.run_with(script, "shellcheck", "--shell=sh", "--exclude=SC2015,SC2317", "-")

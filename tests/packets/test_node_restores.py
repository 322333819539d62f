"""A client that knocks all the while as a closed node is broken, mended and taken over."""

from collections.abc import Iterator

import pytest

from tests.packets.netns import Node, Packet, knocking
from tests.packets.worlds import (
    ADMIN,
    OUTSIDER,
    OUTSIDER6,
    SMALL,
    SMALLEST,
    World,
    made,
    table_of,
)

VISITOR, VISITOR6 = "104.16.0.1", "2606:4700::1"
EVERYONE = (OUTSIDER, OUTSIDER6, VISITOR, VISITOR6)


def shut_out(counted: dict[str, list[int]]) -> None:
    """Strangers knocked and weren't let in; Cloudflare was, each time."""
    for source, (knocks, opened) in counted.items():
        assert knocks
        allowed = knocks if source in (VISITOR, VISITOR6) else 0
        assert opened == allowed, f"{source} knocked {knocks} times and got in {opened} times"


def test_the_client_sees_a_reload(closed: World) -> None:
    """What the other tests look for: ufw's own reload lets strangers in."""
    node, outside = closed
    with knocking(outside, OUTSIDER, OUTSIDER6) as counted:
        node.ufw("reload")
    assert any(opened for _, opened in counted.values()), counted


# What doesn't open the node by itself, and leaves Cloudflare in.
HARMLESS = [
    "iptables -F FORWARD",
    "ip6tables -D FORWARD -j ufw6-before-forward",
    "iptables -F OUTPUT",
    "iptables -X ufw-user-logging-input; iptables -D ufw-before-input -j ufw-user-input",
    "ip6tables -D INPUT -j ufw6-track-input",
    "iptables -F ufw-before-forward",  # which only ufw can fill
]


def test_what_breaks_again_and_again_never_opens_the_node(closed: World) -> None:
    node, outside = closed
    with knocking(outside, *EVERYONE) as counted:
        for damage in HARMLESS:
            node.run("sh", "-c", damage)
            mended = node.sync(table_of(*SMALL))
            assert (mended.state, mended.changes > 0) == ("matches", True), mended.output
    shut_out(counted)
    assert "edgefleet-guard" not in "".join(node.firewall())


def test_a_node_whose_ufw_is_built_anew_is_shut_meanwhile(closed: World) -> None:
    """`iptables -F` leaves the policy, so that nobody gets in; then ufw has to fill its chains."""
    node, outside = closed
    with knocking(outside, OUTSIDER, OUTSIDER6) as counted:
        for damage in ("iptables -F", "ip6tables -F", "iptables -F; iptables -X"):
            node.run("sh", "-c", damage)
            mended = node.sync(table_of(*SMALL))
            assert "have ufw build its chains again" in mended.output
            assert mended.state == "matches"
    shut_out(counted)
    assert "edgefleet-guard" not in "".join(node.firewall())


SPOIL = """
real=$(readlink -f /usr/sbin/iptables); cp "$real" /mnt/real-iptables
cat >/mnt/spoiled <<'END'
#!/bin/bash
case "${0##*/}" in *-save) kill -KILL $$ ;; esac
exec -a "${0##*/}" /mnt/real-iptables "$@"
END
chmod +x /mnt/spoiled; mount --bind /mnt/spoiled "$real"
"""


def test_a_check_that_was_killed_is_no_answer(bare: World) -> None:
    node, outside = bare
    assert node.sync(table_of(*SMALL)).state == "matches"
    before = node.firewall()
    node.run("sh", "-c", SPOIL)
    with knocking(outside, *EVERYONE) as counted:
        outcome = node.sync(table_of(*SMALL))
    assert (outcome.state, outcome.changes) == ("failed", 0), outcome.output
    assert "iptables-save" in outcome.output
    shut_out(counted)
    node.run("sh", "-c", 'umount "$(readlink -f /usr/sbin/iptables)"')
    assert node.firewall() == before


def test_a_held_node_is_left_to_whoever_holds_it(closed: World) -> None:
    node, outside = closed
    hold = node.root / "var/lib/edgefleet/hold"
    hold.write_text('the API is away: "Jo" until noon\n')
    node.ufw("--force", "disable")
    for mode in ("enforce", "observe", "remove"):
        held = node.sync(table_of(*SMALL), mode)
        assert (held.state, held.changes, held.returncode) == ("held", 0, 1)
        assert "the API is away: 'Jo' until noon" in held.output
    stranger = Packet(OUTSIDER, 443)
    assert outside.passes([stranger]) == {stranger: True}

    hold.unlink()
    assert node.sync(table_of(*SMALL)).state == "matches"
    assert outside.passes([stranger]) == {stranger: False}


FORMER = {
    "allow proto tcp from 104.16.0.0/13 to any port 80,443": "cloudflare: to the ingress",
    "allow proto tcp from 2606:4700::/32 to any port 80,443": "cloudflare: to the ingress",
    "allow proto tcp from 198.51.100.0/24 to any port 22": "ssh: administrators",
    "allow proto tcp from 10.20.0.0/20 to any port 1024:29999,32768:65535": "node-tcp: kubelet",
    "route allow from 10.244.0.0/16": "from-pods: pods to anywhere",
}
FORMER_BLOCK = """# BEGIN edgefleet: this block is rewritten, leave it alone
:edgefleet-input - [0:0]
-A edgefleet-input -i lo -m comment --comment "edgefleet:loopback" -j ACCEPT
-A edgefleet-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A {ufw}-before-input -j edgefleet-input
# END edgefleet
"""


def closed_by_a_former_version(node: Node) -> None:
    """The table in ufw's own list, as the script wrote it before the block held all of it."""
    for rule, comment in FORMER.items():
        node.ufw(*rule.split(), "comment", f"edgefleet:{comment}")
    for family in ("", "6"):
        file = node.root / f"etc/ufw/before{family}.rules"
        head, commit, tail = file.read_text().rpartition("COMMIT\n")
        file.write_text(head + FORMER_BLOCK.format(ufw=f"ufw{family}") + commit + tail)
    node.ufw("--force", "enable")


@pytest.fixture(scope="module")
def of_former_version() -> Iterator[World]:
    for node, outside in made():
        node.ufw("allow", "2222/tcp", "comment", "made by others")
        closed_by_a_former_version(node)
        node.keep()
        yield node, outside


def test_a_node_of_a_former_version_goes_over_without_opening_or_closing(
    of_former_version: World,
) -> None:
    node, outside = of_former_version
    seen = node.sync(table_of(*SMALLEST), "observe")
    assert "would take the rules of a former version out of user.rules" in seen.output
    with knocking(outside, *EVERYONE) as web, knocking(outside, ADMIN, port=22) as ssh:
        taken = node.sync(table_of(*SMALLEST))
    assert taken.state == "matches", taken.output
    shut_out(web)
    assert ssh[ADMIN][0] == ssh[ADMIN][1]
    assert node.comments() == {"made by others", "opened by hand"}
    mine = Packet(OUTSIDER, 2222)
    assert outside.passes([mine]) == {mine: True}
    assert "edgefleet" not in node.ufw("status", "verbose")
    again = node.sync(table_of(*SMALLEST))
    assert (again.state, again.changes) == ("matches", 0), again.output
    node.put_back()


def test_a_former_version_is_removed_too(of_former_version: World) -> None:
    node, _ = of_former_version
    assert node.sync(table_of(*SMALLEST), "remove").state == "matches"
    assert not any("edgefleet" in part for part in node.firewall())
    assert node.comments() == {"made by others", "opened by hand"}
    assert "Status: active" in node.ufw("status"), "it was on before"
    node.put_back()

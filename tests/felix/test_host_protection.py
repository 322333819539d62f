"""`hostProtection: calico` and `both` with the real felix and real packets: the rule table holds.

Each of felix's modes once, on the same nodes. What becomes of a packet is held against the table
and the model of Calico's semantics, which the property tests use without a kernel.
"""

import os
import random
from collections.abc import Iterator, Sequence
from functools import partial

import pytest

from components.dataplane.calico_options import CalicoOptions, felix_environment
from components.firewall.node import render_table
from components.firewall.renderings.calico import failsafe_ports
from components.firewall.rule_table import Rule
from tests.felix import protection
from tests.felix.protection import CLOUDFLARE, DEFAULT_FAILSAFE, OUTSIDER, OUTSIDER6, SSH, Reference
from tests.felix.world import FelixHost, Pod, Sent, World, until

SERVICE = "10.96.0.80"
ASKING = CalicoOptions(ipv6=True, ask_host_firewall=True)
IPTABLES = felix_environment({"dataplane": "iptables", **ASKING})
MODES = {
    "iptables": IPTABLES,
    "nftables": {**IPTABLES, "FELIX_NFTABLESMODE": "Enabled"},
    "ebpf": felix_environment(ASKING),
}
EACH = 5000
"""Packets of each family, in each mode."""
SEED = os.environ.get("EDGEFLEET_SEED", "")
PATIENCE = 6
"""Seconds until an answer counts as none."""
_KNOCK = """
import concurrent.futures, socket, sys
def reached(port):
    try: socket.create_connection((sys.argv[1], port), 6).close()
    except TimeoutError: return False
    except ConnectionRefusedError: pass
    return True
ports = [int(port) for port in sys.argv[2:]]
with concurrent.futures.ThreadPoolExecutor(20) as pool:
    print(*[port for port, yes in zip(ports, pool.map(reached, ports)) if yes])
"""


@pytest.fixture(scope="module")
def pods(world: World) -> tuple[Pod, Pod]:
    """A client on n1, and the pod of a service on n2."""
    one, two = world.nodes
    web = world.pod("web", two, 10)
    world.plane.service("web", SERVICE, 80, {web.addresses[0]: two.name})
    return world.pod("client", one, 10), web


@pytest.fixture(scope="module", params=list(MODES))
def mode(request: pytest.FixtureRequest, world: World, pods: tuple[Pod, Pod]) -> Iterator[str]:
    """felix in each mode in turn, with the nodes protected as by `CalicoHostProtection`."""
    rules = table(request.param)
    protection.protect(world.plane, rules)
    if request.param == "iptables":
        world.start(MODES[request.param])
        restarted_for_its_failsafe_ports(world, rules)
    else:
        protection.narrow_failsafe_ports(world.plane, rules)
        world.start(MODES[request.param])
    held(world)
    yield request.param
    world.end()


def table(mode: str) -> list[Rule]:
    # Calico's eBPF has no IPIP.
    return protection.table("vxlan") if mode == "ebpf" else protection.table("vxlan", "ipip")


def restarted_for_its_failsafe_ports(world: World, rules: Sequence[Rule]) -> None:
    """Up to here they admit everybody, whatever policies say; changing them ends felix."""
    held(world)
    strangers = [Sent(OUTSIDER, host.public, "tcp", 6443) for host in world.nodes]
    for host, packet in zip(world.nodes, strangers, strict=True):
        assert becomes(world, host, {packet: True}, 4)
    protection.narrow_failsafe_ports(world.plane, rules)
    for host in world.nodes:
        host.felix.wait(partial(ended, host, 129), "its end by new failsafe ports")
        host.felix.wait()
    for host, packet in zip(world.nodes, strangers, strict=True):
        until(partial(becomes, world, host, {packet: False}, 4), "the failsafe ports are narrow")


def ended(host: FelixHost, code: int) -> bool:
    return host.felix.endings == [code]


def held(world: World) -> None:
    """Until the policies do: strangers are dropped, Cloudflare isn't."""
    for host in world.nodes:
        for version in (4, 6):
            stranger, to = (OUTSIDER, host.public) if version == 4 else (OUTSIDER6, host.public6)
            edge = next(c.split("/")[0] for c in CLOUDFLARE if (":" in c) == (version == 6))
            wanted = {Sent(stranger, to, "tcp", 8081): False, Sent(edge, to, "tcp", 443): True}
            what = f"the policies hold on {host.name} over IPv{version}"
            until(partial(becomes, world, host, wanted, version), what, seconds=120)


def becomes(world: World, host: FelixHost, wanted: dict[Sent, bool], version: int) -> bool:
    """Whether packets to a node are treated as `wanted`."""
    return world.heard(host, host.ears, list(wanted), protection.last(host, version)) == wanted


def wrong(
    world: World, host: FelixHost, mode: str, version: int, count: int, *, dhcp: bool = True
) -> list[Sent]:
    """Of made up packets to a node those that were treated otherwise than the table has it. `dhcp`:
    whether felix's failsafe port for DHCP's answers has the last word."""
    rules = table(mode)
    # In eBPF it's the table alone that says who may send VXLAN.
    peers = None if mode == "ebpf" else {node.private for node in world.nodes}
    failsafe = [entry for entry in failsafe_ports(rules, CLOUDFLARE) if dhcp or entry["port"] != 68]
    reference = Reference(rules, peers, failsafe)
    chance = random.Random(f"{SEED} {mode} {version} {host.name}")
    sent = protection.packets(chance, rules, host, version, count)
    got = world.heard(host, host.ears, sent, protection.last(host, version))
    assert len(got) == count
    assert count / 20 < sum(got.values()) < count / 2, "they are no fair choice"
    return [packet for packet, passed in got.items() if passed != reference.admits(packet)]


@pytest.mark.parametrize("version", [4, 6])
def test_the_table_holds_packet_by_packet(world: World, mode: str, version: int) -> None:
    assert wrong(world, world.nodes[0], mode, version, EACH) == []


def test_what_a_node_passes_on(world: World, mode: str, pods: tuple[Pod, Pod]) -> None:
    """Nodes reach pods, on any port; nobody else does from outside."""
    client, host = pods[0], world.nodes[0]
    pod = client.addresses[0]
    strangers = [Sent(s, pod, "tcp", 8080) for s in (OUTSIDER, protection.ADMIN, "104.16.0.1")]
    peers = [Sent(protection.IN_VPC, pod, "tcp", port) for port in (8080, 31234)]
    last = {
        "public": Sent("192.0.2.50", pod, "udp", 9),
        "vpc": Sent(protection.IN_VPC, pod, "udp", 9),
    }
    got = world.heard(host, client.ears, [*strangers, *peers], last)
    assert got == {**dict.fromkeys(strangers, False), **dict.fromkeys(peers, True)}


def test_what_a_pod_reaches_of_its_own_node(world: World, mode: str, pods: tuple[Pod, Pod]) -> None:
    """Calico asks no host endpoint's policy about it, in no mode: docs/security.md says so."""
    assert knock(pods[0], world.nodes[0].private) == PORTS


PORTS = [SSH, 80, 443, 10250, 9100]


def knock(pod: Pod, to: str) -> list[int]:
    """Which of the ports a pod reaches on a node."""
    heard = pod.run("python3", "-c", _KNOCK, to, *map(str, PORTS))
    return [int(port) for port in heard.split()]


def test_nodes_and_pods_reach_each_other(world: World, mode: str, pods: tuple[Pod, Pod]) -> None:
    assert paths(world, mode, pods) == {"node": True, "pod": True}


def probed(world: World, pods: tuple[Pod, Pod]) -> bool:
    """Whether a node reaches its own pod, as its kubelet does."""
    return bool(world.nodes[0].curl(f"http://{pods[0].addresses[0]}/", PATIENCE)[1])


def paths(world: World, mode: str, pods: tuple[Pod, Pod]) -> dict[str, bool]:
    """Who on n1 reaches the pod on n2: by its service, where felix serves these."""
    client, web = pods
    url = f"http://{SERVICE if mode == 'ebpf' else web.addresses[0]}/"
    answer = client.run("curl", "-s", "-m", str(PATIENCE), url, check=False)
    return {"node": bool(world.nodes[0].curl(url, PATIENCE)[1]), "pod": bool(answer)}


def test_both(world: World, mode: str, pods: tuple[Pod, Pod]) -> None:
    """ufw beside felix. Without our table it cuts the nodes off from each other's pods: VXLAN where
    felix doesn't accept it ahead of ufw, and in each mode what nodes pass on (with a policy for
    that, felix leaves the last word to who comes next). With it both hold the same."""
    for host in world.nodes:
        host.inside.ufw("--force", "enable")
    assert paths(world, mode, pods) == {"node": False, "pod": False}
    text = render_table(table(mode), CLOUDFLARE)
    for host in world.nodes:
        outcome = host.inside.sync(text)
        assert outcome.state == "matches", outcome.output
    try:
        assert paths(world, mode, pods) == {"node": True, "pod": True}
        assert probed(world, pods)
        for version in (4, 6):
            # What felix lets in ufw isn't asked about in iptables mode alone.
            last_word = mode == "iptables"
            assert wrong(world, world.nodes[1], mode, version, 1000, dhcp=last_word) == []
        # What a pod sends to its own node felix leaves to ufw: as from pods of other nodes.
        assert knock(pods[0], world.nodes[0].private) == [10250, 9100]
    finally:
        for host in world.nodes:
            host.inside.sync("", "remove")
            host.inside.ufw("disable")


def test_felix_s_own_failsafe_ports_are_what_we_think() -> None:
    assert {entry["port"] for entry in DEFAULT_FAILSAFE} > {22, 179, 6443, 68}

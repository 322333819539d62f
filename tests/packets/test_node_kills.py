"""SIGKILL before every step of the script that changes something, then the checks again."""

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import pairwise

from tests.packets.netns import HERE, Node, Outside, Packet, script
from tests.packets.test_node_restores import closed_by_a_former_version
from tests.packets.worlds import (
    ADMIN,
    IN_VPC,
    OUTSIDER,
    OUTSIDER6,
    SMALL,
    SMALLEST,
    made,
    table_of,
)

FIRST = table_of(*SMALLEST)
OLD = table_of(*SMALL)
NEW = table_of(
    # One range is now spelled as two: whoever closes before opening shuts it for a moment.
    "104.16.0.0/14", "104.20.0.0/14", "188.114.96.0/20", "2606:4700::/32", "2400:cb00::/32",
    tunnels=("vxlan", "ipip"),
)  # fmt: skip
LIFELINES = [Packet("104.16.0.1", 443), Packet("2606:4700::1", 443), Packet(ADMIN, 22),
             Packet(IN_VPC, 10250), Packet(IN_VPC, 4789, "udp")]  # fmt: skip
STRANGERS = [Packet(OUTSIDER, 443), Packet(OUTSIDER6, 443), Packet(OUTSIDER, 22),
             Packet(OUTSIDER, 10250), Packet(OUTSIDER, 4789, "udp")]  # fmt: skip
ADDED = [Packet("188.114.96.1", 443), Packet("2400:cb00::1", 443), Packet(IN_VPC, 0, "ipip")]
REMOVED = [Packet("173.245.48.1", 443)]
AT_LAST = {
    FIRST: dict.fromkeys(LIFELINES, True) | dict.fromkeys([*STRANGERS, *REMOVED, *ADDED], False),
    OLD: dict.fromkeys([*LIFELINES, *REMOVED], True) | dict.fromkeys([*STRANGERS, *ADDED], False),
    NEW: dict.fromkeys([*LIFELINES, *ADDED], True) | dict.fromkeys([*STRANGERS, *REMOVED], False),
}
ARM = """
set -e
mkdir -p /mnt/real
chmod +x /mnt/step_killer.sh
programs=$(readlink -f /usr/sbin/iptables)
cp "$programs" /mnt/real/programs
cp /usr/sbin/ufw "$(readlink -f "$(command -v mv)")" /mnt/real/
for tool in iptables ip6tables; do for what in '' -restore -save; do
    ln -sf programs "/mnt/real/$tool$what"
done; done
for program in "$programs" /usr/sbin/ufw "$(command -v mv)"; do
    mount --bind /mnt/step_killer.sh "$program"
done
"""


class Victim:
    """A node whose runs can be killed before any step."""

    def __init__(self, node: Node, outside: Outside) -> None:
        self.node, self.outside = node, outside
        (node.root / "mnt/step_killer.sh").write_bytes((HERE / "step_killer.sh").read_bytes())
        node.run("sh", "-c", ARM)

    def run(self, table: str, kill_before: int) -> list[str]:
        """The steps that were begun, the last of which was killed."""
        real = self.node.root / "mnt/real"
        (real / "steps").write_text("")
        (real / "step").write_text("0")
        (real / "kill").write_text(f"{kill_before}\n")
        with subprocess.Popen(
            self.node.command(*script("enforce")),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            output, _ = process.communicate(table)
        steps = (real / "steps").read_text().splitlines()
        if kill_before:
            assert process.returncode == -9, output
            assert len(steps) == kill_before
        else:
            assert process.returncode == 0, output
        return steps

    def breaks(self, promises: dict[Packet, bool], when: str) -> list[str]:
        passed = self.outside.passes(list(promises))
        return [f"{when}: {p}" for p, promised in promises.items() if passed[p] != promised]


def kill_everywhere(
    prepare: Callable[[Victim], object],
    table: str,
    promises: dict[Packet, bool],
    until: str = "nothing",
    least: int = 3,
    stride: int = 1,
) -> list[str]:
    """Kills a run at each step, up to the one that is called `until`. What went wrong.

    `promises` hold from the first step on, and with everything else once the next run is through.
    `least` is how many steps there are, `stride` the distance of those that are killed.
    """
    with ExitStack() as stack:
        nodes = [Victim(*stack.enter_context(contextmanager(made)())) for _ in range(2)]
        for victim in nodes:
            prepare(victim)
            victim.node.keep()
        steps = nodes[0].run(table, kill_before=0)
        nodes[0].node.put_back()
        if until in steps:
            steps = steps[: steps.index(until) + 1]

        def kill(share: int) -> list[str]:
            wrong = []
            victim = nodes[share]
            for number in numbers[share :: len(nodes)]:
                step = f"killed before {number}. {steps[number - 1]}"
                victim.run(table, kill_before=number)
                wrong += victim.breaks(promises, step)
                victim.run(table, kill_before=0)
                wrong += victim.breaks(AT_LAST[table], f"{step}; after the next run")
                if "opened by hand" not in victim.node.comments():
                    wrong.append(f"{step}: somebody's rule is gone")
                victim.node.put_back()
            return wrong

        # Of a chain of steps of one kind, as when ufw flushes its chains, the first.
        kinds = [" ".join(step.split()[:2]) for step in steps]
        numbers = [
            number
            for number, (before, kind) in enumerate(pairwise(["", *kinds]), start=1)
            if kind != before or not kind.endswith((" -F", " -X", " -D"))
        ][::stride]
        print("\n".join(steps))  # noqa: T201
        assert len(steps) >= least
        with ThreadPoolExecutor(len(nodes)) as pool:
            return [line for share in pool.map(kill, range(len(nodes))) for line in share]


def test_a_killed_update_leaves_the_node_neither_open_nor_locked() -> None:
    promises = {**dict.fromkeys(LIFELINES, True), **dict.fromkeys(STRANGERS, False)}
    assert kill_everywhere(lambda victim: victim.run(OLD, 0), NEW, promises, least=6) == []


def test_a_node_of_a_former_version_that_is_killed_goes_over_with_the_next_run() -> None:
    promises = {**dict.fromkeys(LIFELINES[:4], True), **dict.fromkeys(STRANGERS, False)}
    prepare = lambda victim: closed_by_a_former_version(victim.node)  # noqa: E731
    assert kill_everywhere(prepare, FIRST, promises, least=10) == []


def test_a_run_killed_while_ufw_builds_its_chains_anew_neither_opens_nor_locks() -> None:
    def broken(victim: Victim) -> None:
        victim.run(OLD, 0)
        victim.node.run("iptables", "-F", "ufw-before-forward")

    promises = {**dict.fromkeys(LIFELINES, True), **dict.fromkeys(STRANGERS, False)}
    assert kill_everywhere(broken, OLD, promises, least=30, stride=3) == []


# Until ufw is on, the node is as open as it was: that it isn't locked is all that can be asked.
NOT_LOCKED = dict.fromkeys(LIFELINES, True)
ENABLE = "ufw --force enable"


def test_a_first_run_killed_while_it_writes_rules_never_locks_the_node() -> None:
    assert kill_everywhere(lambda _: None, FIRST, NOT_LOCKED, until=ENABLE) == []


def test_a_first_run_killed_while_ufw_starts_never_locks_the_node() -> None:
    def up_to_enabling(victim: Victim) -> None:
        victim.node.keep()
        steps = victim.run(FIRST, 0)
        victim.node.put_back()
        victim.run(FIRST, kill_before=steps.index(ENABLE) + 1)

    assert kill_everywhere(up_to_enabling, FIRST, NOT_LOCKED) == []

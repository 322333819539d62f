"""`fleet demo`: what it shows while it runs, when it is interrupted, and at the end."""

import io
from pathlib import Path

import pytest
import typer
from rich.console import Console

from infra.fleet.reading import load
from ops import demo, progress
from ops.progress import Stack, line, table, watching
from tests.projects import ROOT, copy_project, git

# What the engine printed.
PRINTED = """\
Updating (us):

@ updating......
 +  pulumi:pulumi:Stack edgefleet-us creating (0s)
 +  edgefleet:index:VkeCluster us creating (0s)
 +  tls:index:PrivateKey us-tls-key creating (0s)
 +  tls:index:PrivateKey us-tls-key created (0.00s)
 +  vultr:index:Kubernetes us-cluster creating (0s)
@ updating....
 ~  cloudflare:index:DnsRecord us-a updating (0s) [diff: ~content]
 ~  cloudflare:index:DnsRecord us-a updated (0.05s) [diff: ~content]
 +  kubernetes:apps/v1:DaemonSet us-agent creating (0s)
 +  kubernetes:apps/v1:DaemonSet us-agent creating (0s) Current: 2/3
"""


@pytest.fixture
def stack() -> Stack:
    found = Stack("us", began=100.0)
    for number, printed in enumerate(PRINTED.splitlines()):
        found.feed(printed, 100.0 + number)
    return found


def drawn(stacks: list[Stack], now: float, width: int = 100) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as shown:
        console.print(table(stacks, now))
    return [each.rstrip() for each in shown.get().splitlines()]


class TestAStack:
    def test_what_was_done_and_what_takes_longest(self, stack: Stack) -> None:
        assert stack.counts() == "1 created, 1 updated"
        assert stack.doing(121.0) == "us-cluster (Kubernetes), 14 s and 1 more"
        assert line(stack, 121.0) == (
            "us: 21 s; 1 created, 1 updated; us-cluster (Kubernetes), 14 s and 1 more"
        )

    def test_what_it_waits_for(self, stack: Stack) -> None:
        stack.feed(" +  vultr:index:Kubernetes us-cluster created (21s)", 121.0)
        assert stack.doing(122.0) == "us-agent (DaemonSet), 11 s: Current: 2/3"

    def test_a_step_that_fails(self, stack: Stack) -> None:
        stack.feed(" +  vultr:index:Kubernetes us-cluster **creating failed** 1 error", 121.0)
        assert "1 creating failed" in stack.counts()
        assert "us-cluster" not in stack.doing(122.0)

    def test_frames_are_never_what_it_waits_for(self, stack: Stack) -> None:
        for name, kind in {"us-cluster": "Kubernetes", "us-agent": "DaemonSet"}.items():
            package = "vultr:index" if kind == "Kubernetes" else "kubernetes:apps/v1"
            stack.feed(f" +  {package}:{kind} {name} created (1s)", 121.0)
        assert stack.doing(122.0) == ""

    def test_its_end_is_counted_by_the_engine(self, stack: Stack) -> None:
        stack.ended = 130.0
        stack.finish("39 unchanged")
        assert drawn([stack], 200.0) == ["us  30 s  39 unchanged  up"]

    def test_a_failure_stays_in_sight(self, stack: Stack) -> None:
        stack.ended, stack.failed = 130.0, True
        assert drawn([stack], 200.0)[0].endswith("failed")


def test_a_row_a_stack(stack: Stack) -> None:
    rows = drawn([stack, Stack("eu", began=119.0), Stack("edge")], 121.0)
    assert rows[0].startswith("us    21 s  1 created, 1 updated  ")
    assert "us-cluster (Kubernetes), 14 s and 1 more" in rows[0]
    assert rows[1].endswith("the program starts")
    assert rows[2].endswith("after the regions")


def test_a_narrow_terminal_cuts_and_does_not_wrap(stack: Stack) -> None:
    rows = drawn([stack], 121.0, width=50)
    assert len(rows) == 1
    assert rows[0].endswith("…")


def test_lines_where_there_is_no_terminal(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0.01)
    said: list[str] = []
    ended = Stack("eu", began=100.0, ended=120.0)
    with watching([stack, ended, Stack("edge")], said.append, Console(file=io.StringIO())):
        while not said:
            pass
    assert {each.split(":")[0] for each in said} == {"us"}


def test_on_a_terminal_it_is_drawn(stack: Stack) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100)
    with watching([stack], pytest.fail, console):
        pass
    assert "us-cluster (Kubernetes)" in out.getvalue()


@pytest.mark.parametrize(
    ("ending", "counts"),
    [
        ("    + 39 created\n", "39 created"),
        ("    39 unchanged\n", "39 unchanged"),
        (
            "    + 31 created\n    ~ 1 updated\n    32 changes. 7 unchanged\n",
            "31 created, 1 updated, 7 unchanged",
        ),
    ],
)
def test_the_engines_counts(ending: str, counts: str) -> None:
    assert demo.changes(f"…\n\nResources:\n{ending}\nDuration: 32s\n") == counts


def test_interrupted_it_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "run", interrupted)
    with pytest.raises(typer.Exit) as ended:
        demo.command()
    assert ended.value.exit_code == 130
    assert capsys.readouterr().err == "interrupted; run it again, and it goes on from here\n"


def test_what_to_try_next_is_about_this_fleet(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    git(project, "init", "-q")
    git(project, "add", ".")
    told = demo.next_steps(load(project))
    assert "fleet sandbox env)" in told
    assert "pulumi preview -s us --diff" in told
    assert "fleet add us-2 --like us" in told


def test_what_came_up_of_another_fleet_than_the_one_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its files are comes first, and a load balancer's address counts, not its nodes'."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("EDGEFLEET_SANDBOX_DIR", "/srv/sandbox")
    metal = Path("examples/bare-metal")
    inventory = load(metal)
    told = demo.next_steps(inventory, project=metal).splitlines()
    first, second = (line.split("#")[0].strip() for line in told[3:5])
    assert first == "cd examples/bare-metal"
    assert second == "export EDGEFLEET_SANDBOX_DIR=/srv/sandbox"
    assert not [line for line in told if line.strip().startswith(".venv")]
    here = demo.next_steps(inventory, project=ROOT)
    assert "cd " not in here
    assert "EDGEFLEET_SANDBOX_DIR" not in here
    nodes = {name: {"ipv4": "45.76.201.1", "ipv6": "2001:19f0::1"} for name in ("n1", "n2")}
    outputs = {"nodes": nodes, "hostname": "h.example.com", "clusterId": "id"}
    text = demo.summary(inventory, [demo.Shown(name, outputs) for name in ("ber", "fra")])
    ber, fra = text.splitlines()[2:4]
    assert "2 A, 2 AAAA" in ber
    assert " 1 A " in fra
    assert "AAAA" not in fra


@pytest.mark.parametrize("wanted", ["", "1"])
def test_no_colour_where_none_is_wanted(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    monkeypatch.setenv("NO_COLOR", wanted)
    monkeypatch.setenv("TERM", "xterm")
    stack.ended, stack.failed = 130.0, True
    out = io.StringIO()
    Console(file=out, force_terminal=True, width=100).print(table([stack], 200.0))
    assert ("\x1b[31m" in out.getvalue()) == (wanted == "")


def test_what_to_try_next_on_a_narrow_terminal(tmp_path: Path) -> None:
    inventory = load(copy_project(tmp_path))
    steps = demo.next_steps(inventory, 60).splitlines()
    assert "  # no changes: it is as the files say" in steps
    assert "  pulumi preview -s us --diff" in steps
    assert "  pulumi preview -s us --diff" not in demo.next_steps(inventory).splitlines()

"""The workflows' shell parts, run as they stand: against a sandbox, in a checkout."""

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from werkzeug import Request, Response
from werkzeug.serving import make_server

from tests.docs.vultr_rights import Policy, needed
from tests.fleet.fleet import Fleet
from tests.projects import ROOT, git, region, write_stack
from tests.workflows.parts import Runner, shell


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A sandbox, and a checkout of everything that the workflows use."""
    made = Fleet.make(tmp_path_factory.mktemp("workflows"))
    for name in ("ops", "sandbox", ".github"):
        shutil.copytree(ROOT / name, made.project / name, ignore=shutil.ignore_patterns("__pyc*"))
    for name in ("Makefile", "pyproject.toml", "requirements.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, made.project / name)
        # Older than the environment that the tests run in: make is content with it.
        os.utime(made.project / name, (0, 0))
    write_stack(made.project, "us", region())
    git(made.project, "checkout", "-qB", "main")
    git(made.project, "add", "-A")
    git(made.project, "commit", "-qm", "the fleet, with its workflows")
    yield made
    made.stop()


@pytest.fixture
def runner(fleet: Fleet, tmp_path: Path) -> Iterator[Runner]:
    yield Runner(tmp_path / "runner", fleet.project)
    git(fleet.project, "checkout", "-q", "-f", "main")
    git(fleet.project, "clean", "-qfd", "-e", ".venv")


def head(fleet: Fleet) -> str:
    return git(fleet.project, "rev-parse", "HEAD").strip()


def render(runner: Runner, base: str, fork: bool = False) -> subprocess.CompletedProcess[str]:
    variables = {"BASE": base, "FORK": str(fork).lower()}
    return runner.run(shell("preview", "render", "Render"), variables)


def rendered(runner: Runner) -> str:
    return (runner.checkout / "parts" / "render.md").read_text()


def test_preview_renders_and_passes(fleet: Fleet, runner: Runner):
    base = head(fleet)
    write_stack(fleet.project, "us", region(version="v1.36.1+1"))
    done = runner.run(shell("preview", "render", "Install"))
    assert done.returncode == 0, done.stderr
    assert runner.run(shell("preview", "stacks", "List")).returncode == 0
    stacks = [row["stack"] for row in runner.outputs()["stacks"]]
    assert stacks == ["apac", "eu", "us", "edge"]
    done = render(runner, base)
    assert done.returncode == 0, done.stderr
    assert "+   version: v1.36.1+1" in runner.file("summary")
    assert rendered(runner) in runner.file("summary")
    assert "fork" not in rendered(runner)
    assert runner.run(shell("preview", "render", "Refused changes fail")).returncode == 0


def test_a_fork_is_told_whose_program_made_it(fleet: Fleet, runner: Runner):
    base = head(fleet)
    assert render(runner, base, fork=True).returncode == 0
    assert f"> Made by the program of the base, `{base}`, as this comes from" in rendered(runner)


def test_preview_shows_a_refused_change_and_fails(fleet: Fleet, runner: Runner):
    base = head(fleet)
    write_stack(fleet.project, "us", region(location="ord"))
    done = render(runner, base)
    assert done.returncode == 0, done.stderr
    assert "**Refused.** Pulumi.us.yaml" in runner.file("summary")
    assert runner.run(shell("preview", "render", "Refused changes fail")).returncode == 1


def test_preview_says_where_it_could_not_look(runner: Runner):
    """No older comment stands for it: this one says why, and the job fails."""
    assert render(runner, "nowhere").returncode == 0
    assert "### This can't be rendered" in rendered(runner)
    assert "error: nowhere: git knows no such revision" in rendered(runner)
    assert runner.run(shell("preview", "render", "Refused changes fail")).returncode == 1


def test_a_base_that_is_broken_can_be_mended(fleet: Fleet, runner: Runner):
    good = (fleet.project / "Pulumi.us.yaml").read_text()
    (fleet.project / "Pulumi.us.yaml").write_text("config: {\n")
    git(fleet.project, "commit", "-qam", "broken")
    try:
        broken = head(fleet)
        (fleet.project / "Pulumi.us.yaml").write_text(good)
        assert render(runner, broken).returncode == 0
    finally:
        git(fleet.project, "reset", "-q", "--hard", "HEAD~1")
    assert "### This can't be rendered" in rendered(runner)
    assert "That is the base; the files of this pull request can be rendered." in rendered(runner)
    assert runner.run(shell("preview", "render", "Refused changes fail")).returncode == 0


def test_preview_says_what_is_broken(fleet: Fleet, runner: Runner):
    (fleet.project / "Pulumi.us.yaml").write_text("config: {\n")
    assert render(runner, head(fleet)).returncode == 0
    assert "### This can't be rendered" in rendered(runner)
    assert "Pulumi.us.yaml" in rendered(runner)
    assert runner.run(shell("preview", "stacks", "List")).returncode != 0


# --- a deployment --------------------------------------------------------------------------------


def rolled(
    fleet: Fleet, runner: Runner, stack: str, agreed: str = ""
) -> subprocess.CompletedProcess[str]:
    """The step of `up` that brings a stack up."""
    variables = {**fleet.environment, "STACK": stack, "AGREED": agreed}
    return runner.run(shell("up", "up", "Roll"), variables)


def calls(fleet: Fleet) -> Counter[str]:
    """The rights at Vultr that were needed since this was asked last."""
    log = fleet.vultr("GET", "/_sandbox/requests")["requests"]
    fleet.vultr("DELETE", "/_sandbox/requests")
    return Counter(
        right for each in log if (right := needed(each["method"], each["path"])) is not None
    )


def test_deploy_brings_the_canary_up_and_then_the_edge(fleet: Fleet, runner: Runner):
    assert runner.run(shell("deploy", "plan", "List"), {"CANARY": "us"}).returncode == 0
    waves = runner.outputs()["waves"]
    assert waves == {"canary": ["us"], "rest": ["apac", "eu"], "edge": ["edge"]}
    for stack in (*waves["canary"], *waves["edge"]):
        done = rolled(fleet, runner, stack)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"{stack}: as the files say." in done.stdout
        assert done.stdout in runner.file("summary")
    assert len(fleet.nodes("us")) == 3
    assert fleet.routes() == ["api.example.com/*", "example.com/*"]
    # Nobody serves in a sandbox, and no host of example.com is ours.
    health = runner.run(shell("up", "health", "Health"), {"STACK": "us", "WITHIN": "1"})
    assert health.returncode == 1
    assert "us.example.com/nginx-health: NOT WELL: " in runner.file("summary")
    # Whoever may do what the policy says can do this.
    assert calls(fleet).keys() <= Policy.read("vultr-up").actions


def test_reconcile_is_for_the_regions_and_needs_to_read_at_vultr(fleet: Fleet, runner: Runner):
    calls(fleet)
    assert runner.run(shell("reconcile", "stacks", "List")).returncode == 0
    assert runner.outputs()["stacks"] == ["apac", "eu", "us"]
    step = shell("reconcile", "reconcile", "Reconcile")
    # No certificate is due.
    asked = {"STACK": "us", "CERTIFICATES": "on"}
    done = runner.run(step, {**fleet.environment, **asked})
    assert (done.returncode, done.stdout) == (0, "us: nothing to do\n"), done.stderr
    assert runner.file("summary") == "us: nothing to do\n"
    assert calls(fleet).keys() <= Policy.read("vultr-read").actions
    # One that was never brought up isn't now.
    done = runner.run(step, {**fleet.environment, "STACK": "eu"})
    assert done.returncode == 1
    assert "REFUSED, nothing was changed: more than records of nodes" in done.stdout
    assert fleet.clusters("edgefleet-eu") == []


CALICO = "/apis/apps/v1/namespaces/kube-system/daemonsets/calico-node"


def by_hand(fleet: Fleet, value: str) -> None:
    """Somebody switches eBPF off, or on again, with kubectl."""
    env = [{"name": "FELIX_BPFENABLED", "value": value}]
    containers = [{"name": "calico-node", "env": env}]
    body = {"spec": {"template": {"spec": {"containers": containers}}}}
    kind = "application/strategic-merge-patch+json"
    fleet.kubernetes("us", CALICO, body, method="PATCH", content_type=kind)


def test_what_nobody_approved_stops_a_deployment(fleet: Fleet, runner: Runner):
    """One change is merged, and another was made by hand."""
    calls(fleet)
    document = {**region(), "ingress": {"image": "nginx/nginx-ingress:5.7.0"}}
    write_stack(fleet.project, "us", document)
    git(fleet.project, "commit", "-qam", "another nginx")
    by_hand(fleet, "false")
    try:
        stopped = rolled(fleet, runner, "us")
        assert stopped.returncode == 1
        assert "us: held against what the files changed since" in stopped.stdout
        assert "\n1 change as the files say." in stopped.stdout
        assert "us-calico-felix (pulumi-python:dynamic/index:ServerSidePatch) would be" in (
            stopped.stdout
        )
        assert "somebody changed it outside of the repository" in stopped.stdout
        assert "us-ingress-controller (" not in stopped.stdout
        assert stopped.stdout in runner.file("summary")
        assert calls(fleet).keys() <= Policy.read("vultr-read").actions
        (code,) = re.findall(r"--agreed (us:[0-9a-f]{12}) ", stopped.stdout)
        # Of these changes, and no others.
        assert rolled(fleet, runner, "us", code.replace("us", "eu")).returncode == 1
        agreed = rolled(fleet, runner, "us", f"eu:000000000000, {code}")
        assert agreed.returncode == 0, agreed.stdout
    finally:
        by_hand(fleet, "true")
        git(fleet.project, "reset", "-q", "--hard", "HEAD~1")


def test_the_real_preview_is_kept_for_the_comment(fleet: Fleet, runner: Runner):
    write_stack(fleet.project, "edge", {"edge": {"script": "edgefleet-2"}})
    variables = {**fleet.environment, "STACK": "edge"}
    for name in ("Preview", "A failed preview fails"):
        done = runner.run(shell("preview", "preview", name), variables)
        assert done.returncode == 0, done.stdout + done.stderr
    parts = runner.checkout / "parts"
    assert "edgefleet-2" in (parts / "edge.txt").read_text()
    assert (parts / "edge.code").read_text() == "0\n"


def test_a_preview_that_fails_is_shown_and_fails(fleet: Fleet, runner: Runner):
    write_stack(fleet.project, "edge", {"edge": {"scirpt": "x"}})
    variables = {**fleet.environment, "STACK": "edge"}
    assert runner.run(shell("preview", "preview", "Preview"), variables).returncode == 0
    assert "did you mean script?" in runner.file("summary")
    assert (runner.checkout / "parts" / "edge.code").read_text() != "0\n"
    done = runner.run(shell("preview", "preview", "A failed preview fails"), variables)
    assert done.returncode == 1
    # Nor is anything deployed after it, and why is said.
    stopped = rolled(fleet, runner, "edge")
    assert stopped.returncode == 2
    assert "did you mean script?" in stopped.stdout


@pytest.fixture(scope="module")
def lists(fleet: Fleet) -> Iterator[str]:
    """Cloudflare's three lists as they are pinned, on this machine; the checkout asks them."""
    pin = json.loads((ROOT / "components" / "firewall" / "cloudflare_ranges.json").read_text())
    answers = {
        "/ips": json.dumps({"success": True, "result": pin}),
        "/ips-v4": "\n".join(pin["ipv4_cidrs"]),
        "/ips-v6": "\n".join(pin["ipv6_cidrs"]),
    }

    def answer(request: Request) -> Response:
        return Response(answers[request.path])

    server = make_server("127.0.0.1", 0, Request.application(answer), threaded=True)
    Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    source = fleet.project / "ops" / "ranges" / "source.py"
    source.write_text(source.read_text().replace("https://www.cloudflare.com", base))
    git(fleet.project, "commit", "-qam", "lists of this machine")
    yield base
    server.shutdown()


def ranges(runner: Runner, lists: str, *names: str) -> list[int]:
    variables = {"CLOUDFLARE_BASE_URL": lists}
    return [runner.run(shell("ranges", "update", name), variables).returncode for name in names]


def test_ranges_that_changed_become_a_pull_request(
    fleet: Fleet, lists: str, runner: Runner, tmp_path: Path
):
    pin = fleet.project / "components" / "firewall" / "cloudflare_ranges.json"
    content = json.loads(pin.read_text())
    missing, *content["ipv4_cidrs"] = content["ipv4_cidrs"]
    pin.write_text(json.dumps(content))
    git(fleet.project, "commit", "-qam", "a pin that lacks a range")
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "origin")], check=True)
    git(fleet.project, "remote", "add", "origin", str(tmp_path / "origin"))
    try:
        codes = ranges(runner, lists, "Update", "Render", "Open a pull request")
        brought = (fleet.project / "change.md").read_text()
    finally:
        git(fleet.project, "remote", "remove", "origin")
        git(fleet.project, "checkout", "-q", "-f", "main")
        git(fleet.project, "reset", "-q", "--hard", "HEAD~1")
    assert codes == [0, 0, 0]
    assert "changed=yes" in runner.file("env")
    assert f"+ {missing}" in brought
    pushed = git(tmp_path / "origin", "log", "-1", "--format=%s", "cloudflare-ranges")
    assert pushed == "Pin Cloudflare's addresses of today\n"
    assert "pr create --head cloudflare-ranges --body-file change.md" in runner.file("gh.log")


def test_ranges_that_are_right_change_nothing(fleet: Fleet, lists: str, runner: Runner):
    assert ranges(runner, lists, "Update") == [0]
    assert runner.file("env") == "changed=no\n"
    assert git(fleet.project, "status", "--porcelain") == ""

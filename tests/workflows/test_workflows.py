"""The workflows: linted, pinned, least permissions; and their shell parts run as they stand."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from filelock import FileLock
from werkzeug import Request, Response
from werkzeug.serving import make_server

from sandbox.toolchain.go_build import GoProgram, build, find_go
from sandbox.toolchain.install import default_cache
from tests.fleet.fleet import Fleet
from tests.projects import ROOT, git, region, write_stack

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTIONLINT = "1.7.12"


@pytest.fixture(scope="module")
def actionlint() -> Path:
    """actionlint, built once: the package of that name on PyPI downloads a program when it is
    installed, which isn't possible everywhere."""
    folder = default_cache() / f"actionlint-{ACTIONLINT}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        if not (folder / "actionlint").exists():
            module = "github.com/rhysd/actionlint"
            program = GoProgram(module, f"v{ACTIONLINT}", (f"{module}/cmd/actionlint",))
            go = find_go(default_cache(), print)
            build(program, ("actionlint",), go, folder / "work", folder, folder / "log", print)
    return folder / "actionlint"


def test_actionlint_is_content(actionlint: Path):
    done = subprocess.run(
        [actionlint, "-no-color", *WORKFLOWS], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout


def test_actionlint_finds_mistakes(actionlint: Path, tmp_path: Path):
    broken = tmp_path / "broken.yml"
    broken.write_text("on: push\njobs: {a: {runs-on: ubuntu-24.04, steps: [{rnu: x}]}}\n")
    done = subprocess.run([actionlint, broken], capture_output=True, check=False)
    assert done.returncode == 1


# --- what GitHub doesn't refuse ------------------------------------------------------------------


def load(path: Path) -> dict[str, Any]:
    return yaml.load(path.read_text(), yaml.BaseLoader)


def jobs() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for path in WORKFLOWS:
        workflow = load(path)
        for name, job in workflow["jobs"].items():
            yield f"{path.stem}/{name}", workflow, job


def steps(workflow: str, job: str) -> list[dict[str, Any]]:
    return load(ROOT / ".github" / "workflows" / f"{workflow}.yml")["jobs"][job]["steps"]


def shell(workflow: str, job: str, name: str) -> str:
    (step,) = (s for s in steps(workflow, job) if s.get("name") == name)
    return step["run"]


def test_every_action_is_pinned_by_commit_with_its_version():
    text = "\n".join(path.read_text() for path in WORKFLOWS)
    used = re.findall(r"uses: (\S+)(.*)", text)
    assert len(used) > 10
    for action, rest in used:
        if not action.startswith("./"):
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", rest), action


def test_one_commit_for_one_action():
    text = "\n".join(path.read_text() for path in WORKFLOWS)
    pins = set(re.findall(r"uses: ([\w-]+/[\w-]+)@([0-9a-f]{40})", text))
    assert len({action for action, _ in pins}) == len(pins)


def test_nothing_is_permitted_but_what_a_job_asks_for():
    written = {}
    for name, workflow, job in jobs():
        assert workflow["permissions"] == {"contents": "read"}, name
        asked = {k: v for k, v in job.get("permissions", {}).items() if v == "write"}
        if asked:
            written[name] = set(asked)
    assert written == {
        "preview/render": {"pull-requests"},
        "preview/preview": {"pull-requests"},
        "ranges/update": {"contents", "pull-requests"},
    }


def test_credentials_stay_where_they_are_used():
    """A fork's pull request runs `render`; nothing that runs there names a secret."""
    for name, _, job in jobs():
        secret = "secrets." in json.dumps(job)
        assert secret == (name in ("preview/preview", "up/up")), name
        if secret:
            assert "environment" in job
    preview = load(ROOT / ".github" / "workflows" / "preview.yml")
    assert set(preview["on"]) == {"pull_request"}
    assert "head.repo.full_name == github.repository" in preview["jobs"]["preview"]["if"]


def test_no_expression_is_pasted_into_a_shell():
    for name, _, job in jobs():
        for step in job.get("steps", []):
            assert "${{" not in step.get("run", ""), name


def test_the_suite_runs_on_pull_requests_and_before_a_deployment():
    test = load(ROOT / ".github" / "workflows" / "test.yml")
    assert set(test["on"]) == {"pull_request", "workflow_call"}
    assert test["jobs"]["test"]["steps"][-1]["run"].endswith(" make test")
    deploy = load(ROOT / ".github" / "workflows" / "deploy.yml")["jobs"]
    assert deploy["test"]["uses"] == "./.github/workflows/test.yml"
    assert deploy["plan"]["needs"] == "test"
    assert all(
        "plan" in job["needs"] for name, job in deploy.items() if name not in ("test", "plan")
    )


def test_two_runs_never_touch_one_stack():
    deploy = load(ROOT / ".github" / "workflows" / "deploy.yml")
    up = load(ROOT / ".github" / "workflows" / "up.yml")["jobs"]["up"]
    assert deploy["concurrency"] == {"group": "deploy", "cancel-in-progress": "false"}
    assert up["concurrency"] == {
        "group": "stack-${{ inputs.stack }}",
        "cancel-in-progress": "false",
    }
    assert deploy["jobs"]["rest"]["needs"] == ["plan", "canary"]
    assert deploy["jobs"]["edge"]["needs"] == ["plan", "canary", "rest"]


# --- the shell parts -----------------------------------------------------------------------------


class Runner:
    """What a step finds on GitHub's machine: files for its outputs, and `gh`, which is recorded."""

    def __init__(self, folder: Path, checkout: Path) -> None:
        self.checkout = checkout
        self._folder = folder
        folder.mkdir()
        for name in ("output", "env", "summary", "gh.log"):
            (folder / name).touch()
        fake = folder / "bin" / "gh"
        fake.parent.mkdir()
        fake.write_text(
            '#!/usr/bin/env bash\necho "$*" >>"$GH_LOG"\n'
            'for each in "$@"; do case $each in body=@*) cat "${each#body=@}" >>"$GH_LOG";; esac\n'
            'done\n[ "$1" != pr ] || [ "$2" != list ] || echo "[]"\n'
            'case "$*" in *--paginate*) echo "$GH_COMMENTS";; esac\n'
        )
        fake.chmod(0o755)

    def run(
        self, script: str, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        path = os.environ["PATH"]
        found = dict(line.split("=", 1) for line in self.file("env").splitlines())
        environment = {**os.environ, **(variables or {}), **found}
        path = environment.get("PATH", path)
        return subprocess.run(
            # As GitHub runs a step that names no shell.
            ["bash", "-e", "-c", script],
            cwd=self.checkout,
            env={
                **environment,
                # The environment is the repository's; on GitHub it is the checkout's own.
                "PYTHONPATH": str(self.checkout),
                "PATH": f"{self._folder / 'bin'}{os.pathsep}{path}",
                "GITHUB_OUTPUT": str(self._folder / "output"),
                "GITHUB_ENV": str(self._folder / "env"),
                "GITHUB_STEP_SUMMARY": str(self._folder / "summary"),
                "GITHUB_REPOSITORY": "somebody/fleet",
                "GH_LOG": str(self._folder / "gh.log"),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def file(self, name: str) -> str:
        return (self._folder / name).read_text()

    def outputs(self) -> dict[str, Any]:
        lines = self.file("output").splitlines()
        return {k: json.loads(v) for k, v in (line.split("=", 1) for line in lines)}


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


def test_preview_renders_comments_and_passes(fleet: Fleet, runner: Runner):
    base = head(fleet)
    write_stack(fleet.project, "us", region(version="v1.36.1+1"))
    done = runner.run(shell("preview", "render", "Install"))
    assert done.returncode == 0, done.stderr
    assert runner.run(shell("preview", "render", "List")).returncode == 0
    stacks = [row["stack"] for row in runner.outputs()["stacks"]]
    assert stacks == ["apac", "eu", "us", "edge"]
    done = runner.run(shell("preview", "render", "Render"), {"BASE": base})
    assert done.returncode == 0, done.stderr
    assert "+   version: v1.36.1+1" in runner.file("summary")
    done = runner.run(shell("preview", "render", "Comment"), {"PULL_REQUEST": "7"})
    assert done.returncode == 0, done.stderr
    log = runner.file("gh.log")
    assert "api --silent --method POST repos/somebody/fleet/issues/7/comments" in log
    assert "<!-- edgefleet:render -->" in log
    assert "+   version: v1.36.1+1" in log
    assert runner.run(shell("preview", "render", "Refused changes fail")).returncode == 0


def test_a_later_push_writes_into_the_same_comment(runner: Runner):
    (runner.checkout / "change.md").write_text("what it changes now")
    variables = {"PULL_REQUEST": "7", "GH_COMMENTS": "4711\n4712"}
    assert runner.run(shell("preview", "render", "Comment"), variables).returncode == 0
    log = runner.file("gh.log")
    assert "--method PATCH repos/somebody/fleet/issues/comments/4711 --field" in log
    assert "POST" not in log


def test_preview_shows_a_refused_change_and_fails(fleet: Fleet, runner: Runner):
    base = head(fleet)
    write_stack(fleet.project, "us", region(location="ord"))
    done = runner.run(shell("preview", "render", "Render"), {"BASE": base})
    assert done.returncode == 0, done.stderr
    assert "**Refused.** Pulumi.us.yaml" in runner.file("summary")
    assert runner.run(shell("preview", "render", "Refused changes fail")).returncode == 1


def test_preview_stops_where_it_could_not_look(runner: Runner):
    done = runner.run(shell("preview", "render", "Render"), {"BASE": "nowhere"})
    assert done.returncode != 0


def test_deploy_brings_the_canary_up_and_then_the_edge(fleet: Fleet, runner: Runner):
    assert runner.run(shell("deploy", "plan", "List"), {"CANARY": "us"}).returncode == 0
    waves = runner.outputs()["waves"]
    assert waves == {"canary": ["us"], "rest": ["apac", "eu"], "edge": ["edge"]}
    for stack in (*waves["canary"], *waves["edge"]):
        done = runner.run(shell("up", "up", "Up"), {**fleet.environment, "STACK": stack})
        assert done.returncode == 0, done.stdout + done.stderr
    assert len(fleet.nodes("us")) == 3
    assert fleet.routes() == ["api.example.com/*", "example.com/*"]


def test_the_real_preview_comments_what_pulumi_says(fleet: Fleet, runner: Runner):
    write_stack(fleet.project, "edge", {"edge": {"script": "edgefleet-2"}})
    variables = {**fleet.environment, "STACK": "edge", "PULL_REQUEST": "7"}
    for name in ("Preview", "Comment", "A failed preview fails"):
        done = runner.run(shell("preview", "preview", name), variables)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "<!-- edgefleet:preview:edge -->" in runner.file("gh.log")
    assert "edgefleet-2" in runner.file("gh.log")


def test_a_preview_that_fails_is_shown_and_fails(fleet: Fleet, runner: Runner):
    write_stack(fleet.project, "edge", {"edge": {"scirpt": "x"}})
    variables = {**fleet.environment, "STACK": "edge", "PULL_REQUEST": "7"}
    assert runner.run(shell("preview", "preview", "Preview"), variables).returncode == 0
    assert "did you mean script?" in runner.file("summary")
    done = runner.run(shell("preview", "preview", "A failed preview fails"), variables)
    assert done.returncode == 1


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

"""The workflows' files: linted, pinned, least permissions, secrets in the steps that use them."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock

from sandbox.toolchain.go_build import GoProgram, build, find_go
from sandbox.toolchain.install import default_cache
from tests.projects import ROOT
from tests.workflows.parts import WORKFLOWS, jobs, steps, workflow

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
    for name, found, job in jobs():
        assert found["permissions"] == {"contents": "read"}, name
        asked = {k: v for k, v in job.get("permissions", {}).items() if v == "write"}
        if asked:
            written[name] = set(asked)
    assert written == {
        "preview/comment": {"pull-requests"},
        "ranges/update": {"contents", "pull-requests"},
        "watch/issue": {"issues"},
    }


def test_every_job_ends():
    for name, _, job in jobs():
        assert "uses" in job or 5 <= int(job["timeout-minutes"]) <= 180, name


SECRETS = {
    "PULUMI_ACCESS_TOKEN",
    "PULUMI_CONFIG_PASSPHRASE",
    "VULTR_API_KEY",
    "CLOUDFLARE_API_TOKEN",
}


def test_secrets_reach_the_steps_that_need_them_and_no_other():
    found: dict[str, set[str]] = {}
    for name, _, job in jobs():
        rest = {key: value for key, value in job.items() if key != "steps"}
        assert "secrets." not in json.dumps(rest), name
        for step in job.get("steps", []):
            if used := set(re.findall(r"secrets\.(\w+)", json.dumps(step))):
                found[f"{name}/{step['name']}"] = used
                assert "environment" in job, name
                assert "pulumi " in step["run"] or ".venv/bin/fleet " in step["run"]
                assert not re.search(r"\bpip\b", step["run"])
                assert "make" not in step["run"]
    assert found == {
        "preview/preview/Preview": SECRETS,
        "reconcile/reconcile/Reconcile": SECRETS,
        "watch/look/Look": SECRETS,
        "up/up/Roll": SECRETS,
    }
    text = "\n".join(path.read_text() for path in WORKFLOWS)
    assert text.count("secrets: inherit") == 3


OURS = "github.event.pull_request.head.repo.full_name == github.repository"


def test_a_fork_meets_no_secret_and_no_token_that_writes():
    preview = workflow("preview")
    assert set(preview["on"]) == {"pull_request"}
    for name in ("preview", "comment"):
        assert OURS in preview["jobs"][name]["if"]


def test_a_forks_difference_is_made_by_the_program_of_the_base():
    theirs = OURS.replace("==", "!=")
    checkout, fork, files, *_ = steps("preview", "render")
    assert checkout["with"]["ref"] == (
        f"${{{{ {OURS} && github.sha || github.event.pull_request.base.sha }}}}"
    )
    assert fork["if"] == files["if"] == theirs
    assert fork["with"]["path"] == "theirs"
    assert files["run"] == ".github/fork_files.sh theirs"
    (listing, *_) = steps("preview", "stacks")
    assert listing["with"]["ref"] == checkout["with"]["ref"]


def test_no_expression_is_pasted_into_a_shell():
    for name, _, job in jobs():
        for step in job.get("steps", []):
            assert "${{" not in step.get("run", ""), name


def test_checkouts_keep_no_token():
    for name, _, job in jobs():
        for step in job.get("steps", []):
            if "actions/checkout" in step.get("uses", "") and name != "ranges/update":
                assert step["with"]["persist-credentials"] == "false", name


def test_a_job_is_named_by_its_stack_alone():
    """What else the matrix has (an image, a version) would stand in the name, else."""
    job = workflow("preview")["jobs"]["preview"]
    assert job["name"] == "preview (${{ matrix.stack }})"
    assert job["strategy"]["fail-fast"] == "false"


def test_one_job_is_there_to_be_required():
    found = workflow("preview")["jobs"]
    required = found.pop("required")
    assert set(required["needs"]) == found.keys() - {"comment"}
    assert required["if"] == "always()"
    assert "name" not in required


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ("success success success success", 0),
        # A fork's stacks aren't previewed.
        ("success success success skipped", 0),
        ("success success failure success", 1),
        ("success failure success skipped", 1),
        ("success success success cancelled", 1),
    ],
)
def test_the_required_job_sums_up(results: str, code: int):
    (step,) = steps("preview", "required")
    done = subprocess.run(["bash", "-e", "-c", step["run"]], env={"RESULTS": results}, check=False)
    assert done.returncode == code


def test_stacks_are_previewed_whatever_becomes_of_the_rendering():
    """A pull request that takes back what broke main: the base can't be rendered."""
    found = workflow("preview")["jobs"]
    assert found["preview"]["needs"] == "stacks"
    assert "needs" not in found["stacks"]
    assert found["comment"]["needs"] == ["stacks", "render", "preview"]
    assert "!cancelled()" in found["comment"]["if"]


def test_the_suite_runs_on_pull_requests_and_before_a_deployment():
    test = workflow("test")
    assert set(test["on"]) == {"pull_request", "workflow_call"}
    assert test["jobs"]["test"]["steps"][-1]["run"].endswith(" make test")
    deploy = workflow("deploy")["jobs"]
    assert deploy["test"]["uses"] == "./.github/workflows/test.yml"
    assert deploy["plan"]["needs"] == "test"
    assert all(
        "plan" in job["needs"] for name, job in deploy.items() if name not in ("test", "plan")
    )


def test_what_only_describes_the_fleet_deploys_nothing():
    push = workflow("deploy")["on"]["push"]
    assert push == {"branches": ["main"], "paths-ignore": ["docs/**", "**.md", "LICENSE*"]}


def test_one_after_the_other_and_none_after_one_that_failed():
    """As `fleet roll` has it; nothing runs beside what fails, so nothing is broken off."""
    deploy = workflow("deploy")["jobs"]
    for name in ("rest", "edge"):
        strategy = deploy[name]["strategy"]
        assert (strategy["fail-fast"], strategy["max-parallel"]) == ("true", "1")


def test_two_runs_never_touch_one_stack():
    deploy = workflow("deploy")
    up = workflow("up")["jobs"]["up"]
    assert deploy["concurrency"] == {"group": "deploy", "cancel-in-progress": "false"}
    assert up["concurrency"] == {
        "group": "stack-${{ inputs.stack }}",
        "cancel-in-progress": "false",
    }
    assert deploy["jobs"]["rest"]["needs"] == ["plan", "canary"]
    assert deploy["jobs"]["edge"]["needs"] == ["plan", "canary", "rest"]
    reconcile = workflow("reconcile")
    assert reconcile["jobs"]["reconcile"]["concurrency"] == {
        "group": "stack-${{ matrix.stack }}",
        "cancel-in-progress": "false",
    }
    # Of two that wait for a stack the later stays: there is one reconcile at most, and so an `up`
    # that waits is put out of its place by none.
    assert reconcile["concurrency"] == {"group": "reconcile", "cancel-in-progress": "false"}


@pytest.mark.parametrize(("name", "job"), [("reconcile", "stacks"), ("watch", "look")])
def test_a_schedule_waits_until_it_is_switched_on(name: str, job: str):
    """A repository without environments and secrets would fail each hour."""
    found = workflow(name)
    assert set(found["on"]) == {"schedule", "workflow_dispatch"}
    assert found["jobs"][job]["if"] == (
        f"github.event_name == 'workflow_dispatch' || vars.{name.upper()} == 'on'"
    )


def test_who_writes_the_issue_has_no_credentials_of_the_fleet():
    found = workflow("watch")["jobs"]
    assert "permissions" not in found["look"]
    assert "environment" not in found["issue"]


def test_a_stack_is_asked_how_it_is_before_the_next_wave():
    """`health` is part of what the waves call: where it fails, nothing follows."""
    found = workflow("up")["jobs"]
    assert found["health"]["needs"] == "up"
    assert "environment" not in found["health"]


def test_a_stack_is_brought_up_by_roll_alone():
    """Which holds what would be done against what was approved: tests/ops/roll."""
    text = (ROOT / ".github" / "workflows" / "up.yml").read_text()
    roll = steps("up", "up")[-1]
    assert "fleet roll" in roll["run"]
    assert "pulumi up" not in re.sub(r"^ *#.*", "", text, flags=re.M)
    deploy = workflow("deploy")
    assert deploy["on"]["workflow_dispatch"]["inputs"]["agreed"]["default"] == ""
    for name in ("canary", "rest", "edge"):
        assert deploy["jobs"][name]["with"]["agreed"] == "${{ inputs.agreed || '' }}"


def test_scripts_are_clean():
    scripts = sorted((ROOT / ".github").glob("*.sh"))
    assert len(scripts) == 5
    try:
        done = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("shellcheck is not installed")
    assert done.returncode == 0, done.stdout

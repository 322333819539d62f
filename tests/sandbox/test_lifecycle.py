"""The sandbox as its users have it: started, joined, killed, stopped, reset."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from sandbox import cli, lifecycle
from sandbox.engine import environment, plugins
from sandbox.lifecycle import SandboxError
from tests.projects import ROOT

PROGRAM = """
import pulumi
pulumi.export("answer", pulumi.Output.secret("hush-hush"))
"""
KEY = """
import pulumi_tls
key = pulumi_tls.PrivateKey("key", algorithm="ED25519")
pulumi.export("key", key.public_key_pem)
"""


def eventually(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.05)


class Laptop:
    """A project in git, and a sandbox folder beside it."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "a project"
        self.directory = folder / "it's sandbox"
        self.said: list[str] = []
        self.project.mkdir()
        runtime = f"{{name: python, options: {{toolchain: pip, virtualenv: {sys.prefix}}}}}"
        self.write("Pulumi.yaml", f"name: shop\nruntime: {runtime}\n")
        self.write("Pulumi.us.yaml", "# kept as it is\nconfig:\n  shop:region:   us\n")
        self.write("__main__.py", PROGRAM)
        self.write(".gitignore", "__pycache__/\n")
        # The daemon imports the sandbox from the folder that it runs in.
        (self.project / "sandbox").symlink_to(ROOT / "sandbox")
        self.git("init", "--quiet")
        self.git("add", "--all")
        self.git("-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-qm", "all")

    def write(self, name: str, text: str) -> None:
        (self.project / name).write_text(text)

    def git(self, *args: str) -> str:
        return subprocess.run(
            ["git", *args], cwd=self.project, check=True, capture_output=True, text=True
        ).stdout

    def start(self, real: list[str] | None = None) -> environment.Running:
        return lifecycle.start(self.directory, self.project, real or [], self.said.append)

    def stop(self) -> bool:
        return lifecycle.stop(self.directory, self.said.append)

    def shell(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run ``command`` in a shell that has evaluated ``fleet sandbox env``."""
        values = lifecycle.env(self.directory, self.project, os.environ["PATH"])
        script = f"{environment.exports(values)}\n{command}"
        return subprocess.run(
            ["sh", "-c", script],
            cwd=self.project,
            env={"HOME": str(self.directory.parent), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )

    def deployed(self) -> None:
        """The stack us is up: once, and again after a reset."""
        if self.answer().stdout != "hush-hush\n":
            self.up()

    def up(self) -> None:
        done = self.shell("pulumi up -s us --yes --skip-preview --non-interactive")
        assert done.returncode == 0, done.stdout + done.stderr

    def answer(self) -> subprocess.CompletedProcess[str]:
        """The stack's secret output."""
        return self.shell("pulumi stack output answer -s us --show-secrets")

    def pids(self) -> set[int]:
        daemon = lifecycle.running(self.directory)
        assert daemon is not None
        return {daemon.pid, *(c.pid for c in psutil.Process(daemon.pid).children(recursive=True))}


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    made = Laptop(tmp_path_factory.mktemp("laptop"))
    yield made
    made.stop()


@pytest.fixture
def laptop(one: Laptop) -> Laptop:
    """Its sandbox runs, with no real provider, whatever the test before left."""
    found = lifecycle.running(one.directory)
    if found and found.real:
        one.stop()
    one.said.clear()
    one.start()
    return one


def test_start_says_what_happens(laptop: Laptop) -> None:
    lifecycle.reset(laptop.directory, laptop.said.append)
    laptop.said.clear()
    laptop.start()
    assert laptop.said[0] == "starting etcd"
    assert "ready" in laptop.said
    assert "made stacks: us" in laptop.said


def test_a_second_start_joins(laptop: Laptop) -> None:
    first = lifecycle.running(laptop.directory)
    assert laptop.start() == first
    assert laptop.said[-1] == "the sandbox runs already"


def test_real_providers_cannot_change_while_it_runs(
    laptop: Laptop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    install(tmp_path / "plugins", "kubernetes")
    with pytest.raises(SandboxError, match="runs already, with real providers: none; run `fleet"):
        laptop.start(["kubernetes"])
    with pytest.raises(SandboxError, match="--real aws: no such provider; one of vultr"):
        laptop.start(["aws"])


def test_the_variables_reach_a_shell_unharmed(laptop: Laptop) -> None:
    values = lifecycle.env(laptop.directory, laptop.project, os.environ["PATH"])
    done = laptop.shell("env -0")
    seen = dict(entry.split("=", 1) for entry in done.stdout.split("\0") if "=" in entry)
    assert {name: seen.get(name) for name in values} == values
    assert "https_proxy" not in seen


def test_variables_are_the_same_when_asked_from_inside(laptop: Laptop) -> None:
    path = os.environ["PATH"]
    once = lifecycle.env(laptop.directory, laptop.project, path)
    assert lifecycle.env(laptop.directory, laptop.project, once["PATH"]) == once


def test_both_vendors_answer_at_their_addresses(laptop: Laptop) -> None:
    code = (
        "import os, requests\n"
        "vultr = requests.get('https://api.vultr.com/v2/kubernetes/clusters',"
        " headers={'Authorization': 'Bearer ' + os.environ['VULTR_API_KEY']})\n"
        "token = os.environ['CLOUDFLARE_API_TOKEN']\n"
        "cloudflare = requests.get(os.environ['CLOUDFLARE_BASE_URL'] + '/zones',"
        " headers={'Authorization': 'Bearer ' + token})\n"
        "print(vultr.status_code, cloudflare.status_code)\n"
    )
    done = laptop.shell(f"'{sys.executable}' -c \"{code}\"")
    assert done.stdout == "200 200\n", done.stderr


def test_pulumi_works_and_leaves_the_stack_file_alone(laptop: Laptop) -> None:
    laptop.up()
    done = laptop.shell("pulumi preview -s us --expect-no-changes --refresh --non-interactive")
    assert done.returncode == 0, done.stdout + done.stderr
    done = laptop.answer()
    assert done.stdout == "hush-hush\n", done.stderr
    assert laptop.git("status", "--porcelain") == ""
    state = (laptop.directory / "state/.pulumi/stacks/shop/us.json").read_text()
    assert "answer" in state
    assert "hush-hush" not in state


def test_a_new_stack_file_gets_its_stack(laptop: Laptop) -> None:
    laptop.write("Pulumi.us-2.yaml", "config: {}\n")
    try:
        done = laptop.shell("pulumi up -s us-2 --yes --skip-preview --non-interactive")
        assert done.returncode == 0, done.stdout + done.stderr
        assert (laptop.project / "Pulumi.us-2.yaml").read_text() == "config: {}\n"
    finally:
        (laptop.project / "Pulumi.us-2.yaml").unlink()


def test_a_stack_that_the_user_inits_works_too(laptop: Laptop) -> None:
    try:
        done = laptop.shell(
            "pulumi stack init mine --non-interactive"
            " && pulumi up -s mine --yes --skip-preview --non-interactive"
        )
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        (laptop.project / "Pulumi.mine.yaml").unlink()


def test_status_tells_real_from_emulated(laptop: Laptop) -> None:
    found = lifecycle.status(laptop.directory)
    assert found["running"]
    assert found["memory_mb"] > 50
    assert "kube-apiserver" in found["real"]
    assert {"Vultr API", "vultr provider"} <= set(found["emulated"])
    assert set(found["providers"]) == set(environment.PROVIDERS)


def test_the_command(laptop: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEFLEET_SANDBOX_DIR", str(laptop.directory))
    monkeypatch.setattr(cli, "_PROJECT", laptop.project)
    run = CliRunner().invoke
    assert json.loads(run(cli.app, ["status", "--json"]).stdout)["running"] is True
    assert "emulated  Vultr API" in run(cli.app, ["status"]).stdout
    assert "export PULUMI_BACKEND_URL=" in run(cli.app, ["env"]).stdout
    assert run(cli.app, ["start"]).exit_code == 0
    refused = run(cli.app, ["start", "--real", "aws"])
    assert refused.exit_code == 1
    assert "error: --real aws: no such provider" in refused.stderr


def test_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEFLEET_SANDBOX_DIR", str(tmp_path / "none"))
    run = CliRunner().invoke
    env = run(cli.app, ["env"])
    assert env.exit_code == 1
    assert "error: no sandbox runs here: run `fleet sandbox start`" in env.stderr
    assert run(cli.app, ["status"]).exit_code == 3
    assert "no sandbox runs here" in run(cli.app, ["stop"]).stderr


@pytest.mark.parametrize("command", ["start", "stop", "reset"])
def test_a_folder_that_cannot_be(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGEFLEET_SANDBOX_DIR", str(tmp_path / "file" / "sandbox"))
    done = CliRunner().invoke(cli.app, [command])
    assert done.exit_code == 1
    assert f"error: the sandbox can't be kept in {tmp_path}/file/sandbox: " in done.stderr
    assert "Set EDGEFLEET_SANDBOX_DIR to a folder that you may write" in done.stderr


def test_the_plugins_come_back(laptop: Laptop) -> None:
    before = lifecycle.running(laptop.directory)
    assert before is not None
    pid_file = laptop.directory / "run" / "plugins.pid"
    first = pid_file.read_text()
    os.kill(int(first.split()[0]), signal.SIGKILL)
    eventually(lambda: pid_file.read_text() not in ("", first))
    eventually(lambda: lifecycle.running(laptop.directory) == before)


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG, which is Linux's")
def test_a_crash_leaves_no_orphan_and_the_next_start_recovers(laptop: Laptop) -> None:
    laptop.deployed()
    before = lifecycle.running(laptop.directory)
    assert before is not None
    pids = laptop.pids()
    assert len(pids) > 2
    psutil.Process(before.pid).kill()
    eventually(lambda: not any(_alive(pid) for pid in pids))
    assert lifecycle.running(laptop.directory) is None
    after = laptop.start()
    assert (after.ports, after.plugins) == (before.ports, before.plugins)
    done = laptop.answer()
    assert done.stdout == "hush-hush\n", done.stderr


def test_taken_ports_are_replaced_and_state_still_opens(laptop: Laptop) -> None:
    laptop.deployed()
    before = lifecycle.running(laptop.directory)
    assert before is not None
    assert laptop.stop()
    with socket.socket() as secrets, socket.socket() as proxy:
        for name, taken in {"secrets": secrets, "proxy": proxy}.items():
            # Connections of a moment ago may keep the port in TIME_WAIT.
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", before.ports[name]))
            taken.listen()
        after = laptop.start()
    assert after.ports["secrets"] != before.ports["secrets"]
    assert after.ports["proxy"] != before.ports["proxy"]
    assert after.ports["cloudflare"] == before.ports["cloudflare"]
    done = laptop.answer()
    assert done.stdout == "hush-hush\n", done.stderr


def test_two_starts_at_once_make_one_sandbox(laptop: Laptop) -> None:
    laptop.stop()
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda _: laptop.start(), range(2))
    assert first == second
    assert "waiting for another `fleet sandbox` command" in laptop.said


def test_real_leaves_a_provider_to_its_plugin(
    laptop: Laptop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is installed as tls's plugin is the emulated one, started by the engine."""
    laptop.stop()
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    with pytest.raises(SandboxError, match=r"--real tls \S+: not installed, neither in "):
        laptop.start(["tls"])
    install(tmp_path / "plugins", "tls")
    assert "tls" not in laptop.start(["tls"]).plugins
    attached = lifecycle.env(laptop.directory, laptop.project, "")["PULUMI_DEBUG_PROVIDERS"]
    assert "tls" not in attached
    assert "vultr:" in attached
    assert "tls provider" in lifecycle.status(laptop.directory)["real"]
    laptop.write("__main__.py", PROGRAM + KEY)
    try:
        laptop.up()
        assert (tmp_path / "started").exists()
        done = laptop.shell("pulumi stack output key -s us")
        assert done.stdout.startswith("-----BEGIN PUBLIC KEY-----"), done.stderr
    finally:
        laptop.write("__main__.py", PROGRAM)
        laptop.up()


def install(folder: Path, name: str) -> None:
    """Install the emulated provider as if it were the official plugin."""
    (plugin,) = plugins.wanted([name])
    program = folder / f"resource-{name}-v{plugin.version}" / f"pulumi-resource-{name}"
    program.parent.mkdir(parents=True)
    program.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        f"from sandbox.providers.{name}.plugin import serve\n"
        f"pathlib.Path({str(folder.parent / 'started')!r}).touch()\n"
        "server = serve()\n"
        "print(server.port, flush=True)\n"
        "server.wait()\n"
    )
    program.chmod(0o755)


def test_a_start_that_fails_says_why(tmp_path: Path) -> None:
    laptop = Laptop(tmp_path)
    (laptop.directory / "vultr").mkdir(parents=True)
    (laptop.directory / "vultr" / "vultr.json").write_text("no JSON")
    with pytest.raises(SandboxError, match=r"didn't start; its log is .*daemon\.log"):
        laptop.start()
    assert any("not JSON" in line and line.startswith("error:") for line in laptop.said)
    assert lifecycle.running(laptop.directory) is None


def test_reset_removes_state_and_processes(laptop: Laptop) -> None:
    pids = laptop.pids()
    lifecycle.reset(laptop.directory, laptop.said.append)
    assert not any(_alive(pid) for pid in pids)
    assert [entry.name for entry in laptop.directory.iterdir()] == ["lock"]
    assert laptop.git("status", "--porcelain") == ""


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

"""A project of its own on a sandbox of its own, driven by the commands that people type."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests
import yaml
from kubernetes.client import Configuration
from kubernetes.config import new_client_from_config_dict

from sandbox import lifecycle
from sandbox.engine import plugins
from sandbox.engine.environment import inside
from tests.faults import unmet
from tests.projects import ROOT, copy_project, git
from tests.warm import starts
from tests.warm.client import SWITCH

ZONE = "809846d39026662b50a8a0b0dd159151"
COMMAND_SECONDS = 300
HTTP = requests.Session()
"""For what is on this machine; a session for each request costs as much as the request."""
HTTP.trust_env = False
COLD = {SWITCH: "0"}
"""For a command that is killed: its Pythons are its children then, and end with it at once."""
REAL = plugins.parse(os.environ.get("REAL", ""))
"""Providers to take from installed plugins."""


@dataclass(frozen=True)
class Ran:
    """A command that ended."""

    code: int
    output: str

    def require(self) -> "Ran":
        assert self.code == 0, self.output
        return self


class Fleet:
    """The project's files, the sandbox's environment, and the two vendors' APIs."""

    def __init__(self, project: Path, sandbox: Path) -> None:
        self.project = project
        self.directory = sandbox
        self.environment: dict[str, str] = {}

    @classmethod
    def make(cls, folder: Path) -> "Fleet":
        """A git checkout of the repository's own project, with a started sandbox.

        In tests its Pythons are forked instead of started: see tests/warm/starts.py.
        """
        project = copy_project(folder / "project")
        for name in ("components", "infra"):
            shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pyc*"))
        shutil.copy(ROOT / "__main__.py", project)
        shutil.copy(ROOT / ".gitignore", project)
        starts.environment(project / ".venv", ROOT / ".venv")
        git(project, "init", "-q")
        # `.venv/` ignores a folder, and here it may be a link.
        (project / ".git" / "info" / "exclude").write_text(".venv\n")
        git(project, "add", ".")
        git(project, "commit", "-q", "-m", "the fleet")
        fleet = cls(project, folder / "sandbox")
        fleet.start()
        return fleet

    def start(self) -> None:
        lifecycle.start(self.directory, self.project, REAL, print)
        starts.host(self.directory / "bin", self.project / ".venv" / "bin" / "python")
        self.reload()

    def reload(self) -> None:
        """Take the environment that `fleet sandbox env` prints, stacks of new files included."""
        added = lifecycle.env(self.directory, self.project, os.environ["PATH"])
        self.environment = inside(os.environ, added)

    def stop(self) -> None:
        lifecycle.stop(self.directory, print)

    def command(self, stack: str, *command: str, **variables: str) -> subprocess.Popen[str]:
        """Start a Pulumi command, in a process group of its own."""
        return subprocess.Popen(
            ["pulumi", *command, "-s", stack, "--non-interactive", "--color=never"],
            cwd=self.project,
            env={**self.environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def pulumi(self, stack: str, *command: str, **variables: str) -> Ran:
        process = self.command(stack, *command, **variables)
        try:
            output, _ = process.communicate(timeout=COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return Ran(process.returncode, output)

    def up(self, *stacks: str) -> list[Ran]:
        """`pulumi up` of stacks, beside each other."""
        started = [self.command(stack, "up", "--yes", "--skip-preview") for stack in stacks]
        ended = []
        for process in started:
            output, _ = process.communicate(timeout=COMMAND_SECONDS)
            ended.append(Ran(process.returncode, output))
        return ended

    def preview(self, stack: str, *options: str) -> Ran:
        return self.pulumi(stack, "preview", "--diff", *options)

    def steps(self, stack: str, *options: str) -> dict[str, list[str]]:
        """What a preview would do: names of the resources by operation, `same` left out."""
        ran = self.pulumi(stack, "preview", "--json", *options).require()
        steps: dict[str, list[str]] = {}
        for step in json.loads(ran.output[ran.output.index("{\n") :]).get("steps") or []:
            if step["op"] != "same":
                steps.setdefault(step["op"], []).append(step["urn"].split("::")[-1])
        return {op: sorted(names) for op, names in steps.items()}

    def outputs(self, stack: str) -> dict[str, Any]:
        return json.loads(self.pulumi(stack, "stack", "output", "--json").require().output)

    def change(self, stack: str, **cluster: Any) -> None:
        """Change keys of a stack file's cluster."""
        path = self.project / f"Pulumi.{stack}.yaml"
        document = yaml.safe_load(path.read_text())
        document["config"]["edgefleet:cluster"] |= cluster
        path.write_text(yaml.safe_dump(document))

    def restore(self) -> None:
        """The stack files as they were committed."""
        git(self.project, "checkout", "-q", "--", ".")

    # --- the vendors ---------------------------------------------------------------------------

    def vultr(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        url = f"http://127.0.0.1:{self._port('vultr')}{path}"
        key = self.environment["VULTR_API_KEY"]
        answer = HTTP.request(
            method, url, json=body, headers={"Authorization": f"Bearer {key}"}, timeout=30
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def cloudflare(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        token = self.environment["CLOUDFLARE_API_TOKEN"]
        base = f"http://127.0.0.1:{self._port('cloudflare')}"
        prefix = "" if path.startswith("/_sandbox") else "/client/v4"
        answer = HTTP.request(
            method,
            base + prefix + path,
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def clusters(self, label: str) -> list[dict[str, Any]]:
        found = self.vultr("GET", "/v2/kubernetes/clusters")["vke_clusters"]
        return [cluster for cluster in found if cluster["label"] == label]

    def cluster(self, stack: str) -> dict[str, Any]:
        (found,) = self.clusters(f"edgefleet-{stack}")
        return found

    def nodes(self, stack: str) -> list[dict[str, Any]]:
        return [n for pool in self.cluster(stack)["node_pools"] for n in pool["nodes"]]

    def rules(self, stack: str) -> list[dict[str, Any]]:
        group = self.cluster(stack)["firewall_group_id"]
        return self.vultr("GET", f"/v2/firewalls/{group}/rules")["firewall_rules"]

    def records(self, name: str) -> dict[str, str]:
        """Content by record id."""
        query = f"/_sandbox/zones/{ZONE}/dns_records?name={name}&per_page=100"
        return {r["id"]: r["content"] for r in self.cloudflare("GET", query)["result"]}

    def routes(self) -> list[str]:
        found = self.cloudflare("GET", f"/zones/{ZONE}/workers/routes")["result"]
        return sorted(route["pattern"] for route in found)

    def addresses(self, *stacks: str) -> list[str]:
        """The live nodes' public addresses, both families."""
        ids = {node["id"] for stack in stacks for node in self.nodes(stack)}
        found = self.vultr("GET", "/v2/instances?per_page=500")["instances"]
        return sorted(
            address
            for instance in found
            if instance["id"] in ids
            for address in (instance["main_ip"], instance["v6_main_ip"])
        )

    def kubernetes(
        self,
        stack: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        method: str = "",
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        """GET from the stack's API server, as kubectl would with the stack's kubeconfig; POST where
        there is a body."""
        call = f"/v2/kubernetes/clusters/{self.cluster(stack)['id']}/config"
        config = yaml.safe_load(b64decode(self.vultr("GET", call)["kube_config"]))
        settings = Configuration()
        settings.proxy = self.environment["HTTPS_PROXY"]
        client = new_client_from_config_dict(config, client_configuration=settings)
        request = client.param_serialize(
            method or ("POST" if body else "GET"),
            path,
            header_params={"Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        return json.loads(client.call_api(*request).read())

    def faulty(self, vendor: str, *faults: Mapping[str, Any]) -> None:
        """Add faults to a vendor's API."""
        call = self.vultr if vendor == "vultr" else self.cloudflare
        for fault in faults:
            call("POST", "/_sandbox/faults", fault)

    def healthy(self) -> None:
        """Take every fault away. Each must have been met, as often as it says."""
        left: list[Mapping[str, Any]] = []
        for call in (self.vultr, self.cloudflare):
            left += unmet(call("GET", "/_sandbox/faults")["faults"])
            call("DELETE", "/_sandbox/faults")
        assert left == [], "faults that nothing ran into"

    def _port(self, name: str) -> int:
        found = lifecycle.running(self.directory)
        assert found
        return found.ports[name]


def lost(path: str, times: int = 1) -> dict[str, Any]:
    """A POST is carried out, and its answer lost."""
    return {
        "match": {"method": "POST", "path_regex": path},
        "action": "lose_answer",
        "times": times,
    }


def answering(
    status: int, path: str, times: int | None = None, method: str | None = None
) -> dict[str, Any]:
    """A status instead of what was asked for: so often, else until `healthy`."""
    match = {"path_regex": path} | ({"method": method} if method else {})
    fault = {"match": match, "action": "status", "status": status}
    return fault | ({"times": times} if times else {})


def lines(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout
    yield from process.stdout


def kill_when(process: subprocess.Popen[str], seen: Sequence[str]) -> str:
    """Kill the engine, and all it started, as soon as a line has every part of `seen`."""
    output = ""
    for line in lines(process):
        output += line
        if all(part in line for part in seen):
            # Plugins have groups of their own, and outlive an engine that is killed.
            engine = psutil.Process(process.pid)
            for each in (engine, *engine.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
            break
    else:
        raise AssertionError(f"no line with {seen} in:\n{output}")
    process.wait()
    return output

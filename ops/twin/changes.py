"""What is changed while the twin is visited: by stack files and `pulumi up`, as people would."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from infra.fleet.inventory import CA_FILE, Inventory
from infra.fleet.reading import load
from ops.command import CommandError

ROOT = Path(__file__).resolve().parents[2]
_RANGES = Path("components") / "firewall" / "cloudflare_ranges.json"
_SPARE = "203.0.113.0/24"
"""Stands in the list for a range that Cloudflare added (RFC 5737: for documentation)."""


class TwinFailed(CommandError):
    """The twin didn't come up, or lost what it may not lose; the text is for a person."""


class Changes:
    """A copy of the project, whose stacks are the sandbox's.

    The copy is a git checkout of its own, so that nothing of the user's files changes: what is
    tried here is undone by `put_back`, and, where that was cut off, by the next `pulumi up` of the
    project itself. `environment` is the sandbox's.
    """

    def __init__(self, project: Path, folder: Path, environment: Mapping[str, str]) -> None:
        self._project = project
        self.folder = folder
        self._environment = dict(environment)
        self._originals: dict[str, str] = {}
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for path in (*project.glob("Pulumi*.yaml"), project / CA_FILE):
            if path.exists():
                shutil.copy(path, folder)
        for name in ("components", "infra"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pyc*"))
        shutil.copy(ROOT / "__main__.py", folder)
        (folder / ".venv").symlink_to(ROOT / ".venv")
        self._git("init", "-q")
        self._git("add", "--", *(path.name for path in folder.glob("Pulumi*.yaml")))

    @property
    def inventory(self) -> Inventory:
        """The fleet as the copy's files say."""
        return load(self.folder)

    @property
    def regions(self) -> list[str]:
        """The region stacks."""
        return [stack.name for stack in self.inventory.region_stacks]

    def require_client_certificates(self) -> None:
        """Authenticated Origin Pulls, with a CA of the copy's own where the project has none."""
        if not (self.folder / CA_FILE).exists():
            self._run(
                [sys.executable, "-c", "from ops.cli import main; main()", "ca", "init"],
                PYTHONPATH=str(ROOT),
            )
        for name in self.regions:
            self._set(name, "originPulls", "require")

    def protect_twice(self, stack: str) -> None:
        """The nodes of a region protected by Calico and by ufw, each with the whole table."""
        self._set(stack, "firewall", {"hostProtection": "both"}, merge=True)

    def up(self, *stacks: str) -> None:
        """`pulumi up` of stacks, beside each other. Raises TwinFailed."""
        started = {
            stack: subprocess.Popen(
                ["pulumi", "up", "-s", stack, "--yes", "--skip-preview", "--non-interactive",
                 "--color=never"],
                cwd=self.folder, env=self._environment, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )
            for stack in stacks
        }  # fmt: skip
        ended = {stack: process.communicate()[0] for stack, process in started.items()}
        for stack, process in started.items():
            if process.returncode:
                raise TwinFailed(f"{stack} did not come up:\n{ended[stack][-4000:]}")

    def all_up(self) -> None:
        """Regions beside each other, then the edge."""
        self.up(*self.regions)
        self.up(*self.edges)

    @property
    def edges(self) -> list[str]:
        """The edge stacks."""
        return [stack.name for stack in self.inventory.edge_stacks]

    def _stack_of(self, cluster: str) -> str:
        return next(s.name for s in self.inventory.region_stacks if s.label == cluster)

    # --- the changes ---------------------------------------------------------------------------

    def drain(self, cluster: str, drained: bool) -> None:
        """Take a region out of the Worker's rotation, or back in."""
        self._set(self._stack_of(cluster), "drain", drained)
        self.up(*self.edges)

    def deploy_worker(self, number: int) -> None:
        """Deploy the Worker anew, with another option."""
        for name in self.edges:
            self._set(name, "edge", {"hedgeAfterMs": 3000 - number % 10}, merge=True)
        self.up(*self.edges)

    def rewrite_firewall(self, cluster: str, number: int) -> None:
        """Another table on a region's nodes: another network of administrators."""
        stack = self._stack_of(cluster)
        networks = {"adminCidrs": [f"198.51.100.{number % 32 * 8}/29"]}
        self._set(stack, "firewall", networks, merge=True)
        self.up(stack)

    def update_ranges(self, cluster: str) -> None:
        """Cloudflare has one range more, or that one no more: `fleet ranges update`, deployed."""
        path = self.folder / _RANGES
        pin = json.loads(path.read_text())
        added = _SPARE not in pin["ipv4_cidrs"]
        others = [cidr for cidr in pin["ipv4_cidrs"] if cidr != _SPARE]
        path.write_text(json.dumps({**pin, "ipv4_cidrs": [*others, _SPARE] if added else others}))
        self.up(self._stack_of(cluster))

    def rotate_certificate(self, cluster: str) -> None:
        """A new key and origin certificate for a region, by `pulumi up --replace`."""
        stack = self._stack_of(cluster)
        text = self._run(["pulumi", "stack", "export", "-s", stack])
        urns = [each["urn"] for each in json.loads(text)["deployment"]["resources"]]
        (key,) = (urn for urn in urns if urn.endswith(f"::{stack}-tls-key"))
        self._run(["pulumi", "up", "-s", stack, "--yes", "--skip-preview", "--replace", key])

    def put_back(self) -> None:
        """The stacks as the project's own files say."""
        for path in self._project.glob("Pulumi*.yaml"):
            shutil.copy(path, self.folder)
        if not (self._project / CA_FILE).exists():
            (self.folder / CA_FILE).unlink(missing_ok=True)
        shutil.copy(ROOT / _RANGES, self.folder / _RANGES)
        self.all_up()

    def _set(self, stack: str, key: str, value: Any, *, merge: bool = False) -> None:
        path = self.folder / f"Pulumi.{stack}.yaml"
        document = yaml.safe_load(path.read_text())
        config = document.setdefault("config", {})
        full = f"edgefleet:{key}"
        config[full] = {**config.get(full, {}), **value} if merge else value
        path.write_text(yaml.safe_dump(document))

    def _git(self, *command: str) -> None:
        self._run(["git", *command])

    def _run(self, command: Sequence[str], **variables: str) -> str:
        ran = subprocess.run(
            command, cwd=self.folder, env={**os.environ, **self._environment, **variables},
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )  # fmt: skip
        if ran.returncode:
            raise TwinFailed(f"{' '.join(command)[:200]}: {(ran.stderr or ran.stdout)[-4000:]}")
        return ran.stdout

"""An example of the library, in whichever language, outside of the checkout and on a sandbox."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.fleet.fleet import COLD, ZONE, Fleet, Ran
from tests.languages import node_modules
from tests.projects import ROOT

HOST = "shop.example.com"
STACK = "one"


class LibraryProject(Fleet):
    """`examples/NAME` in a folder like the repository's, with a stack, and none of its modules.

    Args:
        python: the one that `tests.wheel.installed` gives; programs and the plugin run by it.
    """

    def __init__(self, fleet: Fleet, folder: Path, name: str, python: Path) -> None:
        super().__init__(folder / "examples" / name, fleet.directory)
        # As if PYTHONPATH weren't set: this checkout's modules aren't found.
        self.environment = {**fleet.environment, **COLD, "PYTHONPATH": ""}
        for each in (Path("examples", name), Path("plugin")):
            ignored = shutil.ignore_patterns("venv", "node_modules", "sdks")
            shutil.copytree(ROOT / each, folder / each, ignore=ignored)
            if not (folder / each / "package.json").exists():
                (folder / each / "venv").symlink_to(python.parents[1])
        schema = Path("components", "plugin", "schema.json")
        (folder / schema).parent.mkdir(parents=True)
        shutil.copy(ROOT / schema, folder / schema)
        if (self.project / "package.json").exists():
            node_modules(self.project)
            self.add_package("../../components/plugin/schema.json")
        self.pulumi(STACK, "stack", "init").require()
        self.pulumi(STACK, "config", "set", "hostname", HOST).require()
        self.pulumi(STACK, "config", "set", "zoneId", ZONE).require()

    def add_package(self, schema: str) -> None:
        """From its schema: from the plugin's folder the engine would first install the plugin, and
        those of the vendors, from the internet."""
        self.run("pulumi", "package", "add", schema, "--non-interactive").require()

    def run(self, *command: str) -> Ran:
        found = shutil.which(command[0], path=self.environment["PATH"])
        assert found, f"no {command[0]} on PATH"
        done = subprocess.run(
            [found, *command[1:]],
            cwd=self.project,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return Ran(done.returncode, done.stdout)

    def state(self) -> Mapping[str, Any]:
        """What `pulumi stack export` says, its secrets in clear."""
        return json.loads(self.pulumi(STACK, "stack", "export", "--show-secrets").require().output)

    def comes_up_and_answers(self) -> Mapping[str, Any]:
        """From preview to an empty preview; the state."""
        self.pulumi(STACK, "preview").require()
        self.pulumi(STACK, "up", "-y", "--skip-preview").require()
        nodes = self.outputs(STACK)["nodes"]
        assert len(nodes) == 2
        addresses = {node[family] for node in nodes for family in ("ipv4", "ipv6")}
        assert {*self.records(HOST).values()} == addresses
        self.pulumi(STACK, "preview", "--expect-no-changes").require()
        return self.state()

    def goes(self) -> None:
        self.pulumi(STACK, "destroy", "-y", "--skip-preview").require()
        assert self.records(HOST) == {}
        assert self.clusters("shop") == []

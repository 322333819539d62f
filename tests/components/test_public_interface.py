"""`components` names what others may use, and loads no more than what is asked for."""

import inspect
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict

import pulumi
import pytest

import components
from tests.projects import ROOT

COMPONENTS = [
    name
    for name in components.__all__
    if inspect.isclass(found := getattr(components, name)) and issubclass(found, pulumi.Resource)
]


def test_every_name_is_there():
    assert set(components.__all__) == set(components._HOMES)
    for name in components.__all__:
        assert getattr(components, name).__name__ == name


def hints_of(thing: Any) -> dict[str, Any]:
    # `pulumi.Input` names its other half by a string.
    return get_type_hints(thing, localns={"Output": pulumi.Output, "T": object})


def mentioned(hint: Any) -> Iterator[type]:
    """The classes of ours that a type names. A mapping by keys (TypedDict) is written as it is."""
    if get_origin(hint) is not None or isinstance(hint, UnionType):
        for part in get_args(hint):
            yield from mentioned(part)
    elif is_typeddict(hint):
        for part in hints_of(hint).values():
            yield from mentioned(part)
    elif inspect.isclass(hint) and hint.__module__.startswith("components."):
        yield hint


@pytest.mark.parametrize("name", COMPONENTS)
def test_what_its_arguments_need_is_public_too(name: str):
    hints = hints_of(getattr(components, name).__init__)
    assert hints.pop("opts") == Union[pulumi.ResourceOptions, None]  # noqa: UP007
    assert "args" in hints
    needed = {found.__name__ for found in mentioned(hints["args"])}
    # They have defaults; who gives another one knows it.
    assert needed - {"ClusterReader", "LiveCluster"} <= set(components.__all__)


def test_a_table_can_be_made_with_public_names():
    table = components.node_rules(
        ssh_sources=[], node_networks=["10.0.0.0/8"], pod_networks=["10.244.0.0/16"]
    )
    assert all(isinstance(rule, components.Rule) for rule in table)


def test_a_dynamic_providers_process_loads_no_provider():
    program = (
        "import sys, components.server_side.patch\n"
        "print({'pulumi_kubernetes', 'pulumi_cloudflare', 'ediri_vultr'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


USE = """
from pathlib import Path
import components, infra.program, ops.cli, sandbox.cli
from components.edge.deployment import WORKER
from components.firewall import cloudflare_ranges, node
from infra.pins import catalog, images
from sandbox.clusters import control_plane, seed
here = Path(components.__file__).parents[1]
for name in components.__all__:
    getattr(components, name)
assert cloudflare_ranges.load().cidrs and catalog.catalog().plans
assert WORKER.is_relative_to(here) and WORKER.exists(), WORKER
assert (node._FOLDER / "node_sync.sh").exists() and (node._FOLDER / "node_loop.sh").exists()
assert images.LOCK.exists() and seed._MANIFESTS.is_dir() and control_plane._STAGES.exists()
print(here)
"""


def test_the_wheel_holds_all_that_it_needs(tmp_path: Path):
    """In an environment that has its dependencies and nothing of this checkout."""
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    # From a copy: setuptools leaves a build folder beside what it builds.
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for file in filter(None, files):
        if (ROOT / file).is_file() and not file.startswith(("tests/", "docs/", "bench/")):
            target = tmp_path / "source" / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / file).read_bytes())
    subprocess.run([*build, "--wheel-dir", str(tmp_path), str(tmp_path / "source")], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=False)
    (site,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    zipfile.ZipFile(wheel).extractall(site)
    # A folder named in a .pth file is searched; .pth files in it, this checkout's, are not read.
    (site / "dependencies.pth").write_text(
        "\n".join(path for path in sys.path if path.endswith("site-packages"))
    )
    command = [str(tmp_path / "venv" / "bin" / "python"), "-I", "-c", USE]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert Path(ran.stdout.strip()) == site

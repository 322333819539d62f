"""Starts the language host with Pulumi's protocol alone.

Its classes are a part of the SDK, and loading the SDK around them is half of what a start takes;
the engine starts a host twice for each of its commands.
"""

import runpy
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType


def without_the_sdk() -> None:
    """Let `pulumi.runtime.proto` be loaded, and not what `pulumi` and `pulumi.runtime` would."""
    found = find_spec("pulumi")
    if found is None or found.origin is None:
        return
    folder = Path(found.origin).parent
    for name, path in (("pulumi", folder), ("pulumi.runtime", folder / "runtime")):
        package = ModuleType(name)
        package.__path__ = [str(path)]
        sys.modules[name] = package


if __name__ == "__main__":
    without_the_sdk()
    # The sandbox that it belongs to, whatever else is installed beside this Python.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    runpy.run_path(str(Path(__file__).with_name("language_host.py")), run_name="__main__")

"""A Pulumi language host, for a CLI that was built from source: which, ``--language`` says.

Started by the engine as ``start_language_host.py --language LANGUAGE ENGINE_ADDRESS``; prints its
port.
"""

import argparse
import os
import sys
from pathlib import Path

from sandbox.engine import hosting
from sandbox.engine.nodejs_host import NodejsHost
from sandbox.engine.python_host import PythonHost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--language", required=True, choices=("python", "nodejs", "yaml"))
    parser.add_argument("--exec", type=Path, help="the official executor of Python programs")
    parser.add_argument("engine", nargs="?", default="", help="address of the engine")
    args, _ = parser.parse_known_args()
    if args.language == "yaml":
        _become_yaml()
    if args.language == "nodejs":
        hosting.run(NodejsHost(args.engine))
    hosting.run(PythonHost(args.exec, args.engine))


def _become_yaml() -> None:
    """The official one, which is built when it is first needed."""
    # Imported here: half a second, which the others needn't wait.
    from sandbox.toolchain.install import Toolchain, default_cache
    from sandbox.toolchain.placing import ToolchainError

    try:
        # Not from PATH, where this one stands.
        program = str(Toolchain(default_cache(), path="").binary("pulumi-language-yaml"))
    except ToolchainError as error:
        sys.exit(f"error: {error}")
    given = sys.argv[sys.argv.index("yaml") + 1 :]
    os.execv(program, [program, *given])  # noqa: S606 (a program of the sandbox's own)


if __name__ == "__main__":
    main()

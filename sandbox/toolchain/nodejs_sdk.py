"""Pulumi's generator of Node.js SDKs, built from the engine's own module.

The official language host has it compiled in. Ours isn't Go, so a few lines of Go around the
generator (``nodejs_sdk_generator/main.go``) take the engine's request and give its answer.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path

from sandbox.toolchain.placing import ToolchainError
from sandbox.toolchain.source_build import SourceBuild, Workshop
from sandbox.toolchain.tools import PULUMI

NAME = "pulumi-nodejs-sdk"
_SOURCE = Path(__file__).with_name("nodejs_sdk_generator") / "main.go"
_GO = ("build", "-mod=mod", "-buildvcs=false", "-ldflags", "-s -w")
"""The engine's own flags, so that what was compiled for it isn't compiled anew."""
_GO_MOD = f"""\
module {NAME}

go 1.26.0

require github.com/pulumi/pulumi/pkg/v3 v{PULUMI}

require github.com/pulumi/pulumi/sdk/v3 v{PULUMI}
"""


def generate(cache: Path, request: bytes, say: Callable[[str], None]) -> bytes:
    """Write an SDK; `request` is a ``pulumirpc.GeneratePackageRequest``, the answer its response.

    Raises ToolchainError.
    """
    program = BUILD.make(cache, say) / NAME
    done = subprocess.run([str(program)], input=request, capture_output=True, check=False)
    if done.returncode:
        raise ToolchainError(f"no SDK was generated: {done.stderr.decode().strip()}")
    return done.stdout


def _build(shop: Workshop) -> None:
    (shop.work / "go.mod").write_text(_GO_MOD)
    (shop.work / "main.go").write_text(_SOURCE.read_text())
    shop.run_go(shop.work, *_GO, "-o", str(shop.result / NAME), ".")


BUILD = SourceBuild(NAME, PULUMI, " ".join(_GO) + _GO_MOD + _SOURCE.read_text(), 2, _build)

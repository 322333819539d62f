"""The Pulumi language host for TypeScript and JavaScript, for a CLI that was built from source.

As for Python (``python_host.py``) its module isn't on the Go module proxy. What runs the program is
the official executor in the project's own ``@pulumi/pulumi``, and what writes an SDK
(``pulumi package add``) the official generator (``toolchain/nodejs_sdk.py``), built when it is
first asked for. Only npm is known, and no debugger.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format
from pulumi.runtime.proto import language_pb2 as language
from pulumi.runtime.proto import plugin_pb2

from sandbox.engine.hosting import Host, refuse
from sandbox.engine.node_packages import dependencies, environment, required_packages
from sandbox.engine.python_environment import RuntimeProblem

_EXECUTOR = "@pulumi/pulumi/cmd/run"


def executor_arguments(request: Any, engine: str) -> list[str]:
    """Arguments of ``@pulumi/pulumi/cmd/run`` for a Run request."""
    named = {
        "monitor": request.monitor_address,
        "engine": engine,
        "organization": request.organization,
        "project": request.project,
        "root-directory": request.info.root_directory,
        "stack": request.stack,
        "pwd": request.info.program_directory,
        "parallel": str(request.parallel),
    }
    args = [arg for name, value in named.items() if value for arg in (f"--{name}", value)]
    if request.dryRun:
        args.append("--dry-run")
    return [*args, request.info.entry_point or ".", *request.args]


class NodejsHost(Host):
    """The ``LanguageRuntime`` service of a TypeScript or JavaScript project."""

    def GetRequiredPackages(self, request: Any, context: grpc.ServicerContext) -> Any:
        found = required_packages(Path(request.info.program_directory))
        return language.GetRequiredPackagesResponse(
            packages=[plugin_pb2.PackageDependency(**each) for each in found]
        )

    def GetProgramDependencies(self, request: Any, context: grpc.ServicerContext) -> Any:
        folder = Path(request.info.program_directory)
        found = dependencies(folder, transitive=request.transitiveDependencies)
        return language.GetProgramDependenciesResponse(
            dependencies=[language.DependencyInfo(name=n, version=v) for n, v in found.items()]
        )

    def About(self, request: Any, context: grpc.ServicerContext) -> Any:
        node = _program("node", context)
        done = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
        return language.AboutResponse(
            executable=node, version=done.stdout.strip(), metadata={"packagemanager": "npm"}
        )

    def Run(self, request: Any, context: grpc.ServicerContext) -> Any:
        options = json_format.MessageToDict(request.info.options)
        try:
            env = {**os.environ, **environment(options)}
        except RuntimeProblem as problem:
            refuse(context, problem)
        node = _program("node", context)
        looked = subprocess.run(
            [node, "-p", f"require.resolve({_EXECUTOR!r})"],
            cwd=request.info.program_directory,
            capture_output=True,
            text=True,
            check=False,
        )
        if looked.returncode:
            return language.RunResponse(
                error="It looks like the Pulumi SDK has not been installed. "
                f"Have you run `pulumi install` in {request.info.program_directory}?"
            )
        args = executor_arguments(request, self.engine)
        given = str(options.get("nodeargs") or "").split()
        return self.run_program([node, *given, looked.stdout.strip(), *args], request, env)

    def InstallDependencies(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        folder = request.info.program_directory or request.directory
        step = [_program("npm", context), "install", "--no-audit", "--no-fund", "--loglevel=error"]
        yield from self.install([step], folder, os.environ, context)

    def GeneratePackage(self, request: Any, context: grpc.ServicerContext) -> Any:
        # Imported here: half a second, and needed once in a project.
        from sandbox.toolchain import nodejs_sdk
        from sandbox.toolchain.install import default_cache, to_stderr
        from sandbox.toolchain.placing import ToolchainError

        try:
            answer = nodejs_sdk.generate(default_cache(), request.SerializeToString(), to_stderr)
        except ToolchainError as error:
            refuse(context, error)
        return language.GeneratePackageResponse.FromString(answer)

    def Link(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Name SDKs that were written into the project in its ``package.json``."""
        folder = Path(request.info.program_directory)
        imports: list[str] = []
        for each in request.packages:
            name = json.loads((folder / each.path / "package.json").read_text())["name"]
            command = ["pkg", "set", f"dependencies.{name}=file:{each.path}"]
            done = subprocess.run(
                [_program("npm", context), *command],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                refuse(context, f"`npm {' '.join(command)}` failed: {done.stderr.strip()}")
            imports.append(f'  import * as {each.package.name} from "{name}";\n')
        return language.LinkResponse(
            import_instructions="You can import the SDK in your TypeScript code with:\n\n"
            + "".join(imports)
        )


def _program(name: str, context: grpc.ServicerContext) -> str:
    found = shutil.which(name)
    if found is None:
        refuse(context, f"no {name} on PATH: install Node.js 20 or newer")
    return found

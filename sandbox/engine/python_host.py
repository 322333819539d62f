"""The Pulumi language host for Python programs, for a CLI that was built from source.

The official download ships ``pulumi-language-python``; its module isn't on the Go module proxy, so
a CLI built from there has none. This one serves the same ``LanguageRuntime`` service and leaves the
work to the official executor (``pulumi-language-python-exec``, shipped verbatim in the SDK's
module), which runs the program. Only the ``pip`` toolchain is known: a virtual environment, named
by the runtime option ``virtualenv`` relative to the project, or the Python on PATH.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format
from pulumi.runtime.proto import language_pb2 as language
from pulumi.runtime.proto import plugin_pb2

from sandbox.engine.hosting import Host, printed, refuse
from sandbox.engine.python_environment import Python, RuntimeProblem, required_plugins


def executor_arguments(request: Any, engine: str) -> list[str]:
    """Arguments of ``pulumi-language-python-exec`` for a Run request."""
    named = {
        "monitor": request.monitor_address,
        "engine": engine,
        "project": request.project,
        "root_directory": request.info.root_directory,
        "stack": request.stack,
        "pwd": request.pwd,
        "dry_run": "true" if request.dryRun else "false",
        "parallel": str(request.parallel),
        "organization": request.organization,
    }
    args = [arg for name, value in named.items() if value for arg in (f"--{name}", value)]
    return [*args, request.info.entry_point or ".", *request.args]


class PythonHost(Host):
    """The ``LanguageRuntime`` service of a Python project."""

    def __init__(self, executor: Path, engine: str) -> None:
        super().__init__(engine)
        self._executor = executor

    def GetRequiredPackages(self, request: Any, context: grpc.ServicerContext) -> Any:
        python = _python(request.info, context)
        packages = [
            plugin_pb2.PackageDependency(**p) for p in required_plugins(python.site_packages())
        ]
        return language.GetRequiredPackagesResponse(packages=packages)

    def GetRequiredPlugins(self, request: Any, context: grpc.ServicerContext) -> Any:
        python = _python(request.info, context)
        plugins = [
            plugin_pb2.PluginDependency(**p) for p in required_plugins(python.site_packages())
        ]
        return language.GetRequiredPluginsResponse(plugins=plugins)

    def GetProgramDependencies(self, request: Any, context: grpc.ServicerContext) -> Any:
        args = ["-m", "pip", "list", "--format", "json"]
        if not request.transitiveDependencies:
            args.append("--not-required")
        listed = json.loads(_python(request.info, context).output(*args))
        found = [
            language.DependencyInfo(
                name=re.sub(r"[-_.]+", "-", each["name"].lower()), version=each["version"]
            )
            for each in listed
        ]
        return language.GetProgramDependenciesResponse(dependencies=found)

    def About(self, request: Any, context: grpc.ServicerContext) -> Any:
        code = "import platform, sys; print(sys.executable); print(platform.python_version())"
        executable, found = _python(request.info, context).output("-c", code).splitlines()
        return language.AboutResponse(
            executable=executable,
            version=found,
            metadata={"toolchain": "Pip", "typechecker": "None"},
        )

    def Run(self, request: Any, context: grpc.ServicerContext) -> Any:
        python = _python(request.info, context)
        args = executor_arguments(request, self.engine)
        command = [str(python.executable), "-u", str(self._executor), *args]
        return self.run_program(command, request, python.environment())

    def InstallDependencies(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        root = Path(request.info.root_directory or request.directory)
        python = _python(request.info, context, exists=False)
        pip = [str(python.executable), "-m", "pip", "install"]
        steps = [[*pip, "--upgrade", "pip", "setuptools", "wheel"]]
        if python.venv is not None:
            steps.insert(0, [sys.executable, "-m", "venv", str(python.venv)])
        if (Path(request.directory) / "requirements.txt").exists():
            steps.append([*pip, "-r", "requirements.txt"])
        folder = request.directory or str(root)
        yield from self.install(steps, folder, python.environment(), context)

    def RunPlugin(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        """Run a plugin's folder: a policy pack, or a provider of components. It lives as long as
        the engine wants, and its first line is the port that it listens on."""
        python = _python(request.info, context, virtualenv="venv")
        child = subprocess.Popen(
            [str(python.executable), request.info.program_directory, *request.args],
            cwd=request.pwd or None,
            env={**python.environment(), **dict(each.split("=", 1) for each in request.env)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        context.add_callback(child.terminate)
        yield from printed(child)
        yield language.RunPluginResponse(exitcode=self.wait(child))


def _python(
    info: Any, context: grpc.ServicerContext, *, exists: bool = True, virtualenv: str = ""
) -> Python:
    options = {"virtualenv": virtualenv, **json_format.MessageToDict(info.options)}
    try:
        python = Python(Path(info.root_directory or info.program_directory), options)
        if exists:
            python.require()
        return python
    except RuntimeProblem as problem:
        refuse(context, problem)

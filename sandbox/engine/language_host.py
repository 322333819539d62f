"""The Pulumi language host for Python programs, for a CLI that was built from source.

The official download ships ``pulumi-language-python``; its module isn't on the Go module proxy, so
a CLI built from there has none. This one serves the same ``LanguageRuntime`` service and leaves the
work to the official executor (``pulumi-language-python-exec``, shipped verbatim in the SDK's
module), which runs the program. Only the ``pip`` toolchain is known: a virtual environment, named
by the runtime option ``virtualenv`` relative to the project, or the Python on PATH.

Started by the engine as ``start_language_host.py --exec EXECUTOR ENGINE_ADDRESS``; prints its port.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent import futures
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import language_pb2 as language
from pulumi.runtime.proto import language_pb2_grpc, plugin_pb2

_SHOWED_ITS_ERROR = 32
"""Exit code of the executor when the user has seen a message already (its source says so)."""


class RuntimeProblem(Exception):
    """A mistake in the project's runtime options, worded for the user."""


class Python:
    """The interpreter that a project's runtime options choose."""

    def __init__(self, root: Path, options: Mapping[str, Any]) -> None:
        toolchain = str(options.get("toolchain") or "pip").lower()
        if toolchain != "pip":
            raise RuntimeProblem(
                f"runtime option toolchain is {toolchain!r} in {root / 'Pulumi.yaml'}, but this "
                "language host knows pip only: install the official CLI, or remove the option"
            )
        self.option = str(options.get("virtualenv") or "")
        self.venv = root / self.option if self.option else None

    def require(self) -> None:
        """Raise RuntimeProblem, as the official host does, unless the environment exists."""
        if self.venv is None or self.executable.exists():
            return
        state = (
            "doesn't appear to be a virtual environment" if self.venv.exists() else "doesn't exist"
        )
        raise RuntimeProblem(
            f"The 'virtualenv' option in Pulumi.yaml is set to {self.option!r}, but "
            f"{str(self.venv)!r} {state}; run `pulumi install` to create it and install "
            "dependencies into it"
        )

    @property
    def executable(self) -> Path:
        if self.venv is not None:
            return self.venv / "bin" / "python"
        command = os.environ.get("PULUMI_PYTHON_CMD")
        for name in [command] if command else ["python3", "python"]:
            if found := shutil.which(name):
                return Path(found)
        raise RuntimeProblem(
            "no python3 or python on PATH: install Python, or set PULUMI_PYTHON_CMD"
        )

    def environment(self) -> dict[str, str]:
        """The host's environment with the virtual environment activated."""
        env = dict(os.environ)
        if self.venv is not None:
            env.pop("PYTHONHOME", None)
            env["VIRTUAL_ENV"] = str(self.venv)
            env["PATH"] = os.pathsep.join(
                part for part in (str(self.venv / "bin"), env.get("PATH", "")) if part
            )
        return env

    def output(self, *args: str) -> str:
        return subprocess.run(
            [str(self.executable), *args],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        ).stdout

    def site_packages(self) -> list[Path]:
        if self.venv is not None:
            return sorted(self.venv.glob("lib/python*/site-packages"))
        paths = json.loads(self.output("-c", "import json, sys; print(json.dumps(sys.path))"))
        return [Path(path) for path in paths if path]


def required_plugins(site_packages: list[Path]) -> list[dict[str, Any]]:
    """Resource plugins that installed packages ask for in their ``pulumi-plugin.json``.

    A file without a version (ediri-vultr's) takes the version of the Python package.
    """
    plugins = []
    for folder in site_packages:
        for manifest in sorted(folder.glob("*/pulumi-plugin.json")):
            content = json.loads(manifest.read_text())
            if not content.get("resource"):
                continue
            package = manifest.parent.name
            found = content.get("version") or _package_version(folder, package)
            plugins.append(
                {
                    "name": content.get("name") or package.removeprefix("pulumi_"),
                    "kind": "resource",
                    "version": "v" + found.removeprefix("v") if found else "",
                    "server": content.get("server") or "",
                }
            )
    return plugins


def _package_version(folder: Path, package: str) -> str:
    for info in folder.glob(f"{package}-*.dist-info"):
        return info.name.removeprefix(f"{package}-").removesuffix(".dist-info")
    return ""


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


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """The ``LanguageRuntime`` service of a Python project."""

    def __init__(self, executor: Path, engine: str) -> None:
        self._executor = executor
        self._engine = engine
        self._children: set[subprocess.Popen[bytes]] = set()

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._engine = request.engine_address or self._engine
        return language.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        return plugin_pb2.PluginInfo(version=version("pulumi"))

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

    def RuntimeOptionsPrompts(self, request: Any, context: grpc.ServicerContext) -> Any:
        return language.RuntimeOptionsResponse()

    def Template(self, request: Any, context: grpc.ServicerContext) -> Any:
        return empty_pb2.Empty()

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
        env = python.environment()
        env["PULUMI_CONFIG"] = json.dumps(dict(request.config))
        env["PULUMI_CONFIG_SECRET_KEYS"] = json.dumps(list(request.configSecretKeys))
        args = executor_arguments(request, self._engine)
        child = subprocess.Popen(
            [str(python.executable), "-u", str(self._executor), *args],
            env=env,
            stdin=subprocess.DEVNULL,
        )
        code = self._wait(child)
        if code == 0:
            return language.RunResponse()
        if code == _SHOWED_ITS_ERROR:
            return language.RunResponse(bail=True)
        if code < 0:
            return language.RunResponse(error=f"Program exited unexpectedly: signal {-code}")
        return language.RunResponse(error=f"Program exited with non-zero exit code: {code}")

    def InstallDependencies(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        root = Path(request.info.root_directory or request.directory)
        python = _python(request.info, context, exists=False)
        pip = [str(python.executable), "-m", "pip", "install"]
        steps = [[*pip, "--upgrade", "pip", "setuptools", "wheel"]]
        if python.venv is not None:
            steps.insert(0, [sys.executable, "-m", "venv", str(python.venv)])
        if (Path(request.directory) / "requirements.txt").exists():
            steps.append([*pip, "-r", "requirements.txt"])
        for step in steps:
            yield language.InstallDependenciesResponse(stdout=f"{' '.join(step)}\n".encode())
            child = subprocess.Popen(
                step,
                cwd=request.directory or root,
                env=python.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            assert child.stdout is not None
            for line in child.stdout:
                yield language.InstallDependenciesResponse(stdout=line)
            if code := self._wait(child):
                context.abort(
                    grpc.StatusCode.UNKNOWN, f"`{' '.join(step)}` failed with exit code {code}"
                )

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.stop_children()
        return empty_pb2.Empty()

    def stop_children(self) -> None:
        """End the programs that run, so that none outlives the engine."""
        for child in list(self._children):
            child.terminate()

    def _wait(self, child: subprocess.Popen[bytes]) -> int:
        self._children.add(child)
        try:
            return child.wait()
        finally:
            self._children.discard(child)


def _python(info: Any, context: grpc.ServicerContext, *, exists: bool = True) -> Python:
    options = json_format.MessageToDict(info.options)
    try:
        python = Python(Path(info.root_directory or info.program_directory), options)
        if exists:
            python.require()
        return python
    except RuntimeProblem as problem:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(problem))
        raise AssertionError("abort always raises") from problem


def serve(executor: Path, engine: str) -> tuple[grpc.Server, LanguageHost, int]:
    """Start the service on a free port of 127.0.0.1."""
    host = LanguageHost(executor, engine)
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=8),
        options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
    )
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, host, port


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exec", required=True, type=Path, help="the official executor")
    parser.add_argument("engine", nargs="?", default="", help="address of the engine")
    args, _ = parser.parse_known_args()
    parent = os.getppid()
    _, host, port = serve(args.exec, args.engine)
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    engine_gone = threading.Event()
    # The engine ends its plugins with SIGINT, and with SIGKILL a second later.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: engine_gone.set())

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.25)
        engine_gone.set()

    threading.Thread(target=watch, daemon=True).start()
    engine_gone.wait()
    host.stop_children()
    # No clean-up of gRPC: its threads may be waiting for an engine that was killed.
    os._exit(0)


if __name__ == "__main__":
    main()

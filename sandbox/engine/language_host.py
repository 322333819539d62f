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
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import grpc
from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import language_pb2 as language
from pulumi.runtime.proto import language_pb2_grpc, plugin_pb2

from sandbox.engine.python_environment import Python, RuntimeProblem, required_plugins

_SHOWED_ITS_ERROR = 32
"""Exit code of the executor when the user has seen a message already (its source says so)."""


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
        yield from _printed(child)
        yield language.RunPluginResponse(exitcode=self._wait(child))

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
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(problem))
        raise AssertionError("abort always raises") from problem


def _printed(child: subprocess.Popen[bytes]) -> Iterator[Any]:
    """What it prints, as it comes, until both ends are closed."""
    lines: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def pass_on(stream: IO[bytes], response: Callable[[bytes], Any]) -> None:
        for line in stream:
            lines.put(response(line))
        lines.put(None)

    assert child.stdout is not None
    assert child.stderr is not None
    for stream, response in (
        (child.stdout, lambda line: language.RunPluginResponse(stdout=line)),
        (child.stderr, lambda line: language.RunPluginResponse(stderr=line)),
    ):
        threading.Thread(target=pass_on, args=(stream, response), daemon=True).start()
    for _ in range(2):
        yield from iter(lines.get, None)


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

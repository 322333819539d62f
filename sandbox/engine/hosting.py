"""What the language hosts have in common: the service, its children, and how it starts and ends."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from importlib.metadata import version
from typing import IO, Any, NoReturn

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import language_pb2 as language
from pulumi.runtime.proto import language_pb2_grpc, plugin_pb2

_SHOWED_ITS_ERROR = 32
"""Exit code of the executors when the user has seen a message already (their sources say so)."""


class Host(language_pb2_grpc.LanguageRuntimeServicer):
    """The ``LanguageRuntime`` service, but for what depends on the language."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self._children: set[subprocess.Popen[bytes]] = set()

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.engine = request.engine_address or self.engine
        return language.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        return plugin_pb2.PluginInfo(version=version("pulumi"))

    def RuntimeOptionsPrompts(self, request: Any, context: grpc.ServicerContext) -> Any:
        return language.RuntimeOptionsResponse()

    def Template(self, request: Any, context: grpc.ServicerContext) -> Any:
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.stop_children()
        return empty_pb2.Empty()

    def stop_children(self) -> None:
        """End the programs that run, so that none outlives the engine."""
        for child in list(self._children):
            child.terminate()

    def run_program(self, command: Sequence[str], request: Any, env: Mapping[str, str]) -> Any:
        """The answer to ``Run``: an executor's command, run to its end."""
        configuration = {
            "PULUMI_CONFIG": json.dumps(dict(request.config)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
        }
        child = subprocess.Popen(command, env={**env, **configuration}, stdin=subprocess.DEVNULL)
        code = self.wait(child)
        if code == 0:
            return language.RunResponse()
        if code == _SHOWED_ITS_ERROR:
            return language.RunResponse(bail=True)
        if code < 0:
            return language.RunResponse(error=f"Program exited unexpectedly: signal {-code}")
        return language.RunResponse(error=f"Program exited with non-zero exit code: {code}")

    def install(
        self,
        steps: Sequence[Sequence[str]],
        folder: str,
        env: Mapping[str, str],
        context: grpc.ServicerContext,
    ) -> Iterator[Any]:
        """The answer to ``InstallDependencies``: each step, and what it prints."""
        for step in steps:
            yield language.InstallDependenciesResponse(stdout=f"{' '.join(step)}\n".encode())
            child = subprocess.Popen(
                step,
                cwd=folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            assert child.stdout is not None
            for line in child.stdout:
                yield language.InstallDependenciesResponse(stdout=line)
            if code := self.wait(child):
                context.abort(
                    grpc.StatusCode.UNKNOWN, f"`{' '.join(step)}` failed with exit code {code}"
                )

    def wait(self, child: subprocess.Popen[bytes]) -> int:
        self._children.add(child)
        try:
            return child.wait()
        finally:
            self._children.discard(child)


def refuse(context: grpc.ServicerContext, problem: object) -> NoReturn:
    """End a call with what the user has to set right."""
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(problem))
    raise AssertionError("abort always raises")


def printed(child: subprocess.Popen[bytes]) -> Iterator[Any]:
    """What a plugin prints, as it comes, until both ends are closed."""
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


def serve(host: Host) -> tuple[grpc.Server, int]:
    """Start the service on a free port of 127.0.0.1."""
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=8),
        options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
    )
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


def run(host: Host) -> NoReturn:
    """Serve until the engine is gone; the port is the first line that is printed."""
    parent = os.getppid()
    _, port = serve(host)
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

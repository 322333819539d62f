"""The shared base of the emulated provider plugins: a gRPC ``ResourceProvider`` around a Plugin.

A plugin is a long-lived server that engines are pointed at by ``PULUMI_DEBUG_PROVIDERS``.

Which configuration a call belongs to. An engine dials one gRPC connection for every *provider
resource* (``NewProvider`` in sdk/go/common/resource/plugin/provider_plugin.go dials in its attach
branch, v3.246.0), shakes hands, attaches and configures on it, and then sends everything for that
provider's resources on the same connection. Resource calls name no provider: neither URN nor id
of the provider is in a Check, Diff, Create, Read, Update, Delete or Invoke. So the connection's
address (``context.peer()``) is what tells callers apart: two provider resources of one program,
and any number of engines at once, never see each other's configuration. A connection that is
replaced (grpc-go drops one after 30 idle minutes) answers "not configured" instead of guessing.
A handshake starts a connection's state afresh, because the system reuses ports.
"""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2_grpc, plugin_pb2
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import provider_pb2_grpc as rpc

from sandbox.providers.base.components import Component
from sandbox.providers.base.errors import reported
from sandbox.providers.base.operations import (
    Call,
    Cancelled,
    Failure,
    InitFailed,
    Plugin,
    PluginError,
    ReadResult,
    S,
)
from sandbox.providers.base.values import Properties, conceal, marshal, reveal, unmarshal

__all__ = [
    "Call",
    "Cancelled",
    "Failure",
    "InitFailed",
    "Plugin",
    "PluginError",
    "ReadResult",
    "Server",
    "serve",
]

HOST = "127.0.0.1"
_WORKERS = 128

# The engine is local: a proxy from the environment must not be asked for it.
_PLAIN_CHANNEL = [("grpc.enable_http_proxy", 0)]


class _NotConfigured:
    """In the place of a session, which may itself be None."""


_NOT_CONFIGURED = _NotConfigured()


@dataclass
class _Connection(Generic[S]):
    engine_address: str = ""
    session: S | _NotConfigured = _NOT_CONFIGURED
    cancelled: threading.Event = field(default_factory=threading.Event)
    channel: grpc.Channel | None = None

    def engine(self) -> engine_pb2_grpc.EngineStub | None:
        """The engine's side of the connection, for messages to the user."""
        if self.channel is None and self.engine_address:
            self.channel = grpc.insecure_channel(self.engine_address, options=_PLAIN_CHANNEL)
        return None if self.channel is None else engine_pb2_grpc.EngineStub(self.channel)

    def close(self) -> None:
        self.cancelled.set()
        if self.channel is not None:
            self.channel.close()


class _Servicer(rpc.ResourceProviderServicer, Generic[S]):
    def __init__(self, plugin: Plugin[S]) -> None:
        self._plugin = plugin
        self._connections: dict[str, _Connection[S]] = {}
        self._lock = threading.Lock()

    # Connections and configuration.

    def Handshake(self, request: Any, context: Any) -> Any:
        with self._lock:
            self._connections[context.peer()] = _Connection(request.engine_address)
        return pb.ProviderHandshakeResponse(accept_secrets=True, accept_resources=True)

    def Attach(self, request: Any, context: Any) -> Any:
        connection = self._connection(context)
        connection.engine_address = request.address
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: Any) -> Any:
        with self._lock:
            connection = self._connections.pop(context.peer(), None)
        if connection is not None:
            connection.close()
        return empty_pb2.Empty()

    def Configure(self, request: Any, context: Any) -> Any:
        with reported(context):
            self._connection(context).session = self._plugin.configure(
                reveal(unmarshal(request.args))
            )
        return pb.ConfigureResponse(
            acceptSecrets=True, acceptResources=True, supportsPreview=True, acceptOutputs=False
        )

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=self._plugin.version)

    def GetSchema(self, request: Any, context: Any) -> Any:
        known = {"name": self._plugin.package, "version": self._plugin.version}
        return pb.GetSchemaResponse(schema=json.dumps({**known, **self._plugin.schema}))

    def CheckConfig(self, request: Any, context: Any) -> Any:
        news = unmarshal(request.news)
        with reported(context):
            inputs, failures = self._plugin.check_config(self._call(request, context), reveal(news))
        return _checked(conceal(inputs, news), failures)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        with reported(context):
            diff = self._plugin.diff_config(
                self._call(request, context),
                reveal(unmarshal(request.old_inputs)),
                reveal(unmarshal(request.news)),
            )
        return diff.ignoring(request.ignoreChanges).response()

    # Resources.

    def Check(self, request: Any, context: Any) -> Any:
        news = unmarshal(request.news)
        with reported(context):
            inputs, failures = self._plugin.check(
                self._session(context),
                self._call(request, context),
                reveal(news),
                reveal(unmarshal(request.olds)),
            )
        return _checked(conceal(inputs, news), failures)

    def Diff(self, request: Any, context: Any) -> Any:
        with reported(context):
            diff = self._plugin.diff(
                self._session(context),
                self._call(request, context),
                request.id,
                reveal(unmarshal(request.olds)),
                reveal(unmarshal(request.old_inputs)),
                reveal(unmarshal(request.news)),
            )
        return diff.ignoring(request.ignoreChanges).response()

    def Create(self, request: Any, context: Any) -> Any:
        inputs = unmarshal(request.properties)
        with reported(context, secrets=inputs):
            id, outputs = self._plugin.create(
                self._session(context), self._call(request, context), reveal(inputs)
            )
        return pb.CreateResponse(id=id, properties=marshal(conceal(outputs, inputs)))

    def Read(self, request: Any, context: Any) -> Any:
        inputs, properties = unmarshal(request.inputs), unmarshal(request.properties)
        with reported(context, secrets=properties):
            found = self._plugin.read(
                self._session(context),
                self._call(request, context),
                request.id,
                reveal(inputs),
                reveal(properties),
            )
        if found is None:
            return pb.ReadResponse()
        return pb.ReadResponse(
            id=found.id,
            properties=marshal(conceal(conceal(found.outputs, properties), inputs)),
            inputs=marshal(conceal(found.inputs, inputs)),
        )

    def Update(self, request: Any, context: Any) -> Any:
        news = unmarshal(request.news)
        with reported(context, secrets=news):
            outputs = self._plugin.update(
                self._session(context),
                self._call(request, context),
                request.id,
                reveal(unmarshal(request.olds)),
                reveal(unmarshal(request.old_inputs)),
                reveal(news),
            )
        return pb.UpdateResponse(properties=marshal(conceal(outputs, news)))

    def Delete(self, request: Any, context: Any) -> Any:
        with reported(context):
            self._plugin.delete(
                self._session(context),
                self._call(request, context),
                request.id,
                reveal(unmarshal(request.properties)),
            )
        return empty_pb2.Empty()

    def Construct(self, request: Any, context: Any) -> Any:
        plugin, call = self._plugin, self._call(request, context)
        inputs = reveal(unmarshal(request.inputs))
        with (
            reported(context),
            Component.asked(request, inputs, plugin.package, plugin.version) as component,
        ):
            call.urn, call.preview = component.urn, component.preview
            return component.response(plugin.construct(self._session(context), call, component))

    def Invoke(self, request: Any, context: Any) -> Any:
        with reported(context):
            result = self._plugin.invoke(
                self._session(context),
                self._call(request, context),
                request.tok,
                reveal(unmarshal(request.args)),
            )
        response = pb.InvokeResponse()
        getattr(response, "return").CopyFrom(marshal(result))
        return response

    def _connection(self, context: Any) -> _Connection[S]:
        with self._lock:
            return self._connections.setdefault(context.peer(), _Connection())

    def _session(self, context: Any) -> S:
        session = self._connection(context).session
        if isinstance(session, _NotConfigured):
            raise PluginError(
                f"provider {self._plugin.package!r} isn't configured on this connection: "
                "the engine reconnected, or the plugin was restarted; run the command again"
            )
        return session

    def _call(self, request: Any, context: Any) -> Call:
        connection = self._connection(context)
        urn = getattr(request, "urn", "")
        return Call(
            urn=urn,
            type=getattr(request, "type", "") or urn.split("::")[2].split("$")[-1] if urn else "",
            name=getattr(request, "name", "") or urn.rsplit("::", 1)[-1],
            preview=getattr(request, "preview", False),
            timeout=getattr(request, "timeout", 0.0),
            ignored=tuple(getattr(request, "ignoreChanges", ())),
            _alive=context.is_active,
            _cancelled=connection.cancelled,
            _engine=connection.engine(),
        )


def _checked(inputs: Properties, failures: list[Failure]) -> pb.CheckResponse:
    return pb.CheckResponse(
        inputs=marshal(inputs),
        failures=[pb.CheckFailure(property=f.property, reason=f.reason) for f in failures],
    )


@dataclass
class Server:
    """A running plugin: the port it listens on, and how to stop it."""

    port: int
    _server: grpc.Server

    def stop(self, grace: float = 0.5) -> None:
        """Refuse new calls, give running ones ``grace`` seconds, and close."""
        self._server.stop(grace).wait()

    def wait(self) -> None:
        """Block until the server is stopped."""
        self._server.wait_for_termination()


def serve(plugin: Plugin[Any], port: int = 0) -> Server:
    """Serve a plugin on 127.0.0.1; on any free port where ``port`` is 0 or taken."""
    server = grpc.server(
        ThreadPoolExecutor(max_workers=_WORKERS, thread_name_prefix=plugin.package),
        options=[
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            # Without this two servers would share one port, and calls land on either.
            ("grpc.so_reuseport", 0),
        ],
    )
    rpc.add_ResourceProviderServicer_to_server(_Servicer(plugin), server)
    try:
        bound = server.add_insecure_port(f"{HOST}:{port}")
    except RuntimeError:
        bound = 0
    if not bound:
        bound = server.add_insecure_port(f"{HOST}:0")
    server.start()
    return Server(bound, server)

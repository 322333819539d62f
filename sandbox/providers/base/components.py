"""Component resources of a plugin (`Construct`): their children go to the engine's monitor.

What the SDKs do for providers that are written in Go: the plugin registers the component and, as
any program would, its children, and answers when the last of them is through.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import resource_pb2, resource_pb2_grpc

from sandbox.providers.base.operations import PluginError
from sandbox.providers.base.values import Properties, marshal, reference

_CHANNEL = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1)]
_PARALLEL = 32


@dataclass(frozen=True)
class Child:
    """A resource of the plugin's package inside of a component."""

    type: str
    name: str
    inputs: Properties
    after: tuple[int, ...] = ()
    """Places of other children, before this one, that it depends on."""
    retain_on_delete: bool = False


@dataclass
class Component:
    """A component that an engine asks for: what it is, and where its children go."""

    type: str
    name: str
    inputs: Properties
    """As the program gave them, without secret marks."""
    preview: bool
    package: str
    version: str
    _request: Any
    _channel: grpc.Channel = field(repr=False)
    urn: str = ""

    @classmethod
    def asked(cls, request: Any, inputs: Properties, package: str, version: str) -> "Component":
        """The one that a ConstructRequest asks for."""
        channel = grpc.insecure_channel(request.monitorEndpoint, options=_CHANNEL)
        return cls(
            request.type, request.name, inputs, request.dryRun, package, version, request, channel
        )

    def __enter__(self) -> "Component":
        """Register the component itself, so that what is said of it has a place."""
        request = self._request
        answer = self._register(
            resource_pb2.RegisterResourceRequest(
                type=self.type,
                name=self.name,
                parent=request.parent,
                custom=False,
                object=marshal({}),
                protect=request.protect,
                dependencies=request.dependencies,
                providers=request.providers,
                aliases=request.aliases,
                aliasSpecs=True,
                deletedWith=request.deletedWith,
                retainOnDelete=request.retainOnDelete,
                replace_with=request.replace_with,
                acceptSecrets=True,
                acceptResources=True,
            )
        )
        self.urn = answer.urn
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def register(self, children: Sequence[Child]) -> list[Any]:
        """Register the children, each after those that it depends on; references to them."""
        done: list[Future[Any]] = []
        with ThreadPoolExecutor(_PARALLEL) as pool:
            for child in children:
                done.append(pool.submit(self._child, child, [done[place] for place in child.after]))
        return [reference(answer.urn, answer.id) for answer in (item.result() for item in done)]

    def response(self, state: Mapping[str, Any]) -> Any:
        """What the engine is answered."""
        return pb.ConstructResponse(urn=self.urn, state=marshal(state))

    def _child(self, child: Child, after: Sequence["Future[Any]"]) -> Any:
        dependencies = [answer.result().urn for answer in after]
        request = self._request
        return self._register(
            resource_pb2.RegisterResourceRequest(
                type=child.type,
                name=child.name,
                parent=self.urn,
                custom=True,
                object=marshal(child.inputs),
                dependencies=dependencies,
                provider=request.providers.get(self.package, ""),
                version=self.version,
                protect=request.protect,
                deletedWith=request.deletedWith,
                retainOnDelete=request.retainOnDelete or child.retain_on_delete,
                aliasSpecs=True,
                acceptSecrets=True,
                acceptResources=True,
                supportsPartialValues=True,
            )
        )

    def _register(self, request: Any) -> Any:
        stub = resource_pb2_grpc.ResourceMonitorStub(self._channel)
        try:
            return stub.RegisterResource(request)
        except grpc.RpcError as error:
            details = error.details() if isinstance(error, grpc.Call) else str(error)
            raise PluginError(f"{request.type} {request.name!r}: {details}") from error

"""What a resource registers, held against what another class does: ours and an SDK's."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pulumi
from google.protobuf import json_format
from pulumi.runtime import mocks
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import SETTINGS
from pulumi.runtime.stack import wait_for_rpcs


class _Answers(mocks.Mocks):
    """The provider's outputs: one more than there are inputs."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        return "id-1", {
            **args.inputs,
            "certificate": "pem",
            "expiresOn": "2030-01-01",
            "kubeConfig": "",
        }

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        raise AssertionError(args.token)


class _Monitor(mocks.MockMonitor):
    """The engine: keeps the requests as they came."""

    def __init__(self, components: bool) -> None:
        super().__init__(_Answers())
        self._components = components
        self.requests: list[resource_pb2.RegisterResourceRequest] = []

    def RegisterResource(self, request: Any) -> Any:
        if request.custom or self._components:
            self.requests.append(request)
        return super().RegisterResource(request)


def registered(
    make: Callable[[], pulumi.Resource], read: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the engine is sent of one resource, and those of the outputs `read` that there are."""
    (sent,), outputs = all_registered(make, read)
    return sent, outputs


def all_registered(
    make: Callable[[], pulumi.Resource], read: Sequence[str] = (), *, preview: bool = False
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The same of a component with its children; in a preview, with the components among them."""
    outputs: dict[str, Any] = {}

    async def run() -> _Monitor:
        monitor = _Monitor(components=preview)
        mocks.set_mocks(_Answers(), monitor=monitor, preview=preview)
        # What another test of this process left would be awaited, in a loop that is closed.
        left: Any = SETTINGS
        left.outputs.clear()
        left.rpc_manager.clear()
        resource = make()
        for name in read:
            if isinstance(found := getattr(resource, name, None), pulumi.Output):
                outputs[name] = await found.future()
        await wait_for_rpcs()
        return monitor

    sent = [json_format.MessageToDict(request) for request in asyncio.run(run()).requests]
    for each in sent:
        # Where in the program it was made.
        for key in ("sourcePosition", "stackTrace"):
            each.pop(key, None)
    return sent, outputs

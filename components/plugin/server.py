"""The plugin's server: Pulumi's own for components, and beside it this package's resources.

Pulumi's host for components (`component_provider_host`) serves components alone; theirs make
resources whose provider is Python, and which a program in another language can't serve.
"""

import asyncio
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import grpc
import grpc.aio
import pulumi
from google.protobuf import empty_pb2
from pulumi.output import Unknown
from pulumi.provider import ConstructResult
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.server import ProviderServicer
from pulumi.runtime import proto, rpc
from pulumi.runtime.proto import provider_pb2_grpc
from pulumi.runtime.stack import wait_for_rpcs

from ..errors import EdgefleetError, NoCredential
from ..own_resource import are_made_by_the_plugin
from .components import Components, deleted_with
from .own_resources import NoSuchType, load_all, provider_of
from .published import CONFIGURATION

_HIDDEN = "kubeconfig"
_TOLD = (EdgefleetError, pulumi.RunError, RuntimeError, NoSuchType)
"""What is raised to be read by a person."""
_Answer = TypeVar("_Answer")


class Servicer(ProviderServicer):
    """Sentences come out as they are: a person's mistake has no traceback."""

    def __init__(self, components: Components, engine: str) -> None:
        super().__init__(components, [], engine)
        self._components = components
        self._config: dict[str, str] = {}

    async def Configure(self, request: Any, context: Any) -> Any:
        given = _Values(request.args).plain
        self._config.update(
            {known: given[key] for key, known in CONFIGURATION.items() if given.get(key)}
        )
        self._components.config = self._config
        return proto.ConfigureResponse(acceptSecrets=True, acceptResources=True, acceptOutputs=True)

    async def Construct(self, request: Any, context: Any) -> Any:
        # The SDK takes its URN for a provider's reference, and cuts it (3.246.0). A request is a
        # task of its own, and so this is the request's own.
        deleted_with.set(request.deletedWith)
        request.ClearField("deletedWith")
        try:
            return await super().Construct(request, context)
        except Exception as error:
            await _end(context, error)
            raise

    async def _construct_response(self, result: ConstructResult) -> Any:
        answer = await super()._construct_response(result)
        # A component may register in an `apply`, as RegionalDns does, and the SDK's server waits
        # for what is registered alone (3.246.0): what comes after its answer is gone from the
        # engine's view, which deletes it.
        await wait_for_rpcs()
        return answer

    async def Invoke(self, request: Any, context: Any) -> Any:
        try:
            return await super().Invoke(request, context)
        except Exception as error:
            await _end(context, error)
            raise

    async def Check(self, request: Any, context: Any) -> Any:
        olds, news = _Values(request.olds), _Values(request.news)
        found = await _asked(context, lambda: self._own(request).check(olds.plain, news.plain))
        failures = [
            proto.CheckFailure(property=each.property, reason=each.reason)
            for each in found.failures
        ]
        return proto.CheckResponse(inputs=news.like(found.inputs), failures=failures)

    async def Diff(self, request: Any, context: Any) -> Any:
        olds, news = _Values(request.olds), _Values(request.news)
        found = await _asked(
            context, lambda: self._own(request).diff(request.id, olds.plain, news.plain)
        )
        changes = {True: "DIFF_SOME", False: "DIFF_NONE", None: "DIFF_UNKNOWN"}[found.changes]
        return proto.DiffResponse(
            changes=getattr(proto.DiffResponse, changes),
            replaces=found.replaces or [],
            deleteBeforeReplace=found.delete_before_replace or False,
        )

    async def Create(self, request: Any, context: Any) -> Any:
        props = _Values(request.properties)
        made = await _asked(context, lambda: self._own(request).create(props.plain))
        return proto.CreateResponse(id=made.id, properties=props.like(made.outs))

    async def Read(self, request: Any, context: Any) -> Any:
        props = _Values(request.properties)
        found = await _asked(context, lambda: self._own(request).read(request.id, props.plain))
        inputs = request.inputs if found.inputs is None else props.like(found.inputs)
        return proto.ReadResponse(id=found.id, properties=props.like(found.outs), inputs=inputs)

    async def Update(self, request: Any, context: Any) -> Any:
        olds, news = _Values(request.olds), _Values(request.news)
        made = await _asked(
            context, lambda: self._own(request).update(request.id, olds.plain, news.plain)
        )
        return proto.UpdateResponse(properties=news.like(made.outs))

    async def Delete(self, request: Any, context: Any) -> Any:
        props = _Values(request.properties)
        await _asked(context, lambda: self._own(request).delete(request.id, props.plain))
        return empty_pb2.Empty()

    def _own(self, request: Any) -> Any:
        return provider_of(request.urn.split("::")[2].split("$")[-1], self._config)


class _Values:
    """A request's values as providers take them, which of them are secret, and answers alike."""

    def __init__(self, struct: Any) -> None:
        values = PropertyValue.unmarshal_map(struct)
        self.plain = {key: _plain(value) for key, value in values.items()}
        self._secret = {_HIDDEN, *(key for key, one in values.items() if one.contains_secret())}

    def like(self, props: Mapping[str, Any] | None) -> Any:
        """An answer's values: what was secret stays so."""
        return PropertyValue.marshal_map(
            {
                key: _value(one).with_secret(key in self._secret)
                for key, one in (props or {}).items()
            }
        )


def _plain(value: PropertyValue) -> Any:
    inner = value.value
    if inner == rpc.UNKNOWN:
        return Unknown()
    if isinstance(inner, Mapping):
        return {key: _plain(one) for key, one in cast(Mapping[str, Any], inner).items()}
    if isinstance(inner, tuple):
        return [_plain(one) for one in cast("tuple[Any, ...]", inner)]
    return inner


def _value(value: Any) -> PropertyValue:
    if isinstance(value, Unknown):
        # `PropertyValue.computed()` has no form on the wire (3.246.0).
        return PropertyValue(rpc.UNKNOWN)
    if isinstance(value, Mapping):
        items = cast(Mapping[str, Any], value).items()
        return PropertyValue({key: _value(one) for key, one in items})
    if isinstance(value, list | tuple):
        return PropertyValue([_value(one) for one in cast("list[Any]", value)])
    if isinstance(value, int) and not isinstance(value, bool):
        # Numbers there are floats alone.
        return PropertyValue(float(value))
    return PropertyValue(value)


async def _asked(context: Any, ask: Callable[[], _Answer]) -> _Answer:
    """A provider's answer: it may block."""
    try:
        return await asyncio.to_thread(ask)
    except Exception as error:
        await _end(context, error)
        raise


async def _end(context: Any, error: BaseException) -> None:
    """Ends a request with a sentence; where it is a bug, standard error gets the place in the
    code."""
    told = _told(error)
    if not isinstance(told, _TOLD) and type(told) is not Exception:
        traceback.print_exception(told, file=sys.stderr)
    text = str(told)
    if isinstance(told, NoCredential):
        for own, known in CONFIGURATION.items():
            text = text.replace(known, f"edgefleet:{own}")
    await context.abort(grpc.StatusCode.UNKNOWN, text)


def _told(error: BaseException) -> BaseException:
    """What was raised, without what Pulumi's server puts around it: the places in the code."""
    inner = error.__context__
    return inner if inner and str(error).startswith(f"{inner}:\n") else error


def main() -> None:
    """Serve until the engine ends this process. Prints the port, as plugins do."""
    are_made_by_the_plugin()
    # Before threads ask: modules that several of them load at once are met half loaded.
    load_all()
    engine = next(each for each in sys.argv[1:] if not each.startswith("-"))
    asyncio.run(_serve(engine))


async def _serve(engine: str) -> None:
    schema = Path(__file__).with_name("schema.json").read_text()
    unlimited = ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)
    server = grpc.aio.server(options=unlimited)
    servicer = Servicer(Components(schema), engine)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await server.wait_for_termination()

"""What an emulated provider plugin is made of: operations, their context, their errors."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from sandbox.providers.base.diff import Diff, compare
from sandbox.providers.base.values import Properties

if TYPE_CHECKING:
    from sandbox.providers.base.components import Component

_POLL_SECONDS = 0.2
_INFO, _WARNING = engine_pb2.INFO, engine_pb2.WARNING

log = logging.getLogger(__name__)

S = TypeVar("S")
"""A plugin's session: what it makes of one provider configuration."""


class PluginError(Exception):
    """An operation failed; the message is shown to the user as the provider's error."""


class Cancelled(PluginError):
    """The engine went away or cancelled while an operation was waiting."""

    def __init__(self) -> None:
        super().__init__("cancelled by the engine")


class InitFailed(PluginError):
    """The resource exists, but isn't as asked for: the engine stores it, with the error.

    The next up sees ``properties`` as the resource's state.
    """

    def __init__(
        self, id: str, properties: Properties, reasons: list[str], inputs: Properties | None = None
    ) -> None:
        super().__init__("; ".join(reasons))
        self.id = id
        self.properties = properties
        self.reasons = reasons
        self.inputs = inputs


@dataclass(frozen=True)
class Failure:
    """An input that Check or CheckConfig refuses: property path ("" for the whole) and reason."""

    property: str
    reason: str


@dataclass(frozen=True)
class ReadResult:
    """What Read found: the id, the state, and the inputs that would make it."""

    id: str
    outputs: Properties
    inputs: Properties


@dataclass
class Call:
    """One operation on one resource: what it is about, and ways to wait and to tell the user."""

    urn: str = ""
    type: str = ""
    name: str = ""
    preview: bool = False
    timeout: float = 0.0
    """Seconds from the option custom_timeouts; 0 where it isn't set."""
    _alive: Callable[[], bool] = lambda: True
    _cancelled: threading.Event = field(default_factory=threading.Event)
    _engine: engine_pb2_grpc.EngineStub | None = None
    ignored: tuple[str, ...] = ()
    """Property paths from the option ignoreChanges."""

    @property
    def stack(self) -> str:
        """The stack's name, from the URN; "" in an Invoke."""
        return self.urn.removeprefix("urn:pulumi:").split("::")[0] if self.urn else ""

    def wait(self, seconds: float) -> None:
        """Sleep, but raise Cancelled as soon as the engine cancels or is gone."""
        end = time.monotonic() + seconds
        while True:
            if not self._alive():
                raise Cancelled
            left = end - time.monotonic()
            if self._cancelled.wait(min(max(left, 0.0), _POLL_SECONDS)):
                raise Cancelled
            if left <= 0:
                return

    def info(self, message: str, *, ephemeral: bool = False) -> None:
        """Show a message with the resource; an ephemeral one only while it is being worked on."""
        self._tell(_INFO, message, ephemeral)

    def warn(self, message: str) -> None:
        """Show a warning with the resource."""
        self._tell(_WARNING, message, False)

    def _tell(self, severity: int, message: str, ephemeral: bool) -> None:
        if self._engine is None:
            return
        try:
            self._engine.Log(
                engine_pb2.LogRequest(
                    severity=severity,  # type: ignore[arg-type]
                    message=message,
                    urn=self.urn,
                    ephemeral=ephemeral,
                ),
                timeout=5,
            )
        except (grpc.RpcError, ValueError):
            log.debug("the engine didn't take a message", exc_info=True)


class Plugin(Generic[S]):
    """A provider in plain Python; subclasses say what it does.

    Property maps come without secret marks. The base marks what came in secret on the way out,
    by name; a plugin adds ``Secret(value)`` to outputs that are secret by themselves. Values
    that a preview can't know are ``UNKNOWN``, both ways. Any method may raise PluginError.
    """

    package: str
    """The package's name in type tokens and in PULUMI_DEBUG_PROVIDERS, e.g. ``vultr``."""
    distribution: str
    """The PyPI name of its SDK, whose installed version the plugin claims to have."""
    schema: ClassVar[Mapping[str, Any]] = {}
    """What it tells of its package's schema, which only programs in YAML ask for."""

    @property
    def version(self) -> str:
        """The installed SDK's version."""
        return metadata.version(self.distribution)

    def check_config(self, call: Call, news: Properties) -> tuple[Properties, list[Failure]]:
        """Validate provider arguments; numbers, booleans and objects arrive as JSON strings."""
        return news, []

    def diff_config(self, call: Call, old_inputs: Properties, news: Properties) -> Diff:
        """Compare provider arguments. By default nothing replaces."""
        return compare(old_inputs, news)

    def configure(self, config: Properties) -> S:
        """Make the session that the other methods get, from known provider arguments."""
        raise NotImplementedError

    def check(
        self, session: S, call: Call, news: Properties, olds: Properties
    ) -> tuple[Properties, list[Failure]]:
        """Validate and complete a resource's inputs; ``olds`` are the inputs of the last up."""
        raise NotImplementedError

    def diff(
        self, session: S, call: Call, id: str, olds: Properties, old_inputs: Properties,
        news: Properties,
    ) -> Diff:  # fmt: skip
        """Compare the state ``olds`` with the inputs ``news``. ignoreChanges is applied after."""
        raise NotImplementedError

    def create(self, session: S, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """Create and return id and outputs; in a preview ("", outputs with unknowns)."""
        raise NotImplementedError

    def read(
        self, session: S, call: Call, id: str, inputs: Properties, properties: Properties
    ) -> ReadResult | None:
        """Look a resource up; None if it is gone. An import has neither inputs nor properties."""
        raise NotImplementedError

    def update(
        self, session: S, call: Call, id: str, olds: Properties, old_inputs: Properties,
        news: Properties,
    ) -> Properties:  # fmt: skip
        """Change in place and return the outputs; in a preview they may hold unknowns."""
        raise NotImplementedError

    def delete(self, session: S, call: Call, id: str, properties: Properties) -> None:
        """Delete."""
        raise NotImplementedError

    def invoke(self, session: S, call: Call, token: str, args: Properties) -> Properties:
        """Answer a function of the package, e.g. ``vultr:index/getInstance:getInstance``."""
        raise NotImplementedError

    def construct(self, session: S, call: Call, component: "Component") -> Properties:
        """Make a component resource's children and return its outputs."""
        raise PluginError(f"the sandbox's {self.package} plugin has no component {component.type}")

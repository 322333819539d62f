"""Drives a provider plugin as an engine does: Check, Diff, Create, Update, Read, Delete."""

import threading
from dataclasses import dataclass, field, replace
from typing import Any

import pulumi
import requests
from pulumi import _types
from pulumi.runtime import rpc

from sandbox.providers.base.diff import ADD, DELETE, Diff
from sandbox.providers.base.operations import Call, InitFailed, Plugin
from sandbox.providers.base.schema import token
from sandbox.providers.base.values import Properties, reveal
from sandbox.vendors import emulators
from tests.faults import unmet

SPEED = 2000.0
"""What the waits of a provider are divided by in tests."""


class Refused(AssertionError):
    """Check found failures; ``str`` has them."""


def as_programs_see(sdk: type[pulumi.CustomResource], outputs: Properties) -> Properties:
    """The outputs without secret marks; AssertionError if the SDK couldn't read them."""
    revealed = reveal(outputs)
    types = _types.resource_types(sdk)
    assert revealed.keys() <= types.keys()
    for name, value in revealed.items():
        rpc.translate_output_properties(value, str, types[name], path=rpc._Path(name))
    return revealed


@dataclass
class State:
    """What an engine stores of one resource."""

    sdk: type[pulumi.CustomResource]
    id: str = ""
    inputs: Properties = field(default_factory=dict)
    outputs: Properties = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)


class Engine:
    """One provider configuration, and operations on resources of its plugin."""

    def __init__(self, plugin: Plugin[Any], config: Properties) -> None:
        self.plugin = plugin
        self.session = plugin.configure(config)

    def call(self, sdk: type[pulumi.CustomResource], preview: bool = False) -> Call:
        """The context of an operation."""
        kind = token(sdk)
        urn = f"urn:pulumi:us::edgefleet::{kind}::x"
        return Call(urn, kind, "x", preview, 0.0, lambda: True, threading.Event())

    def check(self, sdk: type[pulumi.CustomResource], inputs: Properties) -> Properties:
        """The completed inputs; raises Refused."""
        checked, failures = self.plugin.check(self.session, self.call(sdk), inputs, {})
        if failures:
            raise Refused("; ".join(f"{f.property}: {f.reason}" for f in failures))
        return checked

    def plan(self, sdk: type[pulumi.CustomResource], inputs: Properties) -> Properties:
        """The outputs of a preview of create, with secret marks."""
        checked = self.check(sdk, inputs)
        planned = self.plugin.create(self.session, self.call(sdk, preview=True), checked)[1]
        as_programs_see(sdk, planned)
        return planned

    def create(self, sdk: type[pulumi.CustomResource], inputs: Properties) -> State:
        """Create. A resource that failed to come up is in ``errors``, as in the state file."""
        checked = self.check(sdk, inputs)
        try:
            id, outputs = self.plugin.create(self.session, self.call(sdk), checked)
        except InitFailed as failed:
            return State(sdk, failed.id, checked, failed.properties, failed.reasons)
        return State(sdk, id, checked, as_programs_see(sdk, outputs))

    def diff(self, state: State, inputs: Properties) -> Diff:
        """What a preview with these inputs would show."""
        checked = self.check(state.sdk, inputs)
        call = self.call(state.sdk, preview=True)
        return self.plugin.diff(self.session, call, state.id, state.outputs, state.inputs, checked)

    def changes(self, state: State, inputs: Properties) -> dict[str, str]:
        """``diff`` in short: path → "~", "+" or "-", doubled where it replaces."""
        found = self.diff(state, inputs)
        signs: dict[int, str] = {ADD: "+", DELETE: "-"}
        return {
            path: signs.get(kind, "~") * (2 if path in found.replaces else 1)
            for path, kind in found.changes.items()
        }

    def plan_update(self, state: State, inputs: Properties) -> Properties:
        """The outputs of a preview of update."""
        call = self.call(state.sdk, preview=True)
        checked = self.check(state.sdk, inputs)
        planned = self.plugin.update(
            self.session, call, state.id, state.outputs, state.inputs, checked
        )
        return as_programs_see(state.sdk, planned)

    def update(self, state: State, inputs: Properties, ignoring: tuple[str, ...] = ()) -> State:
        """Update in place; `ignoring` is the option ignoreChanges."""
        checked = self.check(state.sdk, inputs)
        call = replace(self.call(state.sdk), ignored=ignoring)
        outputs = self.plugin.update(
            self.session, call, state.id, state.outputs, state.inputs, checked
        )
        return State(state.sdk, state.id, checked, as_programs_see(state.sdk, outputs))

    def refresh(self, state: State) -> State | None:
        """Read; None if it is gone."""
        found = self.plugin.read(
            self.session, self.call(state.sdk), state.id, state.inputs, state.outputs
        )
        if found is None:
            return None
        return State(state.sdk, found.id, found.inputs, as_programs_see(state.sdk, found.outputs))

    def import_(self, sdk: type[pulumi.CustomResource], id: str) -> State | None:
        """Read with nothing but an id."""
        return self.refresh(State(sdk, id))

    def delete(self, state: State) -> None:
        """Delete."""
        self.plugin.delete(self.session, self.call(state.sdk), state.id, state.outputs)

    def invoke(self, function: str, args: Properties) -> Properties:
        """Call a function, without secret marks in the answer."""
        return reveal(self.plugin.invoke(self.session, Call(), function, args))


@dataclass
class Emulator:
    """The controls of an emulated API: its request log and its faults."""

    url: str

    def sent(self) -> list[str]:
        """``METHOD path`` of every request since ``forget``."""
        log = requests.get(f"{self.url}/_sandbox/requests", timeout=10).json()
        entries = log["requests"] if isinstance(log, dict) else log
        return [f"{entry['method']} {entry['path']}" for entry in entries]

    def set(self, **settings: Any) -> None:
        """Change settings of the sandbox."""
        url = f"{self.url}/_sandbox/settings"
        requests.put(url, json=settings, timeout=10).raise_for_status()

    def forget(self) -> None:
        """Clear the request log."""
        requests.delete(f"{self.url}/_sandbox/requests", timeout=10)

    def fault(self, **fault: Any) -> None:
        """Add a fault."""
        requests.post(f"{self.url}/_sandbox/faults", json=fault, timeout=10).raise_for_status()

    def require_met(self) -> None:
        """Fail where a fault was added that no request ran into."""
        answer = requests.get(f"{self.url}/_sandbox/faults", timeout=10).json()
        assert unmet(answer["faults"]) == []


class SwitchingServer:
    """One listening server for a module's tests; ``app`` is the test's own."""

    def __init__(self) -> None:
        self.app: Any = None
        self._served = emulators.serve(lambda environ, start: self.app(environ, start))

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._served.url

    def __enter__(self) -> "SwitchingServer":
        return self

    def __exit__(self, *_: object) -> None:
        self._served.close()

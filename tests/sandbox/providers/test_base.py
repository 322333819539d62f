"""The base of the provider plugins, driven over gRPC as an engine drives it."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from hypothesis import given
from hypothesis import strategies as st
from pulumi.runtime.proto import plugin_pb2, status_pb2
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import provider_pb2_grpc as rpc

from sandbox.providers.base.diff import ADD, DELETE, UPDATE, Diff, compare
from sandbox.providers.base.server import (
    Call,
    Cancelled,
    Failure,
    InitFailed,
    Plugin,
    PluginError,
    ReadResult,
    Server,
    serve,
)
from sandbox.providers.base.values import (
    UNKNOWN,
    Secret,
    conceal,
    has_secret,
    has_unknown,
    marshal,
    reveal,
    unmarshal,
)

Stub = rpc.ResourceProviderStub
URN = "urn:pulumi:us::edgefleet::toy:index:Thing::a"


class ToyPlugin(Plugin[str | None]):
    """Its session is the configured key; a resource remembers which session made it."""

    package = "toy"
    distribution = "pulumi"

    def __init__(self) -> None:
        self.waiting, self.ended = threading.Event(), threading.Event()

    def configure(self, config: dict[str, Any]) -> str | None:
        if config.get("key") == "bad":
            raise PluginError("the key 'bad' is refused")
        return None if config["key"] == "none" else config["key"]

    def check(
        self, session: str | None, call: Call, news: dict[str, Any], olds: dict[str, Any]
    ) -> tuple[dict[str, Any], list[Failure]]:
        refused = [Failure("size", "too big")] if news.get("size") == 99 else []
        return {**news, "checkedBy": session}, refused

    def diff(
        self, session: str | None, call: Call, id: str, olds: Any, old_inputs: Any, news: Any
    ) -> Diff:
        return compare(olds, news, old_inputs=old_inputs, replaces={"zone"})

    def create(self, session: str | None, call: Call, inputs: Any) -> tuple[str, dict[str, Any]]:
        if call.preview:
            return "", {**inputs, "owner": UNKNOWN}
        if inputs.get("fail"):
            raise InitFailed("id-1", {**inputs, "owner": session}, ["poll failed"])
        return "id-1", {**inputs, "owner": session, "token": Secret("t")}

    def read(
        self, session: str | None, call: Call, id: str, inputs: Any, properties: Any
    ) -> ReadResult | None:
        return None if id == "gone" else ReadResult(id, {**properties, "owner": session}, inputs)

    def update(
        self, session: str | None, call: Call, id: str, olds: Any, old_inputs: Any, news: Any
    ) -> dict[str, Any]:
        return {**olds, **news}

    def delete(self, session: str | None, call: Call, id: str, properties: Any) -> None:
        self.waiting.set()
        try:
            call.wait(60)
        except Cancelled:
            self.ended.set()
            raise

    def invoke(self, session: str | None, call: Call, token: str, args: Any) -> dict[str, Any]:
        return {"session": session, "token": token}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = serve(ToyPlugin())
    yield running
    running.stop()


Connect = Callable[[str], Stub]


@pytest.fixture
def connect(server: Server) -> Iterator[Connect]:
    """A new connection with its own configuration, as each provider resource gets one."""
    channels: list[grpc.Channel] = []

    def open_one(key: str) -> Stub:
        # Channels of one process share a connection unless told otherwise; engines' don't.
        channel = grpc.insecure_channel(
            f"127.0.0.1:{server.port}",
            options=[("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)],
        )
        channels.append(channel)
        stub = Stub(channel)
        stub.Handshake(pb.ProviderHandshakeRequest(engine_address=""))
        stub.Attach(plugin_pb2.PluginAttach(address=""))
        if key:
            stub.Configure(pb.ConfigureRequest(args=marshal({"key": Secret(key)})))
        return stub

    yield open_one
    for channel in channels:
        channel.close()


def create(stub: Stub, preview: bool = False, **inputs: Any) -> pb.CreateResponse:
    return stub.Create(pb.CreateRequest(urn=URN, properties=marshal(inputs), preview=preview))


def test_connections_keep_their_configurations_apart(connect: Connect) -> None:
    one, two = connect("one"), connect("two")
    assert unmarshal(create(one).properties)["owner"] == "one"
    assert unmarshal(create(two).properties)["owner"] == "two"
    assert unmarshal(create(one).properties)["owner"] == "one"


def test_a_connection_without_configuration_is_refused(connect: Connect) -> None:
    with pytest.raises(grpc.RpcError, match="isn't configured on this connection"):
        create(connect(""))


def test_a_session_may_be_none(connect: Connect) -> None:
    stub = connect("none")
    assert unmarshal(create(stub).properties)["owner"] is None


def test_a_handshake_forgets_what_the_address_was_configured_for(connect: Connect) -> None:
    stub = connect("one")
    stub.Handshake(pb.ProviderHandshakeRequest(engine_address=""))
    with pytest.raises(grpc.RpcError, match="isn't configured"):
        create(stub)


def test_a_refused_configuration_says_why(connect: Connect) -> None:
    with pytest.raises(grpc.RpcError, match="the key 'bad' is refused"):
        connect("bad")


def test_the_handshake_promises_secrets_and_resources(connect: Connect) -> None:
    answer = connect("one").Handshake(pb.ProviderHandshakeRequest(engine_address=""))
    assert answer.accept_secrets
    assert answer.accept_resources


def test_it_claims_the_version_of_the_installed_sdk(connect: Connect) -> None:
    assert connect("one").GetPluginInfo(empty_pb2.Empty()).version == "3.246.0"


def test_check_returns_failures_and_keeps_secrets(connect: Connect) -> None:
    response = connect("one").Check(
        pb.CheckRequest(urn=URN, news=marshal({"size": 99, "password": Secret("p")}))
    )
    assert [(f.property, f.reason) for f in response.failures] == [("size", "too big")]
    assert unmarshal(response.inputs) == {
        "size": 99,
        "password": Secret("p"),
        "checkedBy": "one",
    }


def test_outputs_named_like_secret_inputs_are_secret(connect: Connect) -> None:
    outputs = unmarshal(create(connect("one"), password=Secret("p"), size=1).properties)
    assert outputs == {
        "password": Secret("p"),
        "size": 1,
        "owner": "one",
        "token": Secret("t"),
    }


def test_previews_carry_unknowns(connect: Connect) -> None:
    response = create(connect("one"), preview=True, size=UNKNOWN)
    assert response.id == ""
    assert unmarshal(response.properties) == {"size": UNKNOWN, "owner": UNKNOWN}


def test_a_resource_that_failed_to_come_up_is_handed_over(connect: Connect) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        create(connect("one"), fail=True, password=Secret("p"))
    trailing: Any = dict(caught.value.trailing_metadata())  # type: ignore[attr-defined]
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    detail = pb.ErrorResourceInitFailed()
    assert status.details[0].Unpack(detail)
    assert detail.id == "id-1"
    assert list(detail.reasons) == ["poll failed"]
    assert unmarshal(detail.properties)["password"] == Secret("p")


def test_reading_a_lost_resource_gives_no_id(connect: Connect) -> None:
    assert connect("one").Read(pb.ReadRequest(id="gone", urn=URN)).id == ""


def test_read_keeps_the_secrets_of_the_state(connect: Connect) -> None:
    answer = connect("one").Read(
        pb.ReadRequest(id="x", urn=URN, properties=marshal({"token": Secret("t")}))
    )
    assert unmarshal(answer.properties) == {"token": Secret("t"), "owner": "one"}


def test_diff_names_paths_kinds_and_replacements(connect: Connect) -> None:
    response = connect("one").Diff(
        pb.DiffRequest(
            urn=URN,
            id="x",
            olds=marshal({"zone": "a", "size": 1, "tags": {"k": "v"}, "seen": 1}),
            old_inputs=marshal({"zone": "a", "size": 1, "tags": {"k": "v"}}),
            news=marshal({"zone": "b", "tags": {"k": "w"}, "more": [1]}),
        )
    )
    assert response.changes == pb.DiffResponse.DIFF_SOME
    assert {path: d.kind for path, d in response.detailedDiff.items()} == {
        "zone": pb.PropertyDiff.UPDATE_REPLACE,
        "size": pb.PropertyDiff.DELETE,
        "tags.k": pb.PropertyDiff.UPDATE,
        "more": pb.PropertyDiff.ADD,
    }
    assert list(response.replaces) == ["zone"]


def test_diff_leaves_ignored_paths_out(connect: Connect) -> None:
    response = connect("one").Diff(
        pb.DiffRequest(
            urn=URN,
            id="x",
            olds=marshal({"size": 1, "tags": {"k": "v", "key": "v"}}),
            news=marshal({"size": 2, "tags": {"k": "w", "key": "w"}}),
            ignoreChanges=["size", "tags.k"],
        )
    )
    assert list(response.detailedDiff) == ["tags.key"]


@pytest.mark.parametrize("how", ["cancel", "vanish"])
def test_waiting_ends_when_the_engine_cancels_or_is_gone(how: str) -> None:
    plugin = ToyPlugin()
    server = serve(plugin)
    channel = grpc.insecure_channel(
        f"127.0.0.1:{server.port}",
        options=[("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)],
    )
    stub = Stub(channel)
    stub.Configure(pb.ConfigureRequest(args=marshal({"key": "one"})))
    running = stub.Delete.future(pb.DeleteRequest(id="x", urn=URN))  # type: ignore[attr-defined]
    assert plugin.waiting.wait(30)
    if how == "cancel":
        stub.Cancel(empty_pb2.Empty())
        with pytest.raises(grpc.RpcError, match="cancelled by the engine"):
            running.result()
    channel.close()
    assert plugin.ended.wait(30)
    server.stop()


def test_invoke_answers(connect: Connect) -> None:
    response = connect("one").Invoke(pb.InvokeRequest(tok="toy:index:f", args=marshal({})))
    assert unmarshal(getattr(response, "return")) == {"session": "one", "token": "toy:index:f"}


def test_a_port_in_use_is_no_problem(server: Server) -> None:
    other = serve(ToyPlugin(), server.port)
    try:
        assert other.port not in (0, server.port)
    finally:
        other.stop()


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.text(max_size=8),
        st.just(UNKNOWN),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=4), inner, max_size=3),
        inner.map(Secret),
    ),
    max_leaves=8,
)
MAPS = st.dictionaries(st.text(min_size=1, max_size=4), VALUES, max_size=4)


@given(MAPS)
def test_values_survive_the_wire(properties: dict[str, Any]) -> None:
    assert unmarshal(marshal(properties)) == properties


@given(MAPS)
def test_revealed_values_hold_no_secret_and_concealing_brings_them_back(
    properties: dict[str, Any],
) -> None:
    revealed = reveal(properties)
    assert not has_secret(revealed)
    assert has_unknown(revealed) == has_unknown(properties)
    hidden = conceal(revealed, properties)
    for key, value in properties.items():
        assert has_secret(hidden[key]) == has_secret(value)


@given(st.dictionaries(st.sampled_from("abc"), st.integers(0, 3)))
def test_the_same_twice_is_no_change(properties: dict[str, Any]) -> None:
    assert compare(properties, properties).changes == {}


@pytest.mark.parametrize(
    ("old", "new", "old_inputs", "expected"),
    [
        ({"a": 1, "computed": 2}, {"a": 1}, {"a": 1}, {}),
        ({"a": 1}, {"a": UNKNOWN}, {"a": 1}, {"a": UPDATE}),
        ({"a": None}, {"a": 1}, {}, {"a": ADD}),
        ({}, {"a": ""}, {}, {}),
        ({"a": 1}, {}, {"a": 1}, {"a": DELETE}),
        ({"p": {"n": 3, "id": "x"}}, {"p": {"n": 4}}, {"p": {"n": 3}}, {"p.n": UPDATE}),
        ({"l": [1, 2]}, {"l": [1, 3, 4]}, {"l": [1, 2]}, {"l[1]": UPDATE, "l[2]": ADD}),
        ({"l": [1, 2]}, {"l": [1]}, {"l": [1, 2]}, {"l[1]": DELETE}),
        ({"m": {"a.b": 1}}, {"m": {"a.b": 2}}, {"m": {"a.b": 1}}, {'m["a.b"]': UPDATE}),
    ],
)
def test_compare(old: Any, new: Any, old_inputs: Any, expected: dict[str, int]) -> None:
    assert compare(old, new, old_inputs=old_inputs).changes == expected

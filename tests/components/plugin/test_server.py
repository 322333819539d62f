"""The plugin's answers to the engine's requests, without an engine."""

import asyncio
from collections.abc import Mapping
from typing import Any

import grpc
import pulumi
import pytest
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)
from pulumi.output import Unknown
from pulumi.provider import ConstructResult
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.runtime import proto, rpc
from pulumi.runtime.settings import reset_options

from components.own_resource import kinds, token
from components.plugin import own_resources
from components.plugin.components import Components
from components.plugin.server import Servicer
from components.vendors.credentials import vultr_key
from components.vendors.provider import VendorProvider
from tests.loops import done

SCHEMA = '{"name": "edgefleet", "version": "1.2.3"}'
URN = "urn:pulumi:dev::shop::edgefleet:index:VkeCluster$edgefleet:internal:Example::a"


class Ended(Exception):
    """What `context.abort` raises."""


class Context:
    async def abort(self, code: grpc.StatusCode, text: str) -> None:
        raise Ended(text)


class Example(VendorProvider):
    """Writes down what it is asked with; the text in `wrong` is what it fails with."""

    asked: list[Any]

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        self.asked.append(news)
        return CheckResult(news, [CheckFailure("size", "too big")] if news.get("size") else [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        changed = [key for key in news if olds.get(key) != news[key]]
        return DiffResult(changes=bool(changed), replaces=changed, delete_before_replace=True)

    def create(self, props: dict[str, Any]) -> CreateResult:
        self.asked.append(props)
        if wrong := props.get("wrong"):
            raise RuntimeError(wrong)
        if props.get("asks_vultr"):
            vultr_key(self.config, {})
        return CreateResult("one", {**props, "generation": 2})

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        if props.get("gone"):
            return ReadResult("", {})
        return ReadResult(id_, {**props, "found": True}, {"kubeconfig": props["kubeconfig"]})

    def update(self, _id: str, olds: dict[str, Any], props: dict[str, Any]) -> UpdateResult:
        self.asked.append((olds, props))
        return UpdateResult(props)

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        self.asked.append(props)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the provider of `internal:Example` is asked with."""
    seen: list[Any] = []
    monkeypatch.setattr(Example, "asked", seen, raising=False)
    served = {token("Example"): Example}
    monkeypatch.setattr(own_resources, "_served", lambda: served)
    return seen


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is asked what an engine can do."""

    async def nothing() -> None: ...

    monkeypatch.setattr("pulumi.runtime.settings._load_monitor_feature_support", nothing)


def values(props: Mapping[str, PropertyValue]) -> Any:
    return PropertyValue.marshal_map({**props})


def text(value: str, *, secret: bool = False) -> PropertyValue:
    return PropertyValue(value, is_secret=secret)


def answers(method: str, request: Any) -> Any:
    return done(getattr(Servicer(Components(SCHEMA), ""), method)(request, Context()))


def test_a_secret_input_is_plain_to_its_provider_and_secret_in_the_state(asked: list[Any]):
    given = values(
        {"token": text("s3cret", secret=True), "kubeconfig": text("k"), "open": text("o")}
    )
    made = answers("Create", proto.CreateRequest(urn=URN, properties=given))
    assert asked == [{"token": "s3cret", "kubeconfig": "k", "open": "o"}]
    found = PropertyValue.unmarshal_map(made.properties)
    assert made.id == "one"
    assert {key for key, value in found.items() if value.is_secret} == {"token", "kubeconfig"}
    assert found["generation"] == PropertyValue(2.0)


def test_a_secret_within_a_value_makes_all_of_it_secret(asked: list[Any]):
    inner = PropertyValue({"list": PropertyValue([text("s3cret", secret=True)])})
    updated = proto.UpdateRequest(urn=URN, id="one", olds=values({}), news=values({"data": inner}))
    made = answers("Update", updated)
    assert asked == [({}, {"data": {"list": ["s3cret"]}})]
    assert PropertyValue.unmarshal_map(made.properties)["data"].is_secret


def test_what_is_not_known_yet_is_unknown_to_its_provider_and_stays_so(asked: list[Any]):
    news = values({"when": text(rpc.UNKNOWN), "flag": PropertyValue(True)})
    checked = answers("Check", proto.CheckRequest(urn=URN, olds=values({}), news=news))
    (seen,) = asked
    assert isinstance(seen["when"], Unknown)
    assert seen["flag"] is True
    assert checked.inputs == news
    assert not checked.failures


def test_a_refusal_names_its_argument(asked: list[Any]):
    news = values({"size": PropertyValue(3.0)})
    checked = answers("Check", proto.CheckRequest(urn=URN, olds=values({}), news=news))
    assert [(each.property, each.reason) for each in checked.failures] == [("size", "too big")]


@pytest.mark.parametrize(
    ("new", "changes", "replaces"),
    [("a", proto.DiffResponse.DIFF_NONE, []), ("b", proto.DiffResponse.DIFF_SOME, ["name"])],
)
def test_a_difference(asked: list[Any], new: str, changes: Any, replaces: list[str]):
    request = proto.DiffRequest(
        urn=URN, id="one", olds=values({"name": text("a")}), news=values({"name": text(new)})
    )
    found = answers("Diff", request)
    assert (found.changes, [*found.replaces]) == (changes, replaces)
    assert found.deleteBeforeReplace


def test_a_reading_keeps_secrets_and_gives_inputs(asked: list[Any]):
    props = values({"kubeconfig": text("k"), "token": text("s3cret", secret=True)})
    found = answers("Read", proto.ReadRequest(urn=URN, id="one", properties=props))
    state = PropertyValue.unmarshal_map(found.properties)
    assert state["kubeconfig"].is_secret
    assert state["token"].is_secret
    assert [*PropertyValue.unmarshal_map(found.inputs)] == ["kubeconfig"]


def test_what_is_gone_has_no_id(asked: list[Any]):
    props = values({"gone": PropertyValue(True)})
    assert answers("Read", proto.ReadRequest(urn=URN, id="one", properties=props)).id == ""


def test_a_deletion(asked: list[Any]):
    props = values({"name": text("a")})
    answers("Delete", proto.DeleteRequest(urn=URN, id="one", properties=props))
    assert asked == [{"name": "a"}]


def test_a_failure_is_the_sentence_alone(asked: list[Any], capfd: pytest.CaptureFixture[str]):
    request = proto.CreateRequest(urn=URN, properties=values({"wrong": text("No room in ewr")}))
    with pytest.raises(Ended, match=r"^No room in ewr$"):
        answers("Create", request)
    assert capfd.readouterr().err == ""


def test_a_type_of_another_release_is_named(asked: list[Any]):
    urn = URN.replace("Example", "Exampel")
    with pytest.raises(Ended, match=r"edgefleet:internal:Exampel isn't among this release's"):
        answers("Create", proto.CreateRequest(urn=urn, properties=values({})))


def test_credentials_are_the_plugins_configuration(asked: list[Any]):
    servicer = Servicer(Components(SCHEMA), "")
    request = proto.CreateRequest(urn=URN, properties=values({"asks_vultr": PropertyValue(True)}))

    async def both() -> None:
        with pytest.raises(Ended, match=r"VULTR_API_KEY.*edgefleet:vultrApiKey"):
            await servicer.Create(request, Context())
        given = values({"vultrApiKey": text("key", secret=True)})
        answer = await servicer.Configure(proto.ConfigureRequest(args=given), Context())
        assert answer.acceptSecrets
        assert (await servicer.Create(request, Context())).id == "one"

    done(both())


def test_a_function_gives_an_object_in_the_other_spelling():
    given = {
        name: PropertyValue([text("192.0.2.0/24")])
        for name in ("sshSources", "nodeNetworks", "podNetworks")
    }
    request = proto.InvokeRequest(tok="edgefleet:index:nodeRules", args=values(given))
    answer = getattr(answers("Invoke", request), "return")
    rules: Any = PropertyValue.unmarshal_map(answer)["rules"].value
    assert {"name", "ports", "protocol", "reason", "scope", "sources"} <= {*rules[0].value}
    assert {each.value["scope"].value for each in rules} == {"everywhere", "node"}


def test_a_function_refuses_what_is_misspelt():
    request = proto.InvokeRequest(
        tok="edgefleet:index:nodeRules", args=values({"sshSuorces": PropertyValue([])})
    )
    with pytest.raises(Ended, match="sshSuorces: there is no such argument: did you mean sshSou"):
        answers("Invoke", request)


@pytest.mark.usefixtures("no_engine")
def test_a_mistake_in_a_components_arguments_is_the_sentence_alone(
    capfd: pytest.CaptureFixture[str],
):
    given = values({"grupId": text("x"), "rules": PropertyValue([])})
    request = proto.ConstructRequest(
        type="edgefleet:index:CloudFirewall", name="shop", inputs=given, deletedWith=URN
    )
    with pytest.raises(Ended) as refused:
        answers("Construct", request)
    assert str(refused.value) == (
        "CloudFirewall shop: grupId: there is no such argument: did you mean groupId?; "
        "groupId: is missing"
    )
    assert capfd.readouterr().err == ""


def test_a_component_is_answered_for_when_what_it_does_later_is_done():
    later: list[str] = []

    async def constructed() -> None:
        # As for each component: what others left unfinished isn't waited for.
        reset_options()
        known = pulumi.Output.from_input(asyncio.sleep(0.2, "registered"))
        known.apply(
            lambda word: pulumi.Output.from_input(asyncio.sleep(0.2, word)).apply(later.append)
        )
        await Servicer(Components(SCHEMA), "")._construct_response(ConstructResult(URN, {}))  # pyright: ignore[reportPrivateUsage]

    done(constructed())
    assert later == ["registered"]


@pytest.mark.usefixtures("no_engine")
def test_a_component_that_there_is_not_is_named():
    request = proto.ConstructRequest(type="edgefleet:index:CloudFirewal", name="shop")
    with pytest.raises(Ended, match=r"^shop: edgefleet:index:CloudFirewal isn't among this rel"):
        answers("Construct", request)


def test_a_bug_ends_with_its_words_and_its_place_goes_to_the_log(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(Example, "create", lambda _, props: props["nothing"])
    with pytest.raises(Ended, match="nothing"):
        answers("Create", proto.CreateRequest(urn=URN, properties=values({})))
    told = capfd.readouterr().err
    assert "KeyError" in told
    assert "test_server.py" in told


def test_each_of_our_own_resources_is_served():
    own_resources.load_all()
    found = [each.kind for each in kinds()]
    assert len(found) == len({*found})
    assert {"ClusterVersion", "ServerSidePatch", "Rollout", "ZoneMemory"} <= {*found}
    for kind in found:
        assert isinstance(own_resources.provider_of(token(kind), {}), ResourceProvider)
    assert all(each.provided_by is not ResourceProvider for each in kinds())

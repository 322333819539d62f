"""components/plugin/schema.json is what plugin/generate.py makes of the components, and Pulumi
takes it; docs/facts/pulumi.md §4."""

import inspect
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from components.arguments import mistakes
from components.firewall.rule_data import PortRange, RuleArgs
from components.plugin import published
from components.plugin.published import camel
from components.vendors.credentials import cloudflare_access, vultr_key
from plugin import generate
from plugin.generate import SCHEMA, SchemaMistake, Types, described, translated, type_spec
from tests.data import table
from tests.loops import done
from tests.projects import ROOT

PACKAGE = json.loads(SCHEMA.read_text())
METASCHEMA = table("pulumi-metaschema")["schema"]
RESOURCES = sorted((*published.COMPONENTS, *published.RESOURCES))
Step = Literal["off", "on"]
Spelled = Literal["off", "on"]
PLAIN = {"type": "string", "plain": True}


def resource(name: str) -> dict[str, Any]:
    return PACKAGE["resources"][f"edgefleet:index:{name}"]


def properties(value: Any, where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property of the package, and what stands there."""
    for key, found in value.items() if isinstance(value, dict) else ():
        if key in ("properties", "inputProperties", "variables") and isinstance(found, dict):
            yield from ((f"{where}/{name}", each) for name, each in found.items())
        else:
            yield from properties(found, f"{where}/{key}")


def test_the_file_is_what_the_components_say():
    assert SCHEMA.read_text() == generate.text(), "`make schema` makes it anew"
    library = tomllib.loads((ROOT / "components" / "pyproject.toml").read_text())["project"]
    assert (PACKAGE["name"], PACKAGE["version"]) == (library["name"], library["version"])


def test_pulumi_takes_it_and_every_language_can():
    Draft202012Validator.check_schema(METASCHEMA)
    found = Draft202012Validator(METASCHEMA).iter_errors(PACKAGE)
    assert [(each.json_path, each.message) for each in found] == []
    assert "oneOf" not in SCHEMA.read_text()
    named = {*re.findall(r'"#/types/([^"]+)"', SCHEMA.read_text())}
    assert named == PACKAGE["types"].keys()


def test_all_that_is_published_is_there_and_nothing_else():
    of = {name: spec.get("isComponent", False) for name, spec in PACKAGE["resources"].items()}
    assert of == {f"edgefleet:index:{n}": n in published.COMPONENTS for n in RESOURCES}
    functions = {f"edgefleet:index:{camel(name)}" for name in published.FUNCTIONS}
    assert PACKAGE["functions"].keys() == functions
    page = (ROOT / "docs" / "languages.md").read_text()
    (said,) = re.findall(r"Published are (.*)\.\n", page)
    names = {token.rpartition(":")[2] for token in (*of, *functions)}
    assert {*re.findall(r"`(\w+)`", said)} == names


def test_every_property_says_what_it_is():
    assert [where for where, each in properties(PACKAGE) if not each.get("description")] == []
    # Names are spelled as there, and Python's exceptions aren't spoken of.
    said = " ".join(re.findall(r'"description": "(.*)"', SCHEMA.read_text()))
    assert "`object_name`" not in said
    assert "`objectName`" in said
    assert "Raises" not in said


@pytest.mark.parametrize("name", RESOURCES)
def test_what_must_be_given_and_what_must_be_known_is_what_python_refuses(name: str):
    shape, spec = published.arguments(name), resource(name)
    inputs = spec["inputProperties"]
    keys = {camel(key): key for key in shape.__annotations__}
    assert keys.keys() == inputs.keys()
    missing = {key for key in keys if any(m.startswith(f"{keys[key]}: is m") for m in told(shape))}
    assert missing == {*spec["requiredInputs"]}
    later = done(known_later())
    plain = {
        key
        for key, ours in keys.items()
        if any(m.startswith(f"{ours}: is an Output") for m in told(shape, {ours: later}))
    }
    assert plain == {key for key, each in inputs.items() if each.get("plain")}
    assert spec["required"] == [*spec["properties"]] == [camel(k) for k in published.outputs(name)]


async def known_later() -> "pulumi.Output[str]":
    return pulumi.Output.from_input("x")


def told(shape: Any, args: Mapping[str, Any] | None = None) -> list[str]:
    return [*mistakes(shape, args or {})]


def test_secrets_are_those_that_the_docstrings_and_the_code_call_so():
    marked = {where for where, each in properties(PACKAGE) if each.get("secret")}
    called = {
        where
        for where, each in properties(PACKAGE)
        if re.search(r"\ba secret[.:;]", each["description"])
    }
    assert marked == called
    assert {where.rpartition("/")[2] for where in marked} == {
        camel(name.rpartition(".")[2]) for name in published.SECRETS
    }
    for name in RESOURCES:
        source = inspect.getsource(published.published(name))
        wrapped = {*re.findall(r"self\.(\w+) = pulumi\.Output\.secret\(", source)}
        outputs = resource(name)["properties"]
        assert {camel(key) for key in wrapped} == {k for k in outputs if outputs[k].get("secret")}


def test_functions_give_objects_and_take_what_their_signature_says():
    rules = PACKAGE["functions"]["edgefleet:index:nodeRules"]
    assert rules["inputs"]["required"] == ["sshSources", "nodeNetworks", "podNetworks"]
    rule = {"$ref": "#/types/edgefleet:index:Rule"}
    assert rules["outputs"]["properties"]["rules"]["items"] == rule
    networks = PACKAGE["functions"]["edgefleet:index:cloudflareNetworks"]
    assert networks["outputs"]["properties"]["networks"]["items"] == {"type": "string"}
    # Every language makes a form of a function that takes Outputs, of what isn't plain.
    assert "plain" not in json.dumps([rules, networks])


class OtherRange(TypedDict):
    """Has the fields of `PortRange`, and isn't that."""

    first: int
    last: int


def reference(kind: Any) -> dict[str, Any]:
    return {"$ref": f"#/types/{kind.__name__ if isinstance(kind, type) else 'Enum'}"}


@pytest.mark.parametrize(
    ("hint", "spec"),
    [
        (str, PLAIN),
        (int, {"type": "integer", "plain": True}),
        (float, {"type": "number", "plain": True}),
        (bool, {"type": "boolean", "plain": True}),
        (Any, {"$ref": "pulumi.json#/Any", "plain": True}),
        (NotRequired[str | None], PLAIN),
        (pulumi.Input[str], {"type": "string"}),
        (NotRequired[pulumi.Input[str] | None], {"type": "string"}),
        (Sequence[str], {"type": "array", "items": PLAIN, "plain": True}),
        (pulumi.Input[Sequence[str]], {"type": "array", "items": PLAIN}),
        (pulumi.Input[list[pulumi.Input[str]]], {"type": "array", "items": {"type": "string"}}),
        (Mapping[str, str], {"type": "object", "additionalProperties": PLAIN, "plain": True}),
        (PortRange, {"$ref": "#/types/PortRange", "plain": True}),
        (pulumi.Input[PortRange], {"$ref": "#/types/PortRange"}),
        (Step, {"$ref": "#/types/Enum", "plain": True}),
    ],
)
def test_a_hint_is_one_type(hint: Any, spec: dict[str, Any]):
    assert type_spec(hint, "Here.field", reference) == spec


@pytest.mark.parametrize(
    ("hint", "why"),
    [
        (int | Literal["auto"], "Here.field: int | typing.Literal['auto']: one type"),
        (pulumi.Input[str | int], "Here.field: str | int: one type"),
        (Sequence[str | int], "Here.field: str | int: one type"),
        (tuple[int, int], "Here.field: tuple[int, int]: a schema has no word for it"),
        (Mapping[int, str], "a schema has no word for it"),
        (Literal[1, 2], "a schema has no word for it"),
    ],
)
def test_what_no_schema_can_say_is_refused(hint: Any, why: str):
    with pytest.raises(SchemaMistake, match=re.escape(why)):
        type_spec(hint, "Here.field", reference)


PRIMITIVES = st.sampled_from([str, int, float, bool, Any])
HINTS = st.recursive(
    PRIMITIVES,
    lambda inner: st.builds(
        lambda make, of: make(of),
        st.sampled_from(
            [
                lambda of: Sequence[of],
                lambda of: Mapping[str, of],
                lambda of: pulumi.Input[of],
                lambda of: of | None,
            ]
        ),
        inner,
    ),
)


@given(HINTS)
def test_whatever_has_one_type_is_a_type_that_pulumi_takes(hint: Any):
    spec = type_spec(hint, "Here.field", reference)
    types = Draft202012Validator({"$ref": "#/$defs/typeSpec", "$defs": METASCHEMA["$defs"]})
    assert [each.message for each in types.iter_errors(spec)] == []
    eventual = type_spec(hint, "Here.field", reference, inputs=False)
    assert json.loads(json.dumps(spec).replace(', "plain": true', "")) == eventual


def test_two_things_of_one_name_are_refused():
    types = Types()
    assert types.reference("Rule", RuleArgs) == types.reference("Rule", RuleArgs)
    for other in (PortRange, OtherRange, Step):
        with pytest.raises(SchemaMistake, match="Rule: two things of this name"):
            types.reference("Rule", other)
    with pytest.raises(SchemaMistake, match="PortRange: two things of this name"):
        types.reference("PortRange", OtherRange)
    # KubeProxy is a component, and would be one of the package's names on the day it is published.
    with pytest.raises(SchemaMistake, match="KubeProxy: two things of this name"):
        types.reference("KubeProxy", Step)


def test_configuration_is_what_the_plugin_reads():
    variables = PACKAGE["config"]["variables"]
    assert variables == PACKAGE["provider"]["inputProperties"]
    assert variables.keys() == published.CONFIGURATION.keys()
    found = vendors_variables(variables)
    assert vultr_key(lambda _: None, found) == "VULTR_API_KEY"
    access = cloudflare_access(lambda _: None, found)
    assert access == ("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_BASE_URL")


def vendors_variables(variables: dict[str, Any]) -> dict[str, str]:
    """An environment of the names that the descriptions say."""
    said = " ".join(each["description"] for each in variables.values())
    return {name: name for name in re.findall(r"Default: (\w+) of the environment", said)}


def test_what_functions_give_has_strings_for_enums():
    given = PACKAGE["types"]["edgefleet:index:Rule"]["properties"]["protocol"]
    assert given["type"] == "string"
    assert given["description"].endswith(" One of tcp, udp, icmp, icmpv6, ipip, any.")


def test_a_literal_is_called_as_its_module_does_or_as_its_field():
    given = resource("CalicoDataplane")["inputProperties"]
    # The field is of a TypedDict of another module, which the arguments extend.
    assert given["encapsulation"]["$ref"] == "#/types/edgefleet:index:Encapsulation"
    assert given["kubeProxy"]["$ref"] == "#/types/edgefleet:index:KubeProxyState"
    assert given["initContainers"]["additionalProperties"] == {
        "$ref": "#/types/edgefleet:index:CalicoImage",
        "plain": True,
    }
    with pytest.raises(SchemaMistake, match="several names: Step, Spelled"):
        generate._property("Here", "step", Step, "", Types(), __name__)


@pytest.mark.parametrize(
    ("docstring", "said"),
    [
        ("As it is.", "As it is."),
        ("One.\n\nRaises Mistake for what can't be. Two.\n\nArgs:\n    x: y.\n", "One. Two."),
        ("Needs `cluster_version`.", "Needs `clusterVersion`."),
        ("`node_rules()` and `trust.a_field`", "`nodeRules()` and `trust.aField`"),
        ("`pulumi up`, `not_a_field` and FELIX_X", "`pulumi up`, `not_a_field` and FELIX_X"),
    ],
)
def test_a_docstring_becomes_a_description(docstring: str, said: str):
    names = {"cluster_version", "node_rules", "trust", "a_field"}
    spec = {"description": described(docstring), "type": ["string"]}
    assert translated([spec], names) == [{"description": said, "type": ["string"]}]
    # A property may be called so.
    assert translated({"description": {"type": "string"}}, names) == {
        "description": {"type": "string"}
    }

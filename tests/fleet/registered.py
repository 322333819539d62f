"""What a program registered, of its exported state: alike for programs that say the same."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"
_NATURE = (
    (re.compile(r"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", re.DOTALL), "PEM"),
    (re.compile(r"^LS0tLS1CRUdJTi\S+$"), "PEM"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*"), "TIME"),
)
"""What is another with each cluster and each key."""


def registered(export: Mapping[str, Any]) -> list[str]:
    """A line for each resource: types of it and of those above, name, inputs, what is secret.

    Left out is what differs by nature: generated keys, ids, addresses, times. A dynamic resource of
    Python's goes by the name that the plugin has for it. A component's inputs aren't told, as a
    state has them only where the plugin makes it, nor are the engine's own providers.

    Args:
        export: of `pulumi stack export --show-secrets`.
    """
    resources = export["deployment"]["resources"]
    (stack,) = (each for each in resources if each["type"] == "pulumi:pulumi:Stack")
    addresses = {
        node[family]: family.upper()
        for node in _plain(stack["outputs"]["nodes"])
        for family in ("ipv4", "ipv6")
    }
    return sorted(
        json.dumps(_line(each, addresses), sort_keys=True)
        for each in resources
        if each is not stack and not _is_default_provider(each["urn"])
    )


def _is_default_provider(urn: str) -> bool:
    _, _, kind, name = urn.split("::", 3)
    return kind.startswith("pulumi:providers:") and name.startswith("default")


def _line(resource: Mapping[str, Any], addresses: Mapping[str, str]) -> list[Any]:
    _, _, kinds, name = resource["urn"].split("::", 3)
    kinds = kinds.replace("pulumi-python:dynamic/index:", "edgefleet:internal:")
    given = resource.get("inputs", {}) if resource["custom"] else {}
    inputs = {
        key: "KUBECONFIG" if key == "kubeconfig" and _is_secret(value) else _told(value, addresses)
        for key, value in given.items()
        if key not in ("__provider", "__internal")
    }
    return [kinds, _text(name, addresses), inputs]


def _is_secret(value: Any) -> bool:
    return isinstance(value, dict) and cast(Mapping[str, Any], value).get(_SIGNATURE) == _SECRET


def _plain(value: Any) -> Any:
    return json.loads(value["plaintext"]) if _is_secret(value) else value


def _told(value: Any, addresses: Mapping[str, str]) -> Any:
    if _is_secret(value):
        return {"secret": _told(_plain(value), addresses)}
    if isinstance(value, dict):
        items = cast(Mapping[str, Any], value).items()
        return {_text(key, addresses): _told(each, addresses) for key, each in items}
    if isinstance(value, list):
        return [_told(each, addresses) for each in cast(Sequence[Any], value)]
    return _text(value, addresses) if isinstance(value, str) else value


def _text(text: str, addresses: Mapping[str, str]) -> str:
    for pattern, name in _NATURE:
        text = pattern.sub(name, text)
    for address, name in addresses.items():
        text = re.sub(rf"(?<![\w.:]){re.escape(address)}(?![\w.:])", name, text)
    return text

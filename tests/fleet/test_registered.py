"""What two programs are compared by."""

import copy
from typing import Any

from tests.fleet.registered import registered

SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}


def resource(kinds: str, name: str, **inputs: Any) -> dict[str, Any]:
    urn = f"urn:pulumi:one::a::{kinds}::{name}"
    kind = kinds.split("$")[-1]
    custom = kind not in ("pulumi:pulumi:Stack", "edgefleet:index:Vke")
    return {"urn": urn, "type": kind, "custom": custom, "inputs": inputs}


def export(language: str) -> dict[str, Any]:
    """The same program's state, in Python or of the plugin."""
    number = {"python": "1", "yaml": "2"}[language]
    identity = f"{number}d23fab1-35e3-46bb-bcfa-45cd8fea8cf7"
    kind = {"python": "pulumi-python:dynamic/index", "yaml": "edgefleet:internal"}[language]
    dynamic = {"__provider": "gASV"} if language == "python" else {}
    given = {} if language == "python" else {"label": "shop"}
    nodes = [{"id": identity, "ipv4": f"45.76.1.{number}", "ipv6": f"2001:19f0::{number}"}]
    pem = f'"-----BEGIN KEY-----\\n{number}\\n-----END KEY-----"'
    resources = [
        resource("pulumi:pulumi:Stack", "a-one")
        | {"outputs": {"nodes": nodes, "kubeconfig": SECRET | {"plaintext": '"…"'}}},
        resource("edgefleet:index:Vke", "shop", **given),
        resource(f"pulumi:providers:{language}", f"default_{number}", version=number),
        resource(f"edgefleet:index:Vke${kind}:Patch", "shop-patch", cluster_id=identity, **dynamic),
        resource("kubernetes:Reach", "reach", kubeconfig=SECRET | {"plaintext": f'"{number}"'}),
        resource(
            "tls:Key", "key", pem=SECRET | {"plaintext": pem}, since=f"2026-0{number}-22T13:00:00Z"
        ),
        resource("dns:Record", f"dns-{identity}", content=f"45.76.1.{number}", near="45.76.1.10"),
    ]
    return {"deployment": {"resources": resources}}


def changed(index: int, **inputs: Any) -> dict[str, Any]:
    made = copy.deepcopy(export("yaml"))
    made["deployment"]["resources"][index]["inputs"] |= inputs
    return made


def test_the_same_program_registers_the_same_in_any_language():
    assert registered(export("python")) == registered(export("yaml"))
    assert len(registered(export("python"))) == 5


def test_what_differs_is_seen():
    same = registered(export("python"))
    patch, key, record = 3, 5, 6
    assert registered(changed(patch, cluster_id="shop")) != same
    assert registered(changed(patch, force=True)) != same
    assert registered(changed(key, since="never")) != same
    # In clear, and not a secret any more.
    assert registered(changed(key, pem="-----BEGIN KEY-----\n2\n-----END KEY-----")) != same
    assert registered(changed(record, content="45.76.1.3")) != same
    assert registered(changed(record, near="45.76.1.11")) != same
    fewer = export("yaml")
    fewer["deployment"]["resources"].pop(record)
    assert registered(fewer) != same

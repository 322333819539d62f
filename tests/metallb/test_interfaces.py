"""An interface that the node lacks which MetalLB has chosen: what the doctor reads of it."""

import pytest

from components.load_balancer import announced
from components.load_balancer.metallb_options import Pool
from ops.live.balancer import read_service
from ops.live.facts import ServiceFacts
from sandbox.clusters.api import ApiError, Object
from tests.metallb.world import World, until

ADDRESS = "10.77.0.130"
PATH = "api/v1/namespaces/default/services/near"


def pool(interface: str) -> Pool:
    return {"name": "lan", "addresses": ["10.77.0.128/28"], "l2": {"interfaces": [interface]}}


def seen(world: World) -> ServiceFacts | None:
    """As the doctor reads it, by the same requests."""

    def items(path: str, **query: str) -> list[Object]:
        return world.plane.api.get(path.strip("/"), **query)["items"]

    def objects(path: str) -> Object | None:
        try:
            return world.plane.api.get(path.strip("/"))
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    return read_service(world.plane.api.get(PATH), items, objects)


def complains(world: World) -> bool:
    found = seen(world)
    return bool(found and "interfaces" in found.complaint)


def test_nobody_answers_and_it_is_told_until_the_interface_fits(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    for node in world.nodes:
        node.speaker()
    world.plane.configure([pool("eth9")], [])
    world.plane.service("near", [ADDRESS])
    world.plane.pods_on("near", ["n1", "n2"])
    until("MetalLB says so", lambda: complains(world))
    found = seen(world)
    assert found
    assert (found.addresses, found.announcers) == ((ADDRESS,), ())
    assert ADDRESS in found.complaint
    assert world.router.owner(ADDRESS) == ""
    props = {
        "kubeconfig": world.plane.kubeconfig.read_text(),
        "namespace": "default",
        "service": "near",
    }
    wait = announced._Provider().wait  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(announced, "SECONDS", 3)
    with pytest.raises(RuntimeError, match=f"Service default/near: the interfaces .*{ADDRESS}"):
        wait(props)

    world.plane.configure([pool("eth0")], [])
    until("it is answered", lambda: world.router.owner(ADDRESS) != "")
    monkeypatch.setattr(announced, "SECONDS", 60)
    wait(props)
    until("MetalLB has the node", lambda: bool((now := seen(world)) and now.announcers))
    now = seen(world)
    assert now
    (announcer,) = now.announcers
    assert world.router.owner(ADDRESS) == {n.name: n.mac for n in world.nodes}[announcer]

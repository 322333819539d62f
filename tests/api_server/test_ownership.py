"""`OwnNames` on a real API server: what is somebody else's is refused, before and in an update."""

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from components.ingress.nginx.cluster_objects import own_names
from components.server_side.ownership import _Provider
from sandbox.providers.kubernetes.client import ApiError, Cluster
from tests.kubernetes_harness import Json, client, daemon_set, kubeconfig_text, named

pytest_plugins = ("tests.kubernetes_harness",)

OURS = {"app.kubernetes.io/part-of": "edgefleet"}
NAMES = (f"mine-{number}" for number in itertools.count())
ROLE = {**named("rbac.authorization.k8s.io/v1", "ClusterRole", "nginx-ingress"), "rules": []}


@pytest.fixture
def space() -> Json:
    """One of its own for each test: a namespace takes its time to go."""
    return named("v1", "Namespace", next(NAMES))


@pytest.fixture
def cluster(kubeconfig: str, space: Json) -> Iterator[Cluster]:
    yield (found := client(kubeconfig))
    for obj in (space, ROLE):
        with contextlib.suppress(ApiError):
            found.delete(obj, "Background")


def asked(kubeconfig: str, space: Json) -> Json:
    name = space["metadata"]["name"]
    return {"kubeconfig": kubeconfig, "objects": own_names(name, "nginx")}


def labelled(obj: Json, labels: dict[str, str]) -> Json:
    return {**obj, "metadata": {**obj["metadata"], "labels": labels}}


def refusals(olds: Json, news: Json) -> list[str]:
    return [failure.reason for failure in _Provider().check(olds, news).failures]


def test_names_that_nobody_has(cluster: Cluster, kubeconfig: str, space: Json):
    assert refusals({}, asked(kubeconfig, space)) == []
    assert _Provider().create(asked(kubeconfig, space)).id == "own-names"


def test_what_is_somebody_elses(cluster: Cluster, kubeconfig: str, space: Json):
    cluster.apply(space, "somebody")
    cluster.apply(labelled(ROLE, {"app.kubernetes.io/part-of": "helm"}), "somebody")
    of_space, role = refusals({}, asked(kubeconfig, space))
    name = space["metadata"]["name"]
    assert of_space.startswith(f"Namespace {name}: is in the cluster already and isn't edgefleet's")
    assert "Choose another name (edgefleet:ingress.namespace)" in of_space
    assert f"kubectl label namespace {name} app.kubernetes.io/part-of=edgefleet" in of_space
    assert "`kubectl delete clusterrole nginx-ingress`" in role
    for step in (
        lambda: _Provider().create(asked(kubeconfig, space)),
        lambda: _Provider().update("own-names", {"objects": []}, asked(kubeconfig, space)),
    ):
        with pytest.raises(RuntimeError, match=r"Namespace .*\nClusterRole nginx-ingress: "):
            step()


def test_what_an_update_that_was_cut_off_had_made(cluster: Cluster, kubeconfig: str, space: Json):
    for obj in (space, ROLE):
        cluster.apply(labelled(obj, OURS), "edgefleet")
    assert refusals({}, asked(kubeconfig, space)) == []
    _Provider().create(asked(kubeconfig, space))


def test_what_is_ours_already_is_not_asked_for(cluster: Cluster, kubeconfig: str, space: Json):
    """Nor is a new kubeconfig a reason, and it is kept."""
    cluster.apply(space, "somebody")
    olds = asked(kubeconfig, space)
    assert refusals(olds, asked(kubeconfig, space)) == []
    assert not _Provider().diff("own-names", olds, asked(kubeconfig, space)).changes
    assert _Provider().diff("own-names", olds, asked("rotated", space)).changes
    (other,) = refusals(olds, asked(kubeconfig, named("v1", "Namespace", "default")))
    assert other.startswith("Namespace default: ")


def test_the_ports_of_every_node_are_one_daemon_sets(
    cluster: Cluster, kubeconfig: str, space: Json
):
    """Another controller's, until it goes: what comes second would wait for them."""
    cluster.apply(other := named("v1", "Namespace", f"{space['metadata']['name']}-other"), "test")
    listening = daemon_set(other["metadata"]["name"], "ingress")
    pod = listening["spec"]["template"]["spec"]
    pod["hostNetwork"] = True
    pod["containers"][0]["ports"] = [{"containerPort": port} for port in (443, 9100)]
    cluster.apply(listening, "test")
    (problem,) = refusals({}, asked(kubeconfig, space))
    name = other["metadata"]["name"]
    assert problem.startswith(f"DaemonSet {name}/ingress: has :443 of every node, and two can't")
    assert f"`kubectl delete daemonset -n {name} ingress`" in problem
    with pytest.raises(RuntimeError, match="has :443 of every node"):
        _Provider().create(asked(kubeconfig, space))
    # It is ours by now, or lies where ours will, or on other nodes.
    olds = asked(kubeconfig, space)
    assert refusals(olds, olds) == []
    (of_space,) = refusals({}, asked(kubeconfig, other))
    assert of_space.startswith(f"Namespace {name}: ")
    pod["nodeSelector"] = {"kubernetes.io/os": "linux"}
    cluster.apply(listening, "test")
    assert refusals({}, asked(kubeconfig, space)) == [problem]
    pod["nodeSelector"] = {"web": "yes"}
    cluster.apply(listening, "test")
    assert refusals({}, asked(kubeconfig, space)) == []
    cluster.delete(listening, "Background")


@pytest.mark.parametrize("kubeconfig", [kubeconfig_text("http://127.0.0.1:9"), None])
def test_a_cluster_that_can_not_be_asked_is_not_in_a_previews_way(kubeconfig: Any, space: Json):
    assert refusals({}, asked(kubeconfig, space)) == []

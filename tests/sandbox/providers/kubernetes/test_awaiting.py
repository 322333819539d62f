"""Waiting for objects, on a real API server without scheduler and kubelets."""

from collections.abc import Iterator
from concurrent import futures

import pytest
from google.protobuf import empty_pb2

from sandbox.providers.kubernetes.client import Cluster
from tests.kubernetes_harness import DAEMON_SET, Engine, Failed, Json, daemon_set, named, until

pytest_plugins = ("tests.kubernetes_harness",)


@pytest.fixture
def node(cluster: Cluster) -> Iterator[str]:
    """A node without a kubelet: DaemonSets make a pod for it that stays pending."""
    cluster.create(named("v1", "Node", "kt-node"), "test")
    yield "kt-node"
    cluster.delete(named("v1", "Node", "kt-node"), "Background")


def pods_of(cluster: Cluster, namespace: str) -> list[Json]:
    return cluster.items("v1", "Pod", namespace)


def make_ready(cluster: Cluster, namespace: str) -> None:
    """Do the kubelet's part for every pod."""
    for pod in pods_of(cluster, namespace):
        since = "2026-01-01T00:00:00Z"
        conditions = [
            {"type": kind, "status": "True", "lastTransitionTime": since}
            for kind in ("Ready", "ContainersReady", "PodScheduled")
        ]
        path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}/status"
        body = {"status": {"phase": "Running", "conditions": conditions}}
        cluster.request("PATCH", path, {}, body, "application/merge-patch+json")


def test_a_daemon_set_is_awaited_until_its_pods_are_ready(
    engine: Engine, cluster: Cluster, namespace: str, node: str
):
    resource = engine.resource(DAEMON_SET, "ds")
    with futures.ThreadPoolExecutor(1) as pool:
        done = pool.submit(resource.create, daemon_set(namespace))
        until(lambda: "Available: 0/1" in engine.log.messages, "a line on what is awaited")
        assert not done.done()
        make_ready(cluster, namespace)
        state = done.result(30)
    assert state["status"]["numberReady"] == 1
    assert resource.changes(daemon_set(namespace)) == {}
    changed = daemon_set(namespace, image="nginx:2")
    assert resource.changes(changed) == {"spec.template.spec.containers[0].image": "UPDATE"}


def test_a_daemon_set_that_never_gets_ready_is_kept_with_its_reasons(
    engine: Engine, cluster: Cluster, namespace: str, node: str
):
    resource = engine.resource(DAEMON_SET, "ds")
    with pytest.raises(Failed, match="timed out waiting to be Ready") as failure:
        resource.create(daemon_set(namespace, timeoutSeconds="2"))
    assert failure.value.state is not None
    assert failure.value.state["metadata"]["name"] == "ds"
    pod = pods_of(cluster, namespace)[0]["metadata"]["name"]
    assert any(f"[Pod {namespace}/{pod}]" in reason for reason in failure.value.reasons)
    # A refresh finds it unready too; once it is ready, it is like any other.
    resource.id, resource.state = f"{namespace}/ds", failure.value.state
    resource.inputs = resource.check(daemon_set(namespace, timeoutSeconds="2"))
    with pytest.raises(Failed, match="was created but failed to initialize"):
        resource.refresh()
    make_ready(cluster, namespace)
    until(resource.refresh, "a ready DaemonSet")


def test_skip_await_waits_for_nothing(engine: Engine, namespace: str, node: str):
    resource = engine.resource(DAEMON_SET, "ds")
    state = resource.create(daemon_set(namespace, skipAwait="true"))
    assert state.get("status", {}).get("numberReady", 0) == 0
    resource.delete()


def test_a_changed_selector_replaces(engine: Engine, namespace: str):
    resource = engine.resource(DAEMON_SET, "ds")
    resource.create(daemon_set(namespace, skipAwait="true"))
    other = daemon_set(namespace, skipAwait="true")
    other["spec"]["selector"]["matchLabels"] = {"app": "other"}
    assert resource.changes(other) == {"spec.selector.matchLabels.app": "UPDATE_REPLACE"}


def test_a_cancelled_wait_keeps_the_object(engine: Engine, namespace: str, node: str):
    resource = engine.resource(DAEMON_SET, "ds")
    with futures.ThreadPoolExecutor(1) as pool:
        done = pool.submit(resource.create, daemon_set(namespace))
        until(lambda: "Available: 0/1" in engine.log.messages, "a line on what is awaited")
        engine.stub.Cancel(empty_pb2.Empty())
        with pytest.raises(Failed, match="cancelled") as failure:
            done.result(30)
    assert failure.value.state is not None

"""What makes an `Awaited` resource wait, and what it keeps."""

from collections.abc import Mapping
from typing import Any

import pytest

from components.dataplane.host_endpoints import _Awaited as HostEndpoints
from components.server_side import api
from components.server_side.api import CredentialsRefused, ServerObject
from components.server_side.rollout import _Provider as Rollout
from components.server_side.waiting import Awaited

STATE = {"kubeconfig": "old", "generation": 1, "kind": "DaemonSet", "namespace": "n"}


class Counted(Awaited):
    """Takes down what it was asked to wait for."""

    identity = ("kind", "namespace")

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[Mapping[str, Any]] = []

    def wait(self, props: Mapping[str, Any]) -> None:
        self.waited.append(props)


@pytest.mark.parametrize(
    ("news", "changes", "replaces"),
    [
        ({}, False, []),
        ({"timeouts": "another"}, False, []),
        ({"generation": 2}, True, []),
        ({"kubeconfig": "rotated"}, True, []),
        ({"kind": "Deployment"}, True, ["kind"]),
        ({"namespace": "m", "generation": 2}, True, ["namespace"]),
    ],
)
def test_what_is_a_change(news: dict[str, Any], changes: bool, replaces: list[str]):
    found = Counted().diff("id", STATE, {**STATE, **news})
    assert (found.changes, found.replaces) == (changes, replaces)


@pytest.mark.parametrize("provider", [Rollout(), HostEndpoints()])
def test_a_new_kubeconfig_is_a_change_for_all_that_wait(provider: Awaited):
    """Else a refresh or a destroy would come with the credentials of before the rotation."""
    assert provider.diff("id", STATE, {**STATE, "kubeconfig": "rotated"}).changes


def test_creating_and_updating_wait_and_keep_what_was_given():
    provider, news = Counted(), {**STATE, "kubeconfig": "rotated"}
    made = provider.create(dict(STATE))
    assert (made.id, made.outs) == ("DaemonSet/n", STATE)
    assert provider.update("DaemonSet/n", STATE, dict(news)).outs == news
    assert provider.waited == [STATE, news]


def test_reading_waits_for_nothing():
    provider = Counted()
    read = provider.read("DaemonSet/n", dict(STATE))
    assert (read.id, read.outs) == ("DaemonSet/n", STATE)
    assert provider.waited == []


KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: c
clusters: [{name: c, cluster: {server: "https://192.0.2.1:6443"}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
users: [{name: u, user: {token: t}}]
"""


def test_credentials_that_are_refused_are_not_waited_with(monkeypatch: pytest.MonkeyPatch):
    """No others come by waiting; and nobody has to ask whether it is the right cluster."""

    def refused(_: ServerObject) -> None:
        raise CredentialsRefused("401")

    monkeypatch.setattr(ServerObject, "get", refused)
    monkeypatch.setattr(api.time, "sleep", lambda _: pytest.fail("waited"))
    props = {"kubeconfig": KUBECONFIG, "kind": "ConfigMap", "namespace": "n", "object_name": "o"}
    with pytest.raises(CredentialsRefused, match="401"):
        ServerObject(props).appear()

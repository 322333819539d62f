"""`ServerSidePatch` on a real API server: who owns what before, meanwhile and after."""

import copy
import json
from typing import Any

import pytest

from components.server_side import api as server_side_api
from components.server_side.patch import _Provider
from components.server_side.rollout import _Provider as _Rollout
from sandbox.providers.kubernetes.client import ApiError, Cluster
from tests.kubernetes_harness import Json, daemon_set, kubeconfig_text, named, until

pytest_plugins = ("tests.kubernetes_harness",)

_NOISE = ("resourceVersion", "generation", "managedFields")
_COUNTER = "deprecated.daemonset.template.generation"


class Patch:
    """One patch in a stack's state, driven through the steps of `pulumi up`."""

    def __init__(self, kubeconfig: str, namespace: str, **props: Any) -> None:
        self.target = {
            "kubeconfig": kubeconfig,
            "kind": "DaemonSet",
            "namespace": namespace,
            "object_name": "calico-node",
            "force": False,
            **props,
        }
        self.inputs: Json = {}
        self.state: Json = {}

    def objection(self, **props: Any) -> str | None:
        failures = _Provider().check(self.inputs, {**self.target, **props}).failures
        return failures[0].reason if failures else None

    def up(self, **props: Any) -> None:
        news = {**self.target, **props}
        assert not _Provider().check(self.inputs, news).failures
        if self.state:
            outs = _Provider().update("id", self.state, news).outs
        else:
            outs = _Provider().create(news).outs
        self.inputs, self.state = news, self._stored(outs)

    def refresh(self) -> bool:
        found = _Provider().read("id", self.state)
        if not found.id:
            return False
        self.state = self._stored(found.outs)
        self.inputs = self._stored(found.inputs or self.inputs)
        return True

    def changes(self, **props: Any) -> bool:
        return bool(_Provider().diff("id", self.inputs, {**self.target, **props}).changes)

    def destroy(self) -> None:
        _Provider().delete("id", self.state)

    @staticmethod
    def _stored(props: Any) -> Json:
        """Through the engine's protocol: every number a float."""
        return json.loads(json.dumps(props), parse_int=float)


def env(**values: str) -> Json:
    return {"containers": {"main": {"env": values}}}


def of(cluster: Cluster, obj: Json) -> Json:
    """The live object without what counts changes, owners sorted and without times."""
    live = copy.deepcopy(cluster.get(obj))
    live.pop("status", None)
    meta = live["metadata"]
    managers = [
        {key: entry[key] for key in ("manager", "operation", "fieldsV1")}
        for entry in meta["managedFields"]
        if not entry.get("subresource")
    ]
    for key in _NOISE:
        meta.pop(key, None)
    meta.get("annotations", {}).pop(_COUNTER, None)
    return {"object": live, "managers": sorted(managers, key=lambda m: m["manager"])}


def variables(cluster: Cluster, obj: Json) -> dict[str, str]:
    container = cluster.get(obj)["spec"]["template"]["spec"]["containers"][0]
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


def gone(cluster: Cluster, obj: Json) -> bool:
    try:
        cluster.get(obj)
    except ApiError as error:
        return error.not_found
    return False


@pytest.fixture
def calico(cluster: Cluster, namespace: str) -> Json:
    """A DaemonSet that somebody else applied, with A=1."""
    owned = daemon_set(namespace, "calico-node")
    cluster.apply(owned, "vke")
    return owned


@pytest.fixture
def patch(kubeconfig: str, namespace: str, calico: Json) -> Patch:
    return Patch(kubeconfig, namespace)


def test_our_entries_come_and_go(cluster: Cluster, calico: Json, patch: Patch):
    before = of(cluster, calico)
    patch.up(**env(X="1", Y="2"))
    assert variables(cluster, calico) == {"A": "1", "X": "1", "Y": "2"}
    ours = [m for m in of(cluster, calico)["managers"] if m["manager"] == "edgefleet"]
    container = ours[0]["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"]
    (fields,) = container.values()
    assert sorted(fields["f:env"]) == ['k:{"name":"X"}', 'k:{"name":"Y"}']
    patch.up(**env(X="1"))
    assert variables(cluster, calico) == {"A": "1", "X": "1"}
    patch.destroy()
    assert of(cluster, calico) == before


def test_an_entry_that_is_equal_is_shared(cluster: Cluster, calico: Json, patch: Patch):
    before = of(cluster, calico)
    patch.up(**env(A="1"))
    patch.destroy()
    assert of(cluster, calico) == before


def test_a_conflict_is_told_in_the_preview(calico: Json, patch: Patch):
    assert patch.objection(**env(A="2")) == (
        f"DaemonSet {calico['metadata']['namespace']}/calico-node: somebody else manages what "
        'this stack wants to set: containers.main.env.A is "1", set by vke; wanted is "2". Let '
        "them give it up, or take it over with `force: true`"
    )
    assert patch.objection(**env(A="1", B="2")) is None
    assert patch.objection(**env(A="2"), force=True) is None


def test_nothing_changes_in_a_preview(cluster: Cluster, calico: Json, patch: Patch):
    before = of(cluster, calico)
    patch.objection(**env(B="2"))
    patch.objection(**env(A="2"), force=True)
    assert of(cluster, calico) == before


def test_what_was_taken_by_force_goes_back(cluster: Cluster, calico: Json, patch: Patch):
    before = of(cluster, calico)
    container = {"env": {"A": "2", "B": "1"}, "image": "nginx:2"}
    patch.up(
        containers={"main": container},
        tolerations=[{"operator": "Exists", "effect": "NoSchedule"}],
        node_selector={"non-calico": "true"},
        template_annotations={"edgefleet.dev/mtu": "1450"},
        force=True,
    )
    spec = cluster.get(calico)["spec"]["template"]["spec"]
    assert variables(cluster, calico) == {"A": "2", "B": "1"}
    assert spec["containers"][0]["image"] == "nginx:2"
    assert spec["tolerations"] == [{"operator": "Exists", "effect": "NoSchedule"}]
    assert spec["nodeSelector"] == {"non-calico": "true"}
    patch.destroy()
    assert of(cluster, calico) == before
    # The owner may go on as if nothing had been.
    cluster.apply(calico, "vke")


def test_the_order_of_a_list_stays(cluster: Cluster, calico: Json, patch: Patch):
    listed = copy.deepcopy(calico)
    spec = listed["spec"]["template"]["spec"]
    spec["initContainers"] = [{"name": n, "image": "i:1"} for n in ("z", "m", "a")]
    spec["containers"][0]["env"] = [{"name": n, "value": "1"} for n in ("Z", "M", "A")]
    cluster.apply(listed, "vke")
    patch.up(
        init_containers={name: {"image": "i:2"} for name in "amz"},
        **env(A="2", B="1", Z="2"),
        force=True,
    )
    spec = cluster.get(calico)["spec"]["template"]["spec"]
    assert [c["name"] for c in spec["initContainers"]] == ["z", "m", "a"]
    assert list(variables(cluster, calico).items()) == [
        ("Z", "2"),
        ("M", "1"),
        ("A", "2"),
        ("B", "1"),
    ]


def test_an_option_that_goes_gives_back_only_its_own(cluster: Cluster, calico: Json, patch: Patch):
    patch.up(containers={"main": {"env": {"A": "2", "B": "1"}, "image": "nginx:2"}}, force=True)
    patch.up(**env(B="1"), force=True)
    assert variables(cluster, calico) == {"A": "1", "B": "1"}
    spec = cluster.get(calico)["spec"]["template"]["spec"]
    assert spec["containers"][0]["image"] == "nginx:1"
    # And it is the owner's again, to change as well.
    newer = copy.deepcopy(calico)
    newer["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] = "3"
    cluster.apply(newer, "vke")


def test_drift_is_seen_and_put_back(cluster: Cluster, calico: Json, patch: Patch):
    patch.up(**env(X="1", Y="2"))
    assert patch.refresh()
    assert not patch.changes(**env(X="1", Y="2"))
    theirs = copy.deepcopy(calico)
    theirs["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "X", "value": "9"})
    cluster.apply(theirs, "kubectl", force=True)
    assert patch.refresh()
    assert patch.inputs["containers"] == {"main": {"env": {"X": "9", "Y": "2"}}}
    assert patch.changes(**env(X="1", Y="2"))
    # It was ours, so no consent is needed; something else beside it takes that.
    assert patch.objection(**env(X="1", Y="2")) is None
    told = patch.objection(**env(X="1", Y="2", A="7"))
    assert 'X is "9", set by kubectl; wanted is "1"' in (told or "")
    patch.up(**env(X="1", Y="2"))
    assert variables(cluster, calico)["X"] == "1"


def test_drift_is_seen_without_a_refresh(cluster: Cluster, calico: Json, patch: Patch):
    patch.up(**env(X="1"))
    theirs = copy.deepcopy(calico)
    theirs["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "X", "value": "9"})
    cluster.apply(theirs, "kubectl", force=True)
    assert patch.changes(**env(X="1"))
    patch.up(**env(X="1"))
    assert variables(cluster, calico)["X"] == "1"
    assert not patch.changes(**env(X="1"))


def test_what_the_owner_changed_meanwhile_stays(cluster: Cluster, calico: Json, patch: Patch):
    patch.up(**env(A="2"), force=True)
    newer = copy.deepcopy(calico)
    newer["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "A", "value": "3"}]
    cluster.apply(newer, "vke", force=True)
    patch.destroy()
    assert variables(cluster, calico) == {"A": "3"}


def test_a_value_taken_again_goes_back_to_the_newest(cluster: Cluster, calico: Json, patch: Patch):
    patch.up(**env(A="2"), force=True)
    newer = copy.deepcopy(calico)
    newer["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "A", "value": "3"}]
    cluster.apply(newer, "vke", force=True)
    patch.up(**env(A="2", B="1"), force=True)
    patch.destroy()
    assert variables(cluster, calico) == {"A": "3"}


def test_fifty_fields_at_once(cluster: Cluster, calico: Json, patch: Patch):
    before = of(cluster, calico)
    many = {f"V{i}": str(i) for i in range(50)}
    patch.up(**env(**many))
    patch.up(**env(**{name: f"{value}!" for name, value in many.items()}))
    found = variables(cluster, calico)
    assert {name: found[name] for name in many} == {n: f"{v}!" for n, v in many.items()}
    patch.destroy()
    assert of(cluster, calico) == before


def test_an_object_that_others_change_all_the_time_is_given_back(
    cluster: Cluster, calico: Json, patch: Patch, monkeypatch: pytest.MonkeyPatch
):
    patch.up(**env(A="2"), force=True)
    call, busy = server_side_api.ServerObject._call, 6

    def meanwhile(self: Any, method: str, path: str, *rest: Any) -> Json:
        nonlocal busy
        if method == "PATCH" and busy and "managedFields" in str(rest):
            busy -= 1
            noted = {**named("apps/v1", "DaemonSet", "calico-node"), "metadata": calico["metadata"]}
            noted["metadata"] = {**noted["metadata"], "annotations": {"busy": str(busy)}}
            cluster.apply(noted, "controller")
        return call(self, method, path, *rest)

    monkeypatch.setattr(server_side_api.ServerObject, "_call", meanwhile)
    patch.destroy()
    assert busy == 0
    assert variables(cluster, calico) == {"A": "1"}
    owners = {m["manager"] for m in of(cluster, calico)["managers"]}
    assert owners == {"vke", "controller"}


def test_a_patch_without_fields_asks_nothing(patch: Patch, kubeconfig: str):
    nowhere = kubeconfig_text("https://127.0.0.1:1")
    patch.target["kubeconfig"] = nowhere
    patch.up(node_selector={})
    assert patch.refresh()
    patch.destroy()
    patch.target["kubeconfig"] = kubeconfig
    patch.up(node_selector={"a": "b"})


def test_an_object_that_is_gone(cluster: Cluster, calico: Json, patch: Patch):
    patch.up(**env(X="1"))
    cluster.delete(calico, "Background")
    until(lambda: gone(cluster, calico), "the object's end")
    assert not patch.refresh()
    patch.destroy()


def test_an_object_that_never_comes(patch: Patch, namespace: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server_side_api, "APPEAR_SECONDS", 0)
    patch.target["object_name"] = "kube-proxy"
    with pytest.raises(RuntimeError, match=r"it does not exist\. Is this the right cluster\?"):
        patch.up(**env(X="1"))


def test_a_kubeconfig_that_was_rotated(
    cluster: Cluster, kubeconfig: str, calico: Json, patch: Patch
):
    patch.up(**env(X="1"))
    document = json.loads(kubeconfig)
    document["users"][0]["user"]["token"] = "stale"
    for stale in (json.dumps(document), kubeconfig_text("https://127.0.0.1:1")):
        patch.state["kubeconfig"] = stale
        with pytest.raises(RuntimeError, match="`pulumi up` without --refresh stores the new one"):
            patch.refresh()
        with pytest.raises(RuntimeError, match="run `pulumi up` once, which stores the new one"):
            patch.destroy()
    patch.inputs["kubeconfig"] = "stale"
    assert patch.changes(**env(X="1"))
    patch.up(**env(X="1"))
    assert patch.state["kubeconfig"] == kubeconfig
    patch.destroy()
    assert variables(cluster, calico) == {"A": "1"}


def test_a_cluster_that_does_not_answer_fails_no_preview(patch: Patch):
    patch.target["kubeconfig"] = kubeconfig_text("https://127.0.0.1:1")
    assert patch.objection(**env(A="2")) is None
    patch.target["kubeconfig"] = object()
    assert patch.objection(**env(A="2")) is None


def test_a_patch_whose_answer_was_lost(cluster: Cluster, calico: Json, patch: Patch):
    wanted = {"main": {"env": {"X": "1"}, "image": "nginx:2"}}
    patch.up(containers=wanted, force=True)
    patch.state = {}
    patch.up(containers=wanted, force=True)
    patch.destroy()
    assert variables(cluster, calico) == {"A": "1"}
    # What it was before nobody knows any more, and a container can't be without an image.
    container = cluster.get(calico)["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "nginx:2"
    cluster.apply(calico, "vke")
    assert cluster.get(calico)["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:1"


def test_an_object_made_here_goes_and_one_found_stays(
    cluster: Cluster, kubeconfig: str, namespace: str
):
    def config(name: str, **data: str) -> Patch:
        made = Patch(kubeconfig, namespace, kind="ConfigMap", object_name=name)
        made.up(fields={"data": data}, create_missing=True)
        return made

    mine = named("v1", "ConfigMap", "mine", namespace)
    patch = config("mine", HOST="h")
    assert cluster.get(mine)["data"] == {"HOST": "h"}
    patch.up(fields={"data": {"HOST": "h2"}}, create_missing=True)
    patch.destroy()
    assert gone(cluster, mine)
    found = {**named("v1", "ConfigMap", "found", namespace), "data": {"HOST": "h"}}
    cluster.apply(found, "vke")
    config("found", HOST="h", PORT="1").destroy()
    assert cluster.get(found)["data"] == {"HOST": "h"}


def test_a_rollout_that_hangs_names_the_node(
    cluster: Cluster, calico: Json, kubeconfig: str, monkeypatch: pytest.MonkeyPatch
):
    from components.server_side import rollout as server_side_rollout

    namespace = calico["metadata"]["namespace"]
    cluster.create({**named("v1", "Node", f"n-{namespace}"), "spec": {}}, "test")
    target = {
        "kubeconfig": kubeconfig,
        "kind": "DaemonSet",
        "namespace": namespace,
        "object_name": "calico-node",
        "generation": 1,
    }
    try:
        until(
            lambda: cluster.get(calico)["status"]["desiredNumberScheduled"] == 1,
            "a pod to wait for",
        )
        monkeypatch.setattr(server_side_rollout, "ROLLOUT_MINUTES", 0)
        with pytest.raises(
            RuntimeError,
            match=r"not ready on: no node \(Pending\): nothing has changed for 0 minutes",
        ):
            _Rollout().create(target)
    finally:
        cluster.delete(named("v1", "Node", f"n-{namespace}"), "Background")
    until(
        lambda: cluster.get(calico)["status"]["desiredNumberScheduled"] == 0, "no pod to wait for"
    )
    assert _Rollout().create(target).id == f"DaemonSet/{namespace}/calico-node"

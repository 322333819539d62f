"""The emulated Vultr provider's Kubernetes and KubernetesNodePools.

As the Terraform provider 2.27.1 does it; the numbers after "Vultr" are those of
docs/facts/real-providers.md.
"""

import base64
import binascii
from typing import Any

import ediri_vultr
import yaml

from sandbox.providers.base.diff import compare
from sandbox.providers.base.operations import Call, Failure, InitFailed, PluginError, ReadResult
from sandbox.providers.base.resource import Resource
from sandbox.providers.base.values import UNKNOWN, Properties
from sandbox.providers.vultr.rest import Vultr

DEFAULT_TAG = "tf-vke-default"
_POOL_FIELDS = {
    "id": "id",
    "label": "label",
    "plan": "plan",
    "nodeQuantity": "node_quantity",
    "dateCreated": "date_created",
    "dateUpdated": "date_updated",
    "status": "status",
    "tag": "tag",
    "autoScaler": "auto_scaler",
    "minNodes": "min_nodes",
    "maxNodes": "max_nodes",
    "labels": "labels",
    "taints": "taints",
    "userData": "user_data",
}


def pool_outputs(pool: dict[str, Any]) -> Properties:
    """A pool as the provider shows it: nodes have an id, but no address."""
    shown = {name: pool[key] for name, key in _POOL_FIELDS.items() if key in pool}
    nodes = [
        {
            "id": node["id"],
            "label": node.get("label", ""),
            "status": node.get("status", ""),
            "dateCreated": node.get("date_created", ""),
        }
        for node in pool.get("nodes") or []
    ]
    return {**shown, "nodes": nodes}


def cluster_outputs(cluster: dict[str, Any], config: Any) -> Properties:
    """The outputs of Kubernetes and get_kubernetes that a cluster's two answers give."""
    text = (config or {}).get("kube_config") or ""
    return {
        "label": cluster["label"],
        "region": cluster["region"],
        "version": cluster["version"],
        "clusterSubnet": cluster["cluster_subnet"],
        "serviceSubnet": cluster["service_subnet"],
        "dateCreated": cluster["date_created"],
        "endpoint": cluster["endpoint"],
        "ip": cluster["ip"],
        "status": cluster["status"],
        "haControlplanes": cluster.get("ha_controlplanes", False),
        "firewallGroupId": cluster.get("firewall_group_id") or "",
        "kubeConfig": text,
        **_certificates(text),
    }


def _certificates(kubeconfig: str) -> Properties:
    try:
        parsed = yaml.safe_load(base64.b64decode(kubeconfig, validate=True))
        cluster, user = parsed["clusters"][0]["cluster"], parsed["users"][0]["user"]
    except (binascii.Error, yaml.YAMLError, LookupError, TypeError) as error:
        # The real plugin panics here (Vultr 1).
        raise PluginError(f"error getting certs from kubeconfig: {error!r}") from error
    return {
        "clusterCaCertificate": cluster.get("certificate-authority-data", ""),
        "clientCertificate": user.get("client-certificate-data", ""),
        "clientKey": user.get("client-key-data", ""),
    }


def _pool_request(pool: Properties, tag: str) -> dict[str, Any]:
    return {
        "node_quantity": pool["nodeQuantity"],
        "label": pool["label"],
        "plan": pool["plan"],
        "tag": tag,
        "auto_scaler": pool.get("autoScaler", False),
        "min_nodes": pool.get("minNodes", 1),
        "max_nodes": pool.get("maxNodes", 1),
        "labels": pool.get("labels") or {},
        "taints": pool.get("taints") or None,
        "user_data": pool.get("userData", ""),
    }


def _pool_change(pool: Properties) -> dict[str, Any]:
    """What a PATCH carries: neither plan nor label (Vultr 7)."""
    request = _pool_request({"label": "", "plan": "", **pool}, pool.get("tag") or "")
    return {key: value for key, value in request.items() if key not in ("label", "plan")}


def _pool_failures(pool: Any, path: str = "") -> list[Failure]:
    quantity = pool.get("nodeQuantity") if isinstance(pool, dict) else None
    if isinstance(quantity, int) and quantity < 1:
        reason = f"expected node_quantity to be at least (1), got {quantity}"
        return [Failure(f"{path}nodeQuantity", reason)]
    return []


class Kubernetes(Resource[Vultr]):
    """A VKE cluster with its default pool."""

    sdk = ediri_vultr.Kubernetes
    replaces = frozenset({"region", "vpcId", "haControlplanes", "enableFirewall"})

    def check(self, inputs: Properties) -> list[Failure]:
        """At least one node."""
        return _pool_failures(inputs.get("nodePools"), "nodePools.")

    def plan_create(self, inputs: Properties) -> Properties:
        """Everything that the API computes is unknown, the pool's nodes too."""
        planned = super().plan_create(inputs)
        pool = planned.get("nodePools")
        if isinstance(pool, dict):
            computed = ("id", "tag", "status", "nodes", "dateCreated", "dateUpdated")
            planned["nodePools"] = {**dict.fromkeys(computed, UNKNOWN), **pool}
        return {**planned, **_unread(inputs)}

    def create(self, session: Vultr, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """POST, wait until active, GET the cluster and its kubeconfig."""
        pool = inputs.get("nodePools")
        request = {
            "label": inputs["label"],
            "region": inputs["region"],
            "version": inputs["version"],
            "vpc_id": inputs.get("vpcId", ""),
            "ha_controlplanes": inputs.get("haControlplanes", False),
            "enable_firewall": inputs.get("enableFirewall", False),
            "node_pools": [_pool_request(pool, DEFAULT_TAG)] if pool else [],
        }
        made = session.http.json(call, "POST", "/v2/kubernetes/clusters", json=request)
        id = made["vke_cluster"]["id"]
        try:
            what = f"kubernetes cluster {id}"
            session.until_active(call, what, lambda: self._find(session, call, id))
            return id, self._outputs(session, call, self._get(session, call, id), inputs)
        except PluginError as error:
            raise InitFailed(id, inputs, [str(error)], inputs) from error

    def read(self, session: Vultr, call: Call, id: str, state: Properties) -> ReadResult | None:
        """GET; enable_firewall and vpc_id are never read back. Import by the cluster's id."""
        cluster = self._find(session, call, id)
        if cluster is None:
            return None
        outputs = self._outputs(session, call, cluster, state)
        names = ("label", "region", "version", "haControlplanes")
        inputs = {name: outputs[name] for name in names if outputs[name]} | _unread(state)
        return ReadResult(id, outputs, {**inputs, "nodePools": _pool_inputs(outputs["nodePools"])})

    def update(
        self, session: Vultr, call: Call, id: str, olds: Properties, news: Properties
    ) -> Properties:
        """PATCH what changed, POST an upgrade; one GET and no waiting (Vultr 2).

        What ignoreChanges names doesn't count here either (pulumi-terraform-bridge, provider.go:
        Update takes its diff with it).
        """
        path = f"/v2/kubernetes/clusters/{id}"
        if olds.get("label") != news["label"]:
            session.http.json(call, "PUT", path, json={"label": news["label"]})
        pool, before = news.get("nodePools"), olds.get("nodePools") or {}
        asked = {"nodePools": pool}
        changed = compare({"nodePools": before}, asked, old_inputs=asked).ignoring(call.ignored)
        if pool and changed.changes:
            change = _pool_change({**pool, "tag": DEFAULT_TAG})
            pool_path = f"{path}/node-pools/{before.get('id', '')}"
            session.http.json(call, "PATCH", pool_path, json=change)
        if olds.get("version") != news["version"] and "version" not in call.ignored:
            body = {"upgrade_version": news["version"]}
            session.http.json(call, "POST", f"{path}/upgrades", json=body)
        return self._outputs(session, call, self._get(session, call, id), news)

    def delete(self, session: Vultr, call: Call, id: str, state: Properties) -> None:
        """DELETE, without waiting."""
        session.http.send(call, "DELETE", f"/v2/kubernetes/clusters/{id}")

    def _get(self, session: Vultr, call: Call, id: str) -> Any:
        return session.get(call, f"/kubernetes/clusters/{id}", "vke_cluster")

    def _find(self, session: Vultr, call: Call, id: str) -> Any:
        path = f"/kubernetes/clusters/{id}"
        return session.gone(call, path, "vke_cluster", "Invalid resource ID")

    def _outputs(
        self, session: Vultr, call: Call, cluster: dict[str, Any], known: Properties
    ) -> Properties:
        id = cluster["id"]
        pools = [pool for pool in cluster["node_pools"] if pool.get("tag") == DEFAULT_TAG]
        if not pools:
            raise PluginError(
                f"unable to set resource kubernetes default node pool with tag {DEFAULT_TAG} for "
                f"{id}. You must set the default tag on one node pool before importing."
            )
        config = session.http.json(call, "GET", f"/v2/kubernetes/clusters/{id}/config")
        shown = cluster_outputs(cluster, config)
        return {**shown, "nodePools": pool_outputs(pools[0]), **_unread(known)}


def _pool_inputs(pool: Properties) -> Properties:
    """What a program would have to say for this pool, without defaults."""
    always = {name: pool[name] for name in ("label", "plan", "nodeQuantity")}
    defaults = {"autoScaler": False, "minNodes": 1, "maxNodes": 1, "labels": {}, "taints": []}
    more = {
        name: pool[name] for name, value in defaults.items() if pool.get(name) not in (None, value)
    }
    return {**always, **more}


def _unread(known: Properties) -> Properties:
    return {name: known[name] for name in ("enableFirewall", "vpcId") if name in known}


class KubernetesNodePools(Resource[Vultr]):
    """A further pool of a cluster."""

    sdk = ediri_vultr.KubernetesNodePools
    replaces = frozenset({"clusterId"})

    def check(self, inputs: Properties) -> list[Failure]:
        """At least one node."""
        return _pool_failures(inputs)

    def create(self, session: Vultr, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """POST, wait until active, GET."""
        path = f"/v2/kubernetes/clusters/{inputs['clusterId']}/node-pools"
        request = _pool_request(inputs, inputs.get("tag", ""))
        id = session.http.json(call, "POST", path, json=request)["node_pool"]["id"]
        cluster = inputs["clusterId"]
        try:
            session.until_active(
                call, f"node pool {id}", lambda: self._find(session, call, cluster, id)
            )
            return id, self._outputs(cluster, self._get(session, call, cluster, id))
        except PluginError as error:
            raise InitFailed(id, inputs, [str(error)], inputs) from error

    def read(self, session: Vultr, call: Call, id: str, state: Properties) -> ReadResult | None:
        """GET. Import by ``CLUSTERID NODEPOOLID``."""
        cluster = state.get("clusterId")
        if not cluster:
            cluster, _, id = id.partition(" ")
            if not cluster or not id:
                raise PluginError(
                    f"unexpected format of node pool import IDs ({cluster}): "
                    "expected 'clusterID nodePoolID'"
                )
        pool = self._find(session, call, cluster, id)
        if pool is None:
            return None
        outputs = self._outputs(cluster, pool)
        inputs = {**_pool_inputs(outputs), "tag": outputs["tag"], "clusterId": cluster}
        return ReadResult(id, outputs, {key: value for key, value in inputs.items() if value})

    def update(
        self, session: Vultr, call: Call, id: str, olds: Properties, news: Properties
    ) -> Properties:
        """PATCH without plan or label, GET, no waiting (Vultr 2, 7)."""
        path = f"/v2/kubernetes/clusters/{news['clusterId']}/node-pools/{id}"
        session.http.json(call, "PATCH", path, json=_pool_change(news))
        cluster = news["clusterId"]
        return self._outputs(cluster, self._get(session, call, cluster, id))

    def delete(self, session: Vultr, call: Call, id: str, state: Properties) -> None:
        """DELETE, without waiting."""
        path = f"/v2/kubernetes/clusters/{state['clusterId']}/node-pools/{id}"
        session.http.send(call, "DELETE", path)

    def _find(self, session: Vultr, call: Call, cluster: str, id: str) -> Any:
        path = f"/kubernetes/clusters/{cluster}/node-pools/{id}"
        return session.gone(call, path, "node_pool", "Invalid NodePool ID", "Invalid resource ID")

    def _get(self, session: Vultr, call: Call, cluster: str, id: str) -> Any:
        return session.get(call, f"/kubernetes/clusters/{cluster}/node-pools/{id}", "node_pool")

    def _outputs(self, cluster: str, pool: dict[str, Any]) -> Properties:
        outputs = pool_outputs(pool)
        del outputs["id"]
        return {**outputs, "clusterId": cluster}

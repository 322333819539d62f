"""What a region stack puts into a cluster, shown to a real API server: fields, Pod Security."""

import json
import re
import shutil
from typing import Any

import pytest
import requests

from ops.render.offline import Registered
from tests.data import manifest
from tests.kubernetes_harness import TOKEN, client, named, until
from tests.projects import ROOT, copy_project, region, write_stack
from tests.rendered import live_nodes, rendered

pytest_plugins = ("tests.kubernetes_harness",)

CRDS = ROOT / "sandbox" / "clusters" / "manifests" / "calico-crds.yaml"
EVERYTHING = {
    **region(),
    "calico": {"kubeProxy": "stopped", "encapsulation": "vxlan", "version": "v3.32.1"},
    "ingress": {
        "canary": {"image": "nginx/nginx-ingress:5.6.2", "nodeSelector": {"canary": "yes"}},
        "config": {"proxy-read-timeout": "10s"},
        "customResources": True,
    },
}
ADMISSION = "admissionregistration.k8s.io/v1"
PATHS = {
    "Namespace": "/api/v1/namespaces",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "DaemonSet": "/apis/apps/v1/namespaces/{}/daemonsets",
    "IngressClass": "/apis/networking.k8s.io/v1/ingressclasses",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
    "ValidatingAdmissionPolicy": f"/apis/{ADMISSION}/validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": f"/apis/{ADMISSION}/validatingadmissionpolicybindings",
    "Ingress": "/apis/networking.k8s.io/v1/namespaces/{}/ingresses",
}


@pytest.fixture(scope="module")
def resources(tmp_path_factory: pytest.TempPathFactory) -> list[Registered]:
    """Every Kubernetes object of a region stack with all its options, both kinds of policies."""
    found: dict[str, Registered] = {}
    for variant, more in (("calico", {}), ("kubernetes", {"sources": ["192.0.2.1/32"]})):
        project = copy_project(tmp_path_factory.mktemp("fleet"))
        policy = {"namespaces": ["default"], "variant": variant, **more}
        write_stack(project, "us", {**EVERYTHING, "networkPolicy": policy})
        for resource in rendered(project, "us", live_nodes(2)).resources:
            if resource.custom and resource.type.startswith("kubernetes:"):
                found[resource.name] = resource
        shutil.rmtree(project)
    return list(found.values())


class Api:
    def __init__(self, kubeconfig: str) -> None:
        cluster = json.loads(kubeconfig)["clusters"][0]["cluster"]
        self._server, self._session = cluster["server"], requests.Session()
        self._session.trust_env = False
        self._session.verify = cluster["certificate-authority"]
        self._session.headers["Authorization"] = f"Bearer {TOKEN}"

    def dry_run(self, obj: dict[str, Any], **query: str) -> requests.Response:
        path = PATHS[obj["kind"]].format(obj["metadata"].get("namespace", ""))
        query = {"dryRun": "All", "fieldValidation": "Strict", **query}
        return self._session.post(self._server + path, json=obj, params=query, timeout=30)

    def pod(self, namespace: str, spec: dict[str, Any]) -> requests.Response:
        pod = {"metadata": {"name": "p"}, "spec": spec}
        path = f"{self._server}/api/v1/namespaces/{namespace}/pods"
        return self._session.post(path, json=pod, params={"dryRun": "All"}, timeout=30)


@pytest.fixture(scope="module")
def api(kubeconfig: str) -> Api:
    cluster = client(kubeconfig)
    for name, level in (("nginx-ingress", "privileged"), ("strict", "restricted")):
        space = named("v1", "Namespace", name)
        space["metadata"]["labels"] = {"pod-security.kubernetes.io/enforce": level}
        cluster.apply(space, "test")
        for account in ("default", "nginx-ingress"):
            cluster.apply(named("v1", "ServiceAccount", account, name), "test")
    return Api(kubeconfig)


def objects(resources: list[Registered]) -> list[dict[str, Any]]:
    """As they would be sent: what is masked or not known yet is filled in with something."""
    text = json.dumps([dict(r.inputs) for r in resources if not r.type.endswith("Provider")])
    text = re.sub(r"<unknown>|<secret>|04da6b54-80e4-46f7-96ec-b56ff0331ba9", "x", text)
    text = text.replace("nginx-ingressx", "nginx-ingress")
    return [o for o in json.loads(text) if o.get("kind") in PATHS]


def test_every_object_passes_strict_validation(resources: list[Registered], api: Api):
    checked = set()
    for obj in objects(resources):
        for key in ("data", "stringData"):
            if isinstance(obj.get(key), str):
                obj[key] = {}
        if obj.get("type") == "kubernetes.io/tls":
            obj["data"] = {"tls.crt": "eA==", "tls.key": "eA=="}
        answer = api.dry_run(obj)
        assert answer.status_code in (201, 409), f"{obj['metadata']['name']}: {answer.text}"
        if obj["kind"] != "Secret":
            assert not answer.headers.get("Warning"), answer.headers["Warning"]
        checked.add(obj["kind"])
    assert checked >= {"DaemonSet", "ClusterRole", "Role", "RoleBinding", "NetworkPolicy"}
    assert checked >= {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}


def test_a_typo_would_not_pass(resources: list[Registered], api: Api):
    wanted = [o for o in objects(resources) if o["kind"] == "DaemonSet"]
    for obj in wanted:
        obj["spec"]["template"]["spec"]["hostNetwerk"] = True
        assert "hostNetwerk" in api.dry_run(obj).text
    assert wanted


def test_only_the_hosts_network_needs_privileged(resources: list[Registered], api: Api):
    sets = {o["metadata"]["name"]: o for o in objects(resources) if o["kind"] == "DaemonSet"}
    assert {"nginx-ingress", "nginx-ingress-canary"} <= sets.keys()
    for name in ("nginx-ingress", "nginx-ingress-canary"):
        spec = sets[name]["spec"]["template"]["spec"]
        told = api.pod("strict", spec).json()["message"]
        violated = told.split('violates PodSecurity "restricted:latest": ')[1]
        found = re.split(r", (?=host)", violated)
        assert [part.split(" ")[0] for part in found] == ["host", "hostPort"], violated
        labels = sets[name]["metadata"]["namespace"]
        assert api.pod(labels, spec).status_code == 201
        # Without the host's network the pod is as restricted as they come.
        tame = {**spec, "hostNetwork": False, "dnsPolicy": "ClusterFirst"}
        tame["containers"] = [{**c, "ports": []} for c in spec["containers"]]
        for container in tame["containers"]:
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                container.pop(probe)
        assert api.pod("strict", tame).status_code == 201


def test_calicos_policy_fits_its_definition(resources: list[Registered], kubeconfig: str):
    cluster = client(kubeconfig)
    wanted = {"globalnetworkpolicies", "kubecontrollersconfigurations"}
    for obj in manifest("calico"):
        definition = obj["kind"] == "CustomResourceDefinition"
        if definition and obj["spec"]["names"]["plural"] in wanted:
            cluster.apply(obj, "test", force=True)
    (policy,) = (r.inputs for r in resources if r.type.endswith(":GlobalNetworkPolicy"))
    assert policy["metadata"]["name"] == "default.edgefleet-baseline"

    def served() -> Any:
        cluster.forget_kinds()
        return cluster.apply(dict(policy), "test")

    made = until(served, "a served GlobalNetworkPolicy")
    assert made["spec"] == policy["spec"]


def ingress(path: str, path_type: str, of_class: str | None) -> dict[str, Any]:
    backend = {"service": {"name": "s", "port": {"number": 80}}}
    http = {"paths": [{"path": path, "pathType": path_type, "backend": backend}]}
    spec = {"rules": [{"host": "example.com"}, {"host": "example.com", "http": http}]}
    made = named("networking.k8s.io/v1", "Ingress", "site", "default")
    return {**made, "spec": {**spec, **({"ingressClassName": of_class} if of_class else {})}}


def test_an_ingress_that_takes_the_health_url_is_refused(
    resources: list[Registered], api: Api, kubeconfig: str
):
    """nginx would refuse it, and go on with the configuration before: every team's changes wait."""
    cluster = client(kubeconfig)
    admission = [o for o in objects(resources) if o["apiVersion"] == ADMISSION]
    assert [o["kind"] for o in admission] == [
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ]
    try:
        for obj in admission:
            cluster.apply(obj, "test")
        for of_class in ("nginx", None):
            taken = ingress("/nginx-health", "Exact", of_class)
            until(lambda t=taken: api.dry_run(t).status_code == 422, "a policy that is enforced")
            assert "Take another path" in api.dry_run(taken).json()["message"]
        for harmless in (
            ingress("/nginx-health", "Exact", "somebody-elses"),
            ingress("/nginx-health", "Prefix", "nginx"),
            ingress("/nginx-healthy", "Exact", "nginx"),
        ):
            assert api.dry_run(harmless).status_code == 201
        plain = ingress("/", "Prefix", "nginx")
        del plain["spec"]["rules"]
        plain["spec"]["defaultBackend"] = {"service": {"name": "s", "port": {"number": 80}}}
        assert api.dry_run(plain).status_code == 201
    finally:
        for obj in reversed(admission):
            cluster.delete(obj, "Background")

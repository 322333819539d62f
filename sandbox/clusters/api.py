"""A small client of one cluster's API server, for what its emulated vendor does there.

Server-side apply over ``requests``, with connections kept open: seeding a cluster is some forty
requests, and the daemon has no other use for the kubernetes package.
"""

import json
from pathlib import Path
from typing import Any

import requests
import requests.adapters

Object = dict[str, Any]

_PATHS = {
    ("v1", "ConfigMap"): "api/v1/namespaces/{namespace}/configmaps",
    ("v1", "Node"): "api/v1/nodes",
    ("v1", "Pod"): "api/v1/namespaces/{namespace}/pods",
    ("v1", "Service"): "api/v1/namespaces/{namespace}/services",
    ("v1", "ServiceAccount"): "api/v1/namespaces/{namespace}/serviceaccounts",
    ("apps/v1", "DaemonSet"): "apis/apps/v1/namespaces/{namespace}/daemonsets",
    ("apps/v1", "Deployment"): "apis/apps/v1/namespaces/{namespace}/deployments",
    ("policy/v1", "PodDisruptionBudget"): "apis/policy/v1/namespaces/{namespace}/"
    "poddisruptionbudgets",
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): "apis/rbac.authorization.k8s.io/v1/"
    "clusterroles",
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): "apis/rbac.authorization.k8s.io/v1/"
    "clusterrolebindings",
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): "apis/apiextensions.k8s.io/v1/"
    "customresourcedefinitions",
    ("crd.projectcalico.org/v1", "FelixConfiguration"): "apis/crd.projectcalico.org/v1/"
    "felixconfigurations",
    ("crd.projectcalico.org/v1", "HostEndpoint"): "apis/crd.projectcalico.org/v1/hostendpoints",
    ("crd.projectcalico.org/v1", "KubeControllersConfiguration"): "apis/crd.projectcalico.org/v1/"
    "kubecontrollersconfigurations",
    ("crd.projectcalico.org/v1", "IPPool"): "apis/crd.projectcalico.org/v1/ippools",
    ("crd.projectcalico.org/v1", "ClusterInformation"): "apis/crd.projectcalico.org/v1/"
    "clusterinformations",
}


class ApiError(Exception):
    """A request that the API server refused; ``status`` is the HTTP status."""

    def __init__(self, method: str, path: str, status: int, message: str) -> None:
        super().__init__(f"{method} /{path}: {status} {message}")
        self.status = status


class ClusterApi:
    """Requests to ``https://127.0.0.1:port`` as the client ``admin`` of the folder ``pki``."""

    def __init__(self, port: int, pki: Path, *, connections: int = 4) -> None:
        self._base = f"https://127.0.0.1:{port}/"
        self._session = requests.Session()
        # A proxy from the environment is for the vendor's host names, not for this address.
        self._session.trust_env = False
        self._session.verify = str(pki / "ca.crt")
        self._session.cert = (str(pki / "admin.crt"), str(pki / "admin.key"))
        self._session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=connections))

    def ready(self) -> bool:
        """Whether the server says that it is ready."""
        try:
            return self._session.get(self._base + "readyz", timeout=2).status_code == 200
        except requests.RequestException:
            return False

    def create(self, obj: Object, manager: str) -> Object:
        """Make an object that doesn't exist yet. Raises ApiError."""
        return self._request(
            "POST",
            _path(obj),
            params={"fieldManager": manager},
            data=json.dumps(obj),
            headers={"Content-Type": "application/json"},
        )

    def apply(self, obj: Object, manager: str) -> Object:
        """Server-side apply, taking over fields of others. Raises ApiError."""
        return self._request(
            "PATCH",
            f"{_path(obj)}/{obj['metadata']['name']}",
            params={"fieldManager": manager, "force": "true"},
            data=json.dumps(obj),
            headers={"Content-Type": "application/apply-patch+yaml"},
        )

    def merge(self, path: str, patch: Object, manager: str) -> Object:
        """JSON merge patch. Raises ApiError."""
        return self._request(
            "PATCH",
            path,
            params={"fieldManager": manager},
            data=json.dumps(patch),
            headers={"Content-Type": "application/merge-patch+json"},
        )

    def get(self, path: str, **params: str) -> Object:
        """The object or list at ``path``. Raises ApiError."""
        return self._request("GET", path, params=params)

    def delete(self, path: str, **params: str) -> None:
        """Delete what is at ``path``; what is gone already is no error. Raises ApiError."""
        try:
            self._request("DELETE", path, params=params)
        except ApiError as error:
            if error.status != 404:
                raise

    def close(self) -> None:
        self._session.close()

    def _request(self, method: str, path: str, **options: Any) -> Object:
        try:
            answer = self._session.request(method, self._base + path, timeout=30, **options)
        except requests.RequestException as error:
            raise ApiError(method, path, 0, str(error)) from error
        if answer.status_code >= 400:
            try:
                message = answer.json().get("message", answer.text)
            except ValueError:
                message = answer.text
            raise ApiError(method, path, answer.status_code, message)
        return answer.json()


def _path(obj: Object) -> str:
    template = _PATHS[obj["apiVersion"], obj["kind"]]
    return template.format(namespace=obj["metadata"].get("namespace", ""))

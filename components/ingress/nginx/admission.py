"""What an Ingress may not say, refused by the API server: it would break everybody's.

The controller tests the whole configuration and keeps the old one when nginx refuses it, so one bad
Ingress holds up all others (nginx/kubernetes-ingress#8710). Annotations with nginx's language are
off, and the controller checks paths and hosts itself. What is left is a location of ours.
"""

from typing import Any

from ..admission import admission_policy
from ..contract import HEALTH_PATH
from .pod import APP, LABELS

NAME = f"{APP}-health-path"


def health_path_policy(ingress_class: str) -> list[dict[str, Any]]:
    """A policy and its binding: no Ingress of the class, or of none,
    takes the health URL, which every server has already."""
    taken = f"p.pathType == 'Exact' && has(p.path) && p.path == '{HEALTH_PATH}'"
    named = "object.spec.ingressClassName"
    mine = f"!has({named}) || {named} == '{ingress_class}'"
    return admission_policy(
        NAME,
        LABELS,
        [("networking.k8s.io", "v1", ["ingresses"])],
        [
            (
                "!has(object.spec.rules) || object.spec.rules.all(r, "
                f"!has(r.http) || !r.http.paths.exists(p, {taken}))",
                f"the path {HEALTH_PATH} of type Exact is the edge's health URL on every "
                "host: nginx would refuse it twice, and with it every other Ingress's "
                "changes. Take another path",
            )
        ],
        ("of-this-controller", mine),
    )

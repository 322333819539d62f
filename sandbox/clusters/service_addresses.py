"""MetalLB's own controller for a cluster whose pods are only pretended (kwok): it alone gives
Services their addresses. Its speakers announce nothing: service_announcements.py says what they
would say."""

from dataclasses import dataclass
from pathlib import Path

from sandbox.clusters.api import ClusterApi

NAME = "metallb-controller"
NAMESPACE = "metallb-system"
"""Where our stacks put the chart."""
_SELECTOR = "app.kubernetes.io/name=metallb,app.kubernetes.io/component=controller"


@dataclass(frozen=True)
class ControllerPod:
    """A pod that is said to run, and of its arguments those that say which Services are its."""

    name: str
    choice: tuple[str, ...]


def controller_pod(api: ClusterApi) -> ControllerPod | None:
    """That of the chart's Deployment, once it runs. Raises ApiError."""
    pods = api.get(f"api/v1/namespaces/{NAMESPACE}/pods", labelSelector=_SELECTOR)["items"]
    for pod in sorted(pods, key=lambda pod: pod["metadata"]["name"]):
        if pod.get("status", {}).get("phase") == "Running":
            arguments = pod["spec"]["containers"][0].get("args") or []
            choice = tuple(arg for arg in arguments if arg.startswith("--lb-class="))
            return ControllerPod(pod["metadata"]["name"], choice)
    return None


def command(program: Path, pod: ControllerPod, health_port: int) -> list[str]:
    """It checks nothing at admission: nobody could reach its webhook."""
    return [
        str(program),
        "--port=0",
        "--webhook-mode=disabled",
        f"--health-probe-port={health_port}",
        *pod.choice,
    ]


def environment(kubeconfig: Path, pod: ControllerPod) -> dict[str, str]:
    """Of the process that stands for `pod`."""
    return {
        "KUBECONFIG": str(kubeconfig),
        "METALLB_NAMESPACE": NAMESPACE,
        "METALLB_POD_NAME": pod.name,
        "METALLB_BGP_TYPE": "native",
    }

"""Who runs which pod of a node, and in which order."""

from sandbox.twin.published import Pod
from sandbox.twin.runners import Calico, Container, Controller, in_order, runner


def pod(image: str) -> Pod:
    return Pod("name", "space", image, (), (), (), {}, (), 0, {}, {}, ("", ""))


CALICO = pod("docker.io/calico/node:v3.32.0@sha256:0")
FIREWALL = pod("docker.io/library/busybox:1.37.0@sha256:0")
INGRESS = pod("nginx/nginx-ingress:5.6.1")


def test_a_pod_is_run_by_whom_its_image_names() -> None:
    assert [runner(each) for each in (CALICO, FIREWALL, INGRESS)] == [Calico, Container, Controller]


def test_a_node_closes_before_its_dataplane_comes_and_what_listens_is_last() -> None:
    assert in_order([INGRESS, CALICO, FIREWALL]) == [FIREWALL, CALICO, INGRESS]

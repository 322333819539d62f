"""What is read from logs: felix's silent fallback, Cloudflare's client certificate."""

import json

import pytest

from components.dataplane.felix_words import fell_back
from components.server_side.api import Refused
from ops.live import logs
from ops.live.asking import Unasked
from ops.live.facts import PodFacts, Workload

HOSTS = ("example.com",)
EITHER = "| FelixStartup | | InternalDataplaneMainLoop |"
PODS = tuple(PodFacts(f"pod-{n}", f"edge-{n}", True) for n in (1, 2))
INGRESS = Workload("nginx-ingress", "nginx-ingress", 2, 2, {"nginx-ingress": "x"}, pods=PODS)
CALICO = Workload("kube-system", "calico-node", 2, 2, {"calico-node": "x"}, pods=PODS)


@pytest.mark.parametrize(
    ("told", "gave_up"),
    [
        ({}, None),
        ({"log": "felix started", "readiness": "connection refused"}, None),
        ({"log": "[ERROR] BPF dataplane mode enabled but not supported by the kernel. D"}, True),
        ({"metrics": "# TYPE felix_bpf_dataplane_endpoints gauge\n"}, None),
        ({"metrics": "felix_bpf_dirty 3\nfelix_bpf_dataplane_endpoints 0\n"}, True),
        ({"metrics": "felix_bpf_dataplane_endpoints 3\n"}, False),
        ({"readiness": EITHER}, True),
        ({"readiness": f"{EITHER} BPFEndpointManager |"}, False),
    ],
)
def test_felixs_fallback_by_whatever_tells(told: dict[str, str], gave_up: bool | None):
    assert fell_back(**told) is gave_up


def line(certificate: str, host: str = "example.com") -> str:
    return json.dumps({"host": host, "client_certificate": certificate, "status": 200})


def test_what_requests_for_the_sites_hosts_showed():
    texts = {
        "pod-1": "\n".join([line("SUCCESS"), "W1122 a controller's line", "{broken", line("NONE")]),
        "pod-2": "\n".join([line("SUCCESS"), line("NONE", "us.example.com"), "[1]", "{}"]),
    }
    asked: list[str] = []

    def ask(path: str) -> str:
        asked.append(path)
        return texts[path.split("/pods/")[1].partition("/")[0]]

    assert logs.shown(ask, [INGRESS], HOSTS) == {"SUCCESS": 2, "NONE": 1}
    assert asked[0] == (
        "/api/v1/namespaces/nginx-ingress/pods/pod-1/log?container=nginx-ingress&tailLines=500"
    )


def test_traefik_tells_the_subject_alone():
    def told(host: str, **more: str) -> str:
        return json.dumps({"RequestHost": host, "RequestScheme": "https", **more})

    log = "\n".join(
        [
            told("example.com", TLSClientSubject="CN=edgefleet origin pulls,O=edgefleet"),
            told("example.com", TLSClientSubject="CN=origin-pull.cloudflare.net,O=Cloudflare"),
            told("example.com"),
            told("us.example.com"),
            told("example.com", RequestScheme="http"),
        ]
    )
    assert logs.verdicts(log, frozenset(HOSTS)) == {
        "SUCCESS": 1,
        "FAILED:another subject": 1,
        "NONE": 1,
    }


def test_who_gives_no_log_is_named_and_nobody_is_blamed():
    def ask(_: str) -> str:
        raise Refused(503, {"message": "no preferred addresses found"})

    for found in (logs.shown(ask, [INGRESS], HOSTS), logs.fell_back(ask, CALICO)):
        assert isinstance(found, Unasked)
        assert "log on edge-1: no preferred addresses found (503)" in found.cause
    assert logs.shown(ask, [], HOSTS) == {}
    assert logs.fell_back(ask, None) == ()

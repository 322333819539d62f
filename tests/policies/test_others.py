"""What policies about images, records, clusters and kubeconfigs let pass, and what they name."""

from typing import Any

import pytest

from policies.clusters import unprotected
from policies.images import untagged
from policies.kubeconfigs import plain
from policies.records import unproxied

POD, RECORD = "kubernetes:core/v1:Pod", "cloudflare:index/dnsRecord:DnsRecord"


@pytest.mark.parametrize(
    "image",
    ["nginx:1.29", "registry.local:5000/a/b:v1", "nginx@sha256:0", "nginx:latest@sha256:1", None],
)
def test_an_image_with_a_tag_or_a_digest_passes(image: str | None) -> None:
    assert untagged(POD, {"spec": {"containers": [{"name": "a", "image": image}]}}) == []


@pytest.mark.parametrize("image", ["nginx", "nginx:latest", "registry.local:5000/nginx", "nginx:"])
@pytest.mark.parametrize("kind", ["containers", "initContainers"])
def test_one_without_is_named_at_any_depth(image: str, kind: str) -> None:
    pod = {"template": {"spec": {kind: [{"name": "web", "image": image}]}}}
    job = {"spec": {"jobTemplate": {"spec": pod}}}
    (sentence,) = untagged("kubernetes:batch/v1:CronJob", job)
    assert f"container 'web' runs {image!r}" in sentence
    assert untagged("docker:index/container:Container", job) == []


@pytest.mark.parametrize(
    ("kind", "props", "wrong"),
    [
        (RECORD, {"type": "A", "name": "example.com", "proxied": True}, False),
        (RECORD, {"type": "A", "name": "example.com", "proxied": False}, True),
        (RECORD, {"type": "AAAA", "name": "example.com"}, True),
        (RECORD, {"type": "CNAME", "name": "www.example.com"}, True),
        (RECORD, {"type": "CNAME", "name": "_acme-challenge.example.com"}, False),
        (RECORD, {"type": "A", "name": "mail.example.com"}, False),
        (RECORD, {"type": "MX", "name": "example.com"}, False),
        ("kubernetes:core/v1:Service", {}, False),
    ],
)
def test_records_that_visitors_follow_are_proxied(
    kind: str, props: dict[str, Any], wrong: bool
) -> None:
    assert bool([*unproxied(kind, props, excepted=["mail.example.com"])]) == wrong


def test_clusters_are_protected() -> None:
    assert [*unprotected("vultr:index/kubernetes:Kubernetes", False)]
    assert [*unprotected("vultr:index/kubernetes:Kubernetes", True)] == []
    assert [*unprotected("vultr:index/instance:Instance", False)] == []


def test_kubeconfigs_that_are_no_secret_are_found() -> None:
    inputs = {"kubeconfig": "key", "kube_config": "key", "kubeConfig": "", "name": "a"}
    assert plain(inputs, secret=()) == ["kubeconfig", "kube_config"]
    assert plain(inputs, secret=["kubeconfig"]) == ["kube_config"]

"""kube-proxy's document, changed in our fields alone; and what of a cluster forbids a mode."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from components.dataplane.kube_proxy_options import (
    KubeProxyMistake,
    KubeProxyOptions,
    ending,
    obstacles,
    proxy_fields,
    refuse_kube_proxy,
    values_of,
    with_fields,
)

KUBEADM = """\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
clusterCIDR: 10.244.0.0/16
conntrack:
  maxPerCore: null
  tcpCloseWaitTimeout: null
iptables:
  minSyncPeriod: 0s
  masqueradeAll: false
ipvs:
  excludeCIDRs: null
  minSyncPeriod: 0s
  scheduler: ""
  strictARP: false
kind: KubeProxyConfiguration
mode: ""
winkernel:
  enableDSR: false
"""
"""As kubeadm writes it, shortened."""
NFTABLES: KubeProxyOptions = {"mode": "nftables"}
IPVS: KubeProxyOptions = {"mode": "ipvs"}


def node(name: str, kernel: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": {"nodeInfo": {"kernelVersion": kernel}}}


def test_the_fields_of_each_mode():
    assert proxy_fields(NFTABLES) == {"mode": "nftables"}
    assert proxy_fields({"mode": "iptables", "scheduler": None}) == {"mode": "iptables"}
    assert proxy_fields({"mode": "ipvs", "scheduler": "lc"}) == {
        "mode": "ipvs", "ipvs.strictARP": True, "ipvs.scheduler": "lc",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"mode": "nftables", "scheduler": "rr"}, "means nothing with mode nftables"),
        ({"mode": "ipvs", "scheduler": "random"}, "scheduler 'random': one of rr, wrr"),
    ],
)
def test_what_cannot_be_is_refused(options: Any, why: str):
    with pytest.raises(KubeProxyMistake, match=why):
        refuse_kube_proxy(options)


def test_all_else_in_the_document_stays():
    changed = yaml.safe_load(with_fields(KUBEADM, proxy_fields(IPVS)))
    expected = yaml.safe_load(KUBEADM)
    expected["mode"] = "ipvs"
    expected["ipvs"] |= {"strictARP": True, "scheduler": "rr"}
    assert changed == expected
    assert list(changed) == list(expected)


def test_a_document_that_says_it_already_keeps_its_letters():
    text = "# ours\nkind: KubeProxyConfiguration\nmode:   nftables\n"
    assert with_fields(text, proxy_fields(NFTABLES)) == text


scalars = st.one_of(st.none(), st.booleans(), st.integers(0, 9), st.sampled_from(["", "0s", "rr"]))
documents = st.fixed_dictionaries(
    {"kind": st.just("KubeProxyConfiguration")},
    optional={
        "mode": st.sampled_from(["", "iptables", "ipvs"]),
        "ipvs": st.one_of(
            st.none(),
            st.dictionaries(st.sampled_from(["scheduler", "strictARP", "minSyncPeriod"]), scalars),
        ),
        "conntrack": st.dictionaries(st.sampled_from(["min", "maxPerCore"]), scalars),
    },
)


@given(documents, st.sampled_from([NFTABLES, IPVS]))
def test_there_and_back(whole: dict[str, Any], options: KubeProxyOptions):
    text, fields = yaml.safe_dump(whole, sort_keys=False), proxy_fields(options)
    before = values_of(text, fields)
    there = with_fields(text, fields)
    assert values_of(there, fields) == fields
    assert with_fields(there, fields) == there
    back = yaml.safe_load(with_fields(there, before, fields))
    if not whole.get("ipvs"):
        # A map of nothing is the same as none.
        back.pop("ipvs", None)
        whole.pop("ipvs", None)
    assert back == whole


@pytest.mark.parametrize("text", ["kind: Config", "- a", "a: 1\n---\nb: 2", "{", ""])
def test_what_is_no_such_document_is_named(text: str):
    with pytest.raises(KubeProxyMistake, match=r"config\.conf"):
        with_fields(text, proxy_fields(NFTABLES))


@pytest.mark.parametrize(
    ("options", "version", "kernels", "told"),
    [
        (NFTABLES, "v1.35.4", ["6.1.0-18-amd64", "5.13.0"], None),
        (NFTABLES, "v1.35.4", ["5.10.0-28-amd64", "6.1.0"], "older ones: n0 (5.10.0-28-amd64)"),
        (NFTABLES, "v1.30.2+k3s1", ["6.1.0"], "as an experiment only"),
        ({"mode": "iptables"}, "v1.28.0", ["4.19.0"], None),
        (IPVS, "v1.42.1", ["5.10.0"], None),
        (IPVS, "v1.43.0", ["6.1.0"], "has no IPVS any more"),
    ],
)
def test_what_of_a_cluster_forbids_it(
    options: KubeProxyOptions, version: str, kernels: list[str], told: str | None
):
    nodes = [node(f"n{i}", kernel) for i, kernel in enumerate(kernels)]
    found = obstacles(options, version, nodes)
    assert (told is None) == (not found)
    assert told is None or told in found[0]


@pytest.mark.parametrize(
    ("version", "now"),
    [
        ("v1.34.3", "is deprecated from 1.35 on"),
        ("v1.35.4", "warns since 1.35"),
        ("v1.40.0", "its feature gate has to be on"),
    ],
)
def test_ipvs_nears_its_end(version: str, now: str):
    assert now in (ending(IPVS, version) or "")
    assert ending(NFTABLES, version) is None

"""MetalLB is built from its release, but for one field that frr-k8s v0.0.26 doesn't have."""

import pytest

from sandbox.toolchain.go_build import BuildFailed
from sandbox.toolchain.metallb import without_longer_paths

SOURCE = """\
package frrk8s

func sessions() {
\tx := Advertise{
\t\tPrefixesWithCommunity:     nil,
\t\tPrefixesWithAsPathPrepend: nil,
\t}
\tx.ToAdvertise.PrefixesWithAsPathPrepend = toAdvertiseWithAsPathPrepend(nil)
}

func toAdvertiseWithAsPathPrepend(longer map[uint8][]string) []Prefixes {
\tfor range longer {
\t}
\treturn nil
}

func after() {}
"""


def test_the_field_goes_and_all_else_stays():
    patched = without_longer_paths(SOURCE)
    assert "AsPathPrepend" not in patched
    assert "PrefixesWithCommunity" in patched
    assert "func after() {}" in patched


def test_another_source_is_another_recipe():
    with pytest.raises(BuildFailed, match="doesn't have this once: PrefixesWithAsPathPrepend:"):
        without_longer_paths("package frrk8s\n")
    with pytest.raises(BuildFailed, match="has no function toAdvertiseWithAsPathPrepend"):
        without_longer_paths(SOURCE.replace("func toAdvertiseWithAsPathPrepend", "func other"))

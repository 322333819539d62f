"""What felix says of itself, in the words of a real one (tests/felix holds it against one)."""

import pytest

from components.dataplane.felix_words import fell_back

LINE = (
    "2026-11-22 02:31:09.112 [ERROR][21985] felix/daemon.go 368: BPF dataplane mode enabled but "
    "not supported by the kernel.  Disabling BPF mode. error=kernel is too old"
)
METRICS = "# TYPE felix_bpf_dataplane_endpoints gauge\nfelix_bpf_dataplane_endpoints {}\n"
EBPF = """
| BPFEndpointManager        | -       | -              | reporting ready |        |
| InternalDataplaneMainLoop | 1m30s   | reporting live | reporting ready |        |
"""
IPTABLES = "\n".join(EBPF.splitlines()[2:])


@pytest.mark.parametrize(
    ("said", "back"),
    [
        ({}, None),
        ({"log": "ready"}, None),
        ({"log": f"starting\n{LINE}\nready"}, True),
        ({"metrics": METRICS.format(0)}, True),
        ({"metrics": METRICS.format(4)}, False),
        ({"metrics": "go_goroutines 7\n", "log": LINE}, True),
        ({"readiness": EBPF}, False),
        ({"readiness": IPTABLES}, True),
        ({"readiness": "connection refused"}, None),
        # Of a log that goes back to before the kernel was replaced.
        ({"log": LINE, "readiness": EBPF, "metrics": METRICS.format(4)}, False),
    ],
)
def test_what_tells(said: dict[str, str], back: bool | None) -> None:
    assert fell_back(**said) is back

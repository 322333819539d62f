"""Whether felix gave eBPF up, by whatever of its words could be had.

It says so once and goes on with iptables, ready and silent (docs/facts/felix.md §4).
"""

import re

SAID = "BPF dataplane mode enabled but not supported by the kernel"
"""In its log, when it starts."""
ENDPOINTS = "felix_bpf_dataplane_endpoints"
"""The metric: 3 or more where eBPF runs, 0 where it fell back."""
KEEPER = "BPFEndpointManager"
"""The row of its readiness report that is only there where eBPF runs."""
_EITHER_WAY = "InternalDataplaneMainLoop"
"""A row that is there in both modes: without it this is no report of felix's."""


def fell_back(log: str = "", metrics: str = "", readiness: str = "") -> bool | None:
    """Whether a felix that was asked for eBPF runs without it; None where nothing of this tells.

    Args:
        log: of the container, from its beginning.
        metrics: in Prometheus' text format.
        readiness: what `/readiness` on port 9099 answers, or the first column of its table.
    """
    if SAID in log:
        return True
    if found := re.search(rf"^{ENDPOINTS}\s+([\d.e+]+)$", metrics, re.MULTILINE):
        return float(found[1]) == 0
    if _EITHER_WAY in readiness:
        return KEEPER not in readiness
    return None

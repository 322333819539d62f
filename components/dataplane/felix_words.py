"""What felix says about itself: whether it runs eBPF, or gave it up and carries on with iptables.

A felix that can't start eBPF says one line in its log, and then that it is ready
(docs/facts/felix.md §4). Its metrics of eBPF exist either way.
"""

import re

FELL_BACK = "BPF dataplane mode enabled but not supported by the kernel"
_ENDPOINTS = re.compile(r"^felix_bpf_dataplane_endpoints (\d+)", re.MULTILINE)
_PART = "BPFEndpointManager"
_READINESS = "InternalDataplaneMainLoop"


def fell_back(log: str = "", metrics: str = "", readiness: str = "") -> bool | None:
    """Whether a felix that was told to run eBPF doesn't; None where none of it tells.

    `log` is its log from the start on, `metrics` the text of /metrics, `readiness` that of
    /readiness; what isn't at hand is left empty. Metrics and readiness are of now, so they win over
    a log.
    """
    if _READINESS in readiness:
        return _PART not in readiness
    if found := _ENDPOINTS.search(metrics):
        return found[1] == "0"
    return True if FELL_BACK in log else None

"""When releases of Kubernetes end, as far as that was known when this was written.

https://kubernetes.io/releases/patch-releases/ (docs/facts/vultr-users.md for 1.34 and 1.35). Some
weeks after its end Vultr upgrades a cluster by itself (docs/facts/vultr-users.md, 4).
"""

import re
from datetime import date

ENDS = {
    "1.29": date(2025, 2, 28),
    "1.30": date(2025, 6, 28),
    "1.31": date(2025, 10, 28),
    "1.32": date(2026, 2, 28),
    "1.33": date(2026, 6, 28),
    "1.34": date(2026, 10, 27),
    "1.35": date(2027, 2, 28),
}


def end_of(version: str) -> date | None:
    """When the release of a version like "v1.35.5+1" ends, None where that isn't known."""
    found = re.match(r"v?(\d+\.\d+)", version)
    return ENDS.get(found[1]) if found else None

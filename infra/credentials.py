"""Where the vendors' credentials are: secret configuration of the stack, or the environment.

The same places that the providers look at. Resources of ours call these functions in a process of
their own; a state names them by module and name, so they can't move without one.
"""

import os
from collections.abc import Callable
from typing import Any

from components.edge.zone_memory import Access

CLOUDFLARE_API = "https://api.cloudflare.com/client/v4"


def vultr_key(config: Callable[[str], Any]) -> str:
    """Vultr's API key. `config` reads the stack's configuration. Raises RuntimeError."""
    return _credential(config, "vultr:apiKey", "VULTR_API_KEY")


def cloudflare_access(config: Callable[[str], Any]) -> Access:
    """Cloudflare's token, and the API that the provider talks to. Raises RuntimeError."""
    token = _credential(config, "cloudflare:apiToken", "CLOUDFLARE_API_TOKEN")
    base_url = config("cloudflare:baseUrl") or os.environ.get("CLOUDFLARE_BASE_URL")
    return Access(token, base_url or CLOUDFLARE_API)


def _credential(config: Callable[[str], Any], key: str, variable: str) -> str:
    value = config(key) or os.environ.get(variable)
    if not value:
        raise RuntimeError(
            f"No credential for {key.split(':')[0]}: set {variable}, or `pulumi config set "
            f"--secret {key}`"
        )
    return value

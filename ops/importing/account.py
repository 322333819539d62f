"""What the accounts at Vultr and Cloudflare hold, for `fleet import`. Reads only."""

import os
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from components.errors import VultrError
from components.vendors.cloudflare import CloudflareApi
from components.vendors.credentials import cloudflare_access, of_no_stack, vultr_key
from components.vendors.vultr import VultrApi
from infra.state.live_twins import LiveTwins


class Account:
    """Both vendors' accounts, by credentials from the environment.

    A credential is asked for when its vendor is: an edge stack needs Cloudflare's alone. No stack's
    configuration has it: the stack may still have to be made. Raises
    VendorError.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment

    @cached_property
    def vultr(self) -> VultrApi:
        """Vultr's API. Raises NoCredential."""
        return VultrApi(vultr_key(of_no_stack, self._environment))

    @cached_property
    def cloudflare(self) -> CloudflareApi:
        """Cloudflare's API. Raises NoCredential."""
        return CloudflareApi(cloudflare_access(of_no_stack, self._environment))

    @cached_property
    def twins(self) -> LiveTwins:
        """Finds what stands where a resource would."""
        return LiveTwins(lambda: self.vultr, lambda: self.cloudflare)

    def cluster(self, wanted: str) -> dict[str, Any]:
        """The cluster with this id or label, as the API gives it. Raises VultrError."""
        found = self.vultr.clusters()
        chosen = [c for c in found if c["id"] == wanted] or [
            c for c in found if c["label"] == wanted
        ]
        if len(chosen) == 1:
            return chosen[0]
        if chosen:
            ids = ", ".join(sorted(c["id"] for c in chosen))
            raise VultrError(
                f"Vultr has {len(chosen)} clusters labelled {wanted!r}: name one: {ids}"
            )
        there = ", ".join(sorted(f"{c['label']} ({c['id']})" for c in found)) or "none"
        raise VultrError(f"Vultr has no cluster {wanted!r}; there are: {there}")

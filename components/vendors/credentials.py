"""Where the vendors' credentials are: secret configuration of the stack, or the environment.

The same places that the providers look at, and the only file here that knows the environment.
Resources of ours ask when they read or change something: a key in the state would be the old one
after a rotation.
"""

import os
from collections.abc import Callable, Mapping
from typing import NamedTuple

import pulumi

from ..errors import NoCredential

CLOUDFLARE_API = "https://api.cloudflare.com/client/v4"

Config = Callable[[str], str | None]
"""Reads the stack's configuration: `config("vultr:apiKey")`, None where it isn't said."""


class Access(NamedTuple):
    """Cloudflare's API: a token, and where it is."""

    token: str
    base_url: str


def vultr_key(config: Config, environment: Mapping[str, str] = os.environ) -> str:
    """Vultr's API key. Raises NoCredential."""
    return _credential(config, environment, "vultr:apiKey", "VULTR_API_KEY")


def cloudflare_access(config: Config, environment: Mapping[str, str] = os.environ) -> Access:
    """Cloudflare's token, and the API that the provider talks to. Raises NoCredential."""
    token = _credential(config, environment, "cloudflare:apiToken", "CLOUDFLARE_API_TOKEN")
    base_url = config("cloudflare:baseUrl") or environment.get("CLOUDFLARE_BASE_URL")
    return Access(token, base_url or CLOUDFLARE_API)


def _credential(config: Config, environment: Mapping[str, str], key: str, variable: str) -> str:
    value = config(key) or environment.get(variable)
    if not value:
        raise NoCredential(
            f"No credential for {key.split(':')[0]}: set {variable}, or `pulumi config set "
            f"--secret {key}`"
        )
    return value


def stack_config(key: str) -> str | None:
    """The configuration of the stack that this program runs for, as `Config`."""
    namespace, _, name = key.partition(":")
    return pulumi.Config(namespace).get(name)


def of_no_stack(key: str) -> None:
    """No stack's configuration, as `Config`: credentials come from the environment alone."""


def forgets_the_unreachable(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the person says that a cluster which doesn't answer is gone: by the variable that the
    Kubernetes provider has for it, so that one word counts for both."""
    return environment.get("PULUMI_K8S_DELETE_UNREACHABLE", "").lower() in ("1", "true")

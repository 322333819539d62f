"""The vendors' APIs, for commands that ask about several stacks at once.

Credentials come from the environment alone, and nobody waits for an API that doesn't answer.
"""

from components.vendors.cloudflare import CloudflareApi
from components.vendors.credentials import cloudflare_access, of_no_stack, vultr_key
from components.vendors.vultr import VultrApi


def vultr_api() -> VultrApi:
    """Raises NoCredential."""
    return VultrApi(vultr_key(of_no_stack), patient=False)


def cloudflare_api() -> CloudflareApi:
    """Raises NoCredential."""
    return CloudflareApi(cloudflare_access(of_no_stack), patient=False)

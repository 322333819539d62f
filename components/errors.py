"""What goes wrong, worded for the person who runs the program. None of it deserves a traceback.

EdgefleetError
├── VendorError            a vendor refused, or didn't answer
│   ├── VultrError
│   ├── CloudflareError
│   └── NoCredential       nobody said by which key to ask
└── OptionsError           options that can't be, or not together; a ValueError too
    ├── CalicoMistake      dataplane/calico_options.py
    ├── CiliumMistake      dataplane/cilium_options.py
    ├── KubeProxyMistake   dataplane/kube_proxy_options.py
    ├── PolicyMistake      dataplane/network_baseline.py
    ├── IngressMistake     ingress/mistake.py
    ├── LoadBalancerMistake load_balancer/addresses.py
    ├── EdgeMistake        edge/table.py
    └── ArgumentsMistake   arguments.py: misspelt, missing, or of another type; a RunError too

The programs and commands hang theirs below EdgefleetError: SettingsError and LockError (infra),
CommandError (ops).
"""


class EdgefleetError(Exception):
    """The text is for a person: what is wrong, where, and what to do."""


class VendorError(EdgefleetError):
    """A vendor's API refused, or didn't answer.

    Args:
        text: what happened, in words.
        status: of the HTTP answer; None where there was none.
    """

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class VultrError(VendorError):
    """Vultr refused or didn't answer."""


class CloudflareError(VendorError):
    """Cloudflare refused or didn't answer."""


class NoCredential(VendorError):
    """There is no key for a vendor, neither in the configuration nor in the environment."""


class OptionsError(EdgefleetError, ValueError):
    """Options of a component that can't be, or not together; the text names them."""

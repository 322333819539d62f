"""The tls provider (``pulumi_tls``), done with the ``cryptography`` library: no API behind it."""

import pulumi
import pulumi_tls

from sandbox.providers.base.resource import ResourcePlugin
from sandbox.providers.base.server import Server
from sandbox.providers.base.server import serve as serve_plugin
from sandbox.providers.base.values import Properties
from sandbox.providers.tls.certs import CertRequest, LocallySignedCert, SelfSignedCert
from sandbox.providers.tls.keys import PrivateKey


class TlsPlugin(ResourcePlugin[None]):
    """Keys, requests and certificates; everything lives in the state."""

    package = "tls"
    distribution = "pulumi_tls"
    provider_sdk: type[pulumi.ProviderResource] = pulumi_tls.Provider

    def __init__(self) -> None:
        super().__init__([PrivateKey(), CertRequest(), SelfSignedCert(), LocallySignedCert()])

    def configure(self, config: Properties) -> None:
        """Nothing to configure."""


def serve(port: int = 0) -> Server:
    """Serve the plugin on 127.0.0.1; on any free port where ``port`` is 0 or taken."""
    return serve_plugin(TlsPlugin(), port)

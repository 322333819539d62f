"""`OriginTls`: a certificate of Cloudflare's Origin CA for what the ingress serves.

Browsers don't trust it, Cloudflare does, under "Full (strict)" too.
"""

from collections.abc import Sequence
from typing import TypedDict

import pulumi
import pulumi_tls as tls

from ..arguments import refuse_arguments
from ..vendors import cloudflare_resources as cloudflare

_RENEWAL_DAYS = 90


class OriginTlsArgs(TypedDict):
    """What the certificate is for. A change makes a new one, before the old one is revoked."""

    hostnames: Sequence[str]
    """At least one, all in one zone of ours; *.example.com is one."""
    validity_days: int
    """What Cloudflare signs for: 7, 30, 90, 365, 730, 1095 or 5475."""


def renewal_days(validity_days: int) -> int:
    """How long before its end a certificate is made anew: 90 days, at most a third of its time."""
    return min(_RENEWAL_DAYS, validity_days // 3)


class OriginTls(pulumi.ComponentResource):
    """A key and its certificate, both PEM.

    The provider plans nothing near a certificate's end (docs/facts/real-providers.md,
    Cloudflare 5). The tls provider does for its own certificates, so a certificate that nobody uses
    keeps the time: when it is due, previews show a new request and a new certificate. The old one
    is revoked last. `pulumi up --replace URN` of the key makes a new key.
    """

    certificate: pulumi.Output[str]
    """PEM."""
    private_key: pulumi.Output[str]
    """PEM, a secret."""
    expires_on: pulumi.Output[str]
    """When the certificate ends, as Cloudflare tells it."""

    def __init__(
        self, name: str, args: OriginTlsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        refuse_arguments("OriginTls", name, OriginTlsArgs, args)
        super().__init__("edgefleet:index:OriginTls", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        hostnames = sorted(args["hostnames"])
        days = args["validity_days"]
        key = tls.PrivateKey(f"{name}-key", algorithm="ECDSA", ecdsa_curve="P256", opts=child)
        clock = tls.SelfSignedCert(
            f"{name}-clock",
            private_key_pem=key.private_key_pem,
            subject={"common_name": "edgefleet renewal clock"},
            allowed_uses=[],
            validity_period_hours=24 * days,
            early_renewal_hours=24 * renewal_days(days),
            opts=child,
        )
        request = tls.CertRequest(
            f"{name}-request",
            private_key_pem=key.private_key_pem,
            dns_names=hostnames,
            subject={
                "common_name": hostnames[0],
                "organizational_unit": clock.validity_start_time.apply(lambda at: f"since {at}"),
            },
            opts=child,
        )
        certificate = cloudflare.OriginCaCertificate(
            f"{name}-certificate",
            csr=request.cert_request_pem,
            hostnames=hostnames,
            request_type="origin-ecc",
            requested_validity=days,
            opts=child,
        )
        self.certificate = certificate.certificate
        self.private_key = pulumi.Output.secret(key.private_key_pem)
        self.expires_on = certificate.expires_on
        self.register_outputs({"certificate": self.certificate, "expiresOn": self.expires_on})

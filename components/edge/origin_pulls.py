"""`OriginPulls`: Cloudflare shows our origins a client certificate of our own CA.

Zone-level Authenticated Origin Pulls: the certificate that Cloudflare has for every account would
prove no more than its addresses do (docs/facts/cloudflare.md §5).
"""

from typing import TypedDict

import pulumi
import pulumi_tls as tls

from ..arguments import refuse_arguments
from ..ingress.trust import LEAF_NAME, LEAF_ORGANIZATION
from ..vendors import cloudflare_resources as cloudflare
from .zone_memory import ORIGIN_PULLS, ZoneMemory

LEAF_DAYS = 365
RENEWAL_DAYS = 90
"""So long before its end previews show the certificate's replacement."""


class OriginPullsArgs(TypedDict):
    """A zone, and the CA that signs for it."""

    zone_id: pulumi.Input[str]
    """Cloudflare's id of the zone. Another one: all is made anew there."""
    ca_certificate: pulumi.Input[str]
    """The CA's certificate, PEM. With another one a new leaf is signed and uploaded, then the old
    one goes: origins have to trust both CAs before."""
    ca_key: pulumi.Input[str]
    """The CA's private key, PEM, a secret; it never leaves the state. Changes with the certificate.
    """


class OriginPulls(pulumi.ComponentResource):
    """The leaf certificate, and the zone's switch.

    Renewed, the new certificate is uploaded before the old one is deleted
    (docs/facts/real-providers.md, Cloudflare 6), and origins trust the CA: nothing changes there.
    Destroyed, the switch goes back to where it was found. `ca_certificate` is the CA whose
    certificate Cloudflare has.

    Once a zone: there is one switch.
    """

    ca_certificate: pulumi.Output[str]
    expires_on: pulumi.Output[str]

    def __init__(
        self, name: str, args: OriginPullsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        refuse_arguments("OriginPulls", name, OriginPullsArgs, args)
        super().__init__("edgefleet:index:OriginPulls", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        # RSA, as in Cloudflare's own instructions; no source says that others are taken.
        key = tls.PrivateKey(f"{name}-key", algorithm="RSA", rsa_bits=2048, opts=child)
        request = tls.CertRequest(
            f"{name}-request",
            private_key_pem=key.private_key_pem,
            subject={"common_name": LEAF_NAME, "organization": LEAF_ORGANIZATION},
            opts=child,
        )
        leaf = tls.LocallySignedCert(
            f"{name}-leaf",
            ca_cert_pem=args["ca_certificate"],
            ca_private_key_pem=pulumi.Output.secret(args["ca_key"]),
            cert_request_pem=request.cert_request_pem,
            allowed_uses=["digital_signature", "key_encipherment", "client_auth"],
            validity_period_hours=24 * LEAF_DAYS,
            early_renewal_hours=24 * RENEWAL_DAYS,
            opts=child,
        )
        uploaded = cloudflare.AuthenticatedOriginPullsCertificate(
            f"{name}-certificate",
            zone_id=args["zone_id"],
            certificate=leaf.cert_pem,
            private_key=pulumi.Output.secret(key.private_key_pem),
            opts=child,
        )
        memory = ZoneMemory(f"{name}-found", args["zone_id"], ORIGIN_PULLS, opts=child)
        cloudflare.AuthenticatedOriginPullsSettings(
            f"{name}-switch",
            zone_id=args["zone_id"],
            enabled=True,
            opts=pulumi.ResourceOptions.merge(
                child, pulumi.ResourceOptions(depends_on=[uploaded, memory])
            ),
        )
        # Known when the upload is done, not before.
        self.ca_certificate = pulumi.Output.all(args["ca_certificate"], uploaded.id).apply(
            lambda known: known[0]
        )
        self.expires_on = leaf.validity_end_time
        self.register_outputs({"expiresOn": self.expires_on})

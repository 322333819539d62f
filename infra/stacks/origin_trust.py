"""How a fleet's origins know its own edge: settings, the committed CA, and secrets put together."""

import hashlib
import re
import ssl
from collections.abc import Callable, Iterable

import pulumi

from components.ingress.trust import EdgeTrust, Step, origin_secrets
from infra.errors import SettingsError
from infra.fleet.inventory import CA_FILE, Inventory, Stack

ReadSecret = Callable[[str], pulumi.Output[str]]
"""Gives a secret of this stack's configuration by its key."""

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def contradictions(inventory: Inventory) -> Iterable[str]:
    """Where a region requires what its edge doesn't send: it would refuse every visitor; and where
    its ingress can't do what is asked."""
    for stack in inventory.region_stacks:
        controller = stack.settings.ingress.controller
        if controller == "traefik" and stack.fleet.origin_header == "observe":
            yield (
                f"{stack.file}: edgefleet:originHeader: 'observe': Traefik can't log whether the "
                "header came. Say 'off' here, or 'require' once the edge sends it ('observe' in "
                "the edge's file)"
            )
        edge = inventory.edge(stack.fleet.domain)
        if not edge:
            continue
        for key, here, there in (
            ("originPulls", stack.fleet.origin_pulls, edge.fleet.origin_pulls),
            ("originHeader", stack.fleet.origin_header, edge.fleet.origin_header),
        ):
            if here == "require" and there == "off":
                yield (
                    f"{stack.file}: edgefleet:{key}: 'require', but it is 'off' in {edge.file}: "
                    "the region would refuse every visitor. Say 'observe' on one side first"
                )


def pulls_step(stack: Stack, inventory: Inventory) -> Step:
    """What this stack does about client certificates; says so where there is no CA yet.

    Raises SettingsError where the stack requires them without one.
    """
    step = stack.fleet.origin_pulls
    if step == "off" or inventory.origin_ca:
        return step
    if step == "require":
        raise SettingsError(
            [
                f"{stack.file}: edgefleet:originPulls: 'require', but there is no {CA_FILE}: run "
                "`fleet ca init` and go through 'observe' first"
            ]
        )
    pulumi.log.info(
        f"Authenticated Origin Pulls are off: there is no {CA_FILE} yet (`fleet ca init`)"
    )
    return "off"


def origin_trust(stack: Stack, inventory: Inventory) -> EdgeTrust:
    """What the region's ingress asks for. Raises SettingsError."""
    return EdgeTrust(
        pulls_step(stack, inventory), inventory.origin_ca or "", stack.fleet.origin_header
    )


def header_values(stack: Stack, secret: ReadSecret) -> pulumi.Output[tuple[str, ...]] | None:
    """The values of the Worker's header that an origin takes. Raises SettingsError."""
    if stack.fleet.origin_header == "off":
        return None
    _require(stack, "originSecret", "the ingress looks for it under edgefleet:originHeader")
    return secret("originSecret").apply(lambda text: _values(stack, text))


def worker_secret(stack: Stack, secret: ReadSecret) -> pulumi.Output[str] | None:
    """The value that the Worker sends: the first of the edge stack's. Raises SettingsError."""
    if stack.fleet.origin_header == "off":
        return None
    _require(stack, "originSecret", "the Worker sends it under edgefleet:originHeader")
    return secret("originSecret").apply(lambda text: _values(stack, text)[0])


def issuer(
    stack: Stack, inventory: Inventory, secret: ReadSecret
) -> tuple[str, pulumi.Output[str]]:
    """Certificate and key of the CA that signs Cloudflare's client certificate.

    Of several certificates in the file the first one signs, and origins trust all: so one CA can
    follow another. Raises SettingsError.
    """
    _require(stack, "originPullsKey", f"it is the key of {CA_FILE}, set by `fleet ca init`")
    found = certificates(inventory.origin_ca or "")
    if not found:
        raise SettingsError([f"{CA_FILE}: holds no certificate in PEM form"])
    if len(found) > 1:
        pulumi.log.info(
            f"{CA_FILE} holds {len(found)} CAs: every region must have been up with it before "
            "this stack, which shows a certificate of the first. Then `fleet ca retire`"
        )
    return found[0], secret("originPullsKey")


def certificates(text: str) -> list[str]:
    """The PEM certificates in a file's text, in their order."""
    return [f"{found[0]}\n" for found in _CERTIFICATE.finditer(text)]


def fingerprint(certificate: str) -> str:
    """As `openssl x509 -noout -fingerprint -sha256` shows it. `certificate` is PEM."""
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).hexdigest().upper()
    return ":".join(re.findall("..", digest))


def _require(stack: Stack, key: str, why: str) -> None:
    if key not in stack.secrets:
        raise SettingsError(
            [
                f"{stack.file}: edgefleet:{key}: is required, as {why}: "
                f"`pulumi config set --secret {key} --stack {stack.name}`"
            ]
        )


def _values(stack: Stack, text: str) -> tuple[str, ...]:
    try:
        return origin_secrets(text)
    except ValueError as error:
        raise pulumi.RunError(f"{stack.file}: edgefleet:originSecret: {error}") from None

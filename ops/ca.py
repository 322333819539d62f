"""`fleet ca`: the CA of Authenticated Origin Pulls."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from infra.errors import SettingsError
from infra.fleet.inventory import CA_FILE, Inventory
from infra.fleet.reading import load
from infra.stacks.origin_trust import certificates, fingerprint
from ops.command import CommandError, Folder, Json, failed, stack_names
from ops.files import project_dir, write_atomically

YEARS = 20
KEY = "originPullsKey"
OUTPUT = "originPullsCa"

app = typer.Typer(
    help="The CA whose client certificate Cloudflare shows to the origins.", no_args_is_help=True
)


class CaError(CommandError):
    """The CA can't be made; the text is for a person."""


@app.command()
def init(
    stack: Annotated[
        str | None,
        typer.Option(help="The edge stack, where there are several.", autocompletion=stack_names),
    ] = None,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Make the CA: its certificate for git, its key as a secret of the edge stack.

    Exit code: 0; 2 where it can't be made, or is there already.
    """
    with _told():
        folder = project_dir(folder)
        edge = edge_stack(load(folder), stack)
        file = create(folder, edge)
    if as_json:
        typer.echo(json.dumps({"certificate": file.name, "key": KEY, "stack": edge}, indent=2))
        return
    typer.echo(
        f"wrote {file.name}, and its key as edgefleet:{KEY} into Pulumi.{edge}.yaml (encrypted).\n"
        f"Commit both. Then `pulumi up --stack {edge}`, so that Cloudflare shows its certificate, "
        "and `pulumi up` of the regions, so that they look for it (edgefleet:originPulls)."
    )


@app.command()
def rotate(folder: Folder = None, as_json: Json = False) -> None:
    """Make the next CA: origins trust both, and the new one signs.

    Exit code: 0; 2 where it can't be made, or another rotation isn't finished.
    """
    with _told():
        folder = project_dir(folder)
        edges = succeed(folder, load(folder))
    if as_json:
        typer.echo(json.dumps({"certificate": CA_FILE, "key": KEY, "stacks": edges}, indent=2))
        return
    named = ", ".join(edges)
    typer.echo(
        f"wrote a new CA before the old one into {CA_FILE}, and its key as edgefleet:{KEY} of "
        f"{named} (encrypted). Commit both. Then, in this order:\n"
        "1. `pulumi up` of every region: it trusts both.\n"
        f"2. `pulumi up` of {named}: Cloudflare shows a certificate of the new one.\n"
        "3. `fleet ca retire`, and `pulumi up` of every region: it trusts the new one alone."
    )


@app.command()
def retire(folder: Folder = None, as_json: Json = False) -> None:
    """Take the old CA out, once Cloudflare shows a certificate of the new one.

    Exit code: 0; 2 where there is none to take out, or Cloudflare still shows its certificate.
    """
    with _told():
        folder = project_dir(folder)
        forget(folder, load(folder))
    if as_json:
        typer.echo(json.dumps({"certificate": CA_FILE}, indent=2))
        return
    typer.echo(
        f"{CA_FILE} holds the new CA alone. Commit it, and `pulumi up` every region: it trusts "
        "the old one no longer."
    )


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (CaError, SettingsError) as error:
        raise failed(error) from None


def edge_stack(inventory: Inventory, named: str | None) -> str:
    """The edge stack's name. Raises CaError where it isn't clear which."""
    edges = [stack.name for stack in inventory.edge_stacks]
    if named in edges:
        return named
    if named is None and len(edges) == 1:
        return edges[0]
    listed = ", ".join(edges) or "none"
    wanted = f"{named!r} is not one" if named else "name one with --stack"
    raise CaError(f"edge stacks here: {listed}; {wanted}")


def create(folder: Path, edge: str) -> Path:
    """Make key and certificate, store the key, then write the certificate; its file.

    An interruption leaves at most a key without a certificate; the next run makes another pair.
    Raises CaError.
    """
    file = folder / CA_FILE
    if file.exists():
        raise CaError(
            f"{file} exists already. Origins trust it, so it stays; `fleet ca rotate` makes one "
            "that follows it"
        )
    write_atomically(file, _new([edge], folder))
    return file


def succeed(folder: Path, inventory: Inventory) -> list[str]:
    """Make another CA, which signs from now on, and keep the old one trusted; the edge stacks.

    An interruption leaves at most a key that isn't the first certificate's, with which nothing
    can be signed; the next run makes another pair. Raises CaError.
    """
    old = certificates(inventory.origin_ca or "")
    if not old:
        raise CaError(f"there is no CA in {CA_FILE} yet: `fleet ca init` makes one")
    if len(old) > 1:
        raise CaError(
            f"{CA_FILE} holds {len(old)} CAs: another rotation isn't finished. Bring up the "
            "regions, then the edge, then `fleet ca retire`"
        )
    edges = _signing(inventory)
    write_atomically(folder / CA_FILE, _new(edges, folder) + old[0])
    return edges


def forget(folder: Path, inventory: Inventory) -> None:
    """Keep the first CA alone. Raises CaError where an edge stack's last `up` signed by another:
    origins that require a certificate would refuse everybody."""
    new, *old = certificates(inventory.origin_ca or "") or [""]
    if not old:
        raise CaError(f"{CA_FILE} holds no old CA: nothing to retire")
    for edge in _signing(inventory):
        if _pulumi(folder, "stack", "output", "--stack", edge, OUTPUT).strip() != fingerprint(new):
            raise CaError(
                f"Cloudflare shows no certificate of the new CA yet: `pulumi up --stack {edge}`, "
                "after every region's"
            )
    write_atomically(folder / CA_FILE, new)


def _signing(inventory: Inventory) -> list[str]:
    """The edge stacks that have the CA's key. Raises CaError where none has."""
    edges = [stack.name for stack in inventory.edge_stacks if KEY in stack.secrets]
    if not edges:
        raise CaError(f"no edge stack here has the CA's key (edgefleet:{KEY})")
    return edges


def _new(edges: Sequence[str], folder: Path) -> str:
    """A new CA's certificate, once its key is stored."""
    key = rsa.generate_private_key(65537, 3072)
    certificate = sign(key, datetime.now(UTC))
    for edge in edges:
        store(folder, edge, key)
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def sign(key: rsa.RSAPrivateKey, now: datetime) -> x509.Certificate:
    """A CA's own certificate, for leaves only. Its name is its own: where two CAs share one, nginx
    tries the first."""
    serial = x509.random_serial_number()
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "edgefleet"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"origin pulls CA {serial:x}"[:40]),
        ]
    )
    usage = x509.KeyUsage(
        key_cert_sign=True, crl_sign=True, digital_signature=False, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365 * YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )


def store(folder: Path, edge: str, key: rsa.RSAPrivateKey) -> None:
    """Encrypt the key into the edge stack's file. It goes through a pipe: arguments are for every
    process to read. Raises CaError."""
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    _pulumi(folder, "config", "set", "--secret", KEY, "--stack", edge, given=pem)


def _pulumi(folder: Path, *arguments: str, given: bytes | None = None) -> str:
    """What a Pulumi command prints. Raises CaError."""
    command = ["pulumi", *arguments, "--non-interactive"]
    try:
        done = subprocess.run(command, cwd=folder, input=given, capture_output=True, check=False)
    except FileNotFoundError:
        raise CaError("there is no pulumi on PATH") from None
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise CaError(f"{' '.join(command)}: {said}")
    return done.stdout.decode()

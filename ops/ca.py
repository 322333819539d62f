"""`fleet ca`: the CA of Authenticated Origin Pulls."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from infra.inventory import CA_FILE, Inventory, SettingsError, load
from ops.files import project_dir, write_atomically

YEARS = 20
KEY = "originPullsKey"

app = typer.Typer(
    help="The CA whose client certificate Cloudflare shows to the origins.", no_args_is_help=True
)


class CaError(Exception):
    """The CA can't be made; the text is for a person."""


@app.callback()
def ca() -> None:
    """Keeps `init` a command of its own, also while there is only one."""


@app.command()
def init(
    stack: Annotated[
        str | None, typer.Option(help="The edge stack, where there are several.")
    ] = None,
) -> None:
    """Make the CA: its certificate for git, its key as a secret of the edge stack."""
    try:
        folder = project_dir()
        edge = edge_stack(load(folder), stack)
        file = create(folder, edge)
    except (CaError, SettingsError) as error:
        typer.secho(f"error: {error}", err=True, fg="red")
        raise typer.Exit(1) from error
    typer.echo(
        f"wrote {file.name}, and its key as edgefleet:{KEY} into Pulumi.{edge}.yaml (encrypted).\n"
        f"Commit both. Then `pulumi up --stack {edge}`, so that Cloudflare shows its certificate, "
        "and `pulumi up` of the regions, so that they look for it (edgefleet:originPulls)."
    )


def edge_stack(inventory: Inventory, named: str | None) -> str:
    """The edge stack's name. Raises CaError where it isn't clear which."""
    edges = sorted(name for name, stack in inventory.stacks.items() if stack.edge)
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
            f"{file} exists already. Origins trust it, so it stays; docs/security.md says how one "
            "CA follows another"
        )
    key = rsa.generate_private_key(65537, 3072)
    certificate = sign(key, datetime.now(UTC))
    store(folder, edge, key)
    write_atomically(file, certificate.public_bytes(serialization.Encoding.PEM).decode())
    return file


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
    command = ["pulumi", "config", "set", "--secret", KEY, "--stack", edge, "--non-interactive"]
    try:
        done = subprocess.run(command, cwd=folder, input=pem, capture_output=True)
    except FileNotFoundError:
        raise CaError("there is no pulumi on PATH") from None
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise CaError(f"{' '.join(command)}: {said}")

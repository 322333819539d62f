"""The environment in which the commands people know reach the sandbox."""

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from sandbox.vendors.cloudflare import api as cloudflare_api
from sandbox.vendors.vultr import api as vultr_api

PROVIDERS = ("vultr", "cloudflare", "kubernetes", "tls")
PASSPHRASE = "edgefleet sandbox"  # noqa: S105 (protects emulated accounts)

BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables that name trusted certificates."""
_ADDED_BY_US = ("HTTPS_PROXY", "NO_PROXY", *BUNDLES)
AROUND = ("https_proxy", "no_proxy")
"""Variables that go before their namesakes in capitals (for curl, and for Python's requests): left
as they are, they lead around the sandbox, to the real vendors."""


@dataclass
class Running:
    """A sandbox that runs, as ``sandbox.json`` tells it.

    ``ports`` are those of ``vultr``, ``cloudflare``, ``proxy`` and ``secrets``; ``plugins`` those
    of the attached providers. ``real`` names the providers that are installed plugins instead.
    """

    pid: int
    started: str
    ports: dict[str, int]
    plugins: dict[str, int]
    real: list[str]
    pulumi: str

    @property
    def secrets_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['secrets']}"

    def save(self, directory: Path) -> None:
        partial = directory / "sandbox.json.new"
        partial.write_text(json.dumps(asdict(self), indent=1))
        partial.replace(directory / "sandbox.json")

    @classmethod
    def load(cls, directory: Path) -> "Running":
        """Raises FileNotFoundError."""
        return cls(**json.loads((directory / "sandbox.json").read_text()))


def variables(directory: Path, running: Running, path: str) -> dict[str, str]:
    """The variables, in a stable order; ``path`` is the PATH to put Pulumi in front of."""
    bundle = str(ca_bundle(directory))
    attached = ",".join(f"{name}:{port}" for name, port in sorted(running.plugins.items()))
    return {
        "PATH": with_pulumi_first(path, running.pulumi),
        "PULUMI_HOME": str(directory / "pulumi"),
        "PULUMI_BACKEND_URL": file_backend(backend(directory)),
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        # The engine would download the very plugins that it is attached to.
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_DEBUG_PROVIDERS": attached,
        **vendor_variables(running.ports),
        # Upper case only: Python's gRPC takes the lower-case one for itself.
        "HTTPS_PROXY": f"http://127.0.0.1:{running.ports['proxy']}",
        "NO_PROXY": "127.0.0.1,localhost",
        **dict.fromkeys(BUNDLES, bundle),
    }


def vendor_variables(ports: Mapping[str, int]) -> dict[str, str]:
    """Accounts and addresses of the emulated vendors."""
    return {
        "VULTR_API_KEY": vultr_api.API_KEY,
        "CLOUDFLARE_API_TOKEN": cloudflare_api.API_TOKEN,
        "CLOUDFLARE_BASE_URL": f"http://127.0.0.1:{ports['cloudflare']}/client/v4",
    }


def exports(values: Mapping[str, str]) -> str:
    """Lines for ``eval`` in a POSIX shell."""
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in values.items()]
    return "".join([f"unset {' '.join(AROUND)}\n", *lines])


def inside(environ: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """``environ`` for a child that is to reach the sandbox: as after an ``eval`` of ``exports``."""
    return {k: v for k, v in environ.items() if k not in AROUND} | dict(values)


def outside(environ: Mapping[str, str], directory: Path) -> dict[str, str]:
    """``environ`` as it was before ``fleet sandbox env`` of this sandbox was evaluated in it.

    A sandbox that starts must not take its own proxy of last time for the way out.
    """
    found = dict(environ)
    if found.get("SSL_CERT_FILE") == str(ca_bundle(directory)):
        for name in _ADDED_BY_US:
            found.pop(name, None)
    found["PATH"] = without(found.get("PATH", ""), directory)
    return found


def with_pulumi_first(path: str, folder: str) -> str:
    rest = [part for part in path.split(os.pathsep) if part and part != folder]
    return os.pathsep.join([folder, *rest])


def without(path: str, directory: Path) -> str:
    """PATH without folders of the sandbox."""
    parts = (part for part in path.split(os.pathsep) if part)
    return os.pathsep.join(p for p in parts if not Path(p).is_relative_to(directory / "bin"))


def backend(directory: Path) -> Path:
    """Folder of Pulumi's file backend."""
    return directory / "state"


def file_backend(folder: Path) -> str:
    """URL of a file backend that a killed engine leaves readable (docs/limits.md): without
    ``metadata=skip`` a second file is kept beside every state, and written in place."""
    return f"file://{quote(str(folder))}?metadata=skip"


def ca_bundle(directory: Path) -> Path:
    """The system's trusted certificates and the sandbox's own."""
    return directory / "ca-bundle.pem"

"""How the ingress knows our own edge, and what it does to others: pure content, for nginx.

Any customer of Cloudflare's reaches an origin that admits Cloudflare's addresses (cloudflare.md
§5). A client certificate of our own CA, or a header that only our Worker knows, tells us apart.
Each goes in steps: `off`; `observe` asks, logs, and lets everybody in; `require` refuses.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Step = Literal["off", "observe", "require"]

FOLDER = "/etc/edgefleet"
"""Where the ingress finds `files()`."""
SECRET_HEADER = "X-Edgefleet-Origin"  # noqa: S105 (its name)
_CA_FILE = "origin-pulls-ca.pem"
_SECRETS_FILE = "origin-secrets.map"
# As long as nginx' map takes a key in its default bucket of 64 bytes.
_SECRET = re.compile(r"[A-Za-z0-9_-]{32,43}")


@dataclass(frozen=True)
class EdgeTrust:
    """What the origin asks for.

    `pulls` is the client certificate (Authenticated Origin Pulls), `ca` the PEM certificates of the
    CAs that may have signed it. `header` is the Worker's secret header, `secrets` the values that
    are taken: two while one replaces the other.
    """

    pulls: Step = "off"
    ca: str = ""
    header: Step = "off"
    secrets: tuple[str, ...] = ()

    def files(self) -> dict[str, str]:
        """Files by name, for `FOLDER`."""
        found = {}
        if self.pulls != "off":
            found[_CA_FILE] = self.ca
        if self.header != "off":
            found[_SECRETS_FILE] = "".join(f'"{secret}" known;\n' for secret in self.secrets)
        return found

    def nginx_config(self) -> dict[str, str]:
        """Keys of NGINX Ingress Controller's ConfigMap; none where nothing is asked for.

        `http-snippets` stand in the http block, so they cover every TLS server, those of Ingresses
        and the default one; `server-snippets` in each Ingress's server.
        """
        if self.pulls == self.header == "off":
            return {}
        config = {
            "http-snippets": "\n".join([*self._certificate(), *self._header()]),
            # The visitor's address (from CF-Connecting-IP, where Cloudflare said it), whom the
            # connection came from, and whether that was our edge.
            "log-format": (
                '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
                '"$http_referer" "$http_user_agent" $request_time via $realip_remote_addr '
                "client-certificate=$ssl_client_verify"
                + (" edge-header=$edgefleet_edge" if self.header != "off" else "")
            ),
        }
        if refusals := list(self._refusals()):
            config["server-snippets"] = "\n".join(refusals)
        return config

    def _certificate(self) -> list[str]:
        if self.pulls == "off":
            return []
        # `optional` would already refuse a certificate of another CA, such as the one that
        # Cloudflare sends for every account.
        ask = "on" if self.pulls == "require" else "optional_no_ca"
        return [
            f"ssl_client_certificate {FOLDER}/{_CA_FILE};",
            "ssl_verify_depth 1;",
            f"ssl_verify_client {ask};",
        ]

    def _header(self) -> list[str]:
        if self.header == "off":
            return []
        variable = SECRET_HEADER.lower().replace("-", "_")
        return [
            f"map $http_{variable} $edgefleet_edge {{",
            "    default unknown;",
            f"    include {FOLDER}/{_SECRETS_FILE};",
            "}",
        ]

    def _refusals(self) -> Sequence[str]:
        refusals = []
        if self.pulls == "require":
            # Port 80 knows no certificates. Cloudflare hands the redirect on to the visitor.
            refusals.append('if ($https = "") { return 308 https://$host$request_uri; }')
        if self.header == "require":
            refusals.append("if ($edgefleet_edge != known) { return 403; }")
        return refusals


def origin_secrets(text: str) -> tuple[str, ...]:
    """The values of a secret header: one, or the new and the old one, apart by white space.

    Raises ValueError, without the values.
    """
    values = tuple(text.split())
    if not 1 <= len(values) <= 2:
        raise ValueError(f"{len(values)} values: one, or during a rotation the new and the old one")
    for number, value in enumerate(values, 1):
        if not _SECRET.fullmatch(value):
            raise ValueError(
                f"value {number} has {len(value)} characters: 32 to 43 of A-Z, a-z, 0-9, - and _ "
                "are needed, as `openssl rand -hex 20` gives"
            )
    return values


def content_name(prefix: str, files: dict[str, str]) -> str:
    """A name that changes with the content, so that what mounts it is rolled."""
    digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()
    return f"{prefix}-{digest[:10]}"

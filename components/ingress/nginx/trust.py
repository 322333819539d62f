"""`EdgeTrust` in nginx' words: keys of the controller's ConfigMap, and the files that they name."""

from collections.abc import Iterator, Sequence

from ..trust import SECRET_HEADER, EdgeTrust

FOLDER = "/etc/edgefleet"
"""Where the pod finds `files()`."""
_CA_FILE = "origin-pulls-ca.pem"
_SECRETS_FILE = "origin-secrets.map"


def files(trust: EdgeTrust, secrets: Sequence[str] = ()) -> dict[str, str]:
    """Files by name, for `FOLDER`. `secrets` are the header's values that are taken: two while one
    replaces the other."""
    found: dict[str, str] = {}
    if trust.pulls != "off":
        found[_CA_FILE] = trust.ca
    if trust.header != "off":
        found[_SECRETS_FILE] = "".join(f'"{secret}" known;\n' for secret in secrets)
    return found


def config(trust: EdgeTrust) -> dict[str, str]:
    """Keys of NGINX Ingress Controller's ConfigMap; none where nothing is asked for.

    `http-snippets` stand in the http block, so they cover every TLS server, those of Ingresses
    and the default one; `server-snippets` in each Ingress's server, `location-snippets` in each of
    its locations.
    """
    if not trust.asks:
        return {}
    keys = {
        "http-snippets": "\n".join([*_certificate(trust), *_header(trust)]),
    }
    if trust.header != "off":
        # What proves the edge to the ingress is none of the application's business.
        keys["location-snippets"] = f'proxy_set_header {SECRET_HEADER} "";'
    if refusals := list(_refusals(trust)):
        keys["server-snippets"] = "\n".join(refusals)
    return keys


def log_fields(trust: EdgeTrust) -> dict[str, str]:
    """What the access log says of whoever came, as nginx' variables: whether the certificate that
    was shown is our edge's (SUCCESS, NONE, FAILED:why) and which it was; whether the header is."""
    fields: dict[str, str] = {}
    if trust.pulls != "off":
        fields["client_certificate"] = "$ssl_client_verify"
        fields["client_certificate_serial"] = "$ssl_client_serial"
    if trust.header != "off":
        fields["edge_header"] = "$edgefleet_edge"
    return fields


def _certificate(trust: EdgeTrust) -> list[str]:
    if trust.pulls == "off":
        return []
    # `optional` would already refuse a certificate of another CA, such as the one that
    # Cloudflare sends for every account.
    ask = "on" if trust.pulls == "require" else "optional_no_ca"
    return [
        f"ssl_client_certificate {FOLDER}/{_CA_FILE};",
        "ssl_verify_depth 1;",
        f"ssl_verify_client {ask};",
    ]


def _header(trust: EdgeTrust) -> list[str]:
    if trust.header == "off":
        return []
    variable = SECRET_HEADER.lower().replace("-", "_")
    return [
        f"map $http_{variable} $edgefleet_edge {{",
        "    default unknown;",
        f"    include {FOLDER}/{_SECRETS_FILE};",
        "}",
    ]


def _refusals(trust: EdgeTrust) -> Iterator[str]:
    if trust.pulls == "require":
        # Port 80 knows no certificates. Cloudflare hands the redirect on to the visitor.
        yield 'if ($https = "") { return 308 https://$host$request_uri; }'
    if trust.header == "require":
        yield "if ($edgefleet_edge != known) { return 403; }"

"""The real nginx in a node, with the TLS settings that the ingress's ConfigMap and files render."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from components.ingress.nginx.daemon_set import nginx_config
from components.ingress.nginx.trust import FOLDER
from components.ingress.nginx.trust import config as trust_config
from components.ingress.nginx.trust import files as trust_files
from components.ingress.trust import SECRET_HEADER, EdgeTrust, origin_secrets
from ops.ca import sign
from tests.packets import netns
from tests.packets.netns import NODE, NODE6, Packet
from tests.packets.worlds import IN_VPC, OUTSIDER, World, eventually, linked, table_of

CLOUDFLARE, CLOUDFLARE6 = "104.16.0.9", "2606:4700::9"
NEW, OLD, OTHER = "n" * 40, "o" * 40, "x" * 40
ASK = """
import http.client, json, ssl, sys
scheme, source, to, certificate, *headers = sys.argv[1:]
context = ssl._create_unverified_context()
if certificate: context.load_cert_chain(certificate)
common = {"timeout": 20, "source_address": (source, 0)}
if scheme == "https": asked = http.client.HTTPSConnection(to, 443, context=context, **common)
else: asked = http.client.HTTPConnection(to, 80, **common)
try:
    sent = dict(header.split("=", 1) for header in headers)
    asked.request("GET", "/", headers={"Host": "example.com", **sent})
    answer = asked.getresponse()
    print(answer.status, answer.getheader("Location") or answer.read().decode().split("\\n")[0])
except (ssl.SSLError, ConnectionError) as error:
    print("refused", type(error).__name__)
"""


@dataclass(frozen=True)
class Ca:
    """A CA as `fleet ca init` makes it."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls) -> "Ca":
        key = rsa.generate_private_key(65537, 2048)
        return cls(key, sign(key, datetime.now(UTC)))

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def leaf(self, file: Path, *, days: int = 30, self_signed: bool = False) -> str:
        """Write a certificate with its key; the file's path."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, file.stem)])
        now = datetime.now(UTC)
        signed = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name if self_signed else self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=60))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(key if self_signed else self.key, hashes.SHA256())
        )
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        file.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + pem)
        return str(file)


@pytest.fixture(scope="module")
def cas() -> tuple[Ca, Ca]:
    """Ours, and somebody else's."""
    return Ca.make(), Ca.make()


@pytest.fixture(scope="module")
def certificates(cas: tuple[Ca, Ca], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("certificates")
    ours, theirs = cas
    return {
        "none": "",
        "ours": ours.leaf(folder / "ours.pem"),
        "expired": ours.leaf(folder / "expired.pem", days=-1),
        "self-signed": ours.leaf(folder / "self-signed.pem", self_signed=True),
        "another CA's": theirs.leaf(folder / "other.pem"),
    }


class Nginx:
    """A node with nginx, and visitors."""

    def __init__(self, world: World, folder: Path) -> None:
        self.node, self.outside = world
        self._log = folder / "access.log"

    def answers(
        self, source: str, certificate: str = "", scheme: str = "https", **headers: str
    ) -> str:
        """Status and body (or Location) for a visitor who comes from `source`."""
        self.outside.be([source])
        to = NODE6 if ":" in source else NODE
        spelled = [f"{name.replace('_', '-')}={value}" for name, value in headers.items()]
        command = (sys.executable, "-c", ASK, scheme, source, to, certificate, *spelled)
        return self.outside.start(*command).communicate()[0].strip()

    @property
    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()]


@pytest.fixture
def start(tmp_path: Path, pinned: tuple[str, ...]) -> Iterator[Callable[..., Nginx]]:
    """Starts nginx with a trust; its http and server blocks hold what the controller puts there."""
    worlds = linked()

    def started(trust: EdgeTrust, secrets: Sequence[str] = ()) -> Nginx:
        (tmp_path / "nginx.conf").write_text(configuration(tmp_path, pinned, trust, secrets))
        node, outside = next(worlds)
        netns.serve(node, ports=("7", "53"))
        node.start(
            shutil.which("nginx") or "", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")
        )
        first = Packet(CLOUDFLARE, 443)
        eventually(lambda: outside.passes([first])[first], "nginx doesn't listen")
        return Nginx((node, outside), tmp_path)

    yield started
    worlds.close()  # pyright: ignore[reportAttributeAccessIssue]


def configuration(
    folder: Path, pinned: tuple[str, ...], trust: EdgeTrust, secrets: Sequence[str]
) -> str:
    """nginx.conf as NGINX Ingress Controller makes it of its ConfigMap's keys."""
    for name, content in trust_files(trust, secrets).items():
        (folder / name).write_text(content)
    Ca.make().leaf(folder / "server.pem", self_signed=True)
    keys = {**nginx_config(pinned, trust=trust), **trust_config(trust)}
    trusted = "".join(f"set_real_ip_from {c};\n" for c in keys["set-real-ip-from"].split(","))
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    log_format = " ".join(f"'{line}'" for line in keys["log-format"].splitlines())
    escape = keys["log-format-escaping"]
    header = SECRET_HEADER.lower().replace("-", "_")
    return (
        "daemon off; master_process off; pid nginx.pid; error_log stderr; events {}\n"
        f"http {{ log_format main escape={escape} {log_format}; access_log access.log main;\n"
        f"default_type text/plain; {temporary}{trusted}"
        f"real_ip_header {keys['real-ip-header']};\n"
        f"{keys.get('http-snippets', '').replace(FOLDER, str(folder))}\n"
        "server { listen 80; listen [::]:80; listen 443 ssl; listen [::]:443 ssl;\n"
        "ssl_certificate server.pem; ssl_certificate_key server.pem;\n"
        f"{keys.get('server-snippets', '')}\n"
        # Through the application: what it sees of the edge's header, then its answer.
        f"location / {{ {keys.get('location-snippets', '')}\n"
        f"proxy_set_header X-Seen $remote_addr; proxy_pass http://unix:{folder}/app.sock; }} }}\n"
        f"server {{ listen unix:{folder}/app.sock; access_log off;\n"
        f"location / {{ return 200 $http_x_seen$http_{header}; }} }} }}\n"
    )


def test_required_only_our_certificate_gets_an_answer(
    start: Callable[..., Nginx], cas: tuple[Ca, Ca], certificates: Mapping[str, str]
):
    nginx = start(EdgeTrust("require", cas[0].pem))
    assert nginx.answers(CLOUDFLARE, certificates["ours"]) == f"200 {CLOUDFLARE}"
    assert nginx.answers(CLOUDFLARE6, certificates["ours"]) == f"200 {CLOUDFLARE6}"
    for kind in ("none", "expired", "self-signed", "another CA's"):
        assert nginx.answers(CLOUDFLARE, certificates[kind]).startswith("400 "), kind
    # Port 80 knows no certificates, and serves nothing.
    assert nginx.answers(CLOUDFLARE, scheme="http") == "308 https://example.com/"


def test_observed_everybody_gets_an_answer_and_the_log_says_who_they_were(
    start: Callable[..., Nginx], cas: tuple[Ca, Ca], certificates: Mapping[str, str]
):
    nginx = start(EdgeTrust("observe", cas[0].pem))
    for kind in ("none", "ours", "self-signed", "another CA's"):
        assert nginx.answers(CLOUDFLARE, certificates[kind]) == f"200 {CLOUDFLARE}", kind
    # nginx has no setting that lets an expired one pass.
    assert nginx.answers(CLOUDFLARE, certificates["expired"]).startswith("400 ")
    assert nginx.answers(CLOUDFLARE, scheme="http") == f"200 {CLOUDFLARE}"
    verdicts = [line["client_certificate"] for line in nginx.logged]
    assert verdicts[:2] == ["NONE", "SUCCESS"]
    assert [verdict.partition(":")[0] for verdict in verdicts[2:5]] == ["FAILED"] * 3
    assert verdicts[4] == "FAILED:certificate has expired"
    assert verdicts[5] == "", "port 80 knows none"
    serials = [line["client_certificate_serial"] for line in nginx.logged]
    assert [bool(serial) for serial in serials] == [False, True, True, True, True, False]


@pytest.mark.parametrize(
    ("trusted", "shown"),
    [
        ("old", ["old"]),
        # Regions first: those that aren't up yet stand in the line above.
        ("new and old", ["old", "new"]),
        ("new", ["new"]),
    ],
)
def test_at_every_step_of_a_rotation_our_edge_gets_an_answer(
    start: Callable[..., Nginx],
    cas: tuple[Ca, Ca],
    certificates: Mapping[str, str],
    trusted: str,
    shown: list[str],
):
    """CA and header at once: what origins take, and what the edge shows meanwhile."""
    old, new = cas
    edges = {"old": (certificates["ours"], OLD), "new": (certificates["another CA's"], NEW)}
    cas_in_file = {"old": old.pem, "new": new.pem, "new and old": new.pem + old.pem}[trusted]
    secrets = {"old": OLD, "new": NEW, "new and old": f"{NEW} {OLD}"}[trusted]
    nginx = start(EdgeTrust("require", cas_in_file, "require"), origin_secrets(secrets))
    header = SECRET_HEADER.replace("-", "_")
    answers = {
        edge: nginx.answers(CLOUDFLARE, certificate, **{header: secret})
        for edge, (certificate, secret) in edges.items()
    }
    assert sorted(edge for edge, answer in answers.items() if answer.startswith("200 ")) == sorted(
        shown
    )


def test_the_secret_header_lets_the_worker_in_old_value_and_new(
    start: Callable[..., Nginx],
):
    nginx = start(EdgeTrust(header="require"), (NEW, OLD))
    header = SECRET_HEADER.replace("-", "_")
    for scheme in ("https", "http"):
        for secret in (NEW, OLD):
            answer = nginx.answers(CLOUDFLARE, scheme=scheme, **{header: secret})
            assert answer == f"200 {CLOUDFLARE}"
        assert nginx.answers(CLOUDFLARE, scheme=scheme, **{header: OTHER}).startswith("403 ")
        assert nginx.answers(CLOUDFLARE, scheme=scheme).startswith("403 ")
    log = json.dumps(nginx.logged)
    assert NEW not in log
    assert OLD not in log
    known = [line["edge_header"] for line in nginx.logged]
    assert known == ["known", "known", "unknown", "unknown"] * 2


def test_the_visitor_stands_in_the_log_and_is_believed_from_cloudflare_alone(
    start: Callable[..., Nginx],
    cas: tuple[Ca, Ca],
    certificates: Mapping[str, str],
    pinned: tuple[str, ...],
):
    nginx = start(EdgeTrust("require", cas[0].pem))
    ours, said = certificates["ours"], {"CF_Connecting_IP": "192.0.2.1"}
    assert nginx.answers(CLOUDFLARE, ours, **said) == "200 192.0.2.1"
    assert nginx.answers(OUTSIDER, ours, **said) == f"200 {OUTSIDER}"
    assert nginx.answers(IN_VPC, ours, **said) == f"200 {IN_VPC}"
    first, *others = nginx.logged
    assert (first["client"], first["peer"]) == ("192.0.2.1", CLOUDFLARE)
    assert first["client_certificate"] == "SUCCESS"
    assert [line["client"] for line in others] == [OUTSIDER, IN_VPC]
    # With the firewall up, both layers at once.
    assert nginx.node.sync(table_of(*pinned)).state == "matches"
    assert nginx.answers(CLOUDFLARE, ours, **said) == "200 192.0.2.1"
    outsiders = [Packet(source, 443) for source in (OUTSIDER, IN_VPC)]
    assert not any(nginx.outside.passes(outsiders).values())

"""The real Traefik with what `TraefikIngress` renders, on an API server's own objects."""

import signal
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from components.ingress.contract import HEALTH_PATH, REGION_HEADER
from components.ingress.traefik.daemon_set import TraefikIngressArgs
from components.ingress.trust import SECRET_HEADER, EdgeTrust, trust_args
from sandbox.providers.kubernetes.client import ApiError
from tests.components.edge.worker.edge_rig import DENVER, HOST, US, Edge
from tests.kubernetes_harness import named, until
from tests.traefik.world import (
    CLOUDFLARE,
    OUTSIDER,
    TRUSTED,
    Answer,
    ApiServer,
    Json,
    Node,
    Ports,
    cloudflares_connections,
    objects,
    own_address,
)

NEW, OLD, OTHER = "n" * 40, "o" * 40, "x" * 40
VISITOR = "198.51.100.7"
SUBJECT = "CN=edgefleet origin pulls,O=edgefleet"
HOSTS = (HOST, "crd.example.com", "route.example.com", "nginx.example.com")
Start = Callable[..., Node]


def given(certificates: dict[str, str], **more: Any) -> TraefikIngressArgs:
    return {
        "image": "traefik:v3.7.13",
        "trusted_proxies": ["192.0.2.0/24", TRUSTED],
        "region": "us",
        "default_certificate": {
            "certificate": certificates["first"],
            "key": certificates["first-key"],
        },
        "status_address": "us.example.com",
        "response_headers": {"X-Content-Type-Options": "nosniff"},
        "custom_resources": True,
        "gateway": True,
        "nginx_class": "nginx",
        **more,
    }  # pyright: ignore[reportReturnType]


def site(port: int) -> list[Json]:
    """An application, and each kind of object that sends a host to it."""

    def meta(name: str, **more: Any) -> Json:
        return {"name": name, "namespace": "shop", **more}

    def ingress(name: str, kind: str, host: str, path: str, **annotations: str) -> Json:
        backend = {"service": {"name": "web", "port": {"number": 80}}}
        paths = [{"path": path, "pathType": "ImplementationSpecific", "backend": backend}]
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": meta(name, annotations=annotations),
            "spec": {"ingressClassName": kind, "rules": [{"host": host, "http": {"paths": paths}}]},
        }

    http = {"name": "http", "port": 80}
    by_label = {"kubernetes.io/service-name": "web"}
    rewrite = {"nginx.ingress.kubernetes.io/rewrite-target": "/$1"}
    return [
        named("v1", "Namespace", "shop"),
        {**named("v1", "Service", "web", "shop"), "spec": {"ports": [http]}},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": meta("web-1", labels=by_label),
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": port}],
            "endpoints": [{"addresses": [own_address()], "conditions": {"ready": True}}],
        },
        ingress("plain", "traefik", HOSTS[0], "/"),
        ingress("rewritten", "nginx", HOSTS[3], "/app/(.*)", **rewrite),
        {
            "apiVersion": "traefik.io/v1alpha1",
            "kind": "IngressRoute",
            "metadata": meta("crd"),
            # About as high as its definition lets a user go, and not before the refusals.
            "spec": {"routes": [{"kind": "Rule", "match": f"Host(`{HOSTS[1]}`)",
                                 "priority": 2**63 - 2048,
                                 "services": [{"name": "web", "port": 80}]}]},
        },
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": meta("route"),
            "spec": {"parentRefs": [{"name": "traefik", "namespace": "traefik"}],
                     "hostnames": [HOSTS[2]],
                     "rules": [{"backendRefs": [{"name": "web", "port": 80}]}]},
        },
    ]  # fmt: skip


@pytest.fixture
def start(built: Path, api_server: ApiServer, stack: ExitStack, tmp_path: Path, shop: int) -> Start:
    def started(args: TraefikIngressArgs) -> Node:
        ports, manifests = Ports.free(), objects(args)
        api_server.apply([*manifests, *site(shop)], ports)
        account = api_server.account("traefik", "traefik")
        node = Node(built / "traefik", tmp_path, account, ports, stack)
        node.mount(manifests)
        node.start()
        return node

    return started


def served(ask: Callable[[], Answer]) -> Answer:
    """An answer of the application, which comes once Traefik has read the API server's objects."""
    return until(lambda: found if (found := ask()).status == 200 else None, "an answer", 20)


def test_required_only_our_edge_gets_an_answer(
    start: Start, api_server: ApiServer, certificates: dict[str, str], stack: ExitStack
) -> None:
    trust = EdgeTrust("require", certificates["our-ca"], "require")
    node = start(given(certificates, trust=trust_args(trust), origin_secrets=[NEW, OLD]))
    ours, header = certificates["ours"], SECRET_HEADER.replace("-", "_")
    visitor = {"CF_Connecting_IP": VISITOR, "X_Forwarded_For": f"203.0.113.9, {VISITOR}"}

    def ask(host: str, **more: Any) -> Answer:
        path = "/app/cart" if host == HOSTS[3] else "/"
        return node.ask(host, path, **{"certificate": ours, header: NEW, **visitor, **more})

    # Every kind of object, with the annotation of the retired controller.
    for host in HOSTS:
        answer = served(lambda host=host: ask(host))
        assert answer.headers[REGION_HEADER] == "us", host
        assert answer.headers["x-content-type-options"] == "nosniff", host
        assert answer.seen["cf-connecting-ip"] == VISITOR, host
        assert answer.seen["x-forwarded-for"].endswith(f", {VISITOR}, {CLOUDFLARE}"), host
        assert answer.seen["x-forwarded-proto"] == "https"
        assert SECRET_HEADER.lower() not in answer.seen, host
        assert ssl.DER_cert_to_PEM_cert(answer.certificate).split() == certificates["first"].split()
        # The other value of a rotation, then none, and one that nobody knows.
        assert ask(host, **{header: OLD}).status == 200, host
        for refused in (ask(host, **{header: OTHER}), ask(host, **{header: ""})):
            assert (refused.status, refused.headers[REGION_HEADER]) == (403, "us"), host
        for certificate in ("", certificates["theirs"]):
            with pytest.raises(OSError):  # noqa: PT011 (a TLS alert, or a connection's end)
                ask(host, certificate=certificate)
    assert served(lambda: ask(HOSTS[3])).seen["path"] == "/cart"

    # The edge's own Worker, on the real workerd.
    with cloudflares_connections(node.ports.https, ours) as address:
        edge = Edge(
            {"regions": [US]},
            {US["host"]: address},
            ORIGIN_SECRET=NEW,
            ORIGIN_SECRET_HEADER=SECRET_HEADER,
        )
        stack.callback(edge.close)
        through = edge.request("/", DENVER, visitor="198.51.100.8")
        assert (through.status_code, through.headers[REGION_HEADER]) == (200, "us")
        assert through.json()["cf-connecting-ip"] == "198.51.100.8"
        assert SECRET_HEADER.lower() not in through.json()

    # Who isn't Cloudflare says nothing of visitors: what Traefik knows is replaced, what it doesn't
    # know is refused.
    for host in HOSTS:
        forged = {"X_Forwarded_For": VISITOR, "X_Real_IP": VISITOR, "CF_Connecting_IP": ""}
        answer = ask(host, source=OUTSIDER, **forged)
        assert answer.seen["x-forwarded-for"] == OUTSIDER, host
        assert answer.seen["x-real-ip"] == OUTSIDER, host
        for spelled in ("CF_Connecting_IP", "cf_connecting_ip", "Cf_Connecting_Ip"):
            sent = {"CF_Connecting_IP": "", spelled: VISITOR}
            assert ask(host, source=OUTSIDER, **sent).status == 403, host
        alias = ask(host, source=OUTSIDER, CF_Connecting_IP="", CF__Connecting__IP=VISITOR)
        assert "cf_connecting_ip" not in alias.seen, host

    # Port 80 knows no certificates, and serves nothing.
    plain = node.ask(HOSTS[0], "/a?b=c", scheme="http", **{header: NEW})
    assert (plain.status, plain.headers["location"]) == (301, f"https://{HOSTS[0]}/a?b=c")
    assert plain.headers[REGION_HEADER] == "us"
    # Any host is healthy, and an unknown one is nowhere.
    for host in (*HOSTS, "unknown.example.org"):
        health = node.ask(host, HEALTH_PATH, certificate=ours, **{header: NEW})
        assert (health.status, health.headers[REGION_HEADER]) == (200, "us")
    nowhere = ask("unknown.example.org")
    assert (nowhere.status, nowhere.headers[REGION_HEADER]) == (404, "us")

    # No right is missing, none of the configuration was refused, and no secret was told.
    # What a kubelet mounts lies there twice, and Traefik says so.
    warned = [line for line in node.log if line.get("level") in ("error", "warn")]
    told = [line for line in warned if "already configured" not in line["message"]]
    own = [t for t in told if "forbidden" in str(t) or "file" in str(t.get("providerName"))]
    assert not own
    assert NEW not in (text := str(node.log))
    assert OLD not in text
    lines = [line for line in node.requests if line["RequestHost"] in HOSTS]
    # Before Traefik has read an object there is no such host.
    assert {line["DownstreamStatus"] for line in lines} - {404} == {200, 301, 403}
    secure = [line for line in lines if line["RequestScheme"] == "https"]
    assert {line["TLSClientSubject"] for line in secure} == {SUBJECT}
    assert VISITOR in {line.get("request_Cf-Connecting-Ip") for line in secure}
    for kind, name in (("Ingress", "plain"), ("Ingress", "rewritten")):
        live = until(
            lambda kind=kind, name=name: api_server.api.get(
                named("networking.k8s.io/v1", kind, name, "shop")
            )["status"]["loadBalancer"]["ingress"],
            f"the status of {name}",
        )
        assert live == [{"hostname": "us.example.com"}]


def test_required_nobody_may_go_round_it(
    api_server: ApiServer, certificates: dict[str, str], shop: int
) -> None:
    trust = EdgeTrust("require", certificates["our-ca"])
    api_server.apply(
        [*objects(given(certificates, trust=trust_args(trust))), *site(shop)], Ports.free()
    )

    def refused(obj: Json) -> str:
        try:
            api_server.api.apply(obj, "somebody", dry_run=True)
        except ApiError as error:
            return str(error)
        return ""

    (ingress,) = (each for each in site(shop) if each["metadata"]["name"] == "rewritten")
    assert not refused(ingress)
    own = {"nginx.ingress.kubernetes.io/auth-tls-secret": "shop/ca"}
    ingress["metadata"]["annotations"] |= own
    said = until(lambda: refused(ingress), "the policy")
    assert "TLS options of its own" in said
    assert "edgefleet:originPulls is require" in said
    kinds = ("traefik.io/v1alpha1", "shop")
    route = named(kinds[0], "IngressRoute", "own-options", kinds[1])
    assert "tls.options" in refused(
        {**route, "spec": {"routes": [], "tls": {"options": {"name": "x"}}}}
    )
    assert "no host is served over TLS" in refused(
        {**named(kinds[0], "TLSOption", "default", kinds[1]), "spec": {}}
    )
    assert not refused({**named(kinds[0], "TLSOption", "mine", kinds[1]), "spec": {}})
    tcp = named(kinds[0], "IngressRouteTCP", "raw", kinds[1])
    assert "before anybody asks" in refused({**tcp, "spec": {"routes": []}})


def test_observed_everybody_gets_an_answer_and_the_log_says_what_they_showed(
    start: Start, certificates: dict[str, str]
) -> None:
    node = start(given(certificates, trust={"pulls": "observe", "ca": certificates["our-ca"]}))
    served(lambda: node.ask(HOSTS[0], "/first"))
    for certificate in ("", certificates["ours"], certificates["theirs"]):
        assert node.ask(HOSTS[0], certificate=certificate).status == 200
    until(lambda: len([r for r in node.requests if r["RequestPath"] == "/"]) == 3, "three lines")
    lines = [r for r in node.requests if r["RequestPath"] == "/"]
    # Who signed it isn't looked at: Traefik logs the subject, whoever made it.
    assert [line.get("TLSClientSubject") for line in lines] == [None, SUBJECT, SUBJECT]

    # A renewed certificate is taken over while it runs, as the kubelet puts it there. (That of the
    # Gateway's host comes from the API server, which still has the first here.)
    files = {p.name: p.read_text() for p in node.dynamic.iterdir() if p.is_file()}
    renewed = {"tls.crt": certificates["second"], "tls.key": certificates["second-key"]}
    node.project(files | renewed)
    until(
        lambda: (
            ssl.DER_cert_to_PEM_cert(node.ask("example.org").certificate).split()
            == certificates["second"].split()
        ),
        "the renewed certificate",
    )
    # It goes on serving when it has to go, and the Worker sees by its health path that it does.
    node.process.send_signal(signal.SIGTERM)
    until(lambda: node.ask(HOSTS[0], HEALTH_PATH).status == 503, "its farewell", 5)
    assert node.ask(HOSTS[0]).status == 200

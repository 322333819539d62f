"""The real nginx in a node, with the real-IP settings that the ingress's ConfigMap renders."""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.ingress.nginx.daemon_set import nginx_config
from tests.packets import netns
from tests.packets.netns import NODE, NODE6, Packet
from tests.packets.worlds import (
    ADMIN,
    IN_VPC,
    OUTSIDER,
    World,
    eventually,
    linked,
    table_of,
)

FROM_CLOUDFLARE, FROM_CLOUDFLARE6 = "104.16.0.9", "2606:4700::9"
ASK = """
import http.client, sys
source, to, *headers = sys.argv[1:]
asked = http.client.HTTPConnection(to, 80, timeout=20, source_address=(source, 0))
asked.request("GET", "/", headers=dict(header.split("=", 1) for header in headers))
print(asked.getresponse().read().decode())
"""


@pytest.fixture
def nginx(tmp_path: Path, pinned: tuple[str, ...]) -> Iterator[World]:
    """nginx answers with the address that it takes for the visitor's."""
    settings = nginx_config(pinned)
    trusted = "".join(
        f"set_real_ip_from {cidr};\n" for cidr in settings["set-real-ip-from"].split(",")
    )
    temporary = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = tmp_path / "nginx.conf"
    config.write_text(
        "daemon off; master_process off; pid nginx.pid; error_log stderr; events {}\n"
        "http { access_log access.log; default_type text/plain;\n"
        f"{temporary}{trusted}real_ip_header {settings['real-ip-header']};\n"
        "server { listen 80; listen [::]:80; location / { return 200 $remote_addr; } } }\n"
    )
    for node, outside in linked():
        netns.serve(node, ports=("7", "53"))
        node.start(shutil.which("nginx") or "", "-p", str(tmp_path), "-c", str(config))
        yield node, outside


def visitor(world: World, source: str, **headers: str) -> str:
    """Whom nginx takes a visitor for who comes from `source`."""
    outside = world[1]
    outside.be([source])
    spelled = [f"{name.replace('_', '-')}={value}" for name, value in headers.items()]
    to = NODE6 if ":" in source else NODE
    asking = outside.start(sys.executable, "-c", ASK, source, to, *spelled)
    return asking.communicate()[0].strip()


def test_the_visitor_is_believed_from_cloudflare_alone(
    nginx: World, pinned: tuple[str, ...], tmp_path: Path
) -> None:
    first = Packet(FROM_CLOUDFLARE, 80)
    eventually(lambda: nginx[1].passes([first])[first], "nginx doesn't listen")
    # With the firewall down, nginx is on its own against a made-up header.
    assert visitor(nginx, OUTSIDER, CF_Connecting_IP="192.0.2.1") == OUTSIDER
    assert visitor(nginx, IN_VPC, CF_Connecting_IP="192.0.2.1") == IN_VPC
    assert visitor(nginx, FROM_CLOUDFLARE, CF_Connecting_IP="192.0.2.1") == "192.0.2.1"
    assert visitor(nginx, FROM_CLOUDFLARE6, CF_Connecting_IP="2001:db8::7") == "2001:db8::7"
    # The header that anybody's proxy may set says nothing.
    assert visitor(nginx, FROM_CLOUDFLARE, X_Forwarded_For="192.0.2.1") == FROM_CLOUDFLARE
    logged = re.findall(r"^(\S+) - -", (tmp_path / "access.log").read_text(), re.MULTILINE)
    assert logged == [OUTSIDER, IN_VPC, "192.0.2.1", "2001:db8::7", FROM_CLOUDFLARE]

    assert nginx[0].sync(table_of(*pinned)).state == "matches"
    assert visitor(nginx, FROM_CLOUDFLARE, CF_Connecting_IP="192.0.2.1") == "192.0.2.1"
    others = [Packet(source, 80) for source in (OUTSIDER, IN_VPC, ADMIN)]
    assert not any(nginx[1].passes(others).values())

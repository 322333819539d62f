"""NGINX Ingress Controller's part, emulated: nginx.conf out of its ConfigMap, arguments and files.

As the templates `nginx.tmpl` and `nginx.ingress.tmpl` of nginx/kubernetes-ingress write it
(docs/ingress.md names the commit), for one Ingress: all the site's hosts, with TLS and the wildcard
certificate, lead to one application. A key that isn't known here is a mistake, not ignored.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from sandbox.twin.namespaces import TwinError
from sandbox.twin.published import Pod

IMAGE = "nginx/nginx-ingress"
APPLICATION = "127.0.0.1:8080"
# Nothing of nginx' own comes of these: where an Ingress is told to be, and a log of the default
# server, which there is.
_NOT_NGINX = {"external-status-address", "default-server-access-log-off"}
_KNOWN = _NOT_NGINX | {
    "http-snippets", "keepalive", "keepalive-timeout", "location-snippets", "log-format",
    "log-format-escaping", "real-ip-header", "server-snippets", "server-tokens",
    "set-real-ip-from", "worker-connections", "worker-processes", "worker-rlimit-nofile",
    "worker-shutdown-timeout",
}  # fmt: skip


def files(pod: Pod, folder: Path) -> dict[str, str]:
    """The files of a node's nginx by name, for `folder`: those that the pod mounts, and the
    certificate."""
    mounted = {_local(path): text for path, text in pod.files.items()}
    certificate, key = pod.certificate
    return {**mounted, "wildcard.pem": certificate + key}


def configuration(pod: Pod, folder: Path, hosts: Sequence[str]) -> str:
    """nginx.conf. Raises TwinError for a key of the ConfigMap that isn't known."""
    keys = dict(pod.settings)
    if unknown := sorted(set(keys) - _KNOWN):
        raise TwinError(
            f"ConfigMap of {pod.namespace}/{pod.name}: {', '.join(unknown)}: the twin's controller "
            f"doesn't know what nginx gets from it: add it to {__name__}"
        )
    snippets = {name: keys.get(f"{name}-snippets", "") for name in ("http", "server", "location")}
    for path in pod.files:
        at, _, name = path.rpartition("/")
        for kind, text in snippets.items():
            snippets[kind] = text.replace(f"{at}/{name}", str(folder / _local(path)))
    health = pod.flags.get("health-status-uri", "/nginx-health")
    log_format = " ".join(shlex.quote(line) for line in keys["log-format"].splitlines())
    trusted = "".join(
        f"    set_real_ip_from {cidr};\n" for cidr in keys["set-real-ip-from"].split(",")
    )
    real_ip = f"{trusted}    real_ip_header {keys['real-ip-header']};\n"
    temporary = "".join(
        f"  {kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    certificate = f"    ssl_certificate {folder}/wildcard.pem;\n"
    certificate += f"    ssl_certificate_key {folder}/wildcard.pem;\n"
    listen = "    listen 80{d}; listen [::]:80{d}; listen 443 ssl{d}; listen [::]:443 ssl{d};\n"
    return f"""\
daemon off; user root; pid {folder}/nginx.pid; error_log {folder}/error.log notice;
worker_processes {keys["worker-processes"]};
worker_rlimit_nofile {keys["worker-rlimit-nofile"]};
worker_shutdown_timeout {keys["worker-shutdown-timeout"]};
events {{ worker_connections {keys["worker-connections"]}; }}
http {{
  default_type text/plain; server_tokens {_switch(keys["server-tokens"])};
  log_format main escape={keys["log-format-escaping"]} {log_format};
  access_log {folder}/access.log main;
  keepalive_timeout {keys["keepalive-timeout"]};
{temporary}
{snippets["http"]}
  upstream application {{ server {APPLICATION}; keepalive {keys["keepalive"]}; }}
  server {{
{listen.format(d=" default_server")}{certificate}{real_ip}
    server_name _;
    location = {health} {{ access_log off; return 200 "healthy\\n"; }}
    location / {{ return 404; }}
  }}
  server {{
{listen.format(d="")}{certificate}{real_ip}
    server_name {" ".join(hosts)};
    if ($scheme = http) {{ return 301 https://$host$request_uri; }}
{snippets["server"]}
    location / {{
{snippets["location"]}
      proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $host; proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_buffering on; proxy_pass http://application;
    }}
  }}
}}
"""


def _local(path: str) -> str:
    return path.lstrip("/").replace("/", "_")


def _switch(value: str) -> str:
    return "on" if value.lower() == "true" else "off"

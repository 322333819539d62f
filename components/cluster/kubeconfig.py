"""Whether a kubeconfig still opens its cluster: Vultr can give a cluster another one.

One request of our own and not a `ServerObject`: every preview asks, and loading Kubernetes' client
for it would add a twelfth to what its program computes.
"""

import tempfile
from base64 import b64decode
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests
import yaml

_TIMEOUT = (3, 10)


def is_refused(kubeconfig: str) -> bool:
    """Whether the API server answers that it doesn't know these credentials (401).

    False, too, where it doesn't answer or the kubeconfig can't be read: others say so, and better.
    """
    try:
        config = yaml.safe_load(kubeconfig)
        (cluster,) = (entry["cluster"] for entry in config["clusters"])
        (user,) = (entry["user"] for entry in config["users"])
        headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
    except (yaml.YAMLError, KeyError, TypeError, ValueError):
        return False
    with suppress(requests.RequestException, OSError, ValueError), _files(cluster, user) as files:
        answer = requests.get(
            f"{cluster['server']}/version", headers=headers, timeout=_TIMEOUT, **files
        )
        return answer.status_code == 401
    return False


@contextmanager
def _files(cluster: dict[str, Any], user: dict[str, Any]) -> Generator[dict[str, Any]]:
    """Certificates as files, which is how Python's TLS takes them; gone again afterwards."""
    with tempfile.TemporaryDirectory() as folder:

        def written(name: str, data: str) -> str:
            path = Path(folder) / name
            path.touch(mode=0o600)
            path.write_bytes(b64decode(data))
            return str(path)

        found: dict[str, Any] = {}
        if data := cluster.get("certificate-authority-data"):
            found["verify"] = written("ca.crt", data)
        if data := user.get("client-certificate-data"):
            pair = written("user.crt", data), written("user.key", user["client-key-data"])
            found["cert"] = pair
        yield found

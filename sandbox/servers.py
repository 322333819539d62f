"""Clusters on plain servers, asked of the sandbox that runs."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import requests

from sandbox import lifecycle
from sandbox.lifecycle import SandboxError

_SECONDS = 180
_POLL_SECONDS = 0.3
_TIMEOUT = 10


def make(directory: Path, name: str, nodes: int, say: Callable[[str], None]) -> str:
    """Make the cluster, or find the one of that name; its kubeconfig. Raises SandboxError."""
    url = _url(directory)
    with requests.Session() as session:
        session.trust_env = False  # A proxy of the environment is for the vendors' host names.
        asked = session.post(url, json={"name": name, "nodes": nodes}, timeout=_TIMEOUT)
        if not asked.ok:
            raise SandboxError(str(asked.json()["error"]))
        say(f"waiting for cluster {name}, {_SECONDS // 60} minutes at most")
        deadline = time.monotonic() + _SECONDS
        while not (answer := session.get(f"{url}/{name}", timeout=_TIMEOUT)).ok:
            if time.monotonic() > deadline:
                log = directory / "logs" / "daemon.log"
                raise SandboxError(f"{name} doesn't answer; the log is {log}")
            time.sleep(_POLL_SECONDS)
    return str(answer.json()["kubeconfig"])


def remove(directory: Path, name: str) -> None:
    """Take it away; one that isn't there is no error. Raises SandboxError."""
    with requests.Session() as session:
        session.trust_env = False
        session.delete(f"{_url(directory)}/{name}", timeout=_TIMEOUT).raise_for_status()


def write_kubeconfig(path: Path, text: str) -> None:
    """For its owner's eyes alone. Raises SandboxError for a file that isn't the sandbox's."""
    try:
        if path.exists() and ".servers.internal" not in path.read_text():
            raise SandboxError(f"{path} is there, and is no kubeconfig of the sandbox's: move it")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.new")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        partial.replace(path)
    except OSError as error:
        raise SandboxError(f"{path}: {error.strerror}") from None


def _url(directory: Path) -> str:
    found = lifecycle.running(directory)
    if found is None or "servers" not in found.ports:
        raise SandboxError("no sandbox runs here: run `fleet sandbox start`")
    return f"http://127.0.0.1:{found.ports['servers']}/clusters"

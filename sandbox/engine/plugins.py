"""Official provider plugins: which version the installed SDKs want, and whether it is here."""

import os
import re
import shlex
import shutil
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.engine.environment import PROVIDERS
from sandbox.engine.python_environment import required_plugins


class PluginError(Exception):
    """Providers that can't be had from an installed plugin, worded for the user."""


@dataclass(frozen=True)
class Plugin:
    """A provider's plugin as an SDK wants it: ``version`` without a ``v``, ``server`` empty for
    Pulumi's own."""

    name: str
    version: str
    server: str

    @property
    def install(self) -> str:
        """The command that downloads it."""
        command = ["pulumi", "plugin", "install", "resource", self.name, self.version]
        return shlex.join([*command, *(["--server", self.server] if self.server else [])])


def parse(text: str) -> list[str]:
    """Providers in a text such as ``vultr kubernetes`` or ``vultr,kubernetes``."""
    return sorted({name for name in re.split(r"[\s,]+", text) if name})


def wanted(names: Iterable[str]) -> list[Plugin]:
    """Plugins of these providers, as the SDKs beside this Python say. Raises PluginError."""
    asked = sorted(set(names))
    if unknown := [name for name in asked if name not in PROVIDERS]:
        allowed = ", ".join(PROVIDERS)
        raise PluginError(f"{', '.join(unknown)}: no such provider; one of {allowed}")
    folder = Path(sysconfig.get_path("purelib"))
    found = {
        each["name"]: Plugin(each["name"], each["version"].removeprefix("v"), each["server"])
        for each in required_plugins([folder])
    }
    if lacking := [name for name in asked if name not in found]:
        raise PluginError(f"{', '.join(lacking)}: no Pulumi SDK of it is installed in {folder}")
    return [found[name] for name in asked]


def missing(plugins: Iterable[Plugin], folder: Path, path: str) -> list[Plugin]:
    """Those that the engine won't find: it looks on ``path``, for whatever version, then for
    exactly this one in ``folder``, where ``.partial`` beside it says that it isn't whole."""
    return [
        plugin
        for plugin in plugins
        if shutil.which(f"pulumi-resource-{plugin.name}", path=path) is None
        and not _whole(folder / f"resource-{plugin.name}-v{plugin.version}")
    ]


def require(names: Iterable[str], folder: Path, path: str) -> None:
    """Raise PluginError unless these providers can be had from plugins installed in ``folder``, or
    on ``path``."""
    plugins = wanted(names) if names else []
    if absent := missing(plugins, folder, path):
        what = ", ".join(f"{each.name} {each.version}" for each in absent)
        lines = [
            f"{what}: not installed, neither in {folder} nor on PATH; with internet, run:",
            *(f"  {each.install}" for each in absent),
        ]
        raise PluginError("\n".join(lines))


def users_folder(environ: Mapping[str, str]) -> Path:
    """Where ``pulumi plugin install`` puts plugins."""
    home = environ.get("PULUMI_HOME")
    return Path(home or Path(environ.get("HOME") or os.sep, ".pulumi")) / "plugins"


def folder_in(sandbox: Path, environ: Mapping[str, str]) -> Path:
    """Where the engine of a sandbox finds plugins: in the user's folder, unless somebody installed
    some into the sandbox's own ``PULUMI_HOME``."""
    own = sandbox / "pulumi" / "plugins"
    if own.is_dir() and not own.is_symlink():
        return own
    theirs = users_folder(environ)
    return theirs if theirs != own else users_folder({**environ, "PULUMI_HOME": ""})


def share(sandbox: Path, environ: Mapping[str, str]) -> None:
    """Let the engine of a sandbox find the plugins that the user has installed."""
    own, folder = sandbox / "pulumi" / "plugins", folder_in(sandbox, environ)
    if own.is_symlink():
        own.unlink()
    if folder != own and folder.is_dir():
        own.symlink_to(folder)


def _whole(folder: Path) -> bool:
    return folder.is_dir() and not folder.with_name(folder.name + ".partial").exists()

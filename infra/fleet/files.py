"""One strict reader of Pulumi.yaml and of stack files: what it doesn't know, it names."""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from components.json_object import Json, is_object
from infra.errors import SettingsError
from infra.fleet.yaml_core import CoreLoader
from infra.settings.fleet import SECRETS, FleetValues
from infra.settings.region import Region

PROVIDERS = frozenset(["cloudflare", "kubernetes", "pulumi", "tls", "vultr"])
"""Whose keys Pulumi hands to them: nothing here reads them."""
FLEET_KEYS = frozenset(str(field.alias) for field in FleetValues.model_fields.values())
KEYS = frozenset(
    [*FLEET_KEYS, *SECRETS, "edge", *(str(f.alias) for f in Region.model_fields.values())]
)
_OF_A_STACK = ("config", "encryptedkey", "encryptionsalt", "environment", "secretsprovider")
_CREDENTIAL = re.compile(
    r"(api_?key|api_?token|token|secret|password|passphrase|private_?key|credentials?|kubeconfig)$",
    re.IGNORECASE,
)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")


def read_yaml(path: Path) -> Mapping[str, Any]:
    """A file's mapping. Raises SettingsError."""
    try:
        text = path.read_text("utf-8")
        document = yaml.load(text, CoreLoader)  # noqa: S506 (it is a safe one)
    except FileNotFoundError:
        raise SettingsError([f"{path}: there is no such file"]) from None
    except yaml.MarkedYAMLError as error:
        raise SettingsError([f"{path.name}: {_marked(error)}"]) from None
    except yaml.YAMLError as error:
        raise SettingsError([f"{path.name}: not valid YAML: {error}"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path.name}: can't be read: {error}"]) from None
    found: object = document or {}
    if not is_object(found):
        raise SettingsError([f"{path.name}: must be a mapping"])
    if _PRIVATE_KEY.search(text):
        raise SettingsError([f"{path.name}: a private key {_LEAKED} `pulumi config set --secret`"])
    return found


def _marked(error: yaml.MarkedYAMLError) -> str:
    mark, problem = error.problem_mark, error.problem or "not valid YAML"
    where = f"line {mark.line + 1}: " if mark else ""
    # Ours name what is wrong; YAML's own need its word before them.
    ours = error.context is None and ": " in problem
    return f"{where}{problem}" if ours else f"{where}not valid YAML: {problem}"


_LEAKED = (
    "stands there for everybody to read, and in git's history: make another one, take this one "
    "back, and keep the new one with"
)


def stack_config(
    file: str, document: Mapping[str, Any], project: str
) -> tuple[Json | None, list[str]]:
    """The project's own values of a stack file, by key, and what is wrong about its keys; None
    where there are none to look at."""
    wrong = list(_beside_config(file, document))
    config: object = document.get("config") or {}
    if not is_object(config):
        return None, [*wrong, f"{file}: config: must be a mapping"]
    own: Json = {}
    for key, value in config.items():
        namespace, _, name = str(key).partition(":")
        if namespace == project and name:
            own[name] = value
        else:
            wrong += _foreign(file, str(key), project)
        if not (namespace == project and name in SECRETS):
            wrong += _credential(file, str(key), value)
    return own, wrong


def project_values(document: Mapping[str, Any]) -> tuple[Json, list[str]]:
    """What Pulumi.yaml gives to every stack, by key, and what is wrong about it."""
    file, project = "Pulumi.yaml", str(document.get("name", "edgefleet"))
    config: object = document.get("config") or {}
    if not is_object(config):
        return {}, [f"{file}: config: must be a mapping"]
    values: Json = {}
    wrong: list[str] = []
    for key, entry in config.items():
        namespace, _, name = str(key).rpartition(":")
        value = entry
        if is_object(entry):
            value = entry.get("value", entry.get("default"))
        wrong += _credential(file, str(key), value)
        if namespace in PROVIDERS:
            continue
        if namespace not in ("", project) or name not in KEYS:
            wrong += _foreign(file, str(key), project, f"config.{key}")
        elif name in FLEET_KEYS:
            values[name] = value
        elif value:
            wrong.append(
                f"{file}: config.{key}: {value!r}: is one stack's. For every stack hold only: "
                f"{', '.join(sorted(FLEET_KEYS))}. Say it in the stack files"
            )
    return values, wrong


def _beside_config(file: str, document: Mapping[str, Any]) -> Iterator[str]:
    for key in map(str, document):
        if key in _OF_A_STACK:
            continue
        name = key.rpartition(":")[2]
        if name in KEYS:
            yield f"{file}: {key}: stands beside `config:`, where nobody reads it. Put it below"
        else:
            yield f"{file}: {key}: is not a known key{meant(key, _OF_A_STACK)}"


def _foreign(file: str, key: str, project: str, shown: str | None = None) -> Iterator[str]:
    namespace, colon, name = key.partition(":")
    where = f"{file}: {shown or key}"
    if not colon:
        if shown:
            yield f"{where}: is not a known key{meant(key, KEYS)}"
        else:
            known = key if key in KEYS else next(iter(get_close_matches(key, KEYS, n=1)), None)
            hint = f"; did you mean {project}:{known}?" if known else ""
            yield f"{where}: has no prefix, and Pulumi takes no key without{hint}"
    elif namespace == project:
        yield f"{where}: is not a known key{meant(name, KEYS)}"
    elif namespace not in PROVIDERS:
        close = get_close_matches(namespace, [project, *PROVIDERS], n=1)
        hint = f"; did you mean {close[0]}:{name}?" if close else ""
        yield f"{where}: nobody here has the prefix {namespace!r}{hint}"


def _credential(file: str, key: str, value: object) -> Iterator[str]:
    if _CREDENTIAL.search(key) and isinstance(value, str | int) and value:
        yield f"{file}: {key}: {_LEAKED} `pulumi config set --secret {key}`"


def meant(key: str, known: Iterable[str]) -> str:
    """`; did you mean …?` where something known is close, else nothing."""
    close = get_close_matches(key, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""

"""Property names (camelCase) and the APIs' field names (snake_case)."""

import re
from typing import Any


def camel(name: str) -> str:
    """``main_ip`` → ``mainIp``."""
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)


def snake(name: str) -> str:
    """``mainIp`` → ``main_ip``."""
    return re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), name)


def camels(value: Any) -> Any:
    """A JSON value with its keys in camelCase at any depth, and without nulls."""
    if isinstance(value, dict):
        return {camel(key): camels(item) for key, item in value.items() if item is not None}
    return [camels(item) for item in value] if isinstance(value, list) else value


def snakes(value: Any) -> Any:
    """A property value with its keys in snake_case at any depth."""
    if isinstance(value, dict):
        return {snake(key): snakes(item) for key, item in value.items()}
    return [snakes(item) for item in value] if isinstance(value, list) else value

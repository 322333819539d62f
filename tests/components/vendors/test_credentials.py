"""Where credentials come from: the stack's configuration, then the environment."""

from collections.abc import Callable
from typing import Any

import pytest

from components.errors import NoCredential
from components.vendors.credentials import CLOUDFLARE_API, cloudflare_access, vultr_key

STACK = {
    "vultr:apiKey": "stack-key",
    "cloudflare:apiToken": "stack-token",
    "cloudflare:baseUrl": "https://stack.test/client/v4",
}
ENVIRONMENT = {
    "VULTR_API_KEY": "environment-key",
    "CLOUDFLARE_API_TOKEN": "environment-token",
    "CLOUDFLARE_BASE_URL": "https://environment.test/client/v4",
}
NOTHING: dict[str, str] = {}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)


def test_the_stack_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    assert vultr_key(STACK.get) == "stack-key"
    assert cloudflare_access(STACK.get) == ("stack-token", "https://stack.test/client/v4")
    assert vultr_key(NOTHING.get) == "environment-key"
    assert cloudflare_access(NOTHING.get) == (
        "environment-token",
        "https://environment.test/client/v4",
    )


def test_the_api_is_cloudflares_unless_somebody_says_otherwise():
    config = {"cloudflare:apiToken": "stack-token"}
    assert cloudflare_access(config.get).base_url == CLOUDFLARE_API


@pytest.mark.parametrize(
    ("find", "sentence"),
    [
        (vultr_key, "set VULTR_API_KEY, or `pulumi config set --secret vultr:apiKey`"),
        (
            cloudflare_access,
            "set CLOUDFLARE_API_TOKEN, or `pulumi config set --secret cloudflare:apiToken`",
        ),
    ],
)
def test_none_is_told_with_both_places(find: Callable[[Any], Any], sentence: str):
    with pytest.raises(NoCredential) as caught:
        find(NOTHING.get)
    assert sentence in str(caught.value)

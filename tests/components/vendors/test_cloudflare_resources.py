"""Each of our thin resource classes registers what the SDK's class registers.

An update of pulumi-cloudflare that changes what is sent fails here, and says which field.
"""

import inspect
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pulumi
import pytest

from components.vendors import cloudflare_resources as ours
from tests.registrations import registered

SHARES = [{"version_id": "v1", "percentage": 25}, {"version_id": "v2", "percentage": 75}]
BINDINGS = [
    {"name": "CONFIG", "type": "json", "json": "{}"},
    {"name": "HEALTH", "type": "kv_namespace", "namespace_id": "n"},
    {"name": "METRICS", "type": "analytics_engine", "dataset": "d"},
    {"name": "ORIGIN_SECRET", "type": "secret_text", "text": "s"},
]
OBSERVABILITY = {
    "enabled": True,
    "head_sampling_rate": 1,
    "logs": {"enabled": True, "invocation_logs": True, "head_sampling_rate": 0.5},
}
MODULES = [{"name": "w.js", "content_type": "application/javascript+module", "content_file": "w"}]
RULE = {"ref": "r", "action": "block", "description": "d", "enabled": True, "expression": "true"}
GIVEN: dict[str, dict[str, Any]] = {
    "DnsRecord": {
        "zone_id": "z",
        "name": "us.example.com",
        "type": "A",
        "ttl": 1,
        "content": "192.0.2.1",
        "comment": "c",
        "proxied": True,
    },
    "WorkersRoute": {"zone_id": "z", "pattern": "example.com/*", "script": "s"},
    "WorkersKvNamespace": {"account_id": "a", "title": "t"},
    "WorkersCronTrigger": {
        "account_id": "a",
        "script_name": "s",
        "schedules": [{"cron": "* * * * *"}],
    },
    "WorkersScript": {
        "account_id": "a",
        "script_name": "s",
        "main_module": "w.js",
        "content_file": "w",
        "content_sha256": "0",
        "compatibility_date": "2026-11-01",
        "bindings": BINDINGS,
        "observability": OBSERVABILITY,
    },
    "Worker": {
        "account_id": "a",
        "name": "w",
        "logpush": False,
        "observability": OBSERVABILITY,
        "subdomain": {"enabled": False, "previews_enabled": False},
        "tags": [],
        "tail_consumers": [],
    },
    "WorkerVersion": {
        "account_id": "a",
        "worker_id": "w",
        "main_module": "w.js",
        "modules": MODULES,
        "compatibility_date": "2026-11-01",
        "bindings": BINDINGS,
    },
    "WorkersDeployment": {
        "account_id": "a",
        "script_name": "s",
        "strategy": "percentage",
        "versions": SHARES,
    },
    "OriginCaCertificate": {
        "csr": "c",
        "hostnames": ["example.com"],
        "request_type": "origin-ecc",
        "requested_validity": 1095,
    },
    "AuthenticatedOriginPullsCertificate": {
        "zone_id": "z",
        "certificate": "c",
        "private_key": "k",
    },
    "AuthenticatedOriginPullsSettings": {"zone_id": "z", "enabled": True},
    "ZoneSetting": {"zone_id": "z", "setting_id": "ssl", "value": "strict"},
    "Ruleset": {
        "zone_id": "z",
        "kind": "zone",
        "phase": "p",
        "name": "n",
        "description": "d",
        "rules": [RULE],
    },
}
OUTPUTS = ("id", "name", "script_name", "certificate", "expires_on")
CLASSES = [
    name
    for name, found in vars(ours).items()
    if inspect.isclass(found) and issubclass(found, pulumi.CustomResource) and name[0] != "_"
]


def test_every_class_is_compared():
    assert set(GIVEN) == set(CLASSES)
    for name, given in GIVEN.items():
        assert set(given) == set(getattr(ours, f"{name}Args").__annotations__), name


@pytest.mark.parametrize("secret", [False, True], ids=["plain", "as outputs"])
@pytest.mark.parametrize("name", CLASSES)
def test_the_engine_is_sent_what_the_sdk_sends(name: str, secret: bool):
    # Loading it takes seconds, which at the top each worker would spend as it collects.
    import pulumi_cloudflare

    def make(module: Any) -> Callable[[], pulumi.Resource]:
        def made() -> pulumi.Resource:
            given = {k: pulumi.Output.secret(v) if secret else v for k, v in GIVEN[name].items()}
            opts = pulumi.ResourceOptions(protect=True, ignore_changes=["zoneId"])
            return getattr(module, name)("r", **given, opts=opts)

        return made

    (sent, outputs), (theirs, their_outputs) = (
        registered(make(module), OUTPUTS) for module in (ours, pulumi_cloudflare)
    )
    assert sent["version"] == version("pulumi-cloudflare")
    assert sent == theirs
    assert outputs.items() <= their_outputs.items()
    assert outputs["id"] == "id-1"


def test_an_argument_that_is_missing_is_told_before_anything_is_sent():
    with pytest.raises(TypeError, match="WorkersRoute r: missing: pattern, zone_id"):
        ours.WorkersRoute("r", script="s")  # pyright: ignore[reportCallIssue]


def test_an_argument_that_there_is_not_is_told():
    with pytest.raises(TypeError, match="WorkersRoute r: unknown: patern"):
        ours.WorkersRoute("r", zone_id="z", pattern="p", patern="q")  # pyright: ignore[reportCallIssue]


def test_the_programs_load_no_sdk_of_cloudflare():
    program = "import sys, infra.program; print('pulumi_cloudflare' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "False"

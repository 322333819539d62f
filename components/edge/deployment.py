"""How the Worker gets onto Cloudflare: its script as a whole, or version by version."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import pulumi

from ..vendors import cloudflare_resources as cloudflare

WORKER = Path(__file__).parent / "worker" / "worker.js"
COMPATIBILITY_DATE = "2026-11-01"
"""Which behaviour of the Workers runtime the script was tested with."""


class Logs(TypedDict):
    """What of the Worker's requests goes to Workers Logs."""

    head_sampling_rate: float
    """The share of requests, 0 to 1, of which anything does."""
    invocation_logs: bool
    """Whether each of these is a line of its own, besides what the Worker says."""


# Every field: what isn't said comes back from the API as a change at refresh
# (docs/facts/real-providers.md, Cloudflare 2). `propagation_policy` needs a feature that an account
# may not have. Two resources take it, each with a type of its own for the same keys.
def _observability(logs: Logs) -> Any:
    return {
        "enabled": True,
        "head_sampling_rate": 1,
        "issues": {"enabled": False},
        "logs": {"enabled": True, **logs, "persist": True, "destinations": []},
        "traces": {"enabled": False, "head_sampling_rate": 1, "persist": True, "destinations": []},
    }


class Share(TypedDict):
    """A version of the Worker, and what it gets."""

    version_id: str
    """Cloudflare's id of the version."""
    percentage: float
    """Of the requests, 0 to 100."""


class GradualDeployment(TypedDict):
    """A part of the requests for the newest version."""

    percentage: float
    """Of the requests for the newest version, above 0 to 100."""
    deployed: Sequence[Share]
    """What serves now: the stack's state knows it. The newest version alone takes all where
    nothing did before."""


class Binding(TypedDict):
    """What the Worker finds in its environment, by `name`; `type` says which other key it has."""

    name: str
    type: str
    json: NotRequired[pulumi.Input[str]]
    namespace_id: NotRequired[pulumi.Input[str]]
    dataset: NotRequired[pulumi.Input[str]]
    text: NotRequired[pulumi.Input[str]]


class Deployed(TypedDict):
    """The Worker's name, and what must be there before it is asked."""

    script: pulumi.Output[str]
    serving: pulumi.Resource


def shares(version_id: str, percentage: float, deployed: Sequence[Share]) -> list[Share]:
    """Who serves: the version of this id, and beside it the one that most requests went to."""
    others = [share for share in deployed if share["version_id"] != version_id]
    if not others or percentage == 100:
        return [{"version_id": version_id, "percentage": 100}]
    previous = max(others, key=lambda share: share["percentage"])["version_id"]
    if percentage == 0:
        return [{"version_id": previous, "percentage": 100}]
    return [
        {"version_id": version_id, "percentage": percentage},
        {"version_id": previous, "percentage": round(100 - percentage, 2)},
    ]


def deploy_script(
    name: str,
    account_id: pulumi.Input[str],
    script_name: str,
    bindings: Sequence[Binding],
    logs: Logs,
    opts: pulumi.ResourceOptions,
) -> Deployed:
    """Replace the script for everybody at once."""
    script = cloudflare.WorkersScript(
        f"{name}-script",
        account_id=account_id,
        script_name=script_name,
        main_module=WORKER.name,
        # By file and hash: the preview shows one changed hash, and the state holds no script
        # (docs/facts/real-providers.md, Cloudflare 2).
        content_file=_relative(),
        content_sha256=hashlib.sha256(WORKER.read_bytes()).hexdigest(),
        compatibility_date=COMPATIBILITY_DATE,
        bindings=[{**binding} for binding in bindings],
        observability=_observability(logs),
        opts=opts,
    )
    return {"script": script.script_name, "serving": script}


def deploy_gradually(
    name: str,
    account_id: pulumi.Input[str],
    script_name: str,
    bindings: Sequence[Binding],
    logs: Logs,
    gradual: GradualDeployment,
    opts: pulumi.ResourceOptions,
) -> Deployed:
    """Add a version, and share the requests between it and the one before."""
    worker = cloudflare.Worker(
        f"{name}-worker",
        account_id=account_id,
        name=script_name,
        logpush=False,
        observability=_observability(logs),
        # On workers.dev it would stand outside the zone, and reach no region.
        subdomain={"enabled": False, "previews_enabled": False},
        tags=[],
        tail_consumers=[],
        opts=opts,
    )
    version = cloudflare.WorkerVersion(
        f"{name}-version",
        account_id=account_id,
        worker_id=worker.id,
        main_module=WORKER.name,
        # Of a file the preview shows the hash, of base64 all of it (docs/facts/real-providers.md,
        # Cloudflare 4).
        modules=[
            {
                "name": WORKER.name,
                "content_type": "application/javascript+module",
                "content_file": _relative(),
            }
        ],
        compatibility_date=COMPATIBILITY_DATE,
        bindings=[{**binding} for binding in bindings],
        # A replaced version goes on serving. It goes with the Worker.
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(retain_on_delete=True)),
    )
    deployment = cloudflare.WorkersDeployment(
        f"{name}-deployment",
        account_id=account_id,
        script_name=worker.name,
        strategy="percentage",
        versions=version.id.apply(
            lambda version_id: shares(version_id, gradual["percentage"], gradual["deployed"])
        ),
        opts=opts,
    )
    return {"script": worker.name, "serving": deployment}


def _relative() -> str:
    """Relative, or every machine would see a change."""
    return os.path.relpath(WORKER)

"""The policy pack, as the engine starts it: by this folder's path alone, in an environment of its
own, as the policy SDK wants another protobuf than the programs have.

The SDK wraps a resource's inputs so that a value that isn't known yet raises, and the engine says
that the policy is asked again during `up`; under that wrapping they are bare.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pulumi_policy import (  # pyright: ignore[reportMissingImports] (its own environment)
    EnforcementLevel,
    PolicyConfigSchema,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Secret,
    proxy,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from policies import clusters, firewalls, images, kubeconfigs, records

Sentences = Callable[[ResourceValidationArgs], Iterable[str]]
_UNKNOWN = {value for name, value in vars(proxy).items() if name.startswith("UNKNOWN_")}
"""What the engine sends for a value that only `up` will know."""


def policy(
    name: str, description: str, wrong: Sentences, schema: PolicyConfigSchema | None = None
) -> ResourceValidationPolicy:
    """A policy of what `wrong` says, a sentence for each violation."""

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        for sentence in wrong(args):
            report(sentence, None)

    return ResourceValidationPolicy(name, description, validate=validate, config_schema=schema)


def bare(props: Any) -> Any:
    """One level of inputs: secrets are `Secret`, values that aren't known the engine's words."""
    while isinstance(props, Mapping | Sequence) and not isinstance(props, dict | list | str):
        props = props["__target"]  # pyright: ignore[reportArgumentType, reportCallIssue]
    return props


def known(props: Any) -> Any:
    """A copy with None where a value isn't known, for who looks through all of them."""
    value = bare(props)
    if isinstance(value, dict):
        return {key: known(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [known(inner) for inner in value]
    return None if isinstance(value, str) and value in _UNKNOWN else value


def conceal(args: ResourceValidationArgs) -> Any:
    """The inputs with each plain kubeconfig as a secret; None where there is none."""
    props = bare(args.props)
    secret = {key for key, value in props.items() if isinstance(value, Secret)}
    plain = kubeconfigs.plain(props, secret)
    return {**props, **{key: Secret(props[key]) for key in plain}} if plain else None


PolicyPack(
    name="edgefleet",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[
        policy(
            "web-only-from-cloudflare",
            "Only Cloudflare reaches :80 and :443.",
            lambda args: firewalls.beside_cloudflare(args.resource_type, args.props),
        ),
        policy(
            "no-public-ssh",
            "SSH is open to named networks only.",
            lambda args: firewalls.public_ssh(args.resource_type, args.props),
        ),
        policy(
            "images-have-tags",
            "No container runs an image without a tag, or :latest.",
            lambda args: images.untagged(args.resource_type, known(args.props)),
        ),
        policy(
            "records-are-proxied",
            "Cloudflare answers for every A, AAAA and CNAME.",
            lambda args: records.unproxied(
                args.resource_type, args.props, (args.get_config() or {}).get("except") or ()
            ),
            PolicyConfigSchema(
                {"except": {"type": "array", "items": {"type": "string"}, "default": []}}
            ),
        ),
        policy(
            "clusters-are-protected",
            "Pulumi deletes no cluster that a person didn't let go of first.",
            lambda args: clusters.unprotected(args.resource_type, args.opts.protect),
        ),
        # The engine tells a policy that looks at inputs nothing about secrets, one that may mend
        # them all: so this one mends.
        ResourceValidationPolicy(
            "kubeconfigs-are-secret",
            "A kubeconfig among a resource's inputs is a secret in the state.",
            enforcement_level=EnforcementLevel.REMEDIATE,
            remediate=conceal,
        ),
    ],
)

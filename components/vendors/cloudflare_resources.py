"""The resources of Cloudflare's provider that are used here, without its SDK, `pulumi_cloudflare`.

Importing that one takes three of the four seconds that a preview's program computes: it defines
every type of every resource, nearly three hundred thousand lines. What is registered is the same:
tests/components/vendors/test_cloudflare_resources.py holds each class here against the SDK's, so an
update of the SDK shows there what changed.

Arguments and outputs have the SDK's names. Nested values are plain mappings with its keys.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from typing import Any, ClassVar, NotRequired, TypedDict, Unpack

import pulumi

Input = pulumi.Input
Options = pulumi.ResourceOptions | None


@cache
def _sdk() -> str:
    return version("pulumi-cloudflare")


class _Resource(pulumi.CustomResource):
    """`pulumi_type` is what the provider calls it; `computed` are the outputs that are read here,
    `secret` inputs that are kept as secrets, `formerly` the type's name before it was renamed."""

    pulumi_type: ClassVar[str]
    computed: ClassVar[tuple[str, ...]] = ()
    secret: ClassVar[tuple[str, ...]] = ()
    formerly: ClassVar[str | None] = None

    def __init__(
        self, resource_name: str, known: Any, props: Mapping[str, Any], opts: Options
    ) -> None:
        for problem, names in (
            ("missing", known.__required_keys__ - set(props)),
            ("unknown", set(props) - set(known.__annotations__)),
        ):
            if names:
                raise TypeError(
                    f"{type(self).__name__} {resource_name}: {problem}: {', '.join(sorted(names))}"
                )
        own = pulumi.ResourceOptions(
            version=_sdk(),
            additional_secret_outputs=list(self.secret) or None,
            aliases=[pulumi.Alias(type_=self.formerly)] if self.formerly else None,
        )
        given = {key: value for key, value in props.items() if value is not None}
        hidden = {key: pulumi.Output.secret(given[key]) for key in self.secret}
        super().__init__(
            self.pulumi_type,
            resource_name,
            {**dict.fromkeys(self.computed), **given, **hidden},
            pulumi.ResourceOptions.merge(own, opts),
        )

    def translate_input_property(self, prop: str) -> str:
        first, *rest = prop.split("_")
        return first + "".join(word[:1].upper() + word[1:] for word in rest)

    def translate_output_property(self, prop: str) -> str:
        return "".join(f"_{c.lower()}" if c.isupper() else c for c in prop)


class DnsRecordArgs(TypedDict):
    zone_id: Input[str]
    name: Input[str]
    type: Input[str]
    ttl: Input[float]
    content: Input[str]
    comment: NotRequired[Input[str] | None]
    proxied: NotRequired[Input[bool] | None]


class DnsRecord(_Resource):
    """A DNS record."""

    pulumi_type = "cloudflare:index/dnsRecord:DnsRecord"
    formerly = "cloudflare:index/record:Record"
    name: pulumi.Output[str]

    def __init__(
        self, resource_name: str, opts: Options = None, **args: Unpack[DnsRecordArgs]
    ) -> None:
        super().__init__(resource_name, DnsRecordArgs, args, opts)


class WorkersRouteArgs(TypedDict):
    zone_id: Input[str]
    pattern: Input[str]
    script: NotRequired[Input[str] | None]


class WorkersRoute(_Resource):
    """A pattern of URLs that a Worker answers."""

    pulumi_type = "cloudflare:index/workersRoute:WorkersRoute"

    def __init__(
        self, resource_name: str, opts: Options = None, **args: Unpack[WorkersRouteArgs]
    ) -> None:
        super().__init__(resource_name, WorkersRouteArgs, args, opts)


class WorkersKvNamespaceArgs(TypedDict):
    account_id: Input[str]
    title: Input[str]


class WorkersKvNamespace(_Resource):
    """A namespace of Workers KV."""

    pulumi_type = "cloudflare:index/workersKvNamespace:WorkersKvNamespace"

    def __init__(
        self, resource_name: str, opts: Options = None, **args: Unpack[WorkersKvNamespaceArgs]
    ) -> None:
        super().__init__(resource_name, WorkersKvNamespaceArgs, args, opts)


class WorkersCronTriggerArgs(TypedDict):
    account_id: Input[str]
    script_name: Input[str]
    schedules: Input[Sequence[Mapping[str, str]]]


class WorkersCronTrigger(_Resource):
    """When a Worker is called by the clock; `schedules` are `{"cron": …}`."""

    pulumi_type = "cloudflare:index/workersCronTrigger:WorkersCronTrigger"
    formerly = "cloudflare:index/workerCronTrigger:WorkerCronTrigger"

    def __init__(
        self, resource_name: str, opts: Options = None, **args: Unpack[WorkersCronTriggerArgs]
    ) -> None:
        super().__init__(resource_name, WorkersCronTriggerArgs, args, opts)


class WorkersScriptArgs(TypedDict):
    account_id: Input[str]
    script_name: Input[str]
    main_module: Input[str]
    content_file: Input[str]
    content_sha256: Input[str]
    compatibility_date: Input[str]
    bindings: Input[Sequence[Any]]
    observability: Input[Mapping[str, Any]]


class WorkersScript(_Resource):
    """A Worker with its script, deployed at once."""

    pulumi_type = "cloudflare:index/workersScript:WorkersScript"
    formerly = "cloudflare:index/workerScript:WorkerScript"
    script_name: pulumi.Output[str]

    def __init__(
        self, resource_name: str, opts: Options = None, **args: Unpack[WorkersScriptArgs]
    ) -> None:
        super().__init__(resource_name, WorkersScriptArgs, args, opts)


class WorkerArgs(TypedDict):
    account_id: Input[str]
    name: Input[str]
    logpush: Input[bool]
    observability: Input[Mapping[str, Any]]
    subdomain: Input[Mapping[str, bool]]
    tags: Input[Sequence[str]]
    tail_consumers: Input[Sequence[Any]]


class Worker(_Resource):
    """A Worker without a script; versions of it are deployed."""

    pulumi_type = "cloudflare:index/worker:Worker"
    name: pulumi.Output[str]

    def __init__(
        self, resource_name: str, opts: Options = None, **args: Unpack[WorkerArgs]
    ) -> None:
        super().__init__(resource_name, WorkerArgs, args, opts)


class WorkerVersionArgs(TypedDict):
    account_id: Input[str]
    worker_id: Input[str]
    main_module: Input[str]
    modules: Input[Sequence[Mapping[str, Any]]]
    compatibility_date: Input[str]
    bindings: Input[Sequence[Any]]


class WorkerVersion(_Resource):
    """A version of a Worker: its modules and bindings."""

    pulumi_type = "cloudflare:index/workerVersion:WorkerVersion"

    def __init__(
        self, resource_name: str, opts: Options = None, **args: Unpack[WorkerVersionArgs]
    ) -> None:
        super().__init__(resource_name, WorkerVersionArgs, args, opts)


class WorkersDeploymentArgs(TypedDict):
    account_id: Input[str]
    script_name: Input[str]
    strategy: Input[str]
    versions: Input[Sequence[Any]]


class WorkersDeployment(_Resource):
    """Which versions of a Worker serve, by percentage."""

    pulumi_type = "cloudflare:index/workersDeployment:WorkersDeployment"

    def __init__(
        self, resource_name: str, opts: Options = None, **args: Unpack[WorkersDeploymentArgs]
    ) -> None:
        super().__init__(resource_name, WorkersDeploymentArgs, args, opts)


class OriginCaCertificateArgs(TypedDict):
    csr: Input[str]
    hostnames: Input[Sequence[str]]
    request_type: Input[str]
    requested_validity: Input[float]


class OriginCaCertificate(_Resource):
    """A certificate of Cloudflare's Origin CA."""

    pulumi_type = "cloudflare:index/originCaCertificate:OriginCaCertificate"
    computed = ("certificate", "expires_on")
    certificate: pulumi.Output[str]
    expires_on: pulumi.Output[str]

    def __init__(
        self, resource_name: str, opts: Options = None, **args: Unpack[OriginCaCertificateArgs]
    ) -> None:
        super().__init__(resource_name, OriginCaCertificateArgs, args, opts)


class AuthenticatedOriginPullsCertificateArgs(TypedDict):
    zone_id: Input[str]
    certificate: Input[str]
    private_key: Input[str]


class AuthenticatedOriginPullsCertificate(_Resource):
    """The client certificate that Cloudflare shows origins of a zone."""

    pulumi_type = (
        "cloudflare:index/authenticatedOriginPullsCertificate:AuthenticatedOriginPullsCertificate"
    )
    secret = ("private_key",)

    def __init__(
        self,
        resource_name: str,
        opts: Options = None,
        **args: Unpack[AuthenticatedOriginPullsCertificateArgs],
    ) -> None:
        super().__init__(resource_name, AuthenticatedOriginPullsCertificateArgs, args, opts)


class AuthenticatedOriginPullsSettingsArgs(TypedDict):
    zone_id: Input[str]
    enabled: Input[bool]


class AuthenticatedOriginPullsSettings(_Resource):
    """Whether Cloudflare shows origins of a zone a client certificate."""

    pulumi_type = (
        "cloudflare:index/authenticatedOriginPullsSettings:AuthenticatedOriginPullsSettings"
    )

    def __init__(
        self,
        resource_name: str,
        opts: Options = None,
        **args: Unpack[AuthenticatedOriginPullsSettingsArgs],
    ) -> None:
        super().__init__(resource_name, AuthenticatedOriginPullsSettingsArgs, args, opts)


class ZoneSettingArgs(TypedDict):
    zone_id: Input[str]
    setting_id: Input[str]
    value: Input[Any]


class ZoneSetting(_Resource):
    """One of a zone's settings."""

    pulumi_type = "cloudflare:index/zoneSetting:ZoneSetting"

    def __init__(
        self, resource_name: str, opts: Options = None, **args: Unpack[ZoneSettingArgs]
    ) -> None:
        super().__init__(resource_name, ZoneSettingArgs, args, opts)


class RulesetArgs(TypedDict):
    zone_id: Input[str]
    kind: Input[str]
    phase: Input[str]
    name: Input[str]
    description: Input[str]
    rules: Input[Sequence[Mapping[str, Any]]]


class Ruleset(_Resource):
    """The rules of one phase of a zone, all of them."""

    pulumi_type = "cloudflare:index/ruleset:Ruleset"

    def __init__(
        self, resource_name: str, opts: Options = None, **args: Unpack[RulesetArgs]
    ) -> None:
        super().__init__(resource_name, RulesetArgs, args, opts)

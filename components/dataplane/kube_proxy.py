"""`KubeProxy`: our fields in kube-proxy's configuration, where kubeadm made the cluster.

The configuration is a document inside of a ConfigMap's string, which has one owner as a whole; so
it is read, changed in our fields, and written back. kube-proxy reads it at its start only.
"""

from collections.abc import Mapping
from typing import Any, NotRequired

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)

from ..arguments import refuse_arguments
from ..json_object import Json, object_at
from ..progress import say
from ..server_side.api import Refused, ServerObject, Unreachable
from ..server_side.fields import Leaf, Owner, owners
from ..server_side.resource import ClusterResource
from ..server_side.rollout import ROLLOUT_MINUTES, Rollout
from ..vendors.credentials import forgets_the_unreachable
from .kube_proxy_options import (
    KubeProxyMistake,
    KubeProxyOptions,
    ending,
    obstacles,
    proxy_fields,
    refuse_kube_proxy,
    values_of,
    with_fields,
)

FIELD_MANAGER = "edgefleet-kube-proxy"
ANNOTATION = "edgefleet.dev/kube-proxy-config"
"""The version of the ConfigMap as it was written last: another one rolls kube-proxy."""
NONE = (
    "there is no ConfigMap kube-system/kube-proxy with a config.conf, as kubeadm makes it: k3s and "
    "RKE2 run kube-proxy inside of themselves (kube-proxy-arg: proxy-mode=…, on each node), and a "
    "cluster without kube-proxy has nothing to set. Take edgefleet:kubeProxy out"
)
_OBJECT = {"namespace": "kube-system", "object_name": "kube-proxy"}
_TEXT = ("data", "config.conf")
_NOTE = ("spec", "template", "metadata", "annotations", ANNOTATION)


class KubeProxyArgs(KubeProxyOptions):
    """A cluster, and how kube-proxy is to serve there."""

    kubeconfig: pulumi.Input[str]
    """Of the cluster, YAML, a secret."""
    rollout_minutes: NotRequired[float]
    """How long nothing may change while it rolls. Default: 15."""


class _Provider(ResourceProvider):
    """Pickled by reference to this module, so a state outlives changes of the code."""

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """In a preview too, of a cluster that answers."""
        problem = None
        if isinstance(news.get("kubeconfig"), str) and olds.get("fields") != news["fields"]:
            try:
                problem = _objection(news)
            except (Refused, Unreachable):
                # Whoever writes will say more.
                problem = None
        return CheckResult(news, [CheckFailure("mode", problem)] if problem else [])

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult("kube-proxy", _settle(props, None))

    def update(self, _id: str, olds: dict[str, Any], props: dict[str, Any]) -> UpdateResult:
        return UpdateResult(_settle(props, olds))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Drift is what `diff` sees, with and without a refresh."""
        return ReadResult(id_, props)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        keys = ("kubeconfig", "fields")
        changed = any(olds.get(key) != news.get(key) for key in keys)
        return DiffResult(changes=changed or _drifted(news))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Each of our fields becomes what it was, unless somebody has changed it since."""
        try:
            config, daemon = _servers(props)
            obj = config.get()
            if obj is not None and (text := _text(obj)) is not None:
                kept, fields = values_of(text, props["fields"]), props["fields"]
                ours = [path for path, value in kept.items() if value == fields[path]]
                before = {path: props["before"][path] for path in ours if path in props["before"]}
                restored = with_fields(text, before, ours)
                config.apply([_leaf(_TEXT, restored)], FIELD_MANAGER, obj, force=True)
                former: list[Owner] = [(name, how) for name, how in props["former"]]
                config.hand_back(FIELD_MANAGER, {_TEXT: former})
            if (running := daemon.get()) is not None:
                daemon.apply([], FIELD_MANAGER, running, force=False)
        except (Refused, KubeProxyMistake) as error:
            raise RuntimeError(f"kube-proxy's configuration can't be given back: {error}") from None
        except Unreachable as error:
            if forgets_the_unreachable():
                return
            raise RuntimeError(
                f"kube-proxy's configuration: {error}. Where the cluster is gone for good, "
                "PULUMI_K8S_DELETE_UNREACHABLE=true forgets it"
            ) from None


def _servers(
    props: Mapping[str, Any], *, patient: bool = True
) -> tuple[ServerObject, ServerObject]:
    config, daemon = (
        ServerObject({**_OBJECT, "kind": kind, "kubeconfig": props["kubeconfig"]}, patient=patient)
        for kind in ("ConfigMap", "DaemonSet")
    )
    return config, daemon


def _text(obj: Mapping[str, Any] | None) -> str | None:
    return object_at(obj, "data").get("config.conf") if obj else None


def _leaf(path: tuple[str, ...], value: str) -> Leaf:
    return Leaf(("fields", *path), path, value)


def _objection(props: Mapping[str, Any]) -> str | None:
    config, daemon = _servers(props, patient=False)
    text = _text(config.get())
    if text is None or daemon.get() is None:
        return NONE
    try:
        with_fields(text, props["fields"])
    except KubeProxyMistake as mistake:
        return f"{config.where}: {mistake}"
    options: KubeProxyOptions = {"mode": props["fields"]["mode"]}
    version = str(config.request("GET", "/version").get("gitVersion", ""))
    found = obstacles(options, version, config.items("/api/v1/nodes"))
    if not found and (text := ending(options, version)):
        say(text)
    return "; ".join(found) or None


def _settle(props: dict[str, Any], olds: Mapping[str, Any] | None) -> dict[str, Any]:
    try:
        if problem := _objection(props):
            raise RuntimeError(problem)
        config, daemon = _servers(props)
        obj, running = config.appear(), daemon.appear()
        text = _text(obj) or ""
        # What is ours no longer becomes what it was.
        left = set((olds or {}).get("fields", {})) - set(props["fields"])
        before: dict[str, Any] = {**(olds or {}).get("before", {})}
        former = (olds or {}).get("former")
        if former is None:
            former = [list(pair) for pair in owners(obj, _TEXT) if pair[0] != FIELD_MANAGER]
        known = set((olds or {}).get("fields", {}))
        before |= values_of(text, set(props["fields"]) - known)
        wanted = {**{path: before[path] for path in left if path in before}, **props["fields"]}
        after = config.apply(
            [_leaf(_TEXT, with_fields(text, wanted, left))], FIELD_MANAGER, obj, force=True
        )
        noted = object_at(running, "spec", "template", "metadata", "annotations").get(ANNOTATION)
        if _text(after) != text or noted is None:
            noted = after["metadata"]["resourceVersion"]
        rolling = daemon.apply([_leaf(_NOTE, noted)], FIELD_MANAGER, running, force=True)
    except (Refused, Unreachable, KubeProxyMistake) as error:
        raise RuntimeError(f"kube-proxy's configuration: {error}") from None
    return {
        **props,
        "before": {path: value for path, value in before.items() if path not in left},
        "former": former,
        "generation": rolling["metadata"].get("generation", 0),
    }


def _drifted(props: Mapping[str, Any]) -> bool:
    """Whether somebody has changed our fields since: `kubeadm upgrade` writes the whole anew."""
    if not isinstance(props.get("kubeconfig"), str):
        return False
    fields: Json = props["fields"]
    try:
        text = _text(_servers(props, patient=False)[0].get())
        present = values_of(text, fields) if text is not None else {}
    except (Refused, Unreachable, KubeProxyMistake):
        return False
    wrong = [
        f"{path} is {present.get(path)!r}, not {value!r}"
        for path, value in fields.items()
        if present.get(path) != value
    ]
    if wrong:
        say(f"ConfigMap kube-system/kube-proxy: somebody changed it: {'; '.join(wrong)}")
    return bool(wrong)


class _Configuration(ClusterResource, name="KubeProxyConfiguration", provider=_Provider):
    generation: pulumi.Output[int]

    def __init__(self, name: str, props: Mapping[str, Any], opts: pulumi.ResourceOptions) -> None:
        outputs = {"before": None, "former": None, "generation": None}
        super().__init__(name, {**props, **outputs}, opts)


class KubeProxy(pulumi.ComponentResource):
    """Sets the mode, then waits until kube-proxy runs with it on every node.

    A node whose kernel lacks what the mode needs has a kube-proxy that doesn't start; the rollout
    stops there and names it. Raises KubeProxyMistake.

    Once a cluster: there is one kube-proxy.
    """

    def __init__(
        self, name: str, args: KubeProxyArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        refuse_arguments("KubeProxy", name, KubeProxyArgs, args)
        super().__init__("edgefleet:index:KubeProxy", name, None, opts)
        refuse_kube_proxy(args)
        child = pulumi.ResourceOptions(
            parent=self, deleted_with=opts.deleted_with if opts else None
        )
        props = {"kubeconfig": args["kubeconfig"], "fields": proxy_fields(args)}
        configured = _Configuration(f"{name}-configuration", props, child)
        Rollout(
            f"{name}-rollout",
            {
                "kubeconfig": args["kubeconfig"],
                "kind": "DaemonSet",
                "namespace": "kube-system",
                "object_name": "kube-proxy",
                "generation": configured.generation,
                "minutes": args.get("rollout_minutes", ROLLOUT_MINUTES),
            },
            child,
        )
        self.register_outputs({})

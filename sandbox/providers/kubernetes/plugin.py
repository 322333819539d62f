"""The emulated `kubernetes` provider: Pulumi's engine on one side, a real API server on the other.

It stands in for pulumi-kubernetes 4.34 in its default mode, server-side apply, with what that
showed when it was run (docs/facts/real-providers.md, Kubernetes): patches compared by list
position, field conflicts as errors, creates that fail where the object exists. Helm's v4 charts are
rendered by the real helm (charts.py). Not emulated, and refused: Helm releases, YAML and Kustomize
resources, functions, client-side apply mode, YAML rendering.
"""

from sandbox.providers.base.components import Component
from sandbox.providers.base.diff import Diff
from sandbox.providers.base.operations import (
    Call,
    Failure,
    InitFailed,
    Plugin,
    PluginError,
    ReadResult,
)
from sandbox.providers.base.server import Server
from sandbox.providers.base.server import serve as serve_plugin
from sandbox.providers.base.values import Properties, has_unknown
from sandbox.providers.kubernetes import apply as writing
from sandbox.providers.kubernetes import charts
from sandbox.providers.kubernetes.apply import FieldConflict
from sandbox.providers.kubernetes.awaiting import (
    NotReady,
    await_gone,
    await_ready,
    pod_reasons,
    propagation,
    readiness,
)
from sandbox.providers.kubernetes.client import ApiError, Cluster, NoMatch, Unreachable
from sandbox.providers.kubernetes.config import SCHEMA, Session, configure, diff_config
from sandbox.providers.kubernetes.diff import IDENTITY, compare, force_new
from sandbox.providers.kubernetes.objects import (
    AUTONAMED,
    SKIP_AWAIT,
    annotation,
    assign_name,
    conceal_secret_data,
    from_kubernetes,
    has_value,
    is_crd,
    metadata,
    name_of,
    namespace_of,
    normalize,
    object_id,
    parse_id,
    to_kubernetes,
    without_nulls,
)
from sandbox.providers.kubernetes.state import checkpoint, importable, live_of, object_of, shaped
from sandbox.providers.kubernetes.types import type_of, unknown_fields

_REFUSALS = (ApiError, NoMatch, FieldConflict, Unreachable)


class KubernetesPlugin(Plugin[Session]):
    """See the module's docstring."""

    package = "kubernetes"
    distribution = "pulumi-kubernetes"
    schema = SCHEMA

    def diff_config(self, call: Call, old_inputs: Properties, news: Properties) -> Diff:
        return diff_config(without_nulls(old_inputs), without_nulls(news))

    def configure(self, config: Properties) -> Session:
        return configure(config)

    def check(
        self, session: Session, call: Call, news: Properties, olds: Properties
    ) -> tuple[Properties, list[Failure]]:
        if session.cluster is None and session.skip_update_unreachable:
            call.warn(
                "Cluster is unreachable but skipUpdateUnreachable flag is set to true, skipping..."
            )
            return olds, []
        token = type_of(call, news)
        failures = unknown_fields(call.type, news)
        obj = to_kubernetes(without_nulls(news))
        obj.setdefault("apiVersion", token.api_version)
        obj.setdefault("kind", token.kind)
        obj.setdefault("metadata", {})
        obj = normalize(obj)
        meta = metadata(obj)
        if token.patch and not name_of(obj):
            raise PluginError("patch resources require the `.metadata.name` field to be set")
        assign_name(obj, call.name, olds)
        if "generateName" in meta and not has_value(meta, "name"):
            raise PluginError(
                "the `.metadata.generateName` field is not supported in Server-Side Apply mode"
            )
        if obj["metadata"] is meta and not has_value(meta, "namespace") and session.namespaced(obj):
            meta["namespace"] = session.namespace
        return conceal_secret_data(from_kubernetes(obj)), failures

    def diff(
        self, session: Session, call: Call, id: str, olds: Properties, old_inputs: Properties,
        news: Properties,
    ) -> Diff:  # fmt: skip
        new, inputs, live = object_of(news), object_of(old_inputs), live_of(olds)
        old = shaped(call, live, inputs)
        old.setdefault("metadata", {}).pop("resourceVersion", None)
        for obj in (old, new):
            if session.namespaced(new):
                metadata(obj).setdefault("namespace", "default")
            else:
                metadata(obj).pop("namespace", None)
        for key in ("apiVersion", "kind"):
            old.setdefault(key, new.get(key))
        if name_of(new):
            old["metadata"]["name"] = name_of(live)
        patch = type_of(call, new).patch
        fixed = (
            IDENTITY
            if patch
            else force_new(new, session.mutable_config_maps, session.mutable_secrets)
        )
        diff = compare(old, new, fixed)
        diff.delete_before_replace = (
            name_of(new) == name_of(live)
            and annotation(new, AUTONAMED) != "true"
            and metadata(new).get("namespace", "") == namespace_of(live)
        )
        return diff

    def create(self, session: Session, call: Call, inputs: Properties) -> tuple[str, Properties]:
        if not call.preview:
            session.require()
        obj = object_of(inputs)
        token = type_of(call, obj)
        cluster = session.cluster
        if call.preview and (
            cluster is None
            or token.patch
            or has_unknown(obj)
            or not cluster.exists(obj["apiVersion"], obj["kind"])
        ):
            return "", inputs
        assert cluster is not None
        manager = writing.field_manager(obj, {})
        try:
            live = writing.create(
                cluster, call, obj, manager,
                upsert=token.patch or session.upsert,
                force=writing.forced(obj, session.patch_force),
            )  # fmt: skip
        except _REFUSALS as error:
            if call.preview and _unpreviewable(error):
                return "", inputs
            raise PluginError(writing.creation_failure(call, obj, error)) from error
        if call.preview:
            live.pop("status", None)
            return "", checkpoint(obj, live, manager)
        live = self._awaited(
            cluster, call, obj, live, manager,
            f'resource "{call.urn}" was successfully created, but the Kubernetes API server '
            "reported that it failed to fully initialize or become live",
        )  # fmt: skip
        if is_crd(obj):
            cluster.forget_kinds()
        return object_id(live), checkpoint(obj, live, manager)

    def update(
        self, session: Session, call: Call, id: str, olds: Properties, old_inputs: Properties,
        news: Properties,
    ) -> Properties:  # fmt: skip
        if not call.preview:
            session.require()
        obj, cluster = object_of(news), session.cluster
        if call.preview and (
            cluster is None
            or has_unknown(obj)
            or not cluster.exists(obj["apiVersion"], obj["kind"])
        ):
            return news
        assert cluster is not None
        manager = writing.field_manager(obj, olds)
        was = writing.field_manager(object_of(old_inputs), olds)
        failed = f'the Kubernetes API server reported that "{id}" failed to fully initialize or '
        failed += "become live"
        try:
            live = writing.update(
                cluster, call, obj, manager,
                patch=type_of(call, obj).patch,
                force=writing.forced(obj, session.patch_force),
            )  # fmt: skip
        except _REFUSALS as error:
            if call.preview and isinstance(error, ApiError) and error.forbidden:
                return news
            try:
                live = cluster.get(live_of(olds))
            except _REFUSALS:
                raise PluginError(f'update of resource "{call.urn}" failed: {error}') from error
            state = checkpoint(obj, live, manager)
            raise InitFailed(id, state, [f"{failed}: {error}"]) from error
        if call.preview:
            return checkpoint(obj, live, manager)
        live = self._awaited(cluster, call, obj, live, manager, failed)
        if was != manager:
            writing.relinquish(cluster, live, was)
        return checkpoint(obj, live, manager)

    def read(
        self, session: Session, call: Call, id: str, inputs: Properties, properties: Properties
    ) -> ReadResult | None:
        if session.cluster is None:
            return session.read_unreachable(call, id, inputs, properties)
        cluster = session.cluster
        namespace, name = parse_id(id)
        old, state = object_of(inputs), to_kubernetes(without_nulls(properties))
        imported = not old.get("kind")
        if imported:
            token = type_of(call, state)
            where = {"name": name, **({"namespace": namespace} if namespace else {})}
            old = {"apiVersion": token.api_version, "kind": token.kind, "metadata": where}
        try:
            live = cluster.get({**old, "metadata": {"name": name, "namespace": namespace}})
        except NoMatch:
            return None
        except ApiError as error:
            if error.not_found:
                return None
            raise PluginError(f'reading "{id}" failed: {error}') from error
        except Unreachable as error:
            raise PluginError(f'reading "{id}" failed: {error}') from error
        found = shaped(call, live, old)
        if imported:
            found = importable(live, found, call.type)
        manager = writing.field_manager(old, state)
        outputs = checkpoint(found, live, manager, state.get("__initialApiVersion"))
        progress = readiness(live)
        if progress and not (imported or progress.ready or annotation(old, SKIP_AWAIT) == "true"):
            reasons = [f"Resource {name!r} was created but failed to initialize", progress.message]
            # Without inputs: the engine keeps those it has, with their secret marks.
            raise InitFailed(id, outputs, [*reasons, *pod_reasons(cluster, live)])
        return ReadResult(id, outputs, conceal_secret_data(from_kubernetes(found)))

    def delete(self, session: Session, call: Call, id: str, properties: Properties) -> None:
        live = live_of(properties)
        if session.cluster is None:
            if session.delete_unreachable:
                call.info("the cluster is unreachable: deleting the resource from the state alone")
                return
            raise PluginError(
                f"configured Kubernetes cluster is unreachable: {session.unreachable}. If the "
                "cluster was deleted, set the provider's deleteUnreachable to remove this "
                "resource from the state"
            )
        cluster = session.cluster
        inputs = object_of(properties.get("__inputs") or {})
        manager = writing.field_manager(inputs, properties)
        try:
            if type_of(call, live).patch:
                cluster.get(live)
                writing.relinquish(cluster, live, manager)
                return
            try:
                cluster.delete(live, propagation(inputs))
            except ApiError as error:
                if not error.forbidden:
                    raise
                # A namespace that may not go, like default: only our fields do (PR 4278).
                call.warn(f"{error}; its fields are given up instead")
                writing.relinquish(cluster, live, manager)
                return
            await_gone(cluster, call, inputs, live)
        except NoMatch:
            return
        except NotReady as error:
            raise PluginError(f'"{id}": {"; ".join(error.reasons)}') from error
        except ApiError as error:
            if error.not_found:
                return
            raise PluginError(writing.deletion_failure(call, id, error)) from error
        except Unreachable as error:
            raise PluginError(f'deletion of "{id}" failed: {error}') from error
        if is_crd(live):
            cluster.forget_kinds()

    def invoke(self, session: Session, call: Call, token: str, args: Properties) -> Properties:
        raise PluginError(
            f"{token}: the sandbox's kubernetes provider has no functions; "
            "YAML files and kustomizations need the real plugin"
        )

    def construct(self, session: Session, call: Call, component: Component) -> Properties:
        return charts.construct(session, call, component)

    def _awaited(
        self, cluster: Cluster, call: Call, obj: Properties, live: Properties, manager: str,
        failed: str,
    ) -> Properties:  # fmt: skip
        try:
            return await_ready(cluster, call, obj, live)
        except NotReady as error:
            state = checkpoint(obj, error.live, manager)
            reasons = [f"{failed}: {error}", *error.reasons]
            raise InitFailed(object_id(live), state, reasons) from error
        except _REFUSALS as error:
            raise InitFailed(
                object_id(live), checkpoint(obj, live, manager), [str(error)]
            ) from error


def serve(port: int = 0) -> Server:
    """Serve the plugin on 127.0.0.1; on any free port where `port` is 0 or taken."""
    return serve_plugin(KubernetesPlugin(), port)


def _unpreviewable(error: Exception) -> bool:
    return isinstance(error, ApiError) and (
        error.forbidden or error.already_exists or error.namespace_missing
    )

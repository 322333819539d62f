"""`kubernetes:helm.sh/v4:Chart`: a component whose children are what `helm template` renders.

As pulumi-kubernetes 4.34 does it (provider/pkg/provider/helm/v4/chart.go, yaml/v2/yaml.go), by the
real helm. Only where the chart comes from differs: not from its repository, but from the folder of
a Go module (sandbox/toolchain/charts.py).
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from sandbox.providers.base.components import Child, Component
from sandbox.providers.base.operations import Call, PluginError
from sandbox.providers.base.values import UNKNOWN, Properties, has_unknown
from sandbox.providers.kubernetes.client import ApiError, Cluster, Unreachable
from sandbox.providers.kubernetes.config import Session
from sandbox.providers.kubernetes.objects import (
    annotation,
    conceal_secret_data,
    is_crd,
    metadata,
    name_of,
    namespace_of,
)
from sandbox.toolchain import charts
from sandbox.toolchain.charts import NoChart
from sandbox.toolchain.install import Toolchain, ToolchainError, default_cache

TYPE = "kubernetes:helm.sh/v4:Chart"
_KNOWN = (
    "chart", "devel", "includeHooks", "name", "namespace", "plainHttp", "repositoryOpts",
    "resourcePrefix", "skipAwait", "skipCrds", "values", "version",
)  # fmt: skip
_DEPENDS_ON = "config.kubernetes.io/depends-on"
_RESOURCE_POLICY = "helm.sh/resource-policy"


def construct(session: Session, call: Call, component: Component) -> Properties:
    """Render the chart, register its objects; the component's outputs."""
    if component.type != TYPE:
        raise PluginError(f"{component.type}: not emulated by the sandbox, whose kubernetes "
                          f"provider has one component, {TYPE}")  # fmt: skip
    cluster = session.require()
    inputs = {key: value for key, value in component.inputs.items() if value is not None}
    if has_unknown(inputs):
        call.warn("Input properties have unknown values. Preview is incomplete.")
        return {"resources": UNKNOWN}
    if unknown := sorted(inputs.keys() - {*_KNOWN}):
        raise PluginError(f"{TYPE}: not emulated by the sandbox: {', '.join(unknown)}")
    namespace = str(inputs.get("namespace") or session.namespace)
    manifest = _rendered(session, cluster, call, component.name, namespace, inputs)
    objects = list(_objects(manifest))
    for obj in objects:
        _place(session, obj, objects, namespace)
        if inputs.get("skipAwait"):
            meta = metadata(obj)
            # A chart may say `annotations:` and nothing there.
            meta["annotations"] = {
                **(meta.get("annotations") or {}),
                "pulumi.com/skipAwait": "true",
            }
    prefix = str(inputs.get("resourcePrefix", component.name))
    return {"resources": component.register(children(objects, prefix))}


def children(objects: Sequence[Properties], prefix: str) -> list[Child]:
    """The objects as resources, each after those that it depends on."""
    order = _in_order(objects)
    place = {index: position for position, index in enumerate(order)}
    result: list[Child] = []
    for index in order:
        obj = objects[index]
        where = f"{namespace_of(obj)}/" if namespace_of(obj) else ""
        api_version = obj["apiVersion"]
        group = api_version if "/" in api_version else f"core/{api_version}"
        result.append(
            Child(
                type=f"kubernetes:{group}:{obj['kind']}",
                name=f"{prefix}:{where}{name_of(obj)}" if prefix else f"{where}{name_of(obj)}",
                inputs=conceal_secret_data(obj),
                after=tuple(sorted(place[other] for other in _before(obj, objects))),
                retain_on_delete=annotation(obj, _RESOURCE_POLICY) == "keep",
            )
        )
    return result


def _in_order(objects: Sequence[Properties]) -> list[int]:
    done: list[int] = []

    def visit(index: int, path: tuple[int, ...]) -> None:
        if index in path:
            raise PluginError(f"{objects[index]['kind']} {name_of(objects[index])}: depends on "
                              "itself, through other objects of the chart")  # fmt: skip
        if index not in done:
            for other in _before(objects[index], objects):
                visit(other, (*path, index))
            done.append(index)

    for index in range(len(objects)):
        visit(index, ())
    return done


def _before(obj: Properties, objects: Sequence[Properties]) -> list[int]:
    """Places of the objects that this one depends on: its namespace, its kind's definition, and
    what its annotation names (sigs.k8s.io/cli-utils/pkg/object/graph)."""
    group = obj["apiVersion"].rpartition("/")[0]
    named = [text.strip() for text in annotation(obj, _DEPENDS_ON).split(",") if text.strip()]
    found: list[int] = []
    for index, other in enumerate(objects):
        if other is obj:
            continue
        namespace = (other["apiVersion"], other["kind"]) == ("v1", "Namespace")
        spec = other.get("spec") or {}
        if (
            (namespace and name_of(other) == namespace_of(obj))
            or (is_crd(other) and spec["group"] == group and spec["names"]["kind"] == obj["kind"])
            or _as_written(other) in named
        ):
            found.append(index)
    return found


def _as_written(obj: Properties) -> str:
    """How the annotation names an object: `group/namespaces/NS/Kind/name`, or without the two."""
    group = obj["apiVersion"].rpartition("/")[0]
    where = f"namespaces/{namespace_of(obj)}/" if namespace_of(obj) else ""
    return f"{group}/{where}{obj['kind']}/{name_of(obj)}"


def _objects(manifest: str) -> Iterator[Properties]:
    for document in yaml.load_all(manifest, Loader=yaml.CSafeLoader):
        if not document:
            continue
        items = document.get("items") if str(document.get("kind", "")).endswith("List") else None
        for obj in [document] if items is None else items:
            if not obj.get("kind") or not obj.get("apiVersion"):
                raise PluginError(f"Kubernetes resources require a kind and apiVersion: {obj}")
            yield obj


def _place(
    session: Session, obj: Properties, objects: Sequence[Properties], namespace: str
) -> None:
    """Give a namespaced object that names no namespace the chart's."""
    meta = obj.setdefault("metadata", {})
    if not meta.get("name"):
        raise PluginError(f"YAML object does not have a .metadata.name: {obj['kind']}")
    group = obj["apiVersion"].rpartition("/")[0]
    for other in objects:
        spec = other.get("spec") or {}
        if is_crd(other) and (spec["group"], spec["names"]["kind"]) == (group, obj["kind"]):
            namespaced = spec["scope"] == "Namespaced"
            break
    else:
        namespaced = session.namespaced(obj)
    if namespaced:
        meta["namespace"] = meta.get("namespace") or namespace
    else:
        meta.pop("namespace", None)


def _rendered(
    session: Session, cluster: Cluster, call: Call, name: str, namespace: str, inputs: Properties
) -> str:
    """What helm makes of the chart: with the cluster's version and kinds, and its `lookup`."""
    options = inputs.get("repositoryOpts") or {}
    try:
        chart = charts.find(
            str(options.get("repo") or ""), str(inputs["chart"]), str(inputs.get("version") or "")
        )
        cache = default_cache()
        folder = charts.unpacked(chart, cache, call.info)
        helm = Toolchain(cache, say=call.info).binary("helm")
    except (NoChart, ToolchainError) as error:
        raise PluginError(f"unable to locate the chart: {error}") from error
    with tempfile.TemporaryDirectory(prefix="edgefleet-chart-") as scratch:
        values, kubeconfig = Path(scratch, "values.yaml"), Path(scratch, "kubeconfig")
        for path, text in (
            (values, yaml.safe_dump(inputs.get("values") or {})),
            (kubeconfig, session.kubeconfig),
        ):
            path.touch(0o600)
            path.write_text(text)
        command = [
            str(helm), "template", str(inputs.get("name") or name), str(folder),
            "--namespace", namespace, "--values", str(values), "--dry-run=server",
            "--disable-openapi-validation", *_capabilities(cluster),
        ]  # fmt: skip
        command += [] if inputs.get("skipCrds") else ["--include-crds"]
        command += [] if inputs.get("includeHooks") else ["--no-hooks"]
        done = subprocess.run(
            command,
            env=_environment(scratch, kubeconfig),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise PluginError(done.stderr.strip().removeprefix("Error: "))
    return done.stdout


def _environment(scratch: str, kubeconfig: Path) -> Mapping[str, str]:
    # Nothing of a user's own helm: neither its repositories nor its plugins.
    homes = {f"HELM_{what}_HOME": f"{scratch}/{what}" for what in ("CACHE", "CONFIG", "DATA")}
    return {**os.environ, **homes, "KUBECONFIG": str(kubeconfig)}


def _capabilities(cluster: Cluster) -> list[str]:
    try:
        version = cluster.request("GET", "/version")["gitVersion"]
        groups: list[Any] = cluster.request("GET", "/apis").get("groups") or []
        versions = ["v1", *(v["groupVersion"] for g in groups for v in g["versions"])]
        kinds = [f"{one}/{kind}" for one in versions for kind in cluster.kinds(one)]
    except (ApiError, Unreachable) as error:
        raise PluginError(f"could not get apiVersions from Kubernetes: {error}") from error
    return ["--kube-version", version, "--api-versions", ",".join([*versions, *kinds])]

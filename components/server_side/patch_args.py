"""What a `ServerSidePatch` is given."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict

import pulumi


class ContainerPatch(TypedDict):
    """Fields of one container."""

    env: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Values of environment variables by their names; others stay."""
    image: NotRequired[pulumi.Input[str]]
    """name:tag, better with digest."""


class Patch(TypedDict):
    """What to patch, in whatever cluster. What is taken out becomes what it was."""

    kind: Literal[
        "BGPConfiguration",
        "ConfigMap",
        "DaemonSet",
        "Deployment",
        "FelixConfiguration",
        "IPPool",
        "KubeControllersConfiguration",
        "Node",
    ]
    """Of the object. Another one: the fields are given back, and the patch is made there."""
    object_name: str
    """Of the object. Another one: the fields are given back, and the patch is made there."""
    namespace: NotRequired[str]
    """Of the object; none for what has none. Another one: as with `object_name`."""
    containers: NotRequired[pulumi.Input[Mapping[str, ContainerPatch]]]
    """Fields of containers that are there, by their names."""
    init_containers: NotRequired[pulumi.Input[Mapping[str, ContainerPatch]]]
    """Fields of init containers that are there, by their names."""
    tolerations: NotRequired[pulumi.Input[Sequence[Mapping[str, str]]]]
    """Of the pods; taken whole, as the API server knows no parts of them."""
    node_selector: NotRequired[pulumi.Input[Mapping[str, str]]]
    """Of the pods; taken whole."""
    template_annotations: NotRequired[pulumi.Input[Mapping[str, pulumi.Input[str]]]]
    """Annotations of the pods by their names; others stay."""
    fields: NotRequired[pulumi.Input[Mapping[str, Any]]]
    """A part of the object, {"spec": {"vxlanMode": "Always"}}. A list in it is taken whole, which
    fits lists without merge keys."""
    field_manager: NotRequired[str]
    """The owner of our fields; two patches of one object need one each. Default: edgefleet.
    Another one: the fields are given back, and taken again."""
    create_missing: NotRequired[bool]
    """Make the object where there is none. Default: false, it is waited for."""
    force: NotRequired[bool]
    """Take over fields that another field manager holds with another value. Default: false, the
    preview fails and names the manager."""


class ServerSidePatchArgs(Patch):
    """What to patch, and where."""

    kubeconfig: pulumi.Input[str]
    """Of the cluster, YAML, a secret. Another one for the same cluster changes nothing there."""
    cluster_version: NotRequired[pulumi.Input[str]]
    """Version of Kubernetes. With another one the fields are put back: whoever upgrades a cluster
    may write its objects anew. Default: not watched."""

"""`CalicoBgp`: nodes learn where pods are by BGP, from each other and from routers.

docs/dataplane.md says when which of mesh, reflectors and peers; `bgp_options.py` what may be said.
"""

from collections.abc import Mapping
from typing import NotRequired

import pulumi

from ..arguments import refuse_arguments
from ..server_side.kubernetes_object import KubernetesObject
from ..server_side.patch import ServerSidePatch
from ..server_side.patch_args import ServerSidePatchArgs
from .bgp_options import (
    PASSWORDS,
    BgpOptions,
    bgp_configuration,
    bgp_peers,
    password_readers,
    reflector_fields,
    refuse_bgp,
)
from .calico_options import CalicoMistake

FIELD_MANAGER = "edgefleet-bgp"


class CalicoBgpArgs(BgpOptions):
    """A cluster, and who speaks BGP there. Objects go through the provider of the options."""

    kubeconfig: pulumi.Input[str]
    """Of the cluster, YAML, a secret."""
    cluster_version: NotRequired[pulumi.Input[str]]
    """Version of Kubernetes: with another one our fields are put back. Default: not watched."""
    passwords: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Secrets by the name of a peer; they become a Secret that calico-node may read. Default: none.
    """
    force: NotRequired[bool]
    """Take over fields that somebody else has set to another value. Default: false."""


class CalicoBgp(pulumi.ComponentResource):
    """Reflectors and peers first, then the mesh goes; back in the other order, so that there is no
    moment in which nobody tells a node its routes. Raises CalicoMistake.

    Once a cluster: one BGPConfiguration holds for every node.
    """

    def __init__(
        self, name: str, args: CalicoBgpArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        refuse_arguments("CalicoBgp", name, CalicoBgpArgs, args)
        super().__init__("edgefleet:index:CalicoBgp", name, None, opts)
        refuse_bgp(args)
        self._args = args
        child = pulumi.ResourceOptions(
            parent=self, deleted_with=opts.deleted_with if opts else None
        )
        first = [*self._reflectors(name, child), *self._passwords(name, child)]
        after = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=first))
        told: list[pulumi.Resource] = [
            KubernetesObject(
                f"{name}-{peer.removeprefix('edgefleet-')}",
                {
                    "apiVersion": "crd.projectcalico.org/v1",
                    "kind": "BGPPeer",
                    "metadata": {"name": peer},
                    "spec": spec,
                },
                after,
            )
            for peer, spec in bgp_peers(args).items()
        ]
        last = pulumi.ResourceOptions(depends_on=[*first, *told])
        self._patch(
            f"{name}-configuration",
            {
                "kubeconfig": args["kubeconfig"],
                "kind": "BGPConfiguration",
                "object_name": "default",
                "fields": {"spec": bgp_configuration(args)},
                # Calico's manifest makes none, and without one its defaults hold.
                "create_missing": True,
                "force": args.get("force", False),
            },
            pulumi.ResourceOptions.merge(child, last),
        )
        self.register_outputs({})

    def _patch(
        self, name: str, patch: ServerSidePatchArgs, opts: pulumi.ResourceOptions
    ) -> pulumi.Resource:
        if version := self._args.get("cluster_version"):
            patch["cluster_version"] = version
        return ServerSidePatch(name, {**patch, "field_manager": FIELD_MANAGER}, opts)

    def _reflectors(self, name: str, opts: pulumi.ResourceOptions) -> list[pulumi.Resource]:
        reflectors = self._args.get("route_reflectors")
        if not reflectors:
            return []
        return [
            self._patch(
                f"{name}-reflector-{node}",
                {
                    "kubeconfig": self._args["kubeconfig"],
                    "kind": "Node",
                    "object_name": node,
                    "fields": reflector_fields(reflectors),
                },
                opts,
            )
            for node in sorted(reflectors["nodes"])
        ]

    def _passwords(self, name: str, opts: pulumi.ResourceOptions) -> list[pulumi.Resource]:
        peers = [peer["name"] for peer in self._args.get("peers") or [] if peer.get("password")]
        given = self._args.get("passwords") or {}
        if missing := sorted(set(peers) - set(given)):
            raise CalicoMistake(f"passwords: there is none for {', '.join(missing)}")
        if not peers:
            return []
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": PASSWORDS, "namespace": "kube-system"},
            "stringData": {peer: given[peer] for peer in sorted(peers)},
        }
        objects = {"passwords": secret, **password_readers()}
        return [KubernetesObject(f"{name}-{part}", each, opts) for part, each in objects.items()]

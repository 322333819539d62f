"""`fleet kube-vip`: the static pod that holds the control plane's address, for `kubeadm init`.

The address has to stand before there is an API server, so this is a file on the first control
plane, and no resource of a stack.
"""

import json
from typing import Annotated

import typer
import yaml

from components.load_balancer.kube_vip import static_pod
from infra.errors import LockError, SettingsError
from infra.fleet.inventory import RegionStack
from infra.fleet.reading import load
from infra.pins import images
from infra.settings.cluster import ExistingCluster
from ops.command import Folder, Json, failed, stack_names
from ops.files import project_dir

ADMIN = "/etc/kubernetes/admin.conf"
SUPER_ADMIN = "/etc/kubernetes/super-admin.conf"
"""Until `kubeadm init` (1.29 or newer) is through, only this one opens the API server."""


def command(
    stack: Annotated[str, typer.Argument(autocompletion=stack_names)],
    first: Annotated[
        bool, typer.Option("--first", help="For the node on which kubeadm init runs.")
    ] = False,
    as_json: Json = False,
    folder: Folder = None,
) -> None:
    """Print kube-vip's manifest for /etc/kubernetes/manifests of the control planes.

    Exit code: 0; 2 where the stack file names no control plane address.
    """
    try:
        found = load(project_dir(folder)).stacks.get(stack)
        digests = images.load()
    except (SettingsError, LockError) as error:
        raise failed(error) from None
    if not isinstance(found, RegionStack):
        raise failed(f"{stack}: there is no such region stack")
    balancer, cluster = found.settings.load_balancer, found.settings.cluster
    settings = balancer.kube_vip if balancer else None
    if not settings or not settings.control_plane or not isinstance(cluster, ExistingCluster):
        raise failed(
            f"{found.file}: edgefleet:loadBalancer.kubeVip.controlPlane: is not said: the address "
            "by which nodes and people reach the API server"
        )
    pod = static_pod(
        settings.options(cluster.existing.api_port),
        images.pinned(settings.image, digests),
        SUPER_ADMIN if first else ADMIN,
    )
    # A kubelet takes either.
    text = json.dumps(pod, indent=2) + "\n" if as_json else yaml.safe_dump(pod, sort_keys=False)
    typer.echo(text, nl=False)

"""`NodeFirewall`: a DaemonSet that keeps the ufw of every node in step with the rule table.

What happens on a node is `node_sync.sh`; `node_loop.sh` calls it once an interval
from the pod. docs/security.md says what the pod may do, and why.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import pulumi

from ..arguments import refuse_arguments
from ..server_side.kubernetes_object import KubernetesObject, in_cluster_of
from .in_step import NodesInStep, warning
from .node_networks import NodeNetworks, NodeNetworksArgs
from .renderings.ufw import iptables_block
from .rule_data import RuleArgs, rules_of
from .rule_table import Rule, check_web_ports

Mode = Literal["enforce", "observe", "remove"]

# Needed of an image: sh, nsenter, timeout. All of ufw is the node's own.
IMAGE = "docker.io/library/busybox:1.37.0"
INTERVAL = 60  # seconds
# setns(2) into PID 1's mount and network namespaces: SYS_ADMIN, SYS_CHROOT; to open them under
# /proc: SYS_PTRACE. What ufw and iptables do there: NET_ADMIN, NET_RAW. The node's files belong to
# root, which the pod is.
CAPABILITIES = ("NET_ADMIN", "NET_RAW", "SYS_ADMIN", "SYS_CHROOT", "SYS_PTRACE")
NAME = "edgefleet-node-firewall"
"""Of its objects: a node has one firewall, and so a cluster one keeper of it."""
FILES = "/edgefleet"
STATUS = "/status"
_FOLDER = Path(__file__).parent
_KERNEL_PART = "# node_kernel.sh stands here: what the kernel holds.\n"
# Who only observes has done so when there is a state.
_READY: dict[Mode, str] = {
    "enforce": "^state=matches ",
    "remove": "^state=matches ",
    "observe": "^state=",
}


class NodeFirewallArgs(TypedDict):
    """A cluster, and who gets into its nodes. Objects go through the provider that the options
    give, else through one of this kubeconfig. A change goes from node to node."""

    kubeconfig: pulumi.Input[str]
    """Of the cluster, YAML, a secret."""
    rules: pulumi.Input[Sequence[RuleArgs]]
    """The table (`node_rules()`)."""
    cloudflare: Sequence[str]
    """CIDRs that the table's "cloudflare" means."""
    mode: NotRequired[Mode]
    """enforce, the default, keeps ufw in step and enables it. observe reports what would change, in
    the pods' logs. remove takes out what enforcing put in, so that the component can go: a deleted
    component leaves each node's firewall as it stood."""
    image: NotRequired[str]
    """name:tag, better with digest, with sh, nsenter and timeout. Default: busybox."""
    interval: NotRequired[int]
    """Seconds between two looks at the node's firewall. Default: 60."""
    namespace: NotRequired[str]
    """Of the DaemonSet; it has to exist. Default: kube-system. Another one: it is made anew there.
    """


def render_table(rules: Iterable[Rule], cloudflare: Sequence[str]) -> str:
    """The table as `node_sync.sh` reads it, a tab between a line's kind and the rest.

    `block4`/`block6`: a line of iptables-restore. `web`: the ports that are Cloudflare's alone.
    Raises ValueError for a table that admits anybody else to these, or nobody at all.
    """
    rules = list(rules)
    web = check_web_ports(rules)
    lines = [f"web\t{','.join(map(str, web))}"]
    for family in ("v4", "v6"):
        block = iptables_block(rules, cloudflare, family, web)
        lines += [f"block{family[1]}\t{line}" for line in block]
    return "\n".join(lines) + "\n"


def sync_script() -> str:
    """What runs on a node, in one piece: it comes there through a pipe."""
    whole = (_FOLDER / "node_sync.sh").read_text()
    return whole.replace(_KERNEL_PART, (_FOLDER / "node_kernel.sh").read_text())


def config_data(table: str) -> dict[str, str]:
    """The ConfigMap: the two scripts and the table."""
    return {
        "loop.sh": (_FOLDER / "node_loop.sh").read_text(),
        "sync.sh": sync_script(),
        "table": table,
    }


def files_name(data: Mapping[str, str]) -> str:
    """Of the ConfigMap: another for each content, so that pods get theirs when they are replaced,
    node after node, and never while they run."""
    return f"{NAME}-{hashlib.sha256(repr(sorted(data.items())).encode()).hexdigest()[:10]}"


def pod_spec(
    config_map: pulumi.Input[str], mode: Mode, image: str, interval: int
) -> dict[str, Any]:
    """The pod, as small as entering the node's namespaces allows.

    On the host's network, so that the firewall doesn't wait for Calico. No API token, no folder of
    the node, not privileged, a read-only file system.
    """
    return {
        "hostNetwork": True,
        "hostPID": True,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "priorityClassName": "system-node-critical",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"operator": "Exists"}],
        "terminationGracePeriodSeconds": 60,
        "containers": [
            {
                "name": "node-firewall",
                "image": image,
                "command": ["/bin/sh", f"{FILES}/loop.sh"],
                "args": [mode, str(interval), "1", FILES, STATUS],
                "securityContext": {
                    "runAsUser": 0,
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"], "add": list(CAPABILITIES)},
                    # containerd's default AppArmor profile forbids to enter PID 1's namespaces.
                    "appArmorProfile": {"type": "Unconfined"},
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "readinessProbe": {
                    # A failing probe's output, the node's state, is shown by `kubectl describe`.
                    "exec": {
                        "command": [
                            "/bin/sh",
                            "-c",
                            f"cat {STATUS}/state; grep -q '{_READY[mode]}' {STATUS}/state",
                        ]
                    },
                    "periodSeconds": 5,
                    "failureThreshold": 1,
                },
                # ufw, a Python program, is accounted to this pod.
                "resources": {
                    "requests": {"cpu": "10m", "memory": "32Mi"},
                    "limits": {"memory": "128Mi"},
                },
                "volumeMounts": [
                    {"name": "files", "mountPath": FILES, "readOnly": True},
                    {"name": "status", "mountPath": STATUS},
                ],
            }
        ],
        "volumes": [
            {"name": "files", "configMap": {"name": config_map}},
            {"name": "status", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        ],
    }


def _generation(metadata: Mapping[str, Any]) -> int:
    return metadata.get("generation", 0)


class NodeFirewall(pulumi.ComponentResource):
    """ufw on every node, kept in step. A pod is ready while its node matches the table.

    Before it closes any, the table's networks are held against those that the nodes have. Then
    `up` waits for all of them, one node after the other. A node where the table can't be enforced
    ends the wait, those after it keep what they had, and `up` goes on and warns; `behind` names
    them.

    Once a cluster: a node has one firewall, and so one keeper of it.
    """

    behind: pulumi.Output[list[str]]
    """Nodes where the table can't be enforced, and why; none where all are in step."""

    def __init__(
        self, name: str, args: NodeFirewallArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        refuse_arguments("NodeFirewall", name, NodeFirewallArgs, args)
        super().__init__("edgefleet:index:NodeFirewall", name, None, opts)
        mode: Mode = args.get("mode", "enforce")
        namespace = args.get("namespace", "kube-system")
        labels = {"app.kubernetes.io/name": NAME}
        data = pulumi.Output.from_input(args["rules"]).apply(
            lambda rules: config_data(render_table(rules_of(rules), args["cloudflare"]))
        )
        child = in_cluster_of(self, name, args["kubeconfig"], opts)
        checked: list[pulumi.Resource] = []
        if mode == "enforce":
            asked: NodeNetworksArgs = {"kubeconfig": args["kubeconfig"], "rules": args["rules"]}
            own = pulumi.ResourceOptions(parent=self, deleted_with=child.deleted_with)
            checked = [NodeNetworks(f"{name}-networks", asked, own)]
        # The files too: where the check stops an `up`, a second ConfigMap would be there, the first
        # due to go, and the way back to its table would delete what it had just taken over.
        after = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=checked))
        config_map = KubernetesObject(
            f"{name}-files",
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {
                    "name": data.apply(files_name),
                    "namespace": namespace,
                    "labels": labels,
                },
                "data": data,
                "immutable": True,
            },
            after,
        )
        pod = pod_spec(
            config_map.name, mode, args.get("image", IMAGE), args.get("interval", INTERVAL)
        )
        spec = {
            "selector": {"matchLabels": labels},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        }
        # `NodesInStep` waits, and lets the rest go on where a node stays behind.
        unawaited = {"pulumi.com/skipAwait": "true"}
        metadata = {
            "name": NAME, "namespace": namespace, "labels": labels, "annotations": unawaited,
        }  # fmt: skip
        daemon_set = KubernetesObject(
            f"{name}-daemon-set",
            {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": spec},
            after,
        )
        in_step = NodesInStep(
            f"{name}-in-step",
            {
                "kubeconfig": args["kubeconfig"],
                "namespace": namespace,
                "object_name": NAME,
                "generation": daemon_set.metadata.apply(_generation),
            },
            pulumi.ResourceOptions(parent=self, deleted_with=child.deleted_with),
        )
        self.behind = in_step.behind
        self.behind.apply(self._warn)
        self.register_outputs({})

    def _warn(self, behind: list[str] | None) -> None:
        if text := warning(behind):
            pulumi.log.warn(text, self)

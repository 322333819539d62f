"""Command lines of a control plane: kept lean, so that three clusters fit on a laptop."""

import os
from pathlib import Path

from sandbox.clusters.pki import CLIENT_CAS

SERVICE_RANGE = "10.96.0.0/12"
SERVICE_IP = "10.96.0.1"
"""Address of the ``kubernetes`` service: the first of the range."""

_CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "daemonset-controller",
    "deployment-controller",
    "disruption-controller",
    "endpointslice-controller",
    "endpoints-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "node-lifecycle-controller",
    "pod-garbage-collector-controller",
    "replicaset-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "statefulset-controller",
)

# The heap is let grow to half of what lives on it; the limits are far above normal use (measured:
# 190, 65, 45 and 45 MB) and keep a busy process from growing without end. Who has set a variable
# himself, as the tests do, has more memory than time.
_LEAN = {"GOGC": "50", "GOMEMLIMIT": "600MiB"}
GO_ENVIRONMENT = {name: os.environ.get(name, value) for name, value in _LEAN.items()}


def etcd(binary: Path, data: Path, client_port: int, peer_port: int) -> list[str]:
    client, peer = (f"http://127.0.0.1:{port}" for port in (client_port, peer_port))
    return [
        str(binary),
        "--name=sandbox",
        f"--data-dir={data}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=sandbox={peer}",
        # A crash of the process loses nothing; only one of the machine could.
        "--unsafe-no-fsync",
        "--auto-compaction-mode=periodic",
        "--auto-compaction-retention=10m",
        "--log-level=warn",
    ]


def kube_apiserver(binary: Path, pki: Path, port: int, etcd_port: int, prefix: str) -> list[str]:
    return [
        str(binary),
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        f"--etcd-prefix={prefix}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        # Never dialled: the `kubernetes` service gets no endpoints, and loopback is refused here.
        "--advertise-address=192.0.2.1",
        "--endpoint-reconciler-type=none",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--client-ca-file={pki / CLIENT_CAS}",
        f"--tls-cert-file={pki / 'serving.crt'}",
        f"--tls-private-key-file={pki / 'serving.key'}",
        f"--service-account-key-file={pki / 'service-account.key'}",
        f"--service-account-signing-key-file={pki / 'service-account.key'}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        "--enable-priority-and-fairness=false",
        "--event-ttl=10m",
        "--profiling=false",
        "--lease-reuse-duration-seconds=600",
    ]


def kube_controller_manager(binary: Path, pki: Path, kubeconfig: Path) -> list[str]:
    return [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        f"--controllers={','.join(_CONTROLLERS)}",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--service-account-private-key-file={pki / 'service-account.key'}",
        "--authentication-skip-lookup=true",
        "--kube-api-burst=400",
        "--kube-api-qps=200",
        "--leader-elect=false",
        "--profiling=false",
        "--secure-port=0",
    ]


def kube_scheduler(binary: Path, kubeconfig: Path) -> list[str]:
    return [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        "--authentication-skip-lookup=true",
        "--kube-api-burst=200",
        "--kube-api-qps=100",
        "--leader-elect=false",
        "--secure-port=0",
    ]


def kwok(binary: Path, kubeconfig: Path, stages: Path) -> list[str]:
    return [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        f"--config={stages}",
        "--manage-all-nodes=true",
        "--node-lease-duration-seconds=40",
        "--cidr=10.244.0.0/24",
        "--server-address=127.0.0.1:0",
        "--v=WARN",
    ]

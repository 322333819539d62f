"""Which programs the sandbox uses: their pinned versions, and where each comes from."""

import platform
from dataclasses import dataclass

from sandbox.toolchain.downloads import Release
from sandbox.toolchain.go_build import GoProgram

PULUMI = "3.246.0"
KUBERNETES = "1.35.4"
ETCD = "3.6.16"
KWOK = "0.8.0"
HELM = "3.22.0"
PULUMI_YAML = "1.32.0"
"""The newest that the Go module proxy has."""

OS = platform.system().lower()
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())

_PULUMI_ARCH = {"amd64": "x64"}.get(ARCH, ARCH)
_PULUMI_FILES = (
    "pulumi",
    "pulumi-language-nodejs",
    "pulumi-language-python",
    "pulumi-language-python-exec",
    "pulumi-language-yaml",
    "pulumi-resource-pulumi-python",
)
_ETCD_FOLDER = f"etcd-v{ETCD}-{OS}-{ARCH}"
_KUBERNETES_FILES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
_K8S_LDFLAGS = " ".join(
    f"-X k8s.io/component-base/version.{name}={value}"
    for name, value in {
        "gitVersion": f"v{KUBERNETES}",
        "gitMajor": KUBERNETES.split(".")[0],
        "gitMinor": KUBERNETES.split(".")[1],
    }.items()
)


@dataclass(frozen=True)
class Tool:
    """One kind of program: its files, the versions that will do, and how to get it.

    ``accepts`` matches what ``version_args`` prints. ``minutes`` is a build on two cores.
    """

    name: str
    version: str
    files: tuple[str, ...]
    version_args: tuple[str, ...]
    accepts: str
    releases: tuple[Release, ...]
    program: GoProgram
    minutes: float


TOOLS = (
    Tool(
        name="pulumi",
        version=PULUMI,
        files=("pulumi",),
        version_args=("version",),
        accepts=r"^v3\.246\.\d+$",
        releases=(
            Release(
                url="https://get.pulumi.com/releases/sdk/"
                f"pulumi-v{PULUMI}-{OS}-{_PULUMI_ARCH}.tar.gz",
                checksums=f"https://get.pulumi.com/releases/sdk/pulumi-{PULUMI}-checksums.txt",
                members=tuple((f"pulumi/{name}", name) for name in _PULUMI_FILES),
            ),
        ),
        program=GoProgram(
            module="github.com/pulumi/pulumi/pkg/v3",
            version=f"v{PULUMI}",
            packages=("github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",),
            ldflags="-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v" + PULUMI,
            also=(("github.com/pulumi/pulumi/sdk/v3", f"v{PULUMI}"),),
        ),
        minutes=3,
    ),
    Tool(
        name="kubernetes",
        version=KUBERNETES,
        files=_KUBERNETES_FILES,
        version_args=("--version",),
        accepts=r"^Kubernetes v1\.35\.\d+$",
        # dl.k8s.io has server binaries for Linux only.
        releases=tuple(
            Release(
                url=f"https://dl.k8s.io/v{KUBERNETES}/bin/{OS}/{ARCH}/{name}",
                checksums=f"https://dl.k8s.io/v{KUBERNETES}/bin/{OS}/{ARCH}/{name}.sha256",
                name=name,
            )
            for name in _KUBERNETES_FILES
            if OS == "linux"
        ),
        program=GoProgram(
            module="k8s.io/kubernetes",
            version=f"v{KUBERNETES}",
            packages=tuple(f"k8s.io/kubernetes/cmd/{name}" for name in _KUBERNETES_FILES),
            ldflags=f"-s -w {_K8S_LDFLAGS}",
            staging="v0." + KUBERNETES.split(".", 1)[1],
        ),
        minutes=5,
    ),
    Tool(
        name="etcd",
        version=ETCD,
        files=("etcd",),
        version_args=("--version",),
        accepts=r"^etcd Version: 3\.6\.\d+$",
        releases=(
            Release(
                url=f"https://github.com/etcd-io/etcd/releases/download/v{ETCD}/"
                f"{_ETCD_FOLDER}.tar.gz",
                checksums=f"https://github.com/etcd-io/etcd/releases/download/v{ETCD}/SHA256SUMS",
                members=((f"{_ETCD_FOLDER}/etcd", "etcd"),),
            ),
        )
        if OS == "linux"
        else (),
        program=GoProgram(
            module="go.etcd.io/etcd/server/v3",
            version=f"v{ETCD}",
            packages=("go.etcd.io/etcd/server/v3",),
        ),
        minutes=0.5,
    ),
    Tool(
        name="kwok",
        version=KWOK,
        files=("kwok",),
        version_args=("--version",),
        accepts=r"^kwok version v0\.8\.\d+\b",
        # Its releases carry no checksums: Go's checksum database vouches for the source instead.
        releases=(),
        program=GoProgram(
            module="sigs.k8s.io/kwok",
            version=f"v{KWOK}",
            packages=("sigs.k8s.io/kwok/cmd/kwok",),
        ),
        minutes=1.5,
    ),
)
"""Without which there is no sandbox."""

SPECIAL = (
    Tool(
        name="helm",
        version=HELM,
        files=("helm",),
        version_args=("version", "--template={{.Version}}"),
        accepts=r"^v3\.(19|2\d)\.\d+",
        releases=(
            Release(
                url=f"https://get.helm.sh/helm-v{HELM}-{OS}-{ARCH}.tar.gz",
                checksums=f"https://get.helm.sh/helm-v{HELM}-{OS}-{ARCH}.tar.gz.sha256sum",
                members=((f"{OS}-{ARCH}/helm", "helm"),),
            ),
        ),
        program=GoProgram(
            module="helm.sh/helm/v3",
            version=f"v{HELM}",
            packages=("helm.sh/helm/v3/cmd/helm",),
            ldflags=f"-s -w -X helm.sh/helm/v3/internal/version.version=v{HELM}",
        ),
        minutes=3.5,
    ),
    Tool(
        name="pulumi-yaml",
        version=PULUMI_YAML,
        files=("pulumi-language-yaml",),
        # It doesn't say its version: none on PATH will do.
        version_args=("--version",),
        accepts=r"^pulumi-language-yaml\b",
        # The official CLI has it: whoever has no such CLI couldn't download one.
        releases=(),
        program=GoProgram(
            module="github.com/pulumi/pulumi-yaml",
            version=f"v{PULUMI_YAML}",
            packages=("github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml",),
            ldflags="-s -w",
        ),
        minutes=4,
    ),
)
"""Made when they are first needed, or by `python -m sandbox.toolchain NAME`."""
